#!/usr/bin/env python3
"""Writes FOLDER/clip and FOLDER/minilm: models of full size with random weights, for timing.

Numpy only; the layout is Hugging Face's (config.json, model.safetensors).
"""
import json
import os
import sys

import numpy as np


def write(folder, config, tensors, extra=None):
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(1)
    header, at, arrays = {}, 0, []
    for name, shape in tensors:
        count = int(np.prod(shape))
        if len(shape) == 1:
            x = rng.standard_normal(count, dtype=np.float32) * np.float32(0.05)
            if name.endswith("weight"):
                x += np.float32(1)
        else:
            deviation = 0.3 if "embedding" in name and "patch" not in name \
                else (count // shape[0]) ** -0.5
            x = rng.standard_normal(count, dtype=np.float32) * np.float32(deviation)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + 4 * count]}
        at += 4 * count
        arrays.append(x)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for x in arrays:
            f.write(x.tobytes())
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f)
    for path, value in (extra or {}).items():
        full = os.path.join(folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w") as f:
            json.dump(value, f)


def pair(name, out, inner=None):
    yield name + ".weight", (out, inner) if inner else (out,)
    yield name + ".bias", (out,)


def tower(name, width, mlp, layers):
    for i in range(layers):
        at = f"{name}.encoder.layers.{i}"
        for part in "qkv":
            yield from pair(f"{at}.self_attn.{part}_proj", width, width)
        yield from pair(f"{at}.self_attn.out_proj", width, width)
        yield from pair(f"{at}.layer_norm1", width)
        yield from pair(f"{at}.mlp.fc1", mlp, width)
        yield from pair(f"{at}.mlp.fc2", width, mlp)
        yield from pair(f"{at}.layer_norm2", width)


def clip():
    yield from tower("vision_model", 768, 3072, 12)
    yield from tower("text_model", 512, 2048, 12)
    yield "vision_model.embeddings.class_embedding", (768,)
    yield "vision_model.embeddings.patch_embedding.weight", (768, 3, 32, 32)
    yield "vision_model.embeddings.position_embedding.weight", (50, 768)
    yield from pair("vision_model.pre_layrnorm", 768)
    yield from pair("vision_model.post_layernorm", 768)
    yield "visual_projection.weight", (512, 768)
    yield "text_model.embeddings.token_embedding.weight", (49408, 512)
    yield "text_model.embeddings.position_embedding.weight", (77, 512)
    yield from pair("text_model.final_layer_norm", 512)
    yield "text_projection.weight", (512, 512)


def minilm():
    for i in range(6):
        at = f"encoder.layer.{i}"
        for part in ("query", "key", "value"):
            yield from pair(f"{at}.attention.self.{part}", 384, 384)
        yield from pair(f"{at}.attention.output.dense", 384, 384)
        yield from pair(f"{at}.attention.output.LayerNorm", 384)
        yield from pair(f"{at}.intermediate.dense", 1536, 384)
        yield from pair(f"{at}.output.dense", 384, 1536)
        yield from pair(f"{at}.output.LayerNorm", 384)
    yield "embeddings.word_embeddings.weight", (30522, 384)
    yield "embeddings.position_embeddings.weight", (512, 384)
    yield "embeddings.token_type_embeddings.weight", (2, 384)
    yield from pair("embeddings.LayerNorm", 384)
    yield from pair("pooler.dense", 384, 384)


def main():
    folder = sys.argv[1]
    write(os.path.join(folder, "clip"),
          {"model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": 512,
           "text_config": {"eos_token_id": 2}, "vision_config": {}}, clip())
    write(os.path.join(folder, "minilm"),
          {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 384,
           "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 12,
           "vocab_size": 30522, "layer_norm_eps": 1e-12, "max_position_embeddings": 512,
           "type_vocab_size": 2, "hidden_act": "gelu"}, minilm(),
          {"modules.json": [
              {"idx": 0, "name": "0", "path": "",
               "type": "sentence_transformers.models.Transformer"},
              {"idx": 1, "name": "1", "path": "1_Pooling",
               "type": "sentence_transformers.models.Pooling"},
              {"idx": 2, "name": "2", "path": "2_Normalize",
               "type": "sentence_transformers.models.Normalize"}],
           "1_Pooling/config.json": {"word_embedding_dimension": 384,
                                     "pooling_mode_mean_tokens": True}})


if __name__ == "__main__":
    main()
