"""What eland_import_hub_model does, call for call, with models that eland itself traced
(tests/golden/traced), through the official Python client: look, put, send the parts and the
vocabulary, start, ask, stop, delete. The answers must be those that PyTorch gave.
"""
import base64
import json
import math
import os
import pathlib
import sys

import elasticsearch
from elasticsearch import BadRequestError, Elasticsearch, NotFoundError

TRACED = pathlib.Path(__file__).resolve().parent.parent.parent / "golden/traced"
PART_BYTES = 20_000  # eland's are 4 MiB; these models are small
MAJOR = elasticsearch.__version__[0]
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen!r}"))


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def upload(es, name, folder):
    definition = (folder / "definition.pt").read_bytes()
    parts = [definition[i:i + PART_BYTES] for i in range(0, len(definition), PART_BYTES)]
    es.ml.put_trained_model(model_id=name, **json.loads((folder / "config.json").read_text()))
    for number, part in enumerate(parts):
        es.ml.put_trained_model_definition_part(
            model_id=name, part=number, total_parts=len(parts),
            total_definition_length=len(definition), definition=base64.b64encode(part).decode())
    es.options(request_timeout=60).perform_request(
        "PUT", f"/_ml/trained_models/{name}/vocabulary",
        headers={"accept": "application/json", "content-type": "application/json"},
        body=json.loads((folder / "vocabulary.json").read_text()))


def softmax(values):
    top = max(values)
    weights = [math.exp(v - top) for v in values]
    return [w / sum(weights) for w in weights]


def same_answer(folder, answer, wanted):
    if folder.name == "bert-cross-encoder":
        return abs(answer["predicted_value"] - wanted) < 0.03
    if folder.name.endswith("sentiment"):
        probability = max(softmax(wanted))
        label = f"LABEL_{wanted.index(max(wanted))}"
        return (answer["predicted_value"] == label
                and abs(answer["prediction_probability"] - probability) < 0.02)
    return cosine(answer["predicted_value"], wanted) > 0.999


es = Elasticsearch(os.environ["VIZSLA_URL"], request_timeout=60)
for folder in sorted(TRACED.iterdir()):
    name = f"{folder.name}-py{MAJOR}"
    try:
        es.ml.get_trained_models(model_id=name)
        check(f"{name} is not there yet", False)
    except NotFoundError:
        pass
    upload(es, name, folder)
    es.ml.start_trained_model_deployment(model_id=name, timeout="60s", wait_for="started")
    golden = json.loads((folder / "golden.json").read_text())
    query = golden.get("query")
    config = {"text_similarity": {"text": query}} if query else None
    answers = [es.ml.infer_trained_model(model_id=name, docs=[{"text_field": text}], timeout="60s",
                                           inference_config=config)
               ["inference_results"][0] for text in golden["texts"]]
    check(f"{name} answers as PyTorch does",
          all(same_answer(folder, a, w) for a, w in zip(answers, golden.get("pairs", golden["values"]))), answers)
    es.ml.stop_trained_model_deployment(model_id=name)
    es.ml.delete_trained_model(model_id=name)

# A definition that is no program that can be read: kept, and starting it says why.
broken = f"broken-py{MAJOR}"
config = json.loads((TRACED / "bert-mean/config.json").read_text())
es.ml.put_trained_model(model_id=broken, **config)
es.ml.put_trained_model_definition_part(
    model_id=broken, part=0, total_parts=1, total_definition_length=24,
    definition=base64.b64encode(b"PK\3\4 and then no zip   !").decode())
es.ml.put_trained_model_vocabulary(model_id=broken, vocabulary=["[PAD]", "[CLS]", "[SEP]"])
try:
    es.ml.start_trained_model_deployment(model_id=broken)
    check("a broken definition is refused", False)
except BadRequestError as error:
    check("a broken definition is refused", "cannot be run" in str(error), str(error))
es.ml.delete_trained_model(model_id=broken)
sys.exit(1 if failures else 0)
