#!/usr/bin/env python3
"""Makes tests/golden/models/*.json: what PyTorch and transformers compute with seeded weights.

Usage: make_golden_models.py [--out FOLDER] [NAME...]   (needs torch, transformers, numpy from PyPI)

Weights are made by a generator that the C tests have too (tests/unit/embed/golden.h), so that no
weights are stored: splitmix64 from a seed that is the model's seed xor FNV-1a 64 of the tensor's
name; 24 bits a number, uniform in [-1, 1); times an amplitude by the tensor's kind:

    norm weights                1 + 0.2 x
    other tensors of rank 1     0.1 x
    relative_attention_bias     x
    embeddings (rank 2)         0.5 x
    everything else             sqrt(3 / fan_in) x, that is a deviation of 1 / sqrt(fan_in)

A test that fails prints the model's seed; the file holds it, the configuration and the inputs.
"""
import argparse
import json
import os

import numpy as np
import torch
import transformers

MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15


def fnv1a(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def uniform(seed, count):
    """x[i] in [-1, 1), exactly representable in f32."""
    state = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GAMMA)
    z = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    bits = (z >> np.uint64(40)).astype(np.int32) - (1 << 23)
    return bits.astype(np.float32) * np.float32(2.0 ** -23)


def tensor(seed, name, shape):
    count = int(np.prod(shape))
    x = uniform(seed ^ fnv1a(name), count)
    if len(shape) == 1:
        if name.endswith("weight") and "norm" in name.lower().replace("layr", "layer"):
            x = np.float32(1) + np.float32(0.2) * x
        else:
            x = np.float32(0.1) * x
    elif "relative_attention_bias" in name:
        pass
    elif "embedding" in name and "patch" not in name:
        x = np.float32(0.5) * x
    else:
        x = np.float32(np.sqrt(3.0 / (count // shape[0]))) * x
    return torch.from_numpy(x.reshape(shape))


def fill(model, seed):
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point() and value.dim():
                value.copy_(tensor(seed, name, tuple(value.shape)))
    return model.eval()


def floats(t):
    return [float(np.float32(v)) for v in t.detach().numpy().ravel()]


def ids_of(seed, count, vocab, first, last):
    x = uniform(seed, count)
    inner = [int((float(v) + 1) / 2 * (vocab - 10)) + 5 for v in x]
    return [first] + inner[: count - 2] + [last]


def sparse(config, keys):
    given = config.to_dict()
    return {key: given[key] for key in keys}


TOWER = ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
         "hidden_act", "layer_norm_eps"]


def clip(name, seed, text, image, dims, lengths):
    config = transformers.CLIPConfig(text_config=text, vision_config=image, projection_dim=dims)
    model = fill(transformers.CLIPModel(config), seed)
    given = {"model_type": "clip", "projection_dim": dims,
             "text_config": sparse(config.text_config, TOWER + ["vocab_size", "eos_token_id",
                                                                "max_position_embeddings"]),
             "vision_config": sparse(config.vision_config, TOWER + ["image_size", "patch_size"])}
    side = config.vision_config.image_size
    cases = []
    with torch.no_grad():
        for i in range(2):
            x = uniform(seed + 1000 + i, 3 * side * side) * np.float32(1.7)
            out = model.visual_projection(model.vision_model(
                pixel_values=torch.from_numpy(x.reshape(1, 3, side, side))).pooler_output)
            cases.append({"image_seed": str(seed + 1000 + i), "vector": floats(out)})
        vocab = config.text_config.vocab_size
        for i, length in enumerate(lengths):
            ids = ids_of(seed + 2000 + i, length, vocab, vocab - 2, vocab - 1)
            out = model.text_projection(model.text_model(
                input_ids=torch.tensor([ids])).pooler_output)
            cases.append({"ids": ids, "vector": floats(out)})
    return {"name": name, "seed": str(seed), "config": given, "cases": cases}


def text_model(name, seed, model_class, config, keys, lengths, pooling="mean", dense=0,
               vocab_used=None, pair=False):
    model = fill(model_class(config), seed)
    given = {"model_type": config.model_type, **sparse(config, keys)}
    width = model.config.hidden_size
    cases = []
    with torch.no_grad():
        for i, length in enumerate(lengths):
            ids = ids_of(seed + 2000 + i, length, vocab_used or config.vocab_size, 0, 2)
            inputs = {"input_ids": torch.tensor([ids]),
                      "attention_mask": torch.ones(1, length, dtype=torch.long)}
            case = {"ids": ids}
            if pair:
                types = [int(t >= length // 2) for t in range(length)]
                inputs["token_type_ids"] = torch.tensor([types])
                case["types"] = types
            out = model(**inputs)
            if pair or pooling == "logits":
                case["vector"] = floats(out.logits[0])
            else:
                rows = out.last_hidden_state[0]
                vector = {"mean": rows.mean(0), "cls": rows[0], "max": rows.max(0).values}[pooling]
                if dense:
                    weight = tensor(seed, "dense.linear.weight", (dense, width))
                    vector = vector @ weight.T
                case["vector"] = floats(vector / vector.norm())
            cases.append(case)
    return {"name": name, "seed": str(seed), "config": given, "pooling": pooling, "dense": dense,
            "cases": cases}


BERT = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "hidden_act", "layer_norm_eps", "max_position_embeddings"]
T = transformers


def small(**more):
    return dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2,
                **more)


MODELS = {
    "clip-vit-b-32": lambda n: clip(n, 32, {}, {}, 512, [3, 12, 77]),
    "clip-vit-l-14-one-layer": lambda n: clip(
        n, 14, dict(hidden_size=768, num_attention_heads=12, intermediate_size=3072,
                    num_hidden_layers=1),
        dict(hidden_size=1024, num_attention_heads=16, intermediate_size=4096, patch_size=14,
             num_hidden_layers=2), 768, [20]),
    "clip-tiny": lambda n: clip(
        n, 7, small(vocab_size=500, max_position_embeddings=20, eos_token_id=2),
        small(image_size=48, patch_size=16), 32, [3, 9, 20]),
    "clip-tiny-gelu": lambda n: clip(
        n, 8, small(vocab_size=500, max_position_embeddings=20, eos_token_id=499,
                    hidden_act="gelu"),
        small(image_size=48, patch_size=16, hidden_act="gelu"), 48, [5]),
    "minilm-l6": lambda n: text_model(
        n, 6, T.BertModel, T.BertConfig(hidden_size=384, intermediate_size=1536,
                                        num_hidden_layers=6, num_attention_heads=12),
        BERT + ["type_vocab_size"], [4, 12, 100]),
    "distilbert-multilingual": lambda n: text_model(
        n, 11, T.DistilBertModel, T.DistilBertConfig(vocab_size=119547),
        ["vocab_size", "dim", "hidden_dim", "n_layers", "n_heads", "activation",
         "max_position_embeddings"], [5, 17], dense=512),
    "mpnet": lambda n: text_model(
        n, 12, T.MPNetModel, T.MPNetConfig(max_position_embeddings=514, layer_norm_eps=1e-5),
        BERT + ["relative_attention_num_buckets"], [6, 200]),
    "xlm-r-small": lambda n: text_model(
        n, 13, T.XLMRobertaModel,
        T.XLMRobertaConfig(vocab_size=250037, hidden_size=384, intermediate_size=1536,
                           num_hidden_layers=12, num_attention_heads=12,
                           max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5),
        BERT + ["type_vocab_size", "pad_token_id"], [7, 60]),
    "bert-tiny-cls": lambda n: text_model(
        n, 21, T.BertModel, T.BertConfig(vocab_size=300, **small()), BERT + ["type_vocab_size"],
        [2, 9, 40], pooling="cls"),
    "distilbert-tiny-max": lambda n: text_model(
        n, 22, T.DistilBertModel,
        T.DistilBertConfig(vocab_size=300, dim=64, hidden_dim=128, n_layers=2, n_heads=4),
        ["vocab_size", "dim", "hidden_dim", "n_layers", "n_heads", "activation",
         "max_position_embeddings"], [2, 9, 40], pooling="max", dense=48),
    "roberta-tiny": lambda n: text_model(
        n, 23, T.RobertaModel, T.RobertaConfig(vocab_size=300, max_position_embeddings=66,
                                               type_vocab_size=1, **small()),
        BERT + ["type_vocab_size", "pad_token_id"], [2, 9, 40]),
    "mpnet-tiny": lambda n: text_model(
        n, 24, T.MPNetModel, T.MPNetConfig(vocab_size=300, max_position_embeddings=300, **small()),
        BERT + ["relative_attention_num_buckets"], [2, 9, 250]),
    "cross-encoder-tiny": lambda n: text_model(
        n, 25, T.BertForSequenceClassification,
        T.BertConfig(vocab_size=300, num_labels=1, **small()), BERT + ["type_vocab_size"],
        [6, 30], pair=True),
    "roberta-sentiment-tiny": lambda n: text_model(
        n, 26, T.RobertaForSequenceClassification,
        T.RobertaConfig(vocab_size=300, num_labels=3, max_position_embeddings=66,
                        type_vocab_size=2, **small()),
        BERT + ["type_vocab_size", "pad_token_id"], [6, 30], pair=True),
    "distilbert-sentiment-tiny": lambda n: text_model(
        n, 27, T.DistilBertForSequenceClassification,
        T.DistilBertConfig(vocab_size=300, dim=64, hidden_dim=128, n_layers=2, n_heads=4,
                           num_labels=2),
        ["vocab_size", "dim", "hidden_dim", "n_layers", "n_heads", "activation",
         "max_position_embeddings"], [6, 30], pooling="logits"),
    # Heads at full size: sst-2 and emotion, twitter-roberta-base-sentiment, ms-marco-MiniLM-L-6-v2.
    "distilbert-emotion": lambda n: text_model(
        n, 31, T.DistilBertForSequenceClassification, T.DistilBertConfig(num_labels=6),
        ["vocab_size", "dim", "hidden_dim", "n_layers", "n_heads", "activation",
         "max_position_embeddings"], [7, 90], pooling="logits"),
    "roberta-sentiment": lambda n: text_model(
        n, 32, T.RobertaForSequenceClassification,
        T.RobertaConfig(vocab_size=50265, num_labels=3, max_position_embeddings=514,
                        type_vocab_size=1, layer_norm_eps=1e-5),
        BERT + ["type_vocab_size", "pad_token_id"], [7, 90], pooling="logits"),
    "ms-marco-minilm": lambda n: text_model(
        n, 33, T.BertForSequenceClassification,
        T.BertConfig(hidden_size=384, intermediate_size=1536, num_hidden_layers=6,
                     num_attention_heads=12, num_labels=1),
        BERT + ["type_vocab_size"], [14, 120], pair=True),
}


def main():
    parser = argparse.ArgumentParser()
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--out", default=os.path.join(here, "..", "tests", "golden", "models"))
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    torch.manual_seed(0)
    for name in args.names or MODELS:
        result = MODELS[name](name)
        with open(os.path.join(args.out, name + ".json"), "w") as f:
            f.write('{\n')
            for key in result:
                if key != "cases":
                    f.write(f'"{key}": {json.dumps(result[key])},\n')
            f.write('"cases": [\n')
            lines = []
            for case in result["cases"]:
                vector = ",".join("%.7g" % v for v in case.pop("vector"))
                lines.append(json.dumps(case)[:-1] + f', "vector": [{vector}]}}')
            f.write(",\n".join(lines) + "\n]\n}\n")
        print(name, "ok")


if __name__ == "__main__":
    main()
