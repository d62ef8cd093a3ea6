"""The tutorial's calls with the Python client of major 7 that Debian ships."""
import math
import os
import sys

from elasticsearch import Elasticsearch, NotFoundError, helpers

INDEX = "dog-image-index-py7"
NAMES = ["Luigi", "Buddy", "Bella", "Charlie"]
BODY = {"mappings": {"properties": {
    "dog_id": {"type": "keyword"}, "breed": {"type": "keyword"},
    "image_embedding": {"type": "dense_vector", "dims": 512, "index": True, "similarity": "cosine"}}}}
failures = 0


def vector(i, shift=0.0):
    return [math.sin(i * 37.7 + j * (0.1 + 0.01 * i)) + shift * math.cos(j) for j in range(512)]


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen!r}"))


es = Elasticsearch([os.environ["VIZSLA_URL"]])
check("info", es.info()["version"]["number"].startswith("8."), es.info())
es.indices.delete(index=INDEX, ignore=[400, 404])
es.indices.create(index=INDEX, body=BODY, ignore=400)
again = es.indices.create(index=INDEX, body=BODY, ignore=400)
check("create again is ignored", again["status"] == 400, again)
made = es.index(index=INDEX, id="0", body={"dog_id": "Luigi", "breed": "terrier",
                                         "image_embedding": vector(0)}, refresh=True)
check("index", made["result"] == "created", made)
done, _ = helpers.bulk(es, [{"_index": INDEX, "_id": str(i), "dog_id": NAMES[i], "breed": "other",
                             "image_embedding": vector(i)} for i in range(1, 4)], refresh=True)
check("bulk", done == 3, done)
found = es.search(index=INDEX, body={
    "knn": {"field": "image_embedding", "query_vector": vector(0, 0.1), "k": 3,
            "num_candidates": 10, "boost": 1}, "_source": ["dog_id"], "size": 1})
check("knn", [h["_source"] for h in found["hits"]["hits"]] == [{"dog_id": "Luigi"}], found)
check("scan", len(list(helpers.scan(es, index=INDEX))) == 4)
check("delete", es.delete(index=INDEX, id="3")["result"] == "deleted")
try:
    es.get(index=INDEX, id="3")
    check("get of a deleted one raises", False)
except NotFoundError:
    check("get of a deleted one raises", True)
check("delete index", es.indices.delete(index=INDEX)["acknowledged"])
sys.exit(1 if failures else 0)
