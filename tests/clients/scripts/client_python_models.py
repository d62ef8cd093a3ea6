"""Models and inference with the official Python client, major 8 or 9: es.ml and es.inference.

The tiny models (tests/golden/tiny) are installed. One of them is put once more, in the steps that
eland takes, with its tensors as the definition; both must give the same vectors.
"""
import base64
import json
import os
import pathlib
import sys
import warnings

import elasticsearch
from elasticsearch import ApiError, BadRequestError, ConflictError, Elasticsearch, NotFoundError

warnings.simplefilter("error", elasticsearch.ElasticsearchWarning)
TINY = pathlib.Path(__file__).resolve().parent.parent.parent / "golden/tiny"
MAJOR = elasticsearch.__version__[0]
MINE = f"mine-py{MAJOR}"
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen!r}"))


def expect(name, error, call):
    try:
        seen = call()
    except error as raised:
        check(name, True)
        return raised
    check(name, False, seen)
    return None


def near(a, b):
    return len(a) == len(b) and max(abs(x - y) for x, y in zip(a, b)) < 1e-4


es = Elasticsearch(os.environ["VIZSLA_URL"], request_timeout=60)

# ---- what is there
listed = es.ml.get_trained_models(model_id="tiny-*", size=3)
check("models are listed", listed["count"] == 6 and len(listed["trained_model_configs"]) == 3, listed)
one = es.ml.get_trained_models(model_id="tiny-embed", include="definition_status")
check("one is whole", one["trained_model_configs"][0]["fully_defined"] is True, one)
expect("one that is not there", NotFoundError, lambda: es.ml.get_trained_models(model_id="nope"))

# ---- asking
asked = es.ml.infer_trained_model(model_id="tiny-embed", docs=[{"text_field": "a red dog"}])
vector = asked["inference_results"][0]["predicted_value"]
check("a text's vector", len(vector) == 32, asked)
labels = es.ml.infer_trained_model(
    model_id="tiny-mood", docs=[{"text_field": "my happy dog"}],
    inference_config={"text_classification": {"num_top_classes": 3}})
check("a text's labels", len(labels["inference_results"][0]["top_classes"]) == 3, labels)
shot = es.ml.infer_trained_model(
    model_id="tiny-nli", docs=[{"text_field": "a dog in the park"}],
    inference_config={"zero_shot_classification": {"labels": ["sport", "weather"]}})
check("zero-shot labels", shot["inference_results"][0]["predicted_value"] in ("sport", "weather"), shot)
alike = es.ml.infer_trained_model(
    model_id="tiny-rank", docs=[{"text_field": "a dog"}, {"text_field": "cars"}],
    inference_config={"text_similarity": {"text": "puppy"}})
check("similarities", all(isinstance(r["predicted_value"], float) for r in alike["inference_results"]), alike)
expect("a task that is not done", BadRequestError, lambda: es.ml.infer_trained_model(
    model_id="tiny-embed", docs=[{"text_field": "x"}], inference_config={"fill_mask": {}}))

# ---- deployments
name = f"search-py{MAJOR}"
started = es.ml.start_trained_model_deployment(
    model_id="tiny-embed", deployment_id=name, wait_for="started", number_of_allocations=1,
    threads_per_allocation=1, queue_capacity=8, priority="normal", cache_size="1mb", timeout="20s")
check("start", started["assignment"]["assignment_state"] == "started", started)
expect("start again", ConflictError, lambda: es.ml.start_trained_model_deployment(
    model_id="tiny-embed", deployment_id=name))
updated = es.ml.update_trained_model_deployment(model_id=name, number_of_allocations=2)
check("update", updated["assignment"]["task_parameters"]["number_of_allocations"] == 2, updated)
es.ml.infer_trained_model(model_id=name, docs=[{"text_field": "a red dog"}])
check("cache cleared", es.ml.clear_trained_model_deployment_cache(model_id=name)["cleared"] is True)
stats = es.ml.get_trained_models_stats(model_id="tiny-embed")
mine = [s["deployment_stats"] for s in stats["trained_model_stats"]
        if s.get("deployment_stats", {}).get("deployment_id") == name]
check("stats", len(mine) == 1 and mine[0]["inference_count"] == 1, stats)
check("stop", es.ml.stop_trained_model_deployment(model_id=name)["stopped"] is True)

# ---- aliases
alias = f"sentences-py{MAJOR}"
check("alias", es.ml.put_trained_model_alias(model_id="tiny-embed", model_alias=alias)["acknowledged"])
aliased = es.ml.infer_trained_model(model_id=alias, docs=[{"text_field": "a red dog"}])
check("asked by it", aliased["inference_results"][0]["predicted_value"] == vector)
check("alias deleted",
      es.ml.delete_trained_model_alias(model_id="tiny-embed", model_alias=alias)["acknowledged"])

# ---- a model is put, as eland does
expect("not there yet", NotFoundError, lambda: es.ml.get_trained_models(model_id=MINE))
config = json.loads((TINY / "tiny-embed/config.json").read_text())
es.ml.put_trained_model(
    model_id=MINE, description="sent by a client", model_type="pytorch",
    inference_config={"text_embedding": {
        "tokenization": {"bert": {"do_lower_case": True, "max_sequence_length": 32}},
        "embedding_size": 32}},
    input={"field_names": ["text_field"]},
    metadata={"per_allocation_memory_bytes": 1, "config": config, "pooling": "mean"})
weights = (TINY / "tiny-embed/model.safetensors").read_bytes()
size = 16 * 1024
parts = [weights[i:i + size] for i in range(0, len(weights), size)]
for i in reversed(range(len(parts))):  # in any order
    put = es.ml.put_trained_model_definition_part(
        model_id=MINE, part=i, definition=base64.b64encode(parts[i]).decode(),
        total_definition_length=len(weights), total_parts=len(parts))
    if not put["acknowledged"]:
        check("part", False, put)
expect("not without its vocabulary", BadRequestError,
       lambda: es.ml.start_trained_model_deployment(model_id=MINE))
words = (TINY / "tiny-embed/vocab.txt").read_text().splitlines()
es.perform_request("PUT", f"/_ml/trained_models/{MINE}/vocabulary", body={"vocabulary": words},
                   headers={"accept": "application/json", "content-type": "application/json"})
whole = es.ml.get_trained_models(model_id=MINE, include="definition_status")
check("put model is whole", whole["trained_model_configs"][0]["fully_defined"] is True, whole)
started = es.ml.start_trained_model_deployment(model_id=MINE, wait_for="started", timeout="60s")
check("put model starts", started["assignment"]["assignment_state"] == "started", started)
answer = es.ml.infer_trained_model(model_id=MINE, docs=[{"text_field": "a red dog"}])
check("and gives the same vector", near(answer["inference_results"][0]["predicted_value"], vector))
expect("is not deleted while deployed", ConflictError, lambda: es.ml.delete_trained_model(model_id=MINE))
es.ml.stop_trained_model_deployment(model_id=MINE)
check("is deleted", es.ml.delete_trained_model(model_id=MINE)["acknowledged"])
expect("and gone", NotFoundError, lambda: es.ml.get_trained_models(model_id=MINE))

# ---- inference endpoints
endpoint = f"my-embed-py{MAJOR}"
made = es.inference.put(task_type="text_embedding", inference_id=endpoint, inference_config={
    "service": "elasticsearch",
    "service_settings": {"model_id": "tiny-embed", "num_allocations": 1, "num_threads": 1}})
check("endpoint", made["inference_id"] == endpoint and made["task_type"] == "text_embedding", made)
check("endpoint is listed", es.inference.get(inference_id=endpoint)["endpoints"][0] == made.body)
asked = es.inference.text_embedding(inference_id=endpoint, input=["a red dog", "cars"])
check("its vectors", near(asked["text_embedding"][0]["embedding"], vector)
      and len(asked["text_embedding"]) == 2, asked)
ranked = es.inference.rerank(inference_id="tiny-rank", query="puppy", input=["a dog", "cars"])
check("rerank", sorted(r["index"] for r in ranked["rerank"]) == [0, 1], ranked)
expect("tasks that are not done", (BadRequestError, ApiError), lambda: es.inference.sparse_embedding(
    inference_id="tiny-embed", input="x"))
check("endpoint deleted", es.inference.delete(inference_id=endpoint)["acknowledged"])

# ---- a tutorial's search without any model on the client's side
index = f"pictures-py{MAJOR}"
es.options(ignore_status=404).indices.delete(index=index)
es.indices.create(index=index, mappings={"properties": {"v": {
    "type": "dense_vector", "dims": 32, "similarity": "cosine", "meta": {"model": "tiny-embed"}}}})
es.index(index=index, id="1", document={"v": vector}, refresh=True)
found = es.search(index=index, knn={"field": "v", "k": 1, "num_candidates": 5, "query_vector_builder": {
    "text_embedding": {"model_id": "tiny-embed", "model_text": "a red dog"}}})
check("query_vector_builder", abs(found["hits"]["hits"][0]["_score"] - 1) < 1e-4, found)
es.indices.delete(index=index)
sys.exit(1 if failures else 0)
