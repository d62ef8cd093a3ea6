"""text_similarity_reranker over HTTP with a cross-encoder that eland traced (tests/golden/traced): the
model is put as eland puts it, an endpoint is made for it, documents are found by words and put in
another order by the model. Scores must be those that PyTorch gave for the same pairs, as
Elasticsearch makes them positive: max(x, 0) + min(exp(x), 1).
"""
import base64
import json
import math
import os
import pathlib
import sys

import elasticsearch
from elasticsearch import ApiError, BadRequestError, ConflictError, Elasticsearch, NotFoundError

FOLDER = pathlib.Path(__file__).resolve().parent.parent.parent / "golden/traced/bert-cross-encoder"
PART_BYTES = 20_000
MAJOR = elasticsearch.__version__[0]
NEAR = 0.01  # of a logit: products here may be in bf16
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen!r}"))


def expect(name, kinds, call, words=""):
    try:
        check(name, False, call())
    except kinds as error:
        check(name, words in json.dumps(error.body), error.body)


def positive(x):
    return max(x, 0) + min(math.exp(x), 1)


es = Elasticsearch(os.environ["VIZSLA_URL"], request_timeout=60)
golden = json.loads((FOLDER / "golden.json").read_text())
question, texts = golden["query"], golden["texts"]
pairs = dict(zip(texts, golden["pairs"]))
model, endpoint, index = f"cross-py{MAJOR}", f"ranker-py{MAJOR}", f"ranked-py{MAJOR}"

# ---- the model and its endpoint
definition = (FOLDER / "definition.pt").read_bytes()
parts = [definition[i:i + PART_BYTES] for i in range(0, len(definition), PART_BYTES)]
es.ml.put_trained_model(model_id=model, **json.loads((FOLDER / "config.json").read_text()))
for number, part in enumerate(parts):
    es.ml.put_trained_model_definition_part(
        model_id=model, part=number, total_parts=len(parts),
        total_definition_length=len(definition), definition=base64.b64encode(part).decode())
vocabulary = json.loads((FOLDER / "vocabulary.json").read_text())
es.ml.put_trained_model_vocabulary(model_id=model, **vocabulary)
es.ml.start_trained_model_deployment(model_id=model, timeout="60s", wait_for="started")
made = es.inference.put(task_type="rerank", inference_id=endpoint, inference_config={
    "service": "elasticsearch",
    "service_settings": {"model_id": model, "num_allocations": 1, "num_threads": 1}})
check("the endpoint is one of reranking",
      made["task_type"] == "rerank" and made["task_settings"] == {"return_documents": True}, made)

# ---- asked alone
asked = es.inference.rerank(inference_id=endpoint, query=question, input=texts)["rerank"]
scores = {one["index"]: one["relevance_score"] for one in asked}
check("relevance as PyTorch gives it",
      all(abs(scores[i] - pairs[text]) < NEAR for i, text in enumerate(texts)), asked)
check("the most relevant first",
      [one["relevance_score"] for one in asked] == sorted(scores.values(), reverse=True), asked)
check("with the texts", all(one["text"] == texts[one["index"]] for one in asked), asked)
top = es.perform_request(
    "POST", f"/_inference/rerank/{endpoint}", headers={"accept": "application/json",
                                                        "content-type": "application/json"},
    body={"query": question, "input": texts, "top_n": 2, "return_documents": False}).body["rerank"]
check("the best two without texts",
      [one["index"] for one in top] == [one["index"] for one in asked[:2]]
      and not any("text" in one for one in top), top)
expect("a question is needed", BadRequestError, lambda: es.inference.inference(
    task_type="rerank", inference_id=endpoint, input=texts), "query")

# ---- in a search
es.options(ignore_status=404).indices.delete(index=index)
es.indices.create(index=index, mappings={"properties": {
    "text": {"type": "text"}, "all": {"type": "keyword"}, "n": {"type": "integer"}}})
operations = []
for i, text in enumerate(texts):
    operations += [{"index": {"_index": index, "_id": str(i)}}, {"text": text, "all": "y", "n": i}]
operations += [{"index": {"_index": index, "_id": "none"}}, {"all": "y", "n": 99}]
bulk = es.bulk(operations=operations, refresh=True)
check("documents", not bulk["errors"], bulk)
EVERYTHING = {"standard": {"query": {"term": {"all": "y"}}, "filter": {"range": {"n": {"lt": 99}}}}}


def rerank(child=EVERYTHING, **more):
    inner = {"retriever": child, "field": "text", "inference_id": endpoint,
             "inference_text": question, **more}
    return {"text_similarity_reranker": inner}


found = es.search(index=index, retriever=rerank())["hits"]["hits"]
order = sorted(range(len(texts)), key=lambda i: -scores[i])
check("the model's order", [hit["_id"] for hit in found] == [str(i) for i in order], found)
check("scores as PyTorch's pairs, made positive",
      all(abs(hit["_score"] - positive(pairs[hit["_source"]["text"]])) < NEAR for hit in found), found)
check("and exactly those of the endpoint",
      all(math.isclose(hit["_score"], positive(scores[int(hit["_id"])]), rel_tol=1e-5)
          for hit in found), found)

window = es.search(index=index, retriever=rerank(
    {"standard": {"query": {"term": {"all": "y"}}, "sort": [{"n": "asc"}]}}, rank_window_size=2))
check("a window of two: the first two alone are ranked",
      sorted(hit["_id"] for hit in window["hits"]["hits"]) == ["0", "1"], window.body)
middle = sorted(scores.values())[1] + 1e-4
least = es.search(index=index, retriever=rerank(min_score=middle))["hits"]["hits"]
check("min_score is of the model's own score",
      [hit["_id"] for hit in least] == [str(i) for i in order if scores[i] >= middle], least)
told = es.search(index=index, explain=True, retriever=rerank())["hits"]["hits"][0]["_explanation"]
check("explained", told["description"].startswith(
    f"text_similarity_reranker match using inference endpoint: [{endpoint}] on document field: [text]")
    and told["details"], told)
both = es.search(index=index, retriever={"rrf": {"retrievers": [
    rerank(), {"standard": {"query": {"match": {"text": "cat"}}}}]}})["hits"]["hits"]
where = {str(i): rank for rank, i in enumerate(order, 1)}
check("within rrf by its ranks", all(math.isclose(
    hit["_score"], 1 / (60 + where[hit["_id"]]) + (1 / 61 if hit["_id"] == "3" else 0), rel_tol=1e-5)
    for hit in both) and len(both) == len(texts), both)
empty = es.search(index=index, retriever=rerank({"standard": {"query": {"term": {"n": 99}}}}))
check("a document without the text is asked with none", len(empty["hits"]["hits"]) == 1, empty.body)
nothing = es.search(index=index, retriever=rerank({"standard": {"query": {"term": {"n": -5}}}}))
check("nothing to rank", nothing["hits"]["hits"] == [], nothing.body)
expect("no such endpoint", (NotFoundError, BadRequestError), lambda: es.search(
    index=index, retriever=rerank(inference_id="nobody")), "nobody")
spared = es.perform_request(
    "POST", f"/{index}/_search", headers={"accept": "application/json", "content-type": "application/json"},
    body={"retriever": rerank(inference_id="nobody", allow_rerank_failures=True)}).body
check("unless a failure is allowed: their own order", len(spared["hits"]["hits"]) == len(texts), spared)

# ---- and away
expect("a model in use is not deleted", (ConflictError, ApiError),
       lambda: es.ml.delete_trained_model(model_id=model))
check("the endpoint is deleted", es.inference.delete(inference_id=endpoint)["acknowledged"])
expect("it is gone", (NotFoundError, BadRequestError), lambda: es.inference.rerank(
    inference_id=endpoint, query=question, input=texts))
es.options(ignore_status=404).ml.stop_trained_model_deployment(model_id=model)
es.options(ignore_status=404).ml.delete_trained_model(model_id=model)
es.indices.delete(index=index)
sys.exit(1 if failures else 0)
