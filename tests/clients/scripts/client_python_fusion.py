"""Retrievers, rescoring and pinned documents with the official Python client; every score is worked
out here from the documents, in floats as they are added there."""
import math
import os
import random
import struct
import warnings

import elasticsearch
from elasticsearch import BadRequestError, Elasticsearch, helpers

warnings.simplefilter("error", elasticsearch.ElasticsearchWarning)
INDEX = f"fusion-py{elasticsearch.__version__[0]}"
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen!r}"))


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def near(a, b, tolerance=1e-6):
    return abs(a - b) <= tolerance * max(abs(a), abs(b), 1e-9)


rng = random.Random(11)
WORDS = ["red", "blue", "lip", "eye", "matte", "gloss", "soft", "long", "dry", "oil"]
docs = [{"n": i, "text": " ".join(rng.choice(WORDS) for _ in range(rng.randrange(2, 12))),
         "brand": rng.choice(["nyx", "dior", "zoeva"]), "v": [rng.gauss(0, 1) for _ in range(8)]}
        for i in range(240)]
question, vector = ["matte", "lip"], [rng.gauss(0, 1) for _ in range(8)]

es = Elasticsearch(os.environ["VIZSLA_URL"])
es.options(ignore_status=404).indices.delete(index=INDEX)
es.indices.create(index=INDEX, mappings={"properties": {
    "n": {"type": "integer"}, "text": {"type": "text"}, "brand": {"type": "keyword"},
    "v": {"type": "dense_vector", "dims": 8, "similarity": "cosine", "index_options": {"type": "hnsw"}}}})
helpers.bulk(es, ({"_index": INDEX, "_id": str(d["n"]), "_source": d} for d in docs), refresh=True)

# ---- the lists, worked out -------------------------------------------------------------------

average = sum(len(d["text"].split()) for d in docs) / len(docs)


def bm25(doc, words):
    tokens, score = doc["text"].split(), 0.0
    for word in words:
        have = sum(word in d["text"].split() for d in docs)
        idf = math.log(1 + (len(docs) - have + 0.5) / (have + 0.5))
        freq = tokens.count(word)
        score += idf * 2.2 * freq / (freq + 1.2 * (0.25 + 0.75 * len(tokens) / average)) if freq else 0
    return score


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(x * x for x in b))


def best(score, count, keep=lambda d: True):
    """[(id, score)], best first, ties by the order of documents."""
    found = [(d["n"], score(d)) for d in docs if keep(d) and score(d) > 0]
    return sorted(found, key=lambda p: (-p[1], p[0]))[:count]


def texts(count, keep=lambda d: True):
    return best(lambda d: bm25(d, question), count, keep)


def nearest(count, keep=lambda d: True):
    return best(lambda d: (1 + cosine(d["v"], vector)) / 2, count, keep)


def cut(scores, count):
    return sorted(scores.items(), key=lambda p: (-f32(p[1]), p[0]))[:count]


def rrf(lists, weights, constant, count):
    scores = {}
    for found, weight in zip(lists, weights):
        for rank, (doc, _) in enumerate(found, 1):
            scores[doc] = f32(scores.get(doc, 0) + f32(f32(weight) * f32(1 / (constant + rank))))
    return cut(scores, count)


def normalized(found, how):
    scores = [s for _, s in found]
    low, high = min(scores), max(scores)
    norm = math.sqrt(sum(s * s for s in scores))
    make = {"none": lambda s: s, "l2_norm": lambda s: s / norm,
            "minmax": lambda s: (s - low) / (high - low) if high - low > 1e-6 else 1.0}[how]
    return [(doc, make(s)) for doc, s in found]


def linear(lists, weights, normalizers, count):
    scores = {}
    for found, weight, how in zip(lists, weights, normalizers):
        for doc, score in normalized(found, how):
            scores[doc] = scores.get(doc, 0) + weight * score
    return cut(scores, count)


def agrees(name, body, wanted, total=None, tolerance=2e-6):
    answer = es.search(index=INDEX, source=False, **body)
    got = [(int(h["_id"]), h["_score"]) for h in answer["hits"]["hits"]]
    same = len(got) == len(wanted) and all(
        near(a[1], b[1], tolerance) and (a[0] == b[0] or any(
            near(b[1], c[1], tolerance) and c[0] == a[0] for c in wanted)) for a, b in zip(got, wanted))
    check(name, same, (got[:4], wanted[:4], len(got), len(wanted)))
    if total is not None:
        check(name + ": total", answer["hits"]["total"]["value"] == total, (answer["hits"]["total"], total))
    check(name + ": max_score", not got or body.get("from") or near(answer["hits"]["max_score"], got[0][1]), answer["hits"]["max_score"])


MATCH = {"match": {"text": " ".join(question)}}
KNN = {"field": "v", "query_vector": vector, "k": 20, "num_candidates": 240}
standard = {"standard": {"query": MATCH}}
knn = {"knn": KNN}

# ---- hybrid sum ------------------------------------------------------------------------------

sums = {doc: 0.9 * s for doc, s in best(lambda d: bm25(d, question), 240)}
for doc, s in nearest(20):
    sums[doc] = sums.get(doc, 0) + 0.1 * s
agrees("hybrid sum", {"query": {"match": {"text": {"query": " ".join(question), "boost": 0.9}}},
                      "knn": {**KNN, "boost": 0.1}, "size": 25}, cut(sums, 25), len(sums))

# ---- rrf -------------------------------------------------------------------------------------

union = {d["n"] for d in docs if bm25(d, question) > 0} | {doc for doc, _ in nearest(15)}
agrees("rrf", {"retriever": {"rrf": {"retrievers": [standard, knn], "rank_window_size": 15}}, "size": 15},
       rrf([texts(15), nearest(15)], [1, 1], 60, 15), len(union))
agrees("rrf with weights and a constant", {"retriever": {"rrf": {
    "retrievers": [{"retriever": standard, "weight": 0.3}, {"retriever": knn, "weight": 1.7}],
    "rank_window_size": 20, "rank_constant": 7}}, "size": 12},
    rrf([texts(20), nearest(20)], [0.3, 1.7], 7, 12))


def dior(d):
    return d["brand"] == "dior"


union = {d["n"] for d in docs if dior(d) and bm25(d, question) > 0} | {doc for doc, _ in nearest(10, dior)}
agrees("rrf with a filter", {"retriever": {"rrf": {
    "retrievers": [standard, knn], "filter": {"term": {"brand": "dior"}}, "rank_window_size": 10}}},
    rrf([texts(10, dior), nearest(10, dior)], [1, 1], 60, 10), len(union))
agrees("rrf from the fifth on", {"retriever": {"rrf": {"retrievers": [standard, knn], "rank_window_size": 15}},
                                 "size": 5, "from": 5}, rrf([texts(15), nearest(15)], [1, 1], 60, 15)[5:10])
inner = rrf([texts(15), nearest(15)], [1, 1], 60, 15)
agrees("rrf of rrf", {"retriever": {"rrf": {"rank_window_size": 15, "retrievers": [
    {"rrf": {"retrievers": [standard, knn], "rank_window_size": 15}},
    {"standard": {"query": {"match_all": {}}, "sort": [{"n": "desc"}]}}]}}, "size": 15},
    rrf([inner, [(d["n"], 1) for d in docs[::-1]][:15]], [1, 1], 60, 15), len(docs))

# Documents that tie in every list come in their own order.
agrees("ties", {"retriever": {"rrf": {"rank_window_size": 6, "retrievers": [
    {"standard": {"query": {"terms": {"n": [5, 9]}}}}, {"standard": {"query": {"terms": {"n": [7, 3]}}}}]}}, "size": 6},
    [(3, f32(1 / 61)), (5, f32(1 / 61)), (7, f32(1 / 62)), (9, f32(1 / 62))], 4)

facets = es.search(index=INDEX, size=1, retriever={"rrf": {"retrievers": [standard, knn], "rank_window_size": 15}},
                   aggs={"brands": {"terms": {"field": "brand"}}})["aggregations"]["brands"]["buckets"]
union = {d["n"] for d in docs if bm25(d, question) > 0} | {doc for doc, _ in nearest(15)}
check("facets are of all that the children match",
      {b["key"]: b["doc_count"] for b in facets} ==
      {name: sum(docs[n]["brand"] == name for n in union) for name in {d["brand"] for d in docs}}, facets)

# ---- linear ----------------------------------------------------------------------------------

for how in ["none", "minmax", "l2_norm"]:
    agrees(f"linear, {how}", {"retriever": {"linear": {"rank_window_size": 12, "retrievers": [
        {"retriever": standard, "weight": 0.4, "normalizer": how},
        {"retriever": knn, "weight": 2.5, "normalizer": how}]}}, "size": 10},
        linear([texts(12), nearest(12)], [0.4, 2.5], [how, how], 10), tolerance=5e-6)
low = linear([texts(12)], [1], ["minmax"], 12)
agrees("linear, only the better half", {"retriever": {"linear": {
    "rank_window_size": 12, "min_score": 0.5, "retrievers": [{"retriever": standard, "normalizer": "minmax"}]}}},
    [p for p in low if p[1] >= 0.5], sum(p[1] >= 0.5 for p in low), tolerance=5e-6)
agrees("linear over fields", {"retriever": {"linear": {
    "query": " ".join(question), "fields": ["text"], "normalizer": "minmax", "rank_window_size": 10}}},
    linear([texts(10)], [1], ["minmax"], 10), tolerance=5e-6)

# ---- rescore ---------------------------------------------------------------------------------


def rescored(found, window, mode, first_weight, second_weight, second):
    combine = {"total": lambda a, b: a + b, "multiply": lambda a, b: a * b, "avg": lambda a, b: (a + b) / 2,
               "max": max, "min": min}[mode]
    made = {}
    for at, (doc, score) in enumerate(found):
        other = second(docs[doc])
        score *= first_weight
        made[doc] = combine(score, second_weight * other) if at < window and other is not None else score
    return sorted(made.items(), key=lambda p: (-p[1], p[0]))


def bonus(d):
    return d["n"] / 100 if d["brand"] != "nyx" else None


BONUS = {"function_score": {"query": {"bool": {"filter": {"terms": {"brand": ["dior", "zoeva"]}}}}, "boost_mode": "replace",
                            "functions": [{"field_value_factor": {"field": "n", "factor": 0.01}}]}}
for mode in ["total", "multiply", "avg", "max", "min"]:
    agrees(f"rescore, {mode}", {"query": MATCH, "size": 10, "rescore": {"window_size": 30, "query": {
        "rescore_query": BONUS, "score_mode": mode, "query_weight": 0.7, "rescore_query_weight": 1.3}}},
        rescored(texts(30), 30, mode, 0.7, 1.3, bonus)[:10], tolerance=5e-6)
agrees("rescore by another text", {"query": MATCH, "size": 20, "rescore": {"window_size": 10, "query": {
    "rescore_query": {"match": {"text": "gloss"}}}}},
    rescored(texts(20), 10, "total", 1, 1, lambda d: bm25(d, ["gloss"]) or None), tolerance=5e-6)
agrees("a rescorer as a retriever", {"retriever": {"rescorer": {"retriever": standard, "rescore": {
    "window_size": 12, "query": {"rescore_query": BONUS}}}}, "size": 12},
    rescored(texts(12), 12, "total", 1, 1, bonus), tolerance=5e-6)

# ---- pinned ----------------------------------------------------------------------------------

CAP = 0x7f000000


def pin(at, count):
    return struct.unpack("f", struct.pack("I", CAP + 1 + count - at))[0]


organic = [p for p in texts(20) if p[0] not in (100, 7)]
wanted = [(100, pin(0, 2)), (7, pin(1, 2))] + organic[:6]
agrees("pinned query", {"query": {"pinned": {"ids": ["100", "7"], "organic": MATCH}}, "size": 8}, wanted)
agrees("pinned retriever", {"retriever": {"pinned": {"ids": ["100", "7"], "retriever": standard}}, "size": 8}, wanted)
agrees("pinned before rrf", {"retriever": {"pinned": {"docs": [{"_index": INDEX, "_id": "100"}], "rank_window_size": 15,
    "retriever": {"rrf": {"retrievers": [standard, knn], "rank_window_size": 15}}}}, "size": 5},
    [(100, pin(0, 1))] + [p for p in rrf([texts(15), nearest(15)], [1, 1], 60, 15) if p[0] != 100][:4])

# ---- collapse, a point in time -----------------------------------------------------------------

answer = es.search(index=INDEX, query=MATCH, collapse={"field": "brand", "inner_hits": {"name": "all", "size": 3}}, size=5)
wanted = {}
for doc, score in texts(240):
    wanted.setdefault(docs[doc]["brand"], []).append((doc, score))
got = [(int(h["_id"]), h["fields"]["brand"][0]) for h in answer["hits"]["hits"]]
check("the best of each brand", [(w[0][0], b) for b, w in sorted(wanted.items(), key=lambda p: -p[1][0][1])] == got, got)
check("and the rest of it", all([int(x["_id"]) for x in h["inner_hits"]["all"]["hits"]["hits"]] ==
      [doc for doc, _ in wanted[h["fields"]["brand"][0]][:3]] and h["inner_hits"]["all"]["hits"]["total"]["value"] ==
      len(wanted[h["fields"]["brand"][0]]) for h in answer["hits"]["hits"]))

point = es.open_point_in_time(index=INDEX, keep_alive="1m")["id"]
es.delete(index=INDEX, id="0", refresh=True)
seen, after = [], None
while True:
    page = es.search(pit={"id": point, "keep_alive": "1m"}, size=50, sort=[{"brand": "asc"}], search_after=after,
                     source=False)["hits"]["hits"]
    if not page:
        break
    seen += [int(h["_id"]) for h in page]
    after = page[-1]["sort"]
check("all of a point in time, page by page", seen == [d["n"] for d in sorted(docs, key=lambda d: (d["brand"], d["n"]))], len(seen))
parts = [[h["_id"] for h in es.search(pit={"id": point}, slice={"id": i, "max": 3}, size=240, source=False)["hits"]["hits"]]
         for i in range(3)]
check("slices part all documents", sorted(int(i) for p in parts for i in p) == list(range(240)) and all(parts), [len(p) for p in parts])
check("closed", es.close_point_in_time(id=point)["num_freed"] == 1)

try:
    es.search(index=INDEX, size=20, retriever={"rrf": {"retrievers": [standard, knn], "rank_window_size": 10}})
    check("a page larger than the window", False)
except BadRequestError as error:
    check("a page larger than the window", error.error == "action_request_validation_exception", error.info)

es.indices.delete(index=INDEX)
print("failures", failures)
raise SystemExit(failures != 0)
