"""Small models with seeded weights in Hugging Face layout, for the stories. Standard library only.

CLIP: two towers of two layers, 64 wide, 48-pixel pictures, 77 tokens of bytes. The numbers mean
nothing, but are the same everywhere, and a picture is nearest to itself. With another seed it is
another model of the same shape.
"""
import json
import math
import pathlib
import random
import struct

WIDTH, MLP, LAYERS, HEADS, SIDE, PATCH, DIMS, POSITIONS = 64, 128, 2, 2, 48, 16, 32, 77


def bytes_to_unicode():
    """GPT-2's and CLIP's printable stand-ins for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b if b in plain else 256 + sum(c not in plain for c in range(b))) for b in range(256)]


def write_safetensors(path, tensors):
    head, data, at = {}, [], 0
    for name, (shape, values) in tensors.items():
        raw = struct.pack(f"<{len(values)}f", *values)
        head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(raw)]}
        data.append(raw)
        at += len(raw)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


class Weights:
    def __init__(self, seed):
        self.random, self.tensors = random.Random(seed), {}

    def add(self, name, *shape, scale=None, base=0.0):
        count = math.prod(shape)
        scale = scale or 1 / math.sqrt(shape[-1])
        self.tensors[name] = (list(shape), [base + scale * self.random.uniform(-1.7, 1.7) for _ in range(count)])

    def linear(self, name, rows, columns):
        self.add(name + ".weight", rows, columns)
        self.add(name + ".bias", rows, scale=0.1)

    def norm(self, name, width):
        self.add(name + ".weight", width, scale=0.1, base=1.0)
        self.add(name + ".bias", width, scale=0.1)

    def clip_tower(self, prefix):
        for i in range(LAYERS):
            layer = f"{prefix}.encoder.layers.{i}."
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                self.linear(layer + "self_attn." + part, WIDTH, WIDTH)
            self.norm(layer + "layer_norm1", WIDTH)
            self.norm(layer + "layer_norm2", WIDTH)
            self.linear(layer + "mlp.fc1", MLP, WIDTH)
            self.linear(layer + "mlp.fc2", WIDTH, MLP)


def clip(folder, seed=7):
    """Writes a CLIP model into `folder` and returns it."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    letters = bytes_to_unicode()
    words = letters + [c + "</w>" for c in letters] + ["<|startoftext|>", "<|endoftext|>"]
    w = Weights(seed)
    w.clip_tower("vision_model")
    w.clip_tower("text_model")
    w.add("vision_model.embeddings.class_embedding", WIDTH, scale=0.5)
    w.add("vision_model.embeddings.patch_embedding.weight", WIDTH, 3, PATCH, PATCH, scale=0.06)
    w.add("vision_model.embeddings.position_embedding.weight", (SIDE // PATCH) ** 2 + 1, WIDTH, scale=0.1)
    w.norm("vision_model.pre_layrnorm", WIDTH)
    w.norm("vision_model.post_layernorm", WIDTH)
    w.add("visual_projection.weight", DIMS, WIDTH)
    w.add("text_model.embeddings.token_embedding.weight", len(words), WIDTH, scale=0.5)
    w.add("text_model.embeddings.position_embedding.weight", POSITIONS, WIDTH, scale=0.1)
    w.norm("text_model.final_layer_norm", WIDTH)
    w.add("text_projection.weight", DIMS, WIDTH)
    write_safetensors(folder / "model.safetensors", w.tensors)
    tower = {"hidden_size": WIDTH, "intermediate_size": MLP, "num_hidden_layers": LAYERS,
             "num_attention_heads": HEADS, "hidden_act": "quick_gelu"}
    (folder / "config.json").write_text(json.dumps({
        "model_type": "clip", "projection_dim": DIMS,
        "text_config": {**tower, "vocab_size": len(words), "max_position_embeddings": POSITIONS,
                        "eos_token_id": len(words) - 1},
        "vision_config": {**tower, "image_size": SIDE, "patch_size": PATCH}}))
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder
