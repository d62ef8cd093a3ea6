"""Changes of a vector index's kind with the official Python client: searched, written to and deleted
from all the way; every score is worked out here, every answer held against an exact scan."""
import math
import os
import random
import time
import warnings

import elasticsearch
from elasticsearch import BadRequestError, Elasticsearch, helpers

warnings.simplefilter("error", elasticsearch.ElasticsearchWarning)
INDEX = f"kinds-py{elasticsearch.__version__[0]}"
DIMS, DOCS, K = 64, 2300, 10  # kinds of few bits wait for 2,048
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen!r}"))


rng = random.Random(17)
centres = [[rng.gauss(0, 1) for _ in range(DIMS)] for _ in range(30)]


def vector_of(n):
    chance = random.Random(n)
    centre = centres[n % len(centres)]
    return [round(0.5 + c + chance.gauss(0, 1), 4) for c in centre]


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def definition(kind):
    return {"v": {"type": "dense_vector", "dims": DIMS, "similarity": "cosine", "index_options": {"type": kind}}}


es = Elasticsearch(os.environ["VIZSLA_URL"])
es.options(ignore_status=404).indices.delete(index=INDEX)
es.indices.create(index=INDEX, mappings={"properties": definition("hnsw")})
alive, added = set(), 0


def add(count):
    global added
    rows = range(added, added + count)
    helpers.bulk(es, ({"_index": INDEX, "_id": str(n), "_source": {"v": vector_of(n)}} for n in rows), refresh=True)
    alive.update(rows)
    added += count


def remove(rows):
    helpers.bulk(es, ({"_op_type": "delete", "_index": INDEX, "_id": str(n)} for n in rows), refresh=True)
    alive.difference_update(rows)


def ask(query, **options):
    knn = {"field": "v", "query_vector": query, "k": K, **options}
    return es.search(index=INDEX, knn=knn, size=K, source=False)["hits"]["hits"]


def look(name):
    """Ten queries; the share of the exact answers that was found."""
    found = wrong = 0
    for q in range(10):
        query = vector_of(100000 + q * 37)
        hits, exact = ask(query), ask(query, exact=True)
        rows = [int(h["_id"]) for h in hits]
        wrong += len(set(rows)) != K or not set(rows) <= alive
        wrong += [h["_score"] for h in hits] != sorted((h["_score"] for h in hits), reverse=True)
        wrong += any(abs(h["_score"] - (1 + cosine(query, vector_of(int(h["_id"])))) / 2) > 1e-5 for h in hits)
        found += len(set(rows) & {int(h["_id"]) for h in exact})
    check(f"{name}: living rows, the nearest first, exact scores", wrong == 0, wrong)
    check(f"{name}: recall", found >= 0.9 * 10 * K, found / (10 * K))


def stats():
    answer = es.indices.stats(index=INDEX, metric="dense_vector")
    return answer["indices"][INDEX]["total"]["dense_vector"]["bytes_per_vector"]["v"]


def settled():
    """When the graph is of the kind that the mapping says; it may take a while on a busy machine."""
    until = time.monotonic() + 600
    while stats()["rebuilding"] and time.monotonic() < until:
        look("meanwhile")
    return not stats()["rebuilding"]


add(DOCS)
look("hnsw")
for step, kind in enumerate(["int8_hnsw", "int4_hnsw", "bbq_hnsw"]):
    answer = es.indices.put_mapping(index=INDEX, properties=definition(kind))
    check(f"{kind}: accepted", answer["acknowledged"], answer)
    look(f"to {kind}")
    add(40)
    remove(list(range(step * 100, step * 100 + 60)))
    look(f"to {kind}, written to")
    check(f"{kind}: built", settled(), stats())
    look(kind)
    told = es.indices.get_mapping(index=INDEX)[INDEX]["mappings"]["properties"]["v"]["index_options"]
    check(f"{kind}: in the mapping", told["type"] == kind and told["m"] == 16, told)
check("as many codes as one bit takes", 0 < stats()["codes"] < 40, stats())
check("count", es.count(index=INDEX)["count"] == len(alive))

try:
    es.indices.put_mapping(index=INDEX, properties=definition("int8_hnsw"))
    check("not back", False)
except BadRequestError as error:
    check("not back", "Cannot update parameter [index_options]" in str(error.info), error.info)
look("still bbq_hnsw")

es.indices.delete(index=INDEX)
print("failures", failures)
raise SystemExit(failures != 0)
