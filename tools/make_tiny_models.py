#!/usr/bin/env python3
"""Draws the tiny models of tests/golden/tiny: one of each kind the program runs.

    tools/make_tiny_models.py [--check]

They have one layer of width 32 and weights from a seed, so what they say means nothing; but it is
always the same, in kilobytes, and goes through every step a real model does: reading, tokenizing,
queues, answers. `--check` only compares with what is there. Standard library only.
"""
import json
import pathlib
import random
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent / "tests/golden/tiny"
SEED = 20261120
WIDTH, MLP, HEADS = 32, 64, 2

WORDS = """[PAD] [UNK] [CLS] [SEP] [MASK] a the is of in on dog cat puppy terrier beach grass red
black white brown small big lost found good bad happy sad query passage : , . this example photo
about sport politics weather cars ##s ##ing ##ed my in with and city park""".split()
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]


class Weights:
    def __init__(self, name):
        self.random, self.tensors = random.Random(f"{SEED} {name}"), {}

    def normal(self, name, *shape, scale=0.3):
        count = 1
        for side in shape:
            count *= side
        self.tensors[name] = (shape, [self.random.gauss(0, scale) for _ in range(count)])

    def linear(self, name, out, into):
        self.normal(name + ".weight", out, into)
        self.normal(name + ".bias", out, scale=0.1)

    def norm(self, name, width=WIDTH):
        self.tensors[name + ".weight"] = ((width,), [1 + self.random.gauss(0, 0.1) for _ in range(width)])
        self.normal(name + ".bias", width, scale=0.1)

    def safetensors(self):
        header, data = {}, b""
        for name, (shape, values) in self.tensors.items():
            packed = struct.pack(f"<{len(values)}f", *values)
            header[name] = {"dtype": "F32", "shape": list(shape),
                            "data_offsets": [len(data), len(data) + len(packed)]}
            data += packed
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text + data


def bert(name, labels=None, extra=None):
    """A folder in transformers' layout: a sentence encoder, or one with a head for `labels`."""
    w = Weights(name)
    vocab = list(dict.fromkeys(WORDS + LETTERS + ["##" + c for c in LETTERS]))
    p = "bert." if labels else ""
    w.normal(p + "embeddings.word_embeddings.weight", len(vocab), WIDTH, scale=1)
    w.normal(p + "embeddings.position_embeddings.weight", 64, WIDTH)
    w.normal(p + "embeddings.token_type_embeddings.weight", 2, WIDTH)
    w.norm(p + "embeddings.LayerNorm")
    layer = p + "encoder.layer.0."
    for part in ("query", "key", "value"):
        w.linear(layer + "attention.self." + part, WIDTH, WIDTH)
    w.linear(layer + "attention.output.dense", WIDTH, WIDTH)
    w.norm(layer + "attention.output.LayerNorm")
    w.linear(layer + "intermediate.dense", MLP, WIDTH)
    w.linear(layer + "output.dense", WIDTH, MLP)
    w.norm(layer + "output.LayerNorm")
    config = {"model_type": "bert", "architectures": ["BertModel"], "num_hidden_layers": 1,
              "hidden_size": WIDTH, "num_attention_heads": HEADS, "intermediate_size": MLP,
              "vocab_size": len(vocab), "max_position_embeddings": 64, "type_vocab_size": 2,
              "hidden_act": "gelu", "layer_norm_eps": 1e-12, "pad_token_id": 0}
    files = {"vocab.txt": "\n".join(vocab) + "\n",
             "tokenizer_config.json": json.dumps({"tokenizer_class": "BertTokenizer",
                                                  "do_lower_case": True, "model_max_length": 64})}
    if labels:
        w.linear("bert.pooler.dense", WIDTH, WIDTH)
        w.linear("classifier", len(labels), WIDTH)
        config["architectures"] = ["BertForSequenceClassification"]
        config["id2label"] = {str(i): label for i, label in enumerate(labels)}
        config["label2id"] = {label: i for i, label in enumerate(labels)}
    else:
        files["modules.json"] = json.dumps([
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])
        files["1_Pooling/config.json"] = json.dumps({"word_embedding_dimension": WIDTH,
                                                     "pooling_mode_mean_tokens": True})
        files["sentence_bert_config.json"] = json.dumps({"max_seq_length": 32, "do_lower_case": True})
    files["config.json"] = json.dumps(config, indent=1)
    files["model.safetensors"] = w.safetensors()
    files.update(extra or {})
    return files


def byte_letters():
    """GPT-2's printable stand-ins for bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(len(other))]


def clip():
    w = Weights("clip")
    letters = byte_letters()
    merges = ["d o", "do g</w>", "c a", "ca t</w>", "r e", "re d</w>", "b e", "p h", "o f</w>"]
    vocab = letters + [c + "</w>" for c in letters] + [m.replace(" ", "") for m in merges]
    vocab += ["<|startoftext|>", "<|endoftext|>"]

    def tower(name):
        layer = f"{name}.encoder.layers.0."
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            w.linear(layer + "self_attn." + part, WIDTH, WIDTH)
        w.norm(layer + "layer_norm1")
        w.linear(layer + "mlp.fc1", MLP, WIDTH)
        w.linear(layer + "mlp.fc2", WIDTH, MLP)
        w.norm(layer + "layer_norm2")

    w.normal("text_model.embeddings.token_embedding.weight", len(vocab), WIDTH, scale=1)
    w.normal("text_model.embeddings.position_embedding.weight", 32, WIDTH)
    tower("text_model")
    w.norm("text_model.final_layer_norm")
    w.normal("vision_model.embeddings.class_embedding", WIDTH)
    w.normal("vision_model.embeddings.patch_embedding.weight", WIDTH, 3, 8, 8, scale=0.2)
    w.normal("vision_model.embeddings.position_embedding.weight", 5, WIDTH)
    w.norm("vision_model.pre_layrnorm")
    tower("vision_model")
    w.norm("vision_model.post_layernorm")
    w.normal("visual_projection.weight", WIDTH, WIDTH)
    w.normal("text_projection.weight", WIDTH, WIDTH)
    w.tensors["logit_scale"] = ((), [2.0])
    part = {"hidden_size": WIDTH, "intermediate_size": MLP, "num_attention_heads": HEADS,
            "num_hidden_layers": 1, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
    config = {"model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": WIDTH,
              "text_config": {**part, "vocab_size": len(vocab), "max_position_embeddings": 32,
                              "bos_token_id": len(vocab) - 2, "eos_token_id": len(vocab) - 1},
              "vision_config": {**part, "image_size": 16, "patch_size": 8}}
    return {"config.json": json.dumps(config, indent=1),
            "preprocessor_config.json": json.dumps({"crop_size": 16, "size": 16, "do_resize": True,
                                                    "image_mean": [0.48145466, 0.4578275, 0.40821073],
                                                    "image_std": [0.26862954, 0.26130258, 0.27577711]}),
            "vocab.json": json.dumps({token: i for i, token in enumerate(vocab)}),
            "merges.txt": "#version: 0.2\n" + "\n".join(merges) + "\n",
            "tokenizer_config.json": json.dumps({"tokenizer_class": "CLIPTokenizer",
                                                 "model_max_length": 32}),
            "model.safetensors": w.safetensors()}


def main():
    prompts = json.dumps({"prompts": {"query": "query: ", "passage": "passage: "}})
    models = {
        "tiny-clip": clip(),
        "tiny-embed": bert("embed"),
        "tiny-prompts": bert("embed", extra={"config_sentence_transformers.json": prompts}),
        "tiny-mood": bert("mood", ["sad", "happy", "angry"]),
        "tiny-rank": bert("rank", ["LABEL_0"]),
        "tiny-nli": bert("nli", ["contradiction", "entailment", "neutral"]),
    }
    differ = 0
    for model, files in models.items():
        for name, content in files.items():
            path = ROOT / model / name
            content = content.encode() if isinstance(content, str) else content
            if "--check" in sys.argv:
                if not path.is_file() or path.read_bytes() != content:
                    print(f"differs: {path}")
                    differ += 1
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
