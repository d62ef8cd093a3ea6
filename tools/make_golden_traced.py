#!/usr/bin/env python3
"""Makes tests/golden/traced: small models as eland uploads them, and what PyTorch says of them.

Usage: make_golden_traced.py [--out FOLDER]
(needs eland 9, elasticsearch, torch, transformers<4.48, sentence-transformers<4, numpy<2.3, PyPI)

Each folder holds definition.pt (traced and frozen by eland itself), config.json (the body of its PUT
_ml/trained_models), vocabulary.json, and golden.json: {"texts": [..], "values": [[..], ..]}, the
vectors or logits that the traced module gives for each text; of the cross-encoder also "pairs", its
number for "query" with each text. Weights are random; the seed is fixed.
"""
import argparse
import json
import pathlib
import shutil
import tempfile

import torch
import transformers as tf
from eland.ml.pytorch.transformers import TransformerModel
from sentence_transformers import SentenceTransformer, models

SEED, WIDTH, LENGTH = 20261120, 32, 48
SIZES = dict(hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
DISTIL = dict(dim=WIDTH, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=LENGTH)
WORDS = "lost found dog cat black white terrier on the beach ##s ##ing a b c d e".split()
QUERY = "found dog"
TEXTS = ["lost dog", "a black and white terrier on the beach", "cats", "the dog found the cat"]


def bert_vocabulary(folder, tokenizer=tf.BertTokenizer,
                    specials=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")):
    path = folder / "vocab.txt"
    path.write_text("\n".join([*specials, *WORDS]) + "\n")
    tokenizer(str(path), model_max_length=LENGTH - 2).save_pretrained(folder)


def distil_vocabulary(folder):
    bert_vocabulary(folder, tf.DistilBertTokenizer)


def mpnet_vocabulary(folder):
    bert_vocabulary(folder, tf.MPNetTokenizer, ("<s>", "<pad>", "</s>", "[UNK]", "<mask>"))


def roberta_vocabulary(folder):
    from transformers.models.gpt2.tokenization_gpt2 import bytes_to_unicode
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *bytes_to_unicode().values(), "do", "dog", "<mask>"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\nd o\ndo g\n")
    tf.RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"),
                        model_max_length=LENGTH - 2).save_pretrained(folder)


def saved(work, name, model, vocabulary):
    """The model's folder; biases and norms are made random as well."""
    folder = work / name
    folder.mkdir()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    vocabulary(folder)
    return folder


def sentence(work, name, folder, modules):
    model = SentenceTransformer(modules=[models.Transformer(str(folder)), *modules])
    model.save(str(work / (name + "-st")))
    return work / (name + "-st")


def trace(out, name, folder, task):
    target = out / name
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    model = TransformerModel(model_id=str(folder), task_type=task, es_version=(8, 19, 0),
                             max_model_input_size=LENGTH - 2)
    module, config, vocabulary = model.save(str(target))
    pathlib.Path(module).rename(target / "definition.pt")
    config = config.to_dict()
    config["description"] = name
    (target / "config.json").write_text(json.dumps(config))
    golden(target, tf.AutoTokenizer.from_pretrained(folder, use_fast=False))
    print(name, sum(f.stat().st_size for f in target.iterdir()), "bytes")


def golden(target, tokenizer):
    module = torch.jit.load(str(target / "definition.pt"))
    inputs = len(list(module.graph.inputs())) - 1
    values = []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        every = [ids, torch.ones_like(ids), torch.zeros_like(ids),
                 torch.arange(ids.shape[1]).unsqueeze(0)]
        result = module(*every[:inputs])
        result = result[0] if isinstance(result, tuple) else result
        values.append([float(x) for x in result[0]])
    answer = {"texts": TEXTS, "values": values}
    if target.name == "bert-cross-encoder":
        answer["query"] = QUERY
        answer["pairs"] = [pair(module, tokenizer(QUERY, text, return_tensors="pt")) for text in TEXTS]
    (target / "golden.json").write_text(json.dumps(answer))


def pair(module, tokens):
    ids = tokens["input_ids"]
    return float(module(ids, tokens["attention_mask"], tokens["token_type_ids"],
                        torch.arange(ids.shape[1]).unsqueeze(0))[0][0][0])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("--out", default=root / "tests/golden/traced", type=pathlib.Path)
    out = parser.parse_args().out
    work = pathlib.Path(tempfile.mkdtemp())
    torch.manual_seed(SEED)
    pool, unit = models.Pooling, models.Normalize
    bert = tf.BertConfig(vocab_size=40, max_position_embeddings=LENGTH, **SIZES)
    roberta = tf.RobertaConfig(vocab_size=270, max_position_embeddings=LENGTH, type_vocab_size=1,
                               **SIZES)
    mpnet = tf.MPNetConfig(vocab_size=40, max_position_embeddings=LENGTH, **SIZES)
    distil = tf.DistilBertConfig(vocab_size=40, **DISTIL)
    families = {
        "bert": (tf.BertModel(bert), bert_vocabulary),
        "roberta": (tf.RobertaModel(roberta), roberta_vocabulary),
        "mpnet": (tf.MPNetModel(mpnet), mpnet_vocabulary),
        "distilbert": (tf.DistilBertModel(distil), distil_vocabulary),
    }
    folders = {name: saved(work, name, *made) for name, made in families.items()}
    dense = models.Dense(WIDTH, 24, bias=False, activation_function=torch.nn.Identity())
    trace(out, "bert-mean", sentence(work, "a", folders["bert"], [pool(WIDTH), unit()]),
          "text_embedding")
    trace(out, "bert-first-token",
          sentence(work, "b", folders["bert"], [pool(WIDTH, pooling_mode="cls")]), "text_embedding")
    trace(out, "roberta-mean", sentence(work, "c", folders["roberta"], [pool(WIDTH), unit()]),
          "text_embedding")
    trace(out, "mpnet-mean", sentence(work, "d", folders["mpnet"], [pool(WIDTH), unit()]),
          "text_embedding")
    trace(out, "distilbert-dense", sentence(work, "e", folders["distilbert"], [pool(WIDTH), dense]),
          "text_embedding")
    heads = {
        "bert-sentiment": (tf.BertForSequenceClassification, bert, bert_vocabulary, 3),
        "roberta-sentiment": (tf.RobertaForSequenceClassification, roberta, roberta_vocabulary, 3),
        "distilbert-sentiment": (tf.DistilBertForSequenceClassification, distil,
                                 distil_vocabulary, 2),
    }
    for name, (kind, config, vocabulary, labels) in heads.items():
        config.num_labels = labels
        trace(out, name, saved(work, name, kind(config), vocabulary), "text_classification")
    bert.num_labels = 1
    folder = saved(work, "cross", tf.BertForSequenceClassification(bert), bert_vocabulary)
    trace(out, "bert-cross-encoder", folder, "text_similarity")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
