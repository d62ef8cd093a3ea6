"""Queries over several fields with the official Python client: cross_fields, combined_fields, query
strings, more_like_this, fuzzy words and keywords of several values. Every score is worked out here
from the documents, by the published formulas."""
import math
import os
import random
import warnings
from collections import Counter

import elasticsearch
from elasticsearch import BadRequestError, Elasticsearch, helpers

warnings.simplefilter("error", elasticsearch.ElasticsearchWarning)
INDEX = f"words-py{elasticsearch.__version__[0]}"
WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty",
         "karst", "ledge", "marsh", "north", "oxbow", "point"]
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen!r}"))


def near(a, b):
    return abs(a - b) <= 2e-6 * max(abs(a), abs(b), 1e-9)


rng = random.Random(11)


def text(low, high):
    return [WORDS[min(int(rng.expovariate(0.35)), len(WORDS) - 1)] for _ in range(rng.randrange(low, high))]


docs = []
for i in range(120):
    d = {"title": text(1, 6), "body": text(4, 30), "tags": rng.sample(WORDS[:8], rng.randrange(0, 4))}
    if i % 7 == 0:
        d["title"] = []
    docs.append(d)

es = Elasticsearch(os.environ["VIZSLA_URL"])
es.options(ignore_status=404).indices.delete(index=INDEX)
es.indices.create(index=INDEX, mappings={"properties": {
    "title": {"type": "text"}, "body": {"type": "text"}, "tags": {"type": "keyword"}}})


def stored(d):
    return {k: " ".join(v) if k != "tags" else v for k, v in d.items() if v}


helpers.bulk(es, ({"_index": INDEX, "_id": str(i), "_source": stored(d)} for i, d in enumerate(docs)), refresh=True)

# ---- BM25 as Lucene has it -------------------------------------------------------------------------


def byte4(n):
    """A length as its byte keeps it: exact to 39, then four significant bits."""
    def encode(v):
        bits = v.bit_length()
        return v if bits < 4 else (v >> (bits - 4)) & 7 | (bits - 3) << 3

    def decode(b):
        return b & 7 if b >> 3 == 0 else ((b & 7) | 8) << ((b >> 3) - 1)
    return n if n < 24 else 24 + decode(encode(n - 24))


def with_field(f):
    return [d for d in docs if d[f]]


def df(f, w):
    return sum(w in d[f] for d in docs)


def idf(N, n):
    return math.log(1 + (N - n + 0.5) / (n + 0.5))


def bm25(f, w, d, n=None):
    tf, N = d[f].count(w), len(with_field(f))
    if not tf:
        return 0
    if f == "tags":
        tf, dl = 1, 1
        avg = sum(len(set(x[f])) for x in docs) / N
    else:
        dl, avg = byte4(len(d[f])), sum(len(x[f]) for x in docs) / N
    return 2.2 * idf(N, n or df(f, w)) * tf / (tf + 1.2 * (0.25 + 0.75 * dl / avg))


def blended(fields, w):
    """BlendedTermQuery: the largest document frequency for all, a step more for each rarer one."""
    freqs = {f: sum(len(d[f]) for d in docs) for f in fields}
    there = [f for f in fields if df(f, w)]
    if not there:
        return {}
    limit = min([len(docs)] + [freqs[f] for f in there])
    order = sorted(there, key=lambda f: -df(f, w))
    actual, before, out = min(limit, df(order[0], w)), df(order[0], w), {}
    for f in order:
        actual += before > df(f, w)
        before = df(f, w)
        out[f] = min(actual, len(with_field(f)), limit)
    return out


def agrees(name, query, make, match=None):
    hits = es.search(index=INDEX, query=query, size=200, source=False)["hits"]["hits"]
    found = {int(h["_id"]): h["_score"] for h in hits}
    wanted = {i: make(d) for i, d in enumerate(docs) if (match(d) if match else make(d) > 0)}
    wrong = [(i, found.get(i), w) for i, w in wanted.items() if not near(found.get(i, -1), w)]
    check(name, set(found) == set(wanted) and not wrong, (wrong[:3], set(found) ^ set(wanted)))


# ---- keywords of several values --------------------------------------------------------------------

agrees("a keyword of several values", {"term": {"tags": "amber"}}, lambda d: bm25("tags", "amber", d))
agrees("a keyword, boosted", {"term": {"tags": {"value": "cedar", "boost": 2.5}}}, lambda d: 2.5 * bm25("tags", "cedar", d))

# ---- several fields --------------------------------------------------------------------------------


def cross(words, fields, boosts, tie, d):
    total = 0
    for w in words:
        n = blended(fields, w)
        scores = [boosts[f] * bm25(f, w, d, n[f]) for f in n]
        best = max(scores, default=0)
        total += best + tie * (sum(scores) - best)
    return total


plain = {"title": 1, "body": 1}
agrees("cross_fields", {"multi_match": {"query": "cedar ember ledge", "fields": ["title", "body"], "type": "cross_fields"}},
       lambda d: cross(["cedar", "ember", "ledge"], ["title", "body"], plain, 0, d))
agrees("cross_fields with boosts and a tie_breaker", {"multi_match": {
    "query": "delta north", "fields": ["title^3", "body"], "type": "cross_fields", "tie_breaker": 0.3}},
    lambda d: cross(["delta", "north"], ["title", "body"], {"title": 3, "body": 1}, 0.3, d))
agrees("cross_fields with and", {"multi_match": {"query": "delta grove", "fields": ["title", "body"], "type": "cross_fields", "operator": "and"}},
       lambda d: cross(["delta", "grove"], ["title", "body"], plain, 0, d),
       lambda d: all(w in d["title"] + d["body"] for w in ["delta", "grove"]))
agrees("cross_fields groups by analyzer", {"multi_match": {"query": "amber", "fields": ["title", "body", "tags"], "type": "cross_fields"}},
       lambda d: max(cross(["amber"], ["title", "body"], plain, 0, d), bm25("tags", "amber", d)))


def combined(words, weights, d):
    total = 0
    N = max(len(with_field(f)) for f in weights)
    length = 0
    for f, w in weights.items():
        length = int(length + w * sum(len(x[f]) for x in docs))
    for w in words:
        n = max(df(f, w) for f in weights)
        freq = sum(b * d[f].count(w) for f, b in weights.items())
        if not freq:
            continue
        dl = byte4(math.floor(sum(b * byte4(len(d[f])) for f, b in weights.items()) + 0.5))
        total += 2.2 * idf(N, n) * freq / (freq + 1.2 * (0.25 + 0.75 * dl / (length / N)))
    return total


agrees("combined_fields", {"combined_fields": {"query": "cedar marsh", "fields": ["title", "body"]}},
       lambda d: combined(["cedar", "marsh"], plain, d))
agrees("combined_fields with weights", {"combined_fields": {"query": "delta ember", "fields": ["title^2.5", "body"]}},
       lambda d: combined(["delta", "ember"], {"body": 1, "title": 2.5}, d))
agrees("combined_fields with and", {"combined_fields": {"query": "delta heath", "fields": ["title", "body"], "operator": "and"}},
       lambda d: combined(["delta", "heath"], plain, d),
       lambda d: all(w in d["title"] + d["body"] for w in ["delta", "heath"]))

# ---- query strings ---------------------------------------------------------------------------------

agrees("query_string: the best field", {"query_string": {"query": "cedar", "fields": ["title^2", "body", "tags"]}},
       lambda d: max(2 * bm25("title", "cedar", d), bm25("body", "cedar", d), bm25("tags", "cedar", d)))
agrees("query_string: clauses", {"query_string": {"query": "+title:amber body:(delta^3 OR ember) -tags:birch"}},
       lambda d: bm25("title", "amber", d) + 3 * bm25("body", "delta", d) + bm25("body", "ember", d),
       lambda d: "amber" in d["title"] and "birch" not in d["tags"])
agrees("query_string: tie_breaker", {"query_string": {"query": "delta", "fields": ["title", "body"], "tie_breaker": 0.5}},
       lambda d: (lambda s: max(s) + 0.5 * min(s))([bm25(f, "delta", d) for f in plain]))
agrees("query_string: cross_fields", {"query_string": {"query": "delta grove", "fields": ["title", "body"], "type": "cross_fields", "default_operator": "and"}},
       lambda d: cross(["delta", "grove"], ["title", "body"], plain, 0, d),
       lambda d: all(w in d["title"] + d["body"] for w in ["delta", "grove"]))
agrees("simple_query_string: fields are added up", {"simple_query_string": {"query": "delta +ember", "fields": ["title", "body^2"]}},
       lambda d: sum(bm25("title", w, d) + 2 * bm25("body", w, d) for w in ["delta", "ember"]),
       lambda d: all(w in d["title"] + d["body"] for w in ["delta", "ember"]))


# ---- fuzzy words -----------------------------------------------------------------------------------

def distance(a, b):
    grid = [[max(i, j) if not i * j else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            grid[i][j] = min(grid[i - 1][j] + 1, grid[i][j - 1] + 1, grid[i - 1][j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                grid[i][j] = min(grid[i][j], grid[i - 2][j - 2] + 1)
    return grid[-1][-1]


def fuzzy(f, word, edits, d):
    found = {w: distance(w, word) for w in WORDS if df(f, w) and distance(w, word) <= edits}
    most = max((df(f, w) for w in found), default=0)
    return sum((1 - e / min(len(w), len(word))) * bm25(f, w, d, most) for w, e in found.items())


agrees("fuzzy in text", {"fuzzy": {"body": {"value": "amver", "fuzziness": 2}}}, lambda d: fuzzy("body", "amver", 2, d))
agrees("fuzzy in a keyword", {"fuzzy": {"tags": {"value": "amver", "fuzziness": 2}}}, lambda d: fuzzy("tags", "amver", 2, d))
agrees("match with fuzziness in a keyword", {"match": {"tags": {"query": "embre", "fuzziness": "AUTO"}}}, lambda d: fuzzy("tags", "embre", 1, d))

# ---- more like this --------------------------------------------------------------------------------


def telling(f, words, least, most_terms):
    """The heaviest words of a field and their weights: tf * (ln((docs + 1) / (n + 1)) + 1)."""
    weights = {w: tf * (math.log((len(docs) + 1) / (df(f, w) + 1)) + 1)
               for w, tf in Counter(words).items() if tf >= least and df(f, w) >= 5}
    return dict(sorted(weights.items(), key=lambda x: (-x[1], x[0]))[:most_terms])


def like(fields, words, least, share, d, boost=0):
    chosen = [(f, w, s, boost * s / min(t.values()) if boost else 1)
              for f in fields for t in [telling(f, words[f], least, 25)] for w, s in t.items()]
    hits = [b * bm25(f, w, d) for f, w, s, b in chosen if w in d[f]]
    return sum(hits) if chosen and len(hits) >= max(int(len(chosen) * share / 100), 1) else 0


agrees("more_like_this of a text", {"more_like_this": {"fields": ["body"], "like": "cedar cedar heath inlet", "min_term_freq": 1}},
       lambda d: like(["body"], {"body": ["cedar", "cedar", "heath", "inlet"]}, 1, 30, d))
agrees("more_like_this of a document", {"more_like_this": {"fields": ["body", "title"], "like": [{"_id": "3"}], "include": True}},
       lambda d: like(["body", "title"], docs[3], 2, 30, d))
agrees("more_like_this with boost_terms", {"more_like_this": {
    "fields": ["body"], "like": {"doc": {"body": "north north ledge cedar cedar cedar"}}, "min_term_freq": 1,
    "boost_terms": 2, "minimum_should_match": "1"}},
    lambda d: like(["body"], {"body": ["north"] * 2 + ["ledge"] + ["cedar"] * 3}, 1, 0, d, 2))
found = es.search(index=INDEX, size=200, query={"more_like_this": {"fields": ["body"], "like": {"_id": "3"}}})["hits"]["hits"]
check("more_like_this leaves the document out", "3" not in [h["_id"] for h in found] and found)

# ---- why -------------------------------------------------------------------------------------------

for name, query in {
    "bool": {"bool": {"must": [{"match": {"body": "cedar delta"}}], "should": [{"term": {"tags": {"value": "amber", "boost": 2}}}, {"match_phrase": {"body": "amber amber"}}],
                      "filter": [{"exists": {"field": "title"}}], "must_not": [{"term": {"tags": "birch"}}], "boost": 1.5}},
    "dis_max": {"dis_max": {"queries": [{"match": {"title": "delta"}}, {"match": {"body": {"query": "delta", "boost": 3}}}], "tie_breaker": 0.4}},
    "boosting": {"boosting": {"positive": {"match": {"body": "ember"}}, "negative": {"term": {"tags": "cedar"}}, "negative_boost": 0.3, "boost": 2}},
    "function_score": {"function_score": {"query": {"match": {"body": "ember grove"}}, "functions": [{"filter": {"term": {"tags": "amber"}}, "weight": 3}, {"weight": 2}], "score_mode": "avg", "boost_mode": "sum"}},
    "script_score": {"script_score": {"query": {"match": {"body": "ember"}}, "script": {"source": "_score * 2 + 1"}}},
    "query_string": {"query_string": {"query": "cedar^2 AND (ember OR del*) NOT tags:heath", "fields": ["title^2", "body"], "tie_breaker": 0.2}},
    "cross_fields": {"multi_match": {"query": "cedar ember", "fields": ["title", "body"], "type": "cross_fields"}},
    "combined_fields": {"combined_fields": {"query": "cedar ember", "fields": ["title^2", "body"]}},
    "more_like_this": {"more_like_this": {"fields": ["body", "tags"], "like": {"_id": "5"}, "min_term_freq": 1, "boost_terms": 1}},
    "fuzzy": {"fuzzy": {"body": {"value": "cedra", "boost": 2}}},
}.items():
    hits = es.search(index=INDEX, query=query, size=120, explain=True, source=False)["hits"]["hits"]

    def adds_up(e):
        parts = [d["value"] for d in e["details"]]
        whole = {"sum of:": sum, "max of:": max, "product of:": math.prod, "function score, product of:": math.prod,
                 "min of:": min}.get(e["description"])
        ok = not whole or near(whole(parts), e["value"])
        return ok and all(map(adds_up, e["details"]))

    wrong = [(h["_id"], h["_score"], h["_explanation"]["value"]) for h in hits
             if not near(h["_score"], h["_explanation"]["value"]) or not adds_up(h["_explanation"])]
    check(f"explained: {name}", hits and not wrong, wrong[:3])
    one = es.explain(index=INDEX, id=hits[0]["_id"], query=query)
    check(f"_explain: {name}", one["matched"] and near(one["explanation"]["value"], hits[0]["_score"]), one)

hits = es.search(index=INDEX, size=120, source=False, query={"bool": {"should": [
    {"match": {"body": {"query": "cedar", "_name": "c"}}}, {"term": {"tags": {"value": "amber", "_name": "a"}}}], "_name": "any"}})["hits"]["hits"]
check("named queries", all(h["matched_queries"] == ["any"] + ["c"] * ("cedar" in docs[int(h["_id"])]["body"]) + ["a"] * ("amber" in docs[int(h["_id"])]["tags"]) for h in hits))
valid = es.indices.validate_query(index=INDEX, query={"match": {"body": {"query": "cedar ember", "operator": "and"}}}, explain=True)
check("_validate/query", valid["valid"] and valid["explanations"][0]["explanation"] == "+body:cedar +body:ember", valid)
check("_validate/query finds fault", not es.indices.validate_query(index=INDEX, q="body:(cedar")["valid"])

try:
    es.search(index=INDEX, query={"query_string": {"query": "title:(amber"}})
    check("a broken query string", False)
except BadRequestError as error:
    cause = error.body["error"]["failed_shards"][0]["reason"]
    check("a broken query string", cause["type"] == "query_shard_exception" and cause["reason"] == "Failed to parse query [title:(amber]"
          and cause["caused_by"]["type"] == "parse_exception", cause)
check("?q=", es.search(index=INDEX, q="title:amber AND body:delta", source=False)["hits"]["total"]["value"] ==
      sum("amber" in d["title"] and "delta" in d["body"] for d in docs))

# ---- term vectors, every number counted here ---------------------------------------------------------
d = docs[5]
got = es.termvectors(index=INDEX, id="5", fields=["body"], term_statistics=True)["term_vectors"]["body"]
check("term vectors", {t: (v["term_freq"], v["doc_freq"], v["ttf"], [p["position"] for p in v["tokens"]]) for t, v in got["terms"].items()} == {
    w: (d["body"].count(w), sum(w in e["body"] for e in docs), sum(e["body"].count(w) for e in docs),
        [i for i, x in enumerate(d["body"]) if x == w]) for w in set(d["body"])}, got)
check("field statistics", got["field_statistics"] == {
    "sum_doc_freq": sum(len(set(e["body"])) for e in docs), "doc_count": len(docs), "sum_ttf": sum(len(e["body"]) for e in docs)}, got)
got = es.termvectors(index=INDEX, doc={"body": "cedar karst cedar point"}, filter={"max_num_terms": 2}, positions=False,
                     offsets=False)["term_vectors"]["body"]["terms"]
scores = {w: n * (1 + math.log((len(docs) + 1) / (sum(w in e["body"] for e in docs) + 1)))
          for w, n in {"cedar": 2, "karst": 1, "point": 1}.items() if any(w in e["body"] for e in docs)}
best = dict(sorted(scores.items(), key=lambda s: -s[1])[:2])
check("the best terms of a document that is given", set(got) == set(best) and all(near(got[w]["score"], best[w]) for w in best), got)
got = es.mtermvectors(index=INDEX, ids=["1", "nobody"], fields=["body"])["docs"]
check("several", [g["found"] for g in got] == [True, False], got)

es.indices.delete(index=INDEX)
raise SystemExit(1 if failures else 0)
