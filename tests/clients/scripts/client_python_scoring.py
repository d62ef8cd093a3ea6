"""Scripts, function_score and aggregations with the official Python client; every figure is worked
out here from the documents."""
import math
import os
import random
import warnings

import elasticsearch
from elasticsearch import BadRequestError, Elasticsearch, helpers

warnings.simplefilter("error", elasticsearch.ElasticsearchWarning)
INDEX = f"shop-py{elasticsearch.__version__[0]}"
BRANDS = ["nyx", "dior", "maybelline", "zoeva"]
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen!r}"))


def near(a, b):
    return abs(a - b) <= 1e-6 * max(abs(a), abs(b), 1e-9)


rng = random.Random(5)
docs = [{"brand": rng.choice(BRANDS), "price": round(rng.random() * 100, 2), "stars": rng.randrange(1, 6),
         "day": f"2024-{rng.randrange(1, 13):02d}-{rng.randrange(1, 29):02d}",
         "v": [rng.gauss(0, 2) for _ in range(24)]} for _ in range(300)]
query = [rng.gauss(0, 1) for _ in range(24)]

es = Elasticsearch(os.environ["VIZSLA_URL"])
es.options(ignore_status=404).indices.delete(index=INDEX)
es.indices.create(index=INDEX, mappings={"properties": {
    "brand": {"type": "keyword"}, "price": {"type": "double"}, "stars": {"type": "integer"},
    "day": {"type": "date"}, "v": {"type": "dense_vector", "dims": 24, "similarity": "cosine"}}})
helpers.bulk(es, ({"_index": INDEX, "_id": str(i), "_source": d} for i, d in enumerate(docs)), refresh=True)


def scores(body, size=300):
    answer = es.search(index=INDEX, query=body, size=size, source=False)
    return {int(h["_id"]): h["_score"] for h in answer["hits"]["hits"]}


def script(source, **params):
    return {"script_score": {"query": {"match_all": {}}, "script": {"source": source, "params": params}}}


def agrees(name, body, make):
    found = scores(body)
    wrong = [(i, found.get(i), make(d)) for i, d in enumerate(docs) if not near(found.get(i, -1), make(d))]
    check(name, len(found) == len(docs) and not wrong, wrong[:3])


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def length(a):
    return math.sqrt(dot(a, a))


agrees("cosineSimilarity", script("cosineSimilarity(params.v, 'v') + 1.0", v=query),
       lambda d: dot(query, d["v"]) / length(query) / length(d["v"]) + 1)
agrees("dotProduct", script("1000 + dotProduct(params.v, 'v')", v=query), lambda d: 1000 + dot(query, d["v"]))
agrees("l1norm", script("1 / (1 + l1norm(params.v, 'v'))", v=query),
       lambda d: 1 / (1 + sum(abs(x - y) for x, y in zip(query, d["v"]))))
agrees("l2norm", script("1 / (1 + l2norm(params.v, 'v'))", v=query),
       lambda d: 1 / (1 + math.dist(query, d["v"])))
agrees("doc values and Math", script("Math.log(2 + doc['price'].value) * params.f + (doc['brand'].value == 'nyx' ? 5 : 0)", f=1.5),
       lambda d: math.log(2 + d["price"]) * 1.5 + (5 if d["brand"] == "nyx" else 0))
agrees("statements", script("double s = 0; for (int i = 0; i < doc['stars'].value; i++) { if (i == 2) continue; s += i * params.w } return s + 1", w=0.5),
       lambda d: sum(i * 0.5 for i in range(d["stars"]) if i != 2) + 1)
agrees("a date", script("doc['day'].value.getMonthValue() * 100 + doc['day'].value.dayOfMonth"),
       lambda d: int(d["day"][5:7]) * 100 + int(d["day"][8:]))
agrees("function_score", {"function_score": {"query": {"match_all": {"boost": 2}}, "functions": [
    {"filter": {"term": {"brand": "dior"}}, "weight": 3},
    {"gauss": {"price": {"origin": 50, "scale": 20, "offset": 5, "decay": 0.3}}},
    {"field_value_factor": {"field": "stars", "factor": 1.2, "modifier": "ln1p"}, "weight": 2}],
    "score_mode": "sum", "boost_mode": "multiply", "max_boost": 6}},
    lambda d: 2 * min(6, (3 if d["brand"] == "dior" else 0)
                      + math.exp(math.log(0.3) / 400 * max(0, abs(d["price"] - 50) - 5) ** 2)
                      + 2 * math.log1p(1.2 * d["stars"])))

found = es.search(index=INDEX, size=300, source=False, query=script("cosineSimilarity(params.v, 'v') + 1.0", v=query))
knn = es.search(index=INDEX, size=10, source=False, knn={"field": "v", "query_vector": query, "k": 10, "num_candidates": 300})
check("exact search finds what knn finds", [h["_id"] for h in found["hits"]["hits"][:10]] == [h["_id"] for h in knn["hits"]["hits"]])

hits = es.search(index=INDEX, size=300, source=False, sort=[{"_script": {"type": "number", "order": "desc", "script": {
    "source": "doc['price'].value % 10 + doc['stars'].value"}}}])["hits"]["hits"]
order = [h["sort"][0] for h in hits]
check("sort by _script", order == sorted(order, reverse=True) and near(order[0], max(d["price"] % 10 + d["stars"] for d in docs)), order[:3])
hit = es.search(index=INDEX, size=1, query={"ids": {"values": ["7"]}}, script_fields={
    "gross": {"script": {"source": "doc['price'].value * params.tax", "params": {"tax": 1.19}}}})["hits"]["hits"][0]
check("script_fields", near(hit["fields"]["gross"][0], docs[7]["price"] * 1.19) and "_source" not in hit, hit)

answer = es.search(index=INDEX, size=0, query={"range": {"stars": {"gte": 2}}}, aggs={
    "brands": {"terms": {"field": "brand", "order": {"mean": "desc"}}, "aggs": {
        "mean": {"avg": {"field": "price"}}, "stars": {"terms": {"field": "stars"}}}},
    "prices": {"histogram": {"field": "price", "interval": 25}},
    "months": {"date_histogram": {"field": "day", "calendar_interval": "month", "format": "yyyy-MM"}},
    "cheap": {"range": {"field": "price", "ranges": [{"to": 20}, {"from": 20, "to": 60}, {"from": 60}]}},
    "stats": {"extended_stats": {"field": "price"}},
    "kinds": {"filters": {"filters": {"nyx": {"term": {"brand": "nyx"}}, "good": {"term": {"stars": 5}}}}},
    "everything": {"global": {}, "aggs": {"most": {"max": {"field": "price"}}}},
    "median": {"percentiles": {"field": "price", "percents": [50]}},
    "distinct": {"cardinality": {"field": "day"}}})["aggregations"]
kept = [d for d in docs if d["stars"] >= 2]
means = {b: [d["price"] for d in kept if d["brand"] == b] for b in BRANDS}
expected = sorted(((sum(p) / len(p), b, len(p)) for b, p in means.items()), reverse=True)
check("terms by a metric", all(x["key"] == b and x["doc_count"] == n and near(x["mean"]["value"], m)
                               for x, (m, b, n) in zip(answer["brands"]["buckets"], expected)), answer["brands"])
check("terms in terms", all({s["key"]: s["doc_count"] for s in x["stars"]["buckets"]} ==
                            {s: n for s in range(2, 6) if (n := sum(d["brand"] == x["key"] and d["stars"] == s for d in kept))}
                            for x in answer["brands"]["buckets"]))
check("histogram", {x["key"]: x["doc_count"] for x in answer["prices"]["buckets"]} ==
      {k * 25.0: sum(int(d["price"] // 25) == k for d in kept) for k in range(4)}, answer["prices"])
check("date_histogram", {x["key_as_string"]: x["doc_count"] for x in answer["months"]["buckets"]} ==
      {m: sum(d["day"][:7] == m for d in kept) for m in sorted({d["day"][:7] for d in kept})}, answer["months"])
check("range", [x["doc_count"] for x in answer["cheap"]["buckets"]] ==
      [sum(d["price"] < 20 for d in kept), sum(20 <= d["price"] < 60 for d in kept), sum(d["price"] >= 60 for d in kept)])
mean = sum(d["price"] for d in kept) / len(kept)
check("extended_stats", near(answer["stats"]["std_deviation"], math.sqrt(sum((d["price"] - mean) ** 2 for d in kept) / len(kept))))
check("filters", answer["kinds"]["buckets"]["nyx"]["doc_count"] == sum(d["brand"] == "nyx" for d in kept) and
      answer["kinds"]["buckets"]["good"]["doc_count"] == sum(d["stars"] == 5 for d in kept))
check("global", answer["everything"]["doc_count"] == 300 and answer["everything"]["most"]["value"] == max(d["price"] for d in docs))
prices = sorted(d["price"] for d in kept)
middle = (prices[(len(prices) - 1) // 2] + prices[len(prices) // 2]) / 2
check("percentiles", near(answer["median"]["values"]["50.0"], middle), (answer["median"], middle))
check("cardinality", answer["distinct"]["value"] == len({d["day"] for d in kept}))

try:
    es.search(index=INDEX, query=script("doc['price'].value / params.zero + foo", zero=0))
    check("a script that does not compile is refused", False)
except BadRequestError as error:
    cause = error.body["error"]["root_cause"][0]
    check("a script that does not compile is refused", cause["type"] == "script_exception" and
          cause["reason"] == "compile error" and cause["lang"] == "painless", cause)
es.indices.delete(index=INDEX)
raise SystemExit(1 if failures else 0)
