"""The tutorial's DogRepository with the official Python client, major 8 or 9."""
import math
import os
import sys
import warnings

import elasticsearch
from elasticsearch import BadRequestError, ConflictError, Elasticsearch, NotFoundError, helpers

warnings.simplefilter("error", elasticsearch.ElasticsearchWarning)
INDEX = f"dog-image-index-py{elasticsearch.__version__[0]}"
NAMES = ["Luigi", "Buddy", "Bella", "Charlie", "Bigu", "Max", "Luna", "Milo", "Ruby", "Oscar", "Zoe"]
MAPPINGS = {"properties": {
    "dog_id": {"type": "keyword"}, "breed": {"type": "keyword"}, "image_path": {"type": "keyword"},
    "owner_name": {"type": "keyword"},
    "exif": {"properties": {"location": {"type": "geo_point"}, "date": {"type": "date"}}},
    "image_embedding": {"type": "dense_vector", "dims": 512, "index": True, "similarity": "cosine"}}}
failures = 0


def vector(i, shift=0.0):
    return [math.sin(i * 37.7 + j * (0.1 + 0.01 * i)) + shift * math.cos(j) for j in range(512)]


def dog(i):
    return {"dog_id": NAMES[i], "breed": f"breed {i % 4}", "image_path": f"dogs/{NAMES[i]}.png",
            "owner_name": f"owner {i}", "exif": {"location": {"lat": 52.5, "lon": 13.4 + i},
                                                 "date": f"2024-05-{i + 1:02d}T10:00:00"},
            "image_embedding": vector(i)}


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


es = Elasticsearch(os.environ["VIZSLA_URL"])
info = es.info()
check("info", info["tagline"] == "You Know, for Search", info)
check("ping", es.ping())
es.options(ignore_status=[400, 404]).indices.delete(index=INDEX, ignore_unavailable=True)
es.options(ignore_status=400).indices.create(index=INDEX, mappings=MAPPINGS)
again = es.options(ignore_status=400).indices.create(index=INDEX, mappings=MAPPINGS)
check("create again is ignored", again["error"]["type"] == "resource_already_exists_exception", again)
expect("create again raises", BadRequestError, lambda: es.indices.create(index=INDEX))
check("index exists", bool(es.indices.exists(index=INDEX)))
check("other index does not", not es.indices.exists(index="no-such-index"))

one = es.index(index=INDEX, id="luigi", document=dog(0), refresh=True)
check("index one dog", one["result"] == "created" and one["_version"] == 1, one)
expect("create the same id", ConflictError,
       lambda: es.create(index=INDEX, id="luigi", document=dog(0)))
done, errors = helpers.bulk(es, ({"_index": INDEX, "_id": NAMES[i].lower(), "_source": dog(i)}
                                 for i in range(1, len(NAMES))))
check("bulk helper", done == len(NAMES) - 1 and not errors, (done, errors))
es.indices.refresh(index=INDEX)
check("count", es.count(index=INDEX)["count"] == len(NAMES), es.count(index=INDEX))

knn = {"field": "image_embedding", "query_vector": vector(0, 0.1), "k": 5, "num_candidates": 50,
       "boost": 1.0}
found = es.search(index=INDEX, knn=knn, source=["dog_id", "breed", "owner_name"], size=1)
hits = found["hits"]["hits"]
check("knn finds Luigi", len(hits) == 1 and hits[0]["_id"] == "luigi", found)
check("only the fields asked for", set(hits[0]["_source"]) == {"dog_id", "breed", "owner_name"}, hits)
cosine = sum(a * b for a, b in zip(vector(0), vector(0, 0.1))) / math.sqrt(
    sum(a * a for a in vector(0)) * sum(b * b for b in vector(0, 0.1)))
check("the score is (1 + cos) / 2", abs(hits[0]["_score"] - (1 + cosine) / 2) < 1e-5,
      (hits[0]["_score"], (1 + cosine) / 2))
knn["boost"] = 0.5
half = es.search(index=INDEX, knn=knn, size=1)["hits"]["hits"][0]
check("boost halves it", abs(half["_score"] - hits[0]["_score"] / 2) < 1e-6, half["_score"])
check("the vector comes back in _source",
      max(abs(a - b) for a, b in zip(half["_source"]["image_embedding"], vector(0))) < 1e-6)
filtered = es.search(index=INDEX, size=10, source_excludes=["image_embedding"], knn={
    **knn, "filter": {"term": {"breed": "breed 1"}}})
check("a filter holds", {hit["_source"]["breed"] for hit in filtered["hits"]["hits"]} == {"breed 1"},
      filtered)
both = es.search(index=INDEX, size=10, query={"term": {"dog_id": "Zoe"}}, knn=knn)
check("query and knn together", {"luigi", "zoe"} <= {h["_id"] for h in both["hits"]["hits"]}, both)
ranged = es.search(index=INDEX, query={"range": {"exif.date": {"gte": "2024-05-05"}}},
                   sort=[{"exif.date": "desc"}], size=3, source=False)
check("range and sort", [h["_id"] for h in ranged["hits"]["hits"]] == ["zoe", "oscar", "ruby"], ranged)

got = es.get(index=INDEX, id="luigi")
check("get", got["found"] and got["_source"]["dog_id"] == "Luigi", got)
updated = es.update(index=INDEX, id="luigi", doc={"owner_name": "Ully"})
check("update", updated["result"] == "updated" and updated["_version"] == 2, updated)
check("update kept the vector", len(es.get(index=INDEX, id="luigi")["_source"]["image_embedding"]) == 512)
many = es.mget(index=INDEX, ids=["luigi", "nobody"])
check("mget", [d["found"] for d in many["docs"]] == [True, False], many)
check("delete", es.delete(index=INDEX, id="zoe", refresh=True)["result"] == "deleted")
expect("get of a deleted one", NotFoundError, lambda: es.get(index=INDEX, id="zoe"))
check("exists", not es.exists(index=INDEX, id="zoe"))
wrong = expect("wrong dims are refused", BadRequestError, lambda: es.search(index=INDEX, knn={
    "field": "image_embedding", "query_vector": [1, 2, 3], "k": 1, "num_candidates": 1}))
check("and the error says so", wrong is not None and "dimension" in str(wrong.body), wrong)
every = list(helpers.scan(es, index=INDEX, query={"_source": ["dog_id"]}, size=3))
check("scan helper", len(every) == len(NAMES) - 1, len(every))
check("cat", INDEX in str(es.cat.indices(index=INDEX)))
check("cat as JSON", es.cat.count(index=INDEX, format="json")[0]["count"] == str(len(NAMES) - 1))
check("health", es.cluster.health()["status"] in ("green", "yellow"))
check("delete index", es.options(ignore_status=404).indices.delete(index=INDEX)["acknowledged"])
gone = es.options(ignore_status=404).indices.delete(index=INDEX)
check("delete again is ignored", gone["status"] == 404, gone)

packed = Elasticsearch(os.environ["VIZSLA_URL"], http_compress=True)
packed.index(index=INDEX, id="1", document=dog(0), refresh="wait_for")
check("gzip both ways", packed.get(index=INDEX, id="1")["_source"]["dog_id"] == "Luigi")
packed.indices.delete(index=INDEX)
sys.exit(1 if failures else 0)
