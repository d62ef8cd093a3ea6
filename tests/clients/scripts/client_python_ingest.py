"""Pipelines, and documents sent with pictures, with the official Python client, major 8 or 9: the
tutorial's flow without any embedding in Python."""
import base64
import os
import pathlib
import sys
import warnings

import elasticsearch
from elasticsearch import BadRequestError, Elasticsearch, NotFoundError, helpers

warnings.simplefilter("error", elasticsearch.ElasticsearchWarning)
MAJOR = elasticsearch.__version__[0]
INDEX = f"dogs-sent-as-pictures-{MAJOR}"
SAMPLES = pathlib.Path(__file__).resolve().parents[3] / "samples"
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


def picture(name):
    data = (SAMPLES / f"{name}.svg").read_bytes()
    return "data:image/svg+xml;base64," + base64.b64encode(data).decode()


es = Elasticsearch(os.environ["VIZSLA_URL"])

# ---- pipelines
PIPELINE = f"tidy-{MAJOR}"
put = es.ingest.put_pipeline(id=PIPELINE, description="tidies names", processors=[
    {"trim": {"field": "name"}},
    {"set": {"field": "greeting", "value": "Hello {{{name}}}"}},
    {"split": {"field": "tags", "separator": r",\s*", "ignore_missing": True}},
    {"date": {"field": "seen", "formats": ["dd/MM/yyyy", "UNIX"], "target_field": "seen",
              "if": "ctx.seen != null"}},
    {"drop": {"if": "ctx.name == 'nobody'"}}],
    on_failure=[{"set": {"field": "error", "value": "{{_ingest.on_failure_message}}"}}])
check("put_pipeline", put["acknowledged"], put)
got = es.ingest.get_pipeline(id=PIPELINE)
check("get_pipeline", got[PIPELINE]["description"] == "tidies names", got)
check("get_pipeline with a wildcard", PIPELINE in es.ingest.get_pipeline(id="tidy-*"))
check("get_pipeline of all", PIPELINE in es.ingest.get_pipeline())
expect("a pipeline that is not there", NotFoundError, lambda: es.ingest.get_pipeline(id="nope"))
wrong = expect("a wrong pipeline", BadRequestError, lambda: es.ingest.put_pipeline(
    id="wrong", processors=[{"set": {"value": 1}}]))
check("says where", wrong is not None and wrong.body["error"]["property_name"] == "field", wrong)
simulated = es.ingest.simulate(id=PIPELINE, docs=[
    {"_source": {"name": " Ana ", "tags": "a, b", "seen": "31/12/2024"}}])
source = simulated["docs"][0]["doc"]["_source"]
check("simulate", source == {"name": "Ana", "tags": ["a", "b"], "greeting": "Hello Ana",
                             "seen": "2024-12-31T00:00:00.000Z"}, source)
steps = es.ingest.simulate(pipeline={"processors": [{"uppercase": {"field": "a"}}, {"lowercase": {
    "field": "b", "ignore_missing": True, "tag": "low"}}]}, docs=[{"_source": {"a": "x"}}],
    verbose=True)["docs"][0]["processor_results"]
check("simulate verbosely", [s["status"] for s in steps] == ["success", "success"] and
      steps[0]["doc"]["_source"]["a"] == "X" and steps[1]["tag"] == "low", steps)
check("processor_grok", "COMBINEDAPACHELOG" in es.ingest.processor_grok()["patterns"])

people = f"people-{MAJOR}"
es.options(ignore_status=404).indices.delete(index=people)
done, errors = helpers.bulk(es, ({"_index": people, "_id": str(i), "name": f" person {i} ",
                                  "tags": "x,y"} for i in range(500)),
                            pipeline=PIPELINE, chunk_size=200, refresh=True)
check("bulk with a pipeline", done == 500 and not errors, (done, errors))
check("all went through it", es.count(index=people, query={
    "prefix": {"greeting.keyword": "Hello person"}})["count"] == 500)
one = es.index(index=people, id="n", document={"name": "nobody"}, pipeline=PIPELINE)
check("a dropped document", one["result"] == "noop", one)
one = es.index(index=people, id="e", document={}, pipeline=PIPELINE)
check("on_failure", es.get(index=people, id="e")["_source"]["error"].startswith("field [name]"))
es.indices.put_settings(index=people, settings={"index": {"default_pipeline": PIPELINE}})
es.index(index=people, id="d", document={"name": "  d"})
check("default_pipeline", es.get(index=people, id="d")["_source"]["greeting"] == "Hello d")
expect("a pipeline that is in use stays", BadRequestError,
       lambda: es.ingest.delete_pipeline(id=PIPELINE))
es.indices.delete(index=people)
check("delete_pipeline", es.ingest.delete_pipeline(id=PIPELINE)["acknowledged"])

# ---- documents sent with a picture: the server makes the vectors
names = sorted(p.stem for p in SAMPLES.glob("*.svg") if p.stem != "lost")
es.options(ignore_status=404).indices.delete(index=INDEX)
es.indices.create(index=INDEX, mappings={"properties": {
    "dog_id": {"type": "keyword"},
    "image_embedding": {"type": "dense_vector", "dims": 512, "similarity": "cosine",
                        "meta": {"model": "eye"}}}})
actions = [{"_index": INDEX, "_id": n, "dog_id": n, "image_embedding": picture(n)} for n in names]
actions.append({"_index": INDEX, "_id": "broken", "dog_id": "broken",
                "image_embedding": "data:image/png;base64,AAAA"})
done, errors = helpers.bulk(es, actions, raise_on_error=False, refresh=True)
check("bulk of pictures", done == len(names) and len(errors) == 1, (done, errors))
check("a broken picture is an item's error", errors[0]["index"]["_id"] == "broken" and
      errors[0]["index"]["status"] == 400 and "picture" in errors[0]["index"]["error"]["reason"],
      errors)
check("and is not there", not es.exists(index=INDEX, id="broken"))
vector = es.get(index=INDEX, id="luigi", source_includes=["image_embedding"])["_source"]
check("a vector is kept", len(vector["image_embedding"]) == 512)
check("the picture is not", "base64" not in str(es.get(index=INDEX, id="luigi")["_source"]))
found = es.search(index=INDEX, size=3, source=["dog_id"], knn={
    "field": "image_embedding", "k": 3, "num_candidates": 50,
    "query_vector_builder": {"embedding": {"input": picture("luigi")}}})["hits"]["hits"]
check("the same picture finds it", found[0]["_id"] == "luigi" and found[0]["_score"] > 0.999, found)
lost = es.search(index=INDEX, size=1, source=["dog_id"], knn={
    "field": "image_embedding", "k": 3, "num_candidates": 50,
    "query_vector_builder": {"embedding": {"input": picture("lost")}}})["hits"]["hits"]
check("the lost dog is found", lost[0]["_id"] == "luigi", lost)
meta = es.indices.get_mapping(index=INDEX)[INDEX]["mappings"]["properties"]["image_embedding"]["meta"]
check("the field remembers its model", meta["model"] == "eye" and meta["model_digest"], meta)
other = expect("another model is refused", BadRequestError, lambda: es.search(index=INDEX, knn={
    "field": "image_embedding", "k": 1, "num_candidates": 10, "query_vector_builder": {
        "text_embedding": {"model_id": "tiny-clip", "model_text": "a dog"}}}))

# ---- the same through a pipeline, with what the picture says of itself
LOOK = f"look-{MAJOR}"
es.ingest.put_pipeline(id=LOOK, processors=[{"image": {
    "field": "photo", "target_field": "picture", "properties": ["size", "format", "phash",
                                                                "thumbnail"],
    "thumbnail_side": 32, "model_id": "eye", "output_field": "vector", "remove_field": True}}])
looked = f"looked-{MAJOR}"
es.options(ignore_status=404).indices.delete(index=looked)
es.indices.create(index=looked, settings={"default_pipeline": LOOK}, mappings={"properties": {
    "vector": {"type": "dense_vector", "dims": 512, "similarity": "cosine"},
    "picture": {"properties": {"phash": {"type": "keyword"},
                               "thumbnail": {"type": "keyword", "index": False, "doc_values": False}}}}})
done, errors = helpers.bulk(es, [{"_index": looked, "_id": n, "photo": picture(n)} for n in names],
                            refresh=True)
check("bulk through the image processor", done == len(names), errors)
seen = es.get(index=looked, id="luigi")["_source"]
check("size, hash, thumbnail", seen["picture"]["width"] > 0 and len(seen["picture"]["phash"]) == 16
      and seen["picture"]["thumbnail"].startswith("data:image/jpeg;base64,")
      and "photo" not in seen, seen)
check("the vectors of both ways are equal", max(
    abs(a - b) for a, b in zip(vector["image_embedding"],
                               es.get(index=looked, id="luigi", source_includes=["vector"])
                               ["_source"]["vector"])) < 1e-6)

# ---- texts embedded by a pipeline
TEXT = f"describe-{MAJOR}"
products = f"products-{MAJOR}"
es.ingest.put_pipeline(id=TEXT, processors=[{"inference": {
    "model_id": "tiny-embed",
    "input_output": [{"input_field": "description", "output_field": "description_embedding"}]}}])
es.options(ignore_status=404).indices.delete(index=products)
es.indices.create(index=products, settings={"default_pipeline": TEXT})
texts = [f"a {colour} {thing}" for colour in ("red", "blue", "small", "old")
         for thing in ("dog", "cat", "coat", "lamp")]
done, errors = helpers.bulk(es, [{"_index": products, "_id": str(i), "description": t}
                                 for i, t in enumerate(texts)] +
                            [{"_index": products, "_id": "none", "title": "no description"}],
                            raise_on_error=False, refresh=True)
check("texts are embedded", done == len(texts) and len(errors) == 1, (done, errors))
got = es.get(index=products, id="3")["_source"]
check("model_id stands beside", got["model_id"] == "tiny-embed" and
      len(es.get(index=products, id="3", source_includes=["description_embedding"])
          ["_source"]["description_embedding"]) > 4, got)
for index in (INDEX, looked, products):
    es.indices.delete(index=index)
for pipeline in (LOOK, TEXT):
    es.ingest.delete_pipeline(id=pipeline)
sys.exit(1 if failures else 0)
