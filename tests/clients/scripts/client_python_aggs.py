"""Aggregations with the official Python client over a catalogue of cosmetics (VIZSLA_TEST_DATA's
products, else a made one); every figure is worked out here from the documents."""
import ast
import collections
import datetime
import json
import math
import os
import pathlib
import random
import statistics
import warnings
import zoneinfo

import elasticsearch
from elasticsearch import BadRequestError, Elasticsearch, helpers

warnings.simplefilter("error", elasticsearch.ElasticsearchWarning)
INDEX = f"aggs-py{elasticsearch.__version__[0]}"
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen!r}"))


def near(a, b):
    if a is None or b is None:
        return a is b
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b), 1)


def products():
    path = pathlib.Path(os.environ.get("VIZSLA_TEST_DATA", "")) / "products/makeup-products.json"
    rng = random.Random(11)
    if path.is_file():
        found = json.loads(path.read_text())
    else:
        found = [{"brand": f"brand-{rng.randrange(60)}", "category": rng.choice(["pencil", "powder", "", "cream"]),
                  "product_type": rng.choice(["lipstick", "mascara", "blush"]), "price": str(rng.randrange(100) / 2),
                  "rating": rng.choice(["", "3.5", "4.8"]), "tag_list": str(rng.sample(["Vegan", "EWG", "Natural"], 2))}
                 for _ in range(900)]
    out = []
    for i, p in enumerate(found):
        doc = {"type": p["product_type"], "stock": rng.randrange(40),
               "made": 1672531200000 + rng.randrange(2 * 365 * 86400) * 1000,
               "place": {"lat": round(rng.uniform(-60, 60), 4), "lon": round(rng.uniform(-179, 179), 4)},
               "sizes": [{"ml": rng.randrange(5, 100), "colour": rng.choice(["red", "nude", "rose"])}
                         for _ in range(rng.randrange(4))]}
        if p.get("brand"):
            doc["brand"] = p["brand"]
        if p.get("price"):
            doc["price"] = float(p["price"])
        if p.get("rating"):
            doc["rating"] = float(p["rating"])
        tags = p.get("tag_list") or []
        tags = ast.literal_eval(tags) if isinstance(tags, str) else tags
        if tags:
            doc["tags"] = tags
        out.append(doc)
    return out


docs = products()
es = Elasticsearch(os.environ["VIZSLA_URL"])
es.options(ignore_status=404).indices.delete(index=INDEX)
es.indices.create(index=INDEX, mappings={"properties": {
    "brand": {"type": "keyword"}, "type": {"type": "keyword"}, "tags": {"type": "keyword"},
    "price": {"type": "double"}, "rating": {"type": "float"}, "stock": {"type": "integer"},
    "made": {"type": "date"}, "place": {"type": "geo_point"},
    "sizes": {"type": "nested", "properties": {"ml": {"type": "integer"}, "colour": {"type": "keyword"}}}}})
helpers.bulk(es, ({"_index": INDEX, "_id": str(i), "_source": d} for i, d in enumerate(docs)), refresh=True)


def ask(query=None, **aggs):
    return es.search(index=INDEX, size=0, query=query or {"match_all": {}}, aggs=aggs)["aggregations"]


def counted(keys):
    count = collections.Counter(keys)
    return sorted(count.items(), key=lambda kv: (-kv[1], kv[0]))


def shown(answer):
    return [(b["key"], b["doc_count"]) for b in answer["buckets"]]


# ---- terms ---------------------------------------------------------------------------------------
brands = counted(d["brand"] for d in docs if "brand" in d)
got = ask(a={"terms": {"field": "brand", "size": 7}})["a"]
check("terms", shown(got) == brands[:7] and got["sum_other_doc_count"] == sum(c for _, c in brands[7:]), got)
got = ask(a={"terms": {"field": "tags", "size": 100}})["a"]
check("terms of many values", shown(got) == counted(t for d in docs for t in set(d.get("tags", []))), got)
got = ask(a={"terms": {"field": "brand", "size": 500, "include": "[a-m].*", "exclude": ["nyx", brands[0][0]]}})["a"]
check("terms by a regular expression", shown(got) == [b for b in brands if "a" <= b[0][0] <= "m" and b[0] != brands[0][0]],
      got)
parts = [ask(a={"terms": {"field": "brand", "size": 500, "include": {"partition": i, "num_partitions": 4}}})["a"]
         for i in range(4)]
check("partitions are all, once each", sorted(sum((shown(p) for p in parts), [])) == sorted(brands) and
      all(p["buckets"] for p in parts))


def prices(pick):
    return [d["price"] for d in docs if "price" in d and pick(d)]


got = ask(a={"terms": {"field": "brand", "size": 500, "order": [{"p.avg": "desc"}, {"_key": "asc"}]},
             "aggs": {"p": {"stats": {"field": "price"}}}})["a"]["buckets"]
wanted = []
for brand, count in brands:
    mine = prices(lambda d: d.get("brand") == brand)
    wanted.append((brand, count, math.fsum(mine) / len(mine) if mine else None))
wanted.sort(key=lambda w: (w[2] is None, -(w[2] or 0), w[0]))
check("terms by an average below", [b["key"] for b in got] == [w[0] for w in wanted] and
      all(near(b["p"]["avg"], w[2]) for b, w in zip(got, wanted)), got[:3])

# ---- composite, page by page ---------------------------------------------------------------------
seen, after = [], {}
while True:
    body = {"size": 37, "sources": [{"t": {"terms": {"field": "type", "order": "desc"}}},
                                    {"b": {"terms": {"field": "brand", "missing_bucket": True}}}]}
    page = ask(a={"composite": {**body, **after}, "aggs": {"s": {"sum": {"field": "stock"}}}})["a"]
    seen += [(b["key"]["t"], b["key"]["b"], b["doc_count"], b["s"]["value"]) for b in page["buckets"]]
    if "after_key" not in page:
        break
    after = {"after": page["after_key"]}
wanted = collections.defaultdict(lambda: [0, 0])
for d in docs:
    wanted[(d["type"], d.get("brand"))][0] += 1
    wanted[(d["type"], d.get("brand"))][1] += d["stock"]
types = sorted({t for t, _ in wanted}, reverse=True)
flat = [(t, b, *wanted[(t, b)]) for t in types
        for b in sorted((b for x, b in wanted if x == t), key=lambda b: (b is not None, b or ""))]
check("composite pages", seen == flat, (len(seen), len(flat), seen[:2], flat[:2]))
got = ask(a={"multi_terms": {"size": 5, "terms": [{"field": "type"}, {"field": "brand"}]}})["a"]
pairs = counted((d["type"], d["brand"]) for d in docs if "brand" in d)
check("multi_terms", [(tuple(b["key"]), b["doc_count"]) for b in got["buckets"]] == pairs[:5] and
      got["buckets"][0]["key_as_string"] == "|".join(pairs[0][0]), got)

# ---- histograms ----------------------------------------------------------------------------------
got = ask(a={"histogram": {"field": "price", "interval": 2.5, "offset": 1, "min_doc_count": 1}})["a"]
wanted = sorted(collections.Counter(math.floor((p - 1) / 2.5) * 2.5 + 1 for p in prices(lambda d: True)).items())
check("histogram", shown(got) == wanted, got)
zone = zoneinfo.ZoneInfo("America/Sao_Paulo")
for name, unit in (("America/Sao_Paulo", "month"), ("Europe/Amsterdam", "day"), ("Asia/Kolkata", "week"),
                   ("America/New_York", "quarter"), ("Australia/Adelaide", "year"), ("Europe/London", "hour")):
    zone = zoneinfo.ZoneInfo(name)
    wanted = collections.Counter()
    for d in docs:
        t = datetime.datetime.fromtimestamp(d["made"] / 1000, zone)
        start = t.replace(minute=0, second=0, microsecond=0) if unit == "hour" else \
            t.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        if unit == "week":
            start -= datetime.timedelta(days=start.weekday())
        elif unit == "month":
            start = start.replace(day=1)
        elif unit == "quarter":
            start = start.replace(day=1, month=(start.month - 1) // 3 * 3 + 1)
        elif unit == "year":
            start = start.replace(day=1, month=1)
        wanted[int(start.timestamp() * 1000)] += 1
    got = ask(a={"date_histogram": {"field": "made", "calendar_interval": unit, "time_zone": name,
                                    "min_doc_count": 1}})["a"]
    check(f"date_histogram {unit} {name}", shown(got) == sorted(wanted.items()), shown(got)[:3])
    text = got["buckets"][0]["key_as_string"]
    check(f"key_as_string {name}", int(datetime.datetime.fromisoformat(text).timestamp() * 1000) ==
          got["buckets"][0]["key"], text)

# ---- figures -------------------------------------------------------------------------------------
ps = prices(lambda d: True)
got = ask(s={"extended_stats": {"field": "price"}}, p={"percentiles": {"field": "price", "percents": [5, 50, 99]}},
          r={"percentile_ranks": {"field": "price", "values": [10]}}, c={"cardinality": {"field": "price"}},
          mad={"median_absolute_deviation": {"field": "price"}}, n={"value_count": {"field": "tags"}},
          w={"weighted_avg": {"value": {"field": "price"}, "weight": {"field": "stock"}}},
          t={"string_stats": {"field": "brand"}}, box={"boxplot": {"field": "price"}})
check("extended_stats", got["s"]["count"] == len(ps) and near(got["s"]["sum"], math.fsum(ps)) and
      near(got["s"]["std_deviation"], statistics.pstdev(ps)) and
      near(got["s"]["variance_sampling"], statistics.variance(ps)), got["s"])


def percentile(values, percent):
    values, rank = sorted(values), percent / 100 * (len(values) - 1)
    low = int(rank)
    return values[low] + (values[min(low + 1, len(values) - 1)] - values[low]) * (rank - low)


check("percentiles", all(near(v, percentile(ps, float(k))) for k, v in got["p"]["values"].items()), got["p"])
check("percentile_ranks", near(got["r"]["values"]["10.0"], 100 * sum(p <= 10 for p in ps) / len(ps)), got["r"])
check("cardinality", got["c"]["value"] == len(set(ps)), got["c"])
middle = statistics.median(ps)
check("median_absolute_deviation", near(got["mad"]["value"], statistics.median(abs(p - middle) for p in ps)), got["mad"])
check("value_count of a keyword", got["n"]["value"] == sum(len(set(d.get("tags", []))) for d in docs), got["n"])
weighed = [(d["price"], d["stock"]) for d in docs if "price" in d]
check("weighted_avg", near(got["w"]["value"], math.fsum(p * w for p, w in weighed) / sum(w for _, w in weighed)), got["w"])
letters = collections.Counter(c for d in docs for c in d.get("brand", ""))
total = sum(letters.values())
check("string_stats", near(got["t"]["entropy"], -math.fsum(n / total * math.log2(n / total) for n in letters.values())) and
      near(got["t"]["avg_length"], statistics.mean(len(d["brand"]) for d in docs if "brand" in d)), got["t"])
check("boxplot", near(got["box"]["q1"], percentile(ps, 25)) and near(got["box"]["max"], max(ps)), got["box"])

# ---- nested --------------------------------------------------------------------------------------
got = ask(s={"nested": {"path": "sizes"}, "aggs": {
    "c": {"terms": {"field": "sizes.colour"}, "aggs": {"ml": {"avg": {"field": "sizes.ml"}},
                                                       "back": {"reverse_nested": {}, "aggs": {
                                                           "b": {"cardinality": {"field": "brand"}},
                                                           "p": {"sum": {"field": "stock"}}}}}},
    "big": {"filter": {"range": {"sizes.ml": {"gte": 50}}}}}})["s"]
sizes = [(d, s) for d in docs for s in d["sizes"]]
check("nested", got["doc_count"] == len(sizes) and
      got["big"]["doc_count"] == sum(s["ml"] >= 50 for _, s in sizes), got["doc_count"])
for b in got["c"]["buckets"]:
    mine = [s["ml"] for _, s in sizes if s["colour"] == b["key"]]
    whose = [d for d in docs if any(s["colour"] == b["key"] for s in d["sizes"])]
    check(f"nested {b['key']}", b["doc_count"] == len(mine) and near(b["ml"]["value"], statistics.mean(mine)) and
          b["back"]["doc_count"] == len(whose) and b["back"]["p"]["value"] == sum(d["stock"] for d in whose) and
          b["back"]["b"]["value"] == len({d["brand"] for d in whose if "brand" in d}), b)

# ---- places --------------------------------------------------------------------------------------
LETTERS = "0123456789bcdefghjkmnpqrstuvwxyz"


def geohash(lat, lon, precision):
    box, out, bits, even = [[-90.0, 90.0], [-180.0, 180.0]], "", 0, True
    for i in range(precision * 5):
        side, value = (box[1], lon) if even else (box[0], lat)
        middle = (side[0] + side[1]) / 2
        bits = bits * 2 + (value >= middle)
        side[0 if value >= middle else 1] = middle
        even = not even
        if i % 5 == 4:
            out, bits = out + LETTERS[bits], 0
    return out


def metres(a, b):
    x, y = math.radians(a["lat"]), math.radians(b["lat"])
    h = math.sin((y - x) / 2) ** 2 + math.cos(x) * math.cos(y) * math.sin(math.radians(b["lon"] - a["lon"]) / 2) ** 2
    return 2 * 6371008.7714 * math.asin(math.sqrt(h))


origin = {"lat": 52.37, "lon": 4.9}
got = ask(h={"geohash_grid": {"field": "place", "precision": 3, "size": 10000}},
          d={"geo_distance": {"field": "place", "origin": origin, "unit": "km",
                              "ranges": [{"to": 5000}, {"from": 5000, "to": 9000}, {"from": 9000}]}},
          c={"geo_centroid": {"field": "place"}})
check("geohash_grid", dict(shown(got["h"])) == dict(counted(geohash(d["place"]["lat"], d["place"]["lon"], 3) for d in docs)))
rings = [sum(low <= metres(origin, d["place"]) / 1000 < high for d in docs) for low, high in ((0, 5e3), (5e3, 9e3), (9e3, 1e9))]
check("geo_distance", [b["doc_count"] for b in got["d"]["buckets"]] == rings, (got["d"], rings))
check("geo_centroid", abs(got["c"]["location"]["lat"] - statistics.mean(d["place"]["lat"] for d in docs)) < 1e-6, got["c"])

# ---- pipelines -----------------------------------------------------------------------------------
got = ask(m={"date_histogram": {"field": "made", "calendar_interval": "month"}, "aggs": {
    "s": {"sum": {"field": "stock"}}, "c": {"cumulative_sum": {"buckets_path": "s"}},
    "d": {"derivative": {"buckets_path": "s"}},
    "x": {"bucket_script": {"buckets_path": {"a": "s", "n": "_count"}, "script": "params.a / params.n"}}}},
    best={"max_bucket": {"buckets_path": "m>s"}}, mean={"avg_bucket": {"buckets_path": "m>x"}})
sums = collections.Counter()
counts = collections.Counter()
for d in docs:
    t = datetime.datetime.fromtimestamp(d["made"] / 1000, datetime.timezone.utc)
    sums[(t.year, t.month)] += d["stock"]
    counts[(t.year, t.month)] += 1
keys = sorted(sums)
running = 0
for i, (key, b) in enumerate(zip(keys, got["m"]["buckets"])):
    running += sums[key]
    good = b["s"]["value"] == sums[key] and b["c"]["value"] == running and near(b["x"]["value"], sums[key] / counts[key])
    good &= b["d"]["value"] == sums[key] - sums[keys[i - 1]] if i else "d" not in b
    if not good:
        check(f"pipelines of {key}", False, b)
check("pipelines", len(got["m"]["buckets"]) == len(keys) and got["best"]["value"] == max(sums.values()) and
      near(got["mean"]["value"], statistics.mean(sums[k] / counts[k] for k in keys)), got["best"])
got = ask(b={"terms": {"field": "brand", "size": 500}, "aggs": {
    "s": {"sum": {"field": "stock"}},
    "few": {"bucket_selector": {"buckets_path": {"n": "_count"}, "script": "params.n < 20"}},
    "top": {"bucket_sort": {"sort": [{"s": "desc"}], "size": 3}}}})["b"]["buckets"]
stock = collections.Counter()
for d in docs:
    stock[d.get("brand")] += d["stock"]
wanted = sorted((-stock[b], -n, b) for b, n in brands if n < 20)[:3]
check("bucket_selector, bucket_sort", [b["s"]["value"] for b in got] == [-w[0] for w in wanted], (got, wanted))

# ---- hits in buckets -----------------------------------------------------------------------------
got = ask(b={"terms": {"field": "type"}, "aggs": {"t": {"top_hits": {
    "size": 2, "sort": [{"price": "desc"}, {"stock": "asc"}], "_source": ["price"]}}}})["b"]["buckets"]
good = True
for b in got:
    best = sorted(((-d["price"], d["stock"]) for d in docs if d["type"] == b["key"] and "price" in d))[:2]
    good &= [tuple(h["sort"]) for h in b["t"]["hits"]["hits"]] == [(-p, s) for p, s in best]
check("top_hits", good, got[0])

# ---- refused -------------------------------------------------------------------------------------
try:
    ask(a={"date_histogram": {"field": "made", "fixed_interval": "1s"}})
    check("too many buckets", False)
except BadRequestError as error:
    check("too many buckets", "too_many_buckets" in str(error.body), error.body)
es.indices.delete(index=INDEX)
raise SystemExit(failures > 0)
