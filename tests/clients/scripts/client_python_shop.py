"""The two shops of the mission with the official Python client, on 931 real products and real
all-MiniLM vectors that a pipeline makes inside the server. Every score is worked out here: BM25
from the texts, cosines from the vectors.
"""
import collections
import json
import math
import os
import pathlib
import re
import struct
import time
import warnings

import elasticsearch
from elasticsearch import Elasticsearch, helpers

warnings.simplefilter("error", elasticsearch.ElasticsearchWarning)
INDEX = f"makeup-py{elasticsearch.__version__[0]}"
MODEL = "all-minilm-l6-v2"
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {str(seen)[:600]}"))


def near(a, b):
    return abs(a - b) <= 1e-6 * max(abs(a), abs(b), 1e-9)


# ---- what Elasticsearch's scores are ---------------------------------------------------------

# UAX #29 as far as these texts go: a byte order mark extends the word it follows, signs like ™ are
# words of their own, superscript figures are none.
WORD = re.compile(r"\w(?:[\w\ufeff]|(?<=[^\W\d_])[:：·.'’]\ufeff*(?=[^\W\d_])|(?<=\d)[,;.'’](?=\d))*|[©®™]")


def tokens(text):
    return [word.lower() for word in WORD.findall(re.sub("[¹²³]", " ", text))]


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def kept_length(n):
    """A field's length as Lucene's SmallFloat.intToByte4 keeps it."""
    if n < 24:
        return n
    n -= 24
    bits = n.bit_length()
    if bits < 4:
        return 24 + n
    shift = bits - 4
    return 24 + ((n >> shift) << shift)


class Bm25:
    def __init__(self, texts):
        self.counts = [collections.Counter(tokens(text)) for text in texts]
        self.lengths = [sum(counts.values()) for counts in self.counts]
        self.documents = sum(length > 0 for length in self.lengths)
        self.average = sum(self.lengths) / self.documents
        self.df = collections.Counter(term for counts in self.counts for term in counts)

    def term(self, term, i):
        freq = self.counts[i][term]
        if not freq:
            return 0.0
        idf = math.log(1 + (self.documents - self.df[term] + 0.5) / (self.df[term] + 0.5))
        norm = 1.2 * (0.25 + 0.75 * kept_length(self.lengths[i]) / self.average)
        return 2.2 * idf * freq / (freq + norm)

    def score(self, query, i):
        return sum(self.term(term, i) for term in tokens(query))


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def cosine(a, b):
    return (1 + dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))) / 2


# ---- the first shop: what is found by words and by meaning -----------------------------------

products = json.loads(pathlib.Path(os.environ["VIZSLA_PRODUCTS"]).read_text())
es = Elasticsearch(os.environ["VIZSLA_URL"], request_timeout=120)
es.options(ignore_status=404).indices.delete(index=INDEX)
es.ingest.put_pipeline(id=INDEX, processors=[
    {"set": {"field": "department", "copy_from": "product_type"}},
    {"inference": {"model_id": MODEL, "input_output": [
        {"input_field": "description", "output_field": "description_embedding"}]}}])
both = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
es.indices.create(index=INDEX, settings={"index": {"default_pipeline": INDEX}}, mappings={"properties": {
    "brand": both, "name": {"type": "text"}, "description": {"type": "text"}, "price": {"type": "float"},
    "category": {"type": "keyword"}, "product_type": {"type": "keyword"},
    "department": {"type": "keyword"}, "tag_list": {"type": "keyword"},
    "description_embedding": {"type": "dense_vector", "dims": 384, "similarity": "cosine",
                              "index_options": {"type": "hnsw"}}}})
began = time.monotonic()
done, errors = helpers.bulk(es, ({"_index": INDEX, "_id": p["id"], "_source": p} for p in products),
                            chunk_size=500, refresh="wait_for", raise_on_error=False)
took = time.monotonic() - began
check("the catalogue is in, with its vectors", done == len({p["id"] for p in products}) and not errors, errors[:2])
print(f"     {done} products with 384 dimensions each in {took:.1f} s: {done / took:.0f} a second")

vectors = {}
for hit in helpers.scan(es, index=INDEX, size=200, query={
        "_source": {"exclude_vectors": False, "includes": ["description_embedding"]}}
        if elasticsearch.__version__[0] >= 9 else {"_source": ["description_embedding"]}):
    vectors[hit["_id"]] = hit["_source"].get("description_embedding")
check("vectors can be read", len(vectors) == done and all(v and len(v) == 384 for v in vectors.values()),
      [i for i, v in vectors.items() if not v][:3])
asked = es.inference.text_embedding(inference_id=MODEL, input=[products[7]["description"]])
check("and are the model's own", cosine(asked["text_embedding"][0]["embedding"], vectors[products[7]["id"]]) > 0.9999)

texts = {field: Bm25([p[field] for p in products]) for field in ("brand", "name", "description")}
place = {p["id"]: i for i, p in enumerate(products)}


def embed(text):
    return es.inference.text_embedding(inference_id=MODEL, input=[text])["text_embedding"][0]["embedding"]


def best(scored, count):
    return dict(sorted(scored.items(), key=lambda entry: -entry[1])[:count])


def same(name, hits, expected, size):
    """The hits are the best of `expected` (id to score), each with its score."""
    ranked = sorted(expected.values(), reverse=True)[:size]
    wrong = [(h["_id"], h["_score"], expected.get(h["_id"])) for h in hits
             if h["_id"] not in expected or not near(h["_score"], expected[h["_id"]])]
    order = [h["_score"] for h in hits]
    check(name, len(hits) == len(ranked) and not wrong and all(map(near, order, ranked)), (wrong[:3], order[:3], ranked[:3]))


found = es.search(index=INDEX, size=20, query={"match": {"description": "organic lip balm"}}, source=False)
same("match", found["hits"]["hits"], {p["id"]: s for p in products if (s := texts["description"].score("organic lip balm", place[p["id"]])) > 0}, 20)

WORDS = "moisturizing red lipstick"
kept = [p for p in products if p["price"] != "" and p["price"] < 15 and p["product_type"] in ("lipstick", "lip_liner")]
filters = [{"range": {"price": {"lt": 15}}}, {"terms": {"product_type": ["lipstick", "lip_liner"]}}]


def by_words(text, among):
    """multi_match best_fields over name^2, description and brand."""
    out = {}
    for p in among:
        i = place[p["id"]]
        score = max(2 * texts["name"].score(text, i), texts["description"].score(text, i), texts["brand"].score(text, i))
        if score > 0:
            out[p["id"]] = score
    return out


def by_meaning(vector, among, count):
    return best({p["id"]: cosine(vector, vectors[p["id"]]) for p in among}, count)


words = {"bool": {"must": {"multi_match": {"query": WORDS, "fields": ["name^2", "description", "brand"]}}, "filter": filters}}
vector = embed(WORDS)
meaning = {"field": "description_embedding", "k": 20, "num_candidates": 200, "filter": filters,
           "query_vector_builder": {"text_embedding": {"model_id": MODEL, "model_text": WORDS}}}
facets = {"brands": {"terms": {"field": "brand.keyword", "size": 50}}, "types": {"terms": {"field": "product_type"}},
          "tags": {"terms": {"field": "tag_list", "size": 20}}, "price": {"stats": {"field": "price"}}}

found = es.search(index=INDEX, query=words, aggs=facets, size=10, source=["name"])
same("multi_match with filters", found["hits"]["hits"], by_words(WORDS, kept), 10)
matched = [p for p in kept if p["id"] in by_words(WORDS, kept)]
for name, key, size in (("brands", "brand", 50), ("types", "product_type", 10)):
    counts = collections.Counter(p[key] for p in matched)
    check(f"the facet of {name}", {b["key"]: b["doc_count"] for b in found["aggregations"][name]["buckets"]} == counts,
          (found["aggregations"][name], counts))
counts = collections.Counter(tag for p in matched for tag in set(p["tag_list"]))
check("the facet of tags", {b["key"]: b["doc_count"] for b in found["aggregations"]["tags"]["buckets"]} == counts)
check("the statistics of prices", found["hits"]["total"]["value"] == len(matched) and
      near(found["aggregations"]["price"]["avg"], sum(f32(p["price"]) for p in matched) / len(matched)))
found = es.search(index=INDEX, knn=meaning, size=20, source=False)
same("knn with filters", found["hits"]["hits"], by_meaning(vector, kept, 20), 20)
found = es.search(index=INDEX, query=words, knn=meaning, size=20, source=False)
near_by = by_meaning(vector, kept, 20)
both_ways = collections.Counter(by_words(WORDS, kept))
both_ways.update(near_by)
same("words and meaning together", found["hits"]["hits"], both_ways, 20)

def ranks(scored, count):
    """Ids by score, those that came first before the others of the same score."""
    return [i for i, _ in sorted(scored.items(), key=lambda e: (-f32(e[1]), place[e[0]]))[:count]]


def fused(lists, constant):
    scores = collections.Counter()
    for ids in lists:
        for rank, i in enumerate(ids, 1):
            scores[i] += 1 / (constant + rank)
    return scores


WINDOW, CONSTANT = 30, 60
knn = {**meaning, "k": WINDOW}
found = es.search(index=INDEX, size=20, source=False, retriever={"rrf": {
    "retrievers": [{"standard": {"query": words}}, {"knn": knn}],
    "rank_window_size": WINDOW, "rank_constant": CONSTANT}})
fusion = fused([ranks(by_words(WORDS, kept), WINDOW), ranks(by_meaning(vector, kept, WINDOW), WINDOW)], CONSTANT)
same("rrf of words and meaning, the same filters on both", found["hits"]["hits"], fusion, 20)
words_only = {"multi_match": {"query": WORDS, "fields": ["name^2", "description", "brand"]}}
found = es.search(index=INDEX, size=20, source=False, retriever={"rrf": {
    "retrievers": [{"standard": {"query": words_only}}, {"knn": {k: v for k, v in knn.items() if k != "filter"}}],
    "rank_window_size": WINDOW, "rank_constant": CONSTANT, "filter": filters}}, aggs=facets)
same("or once for all", found["hits"]["hits"], fusion, 20)

promoted = [kept[-1]["id"], kept[3]["id"]]
found = es.search(index=INDEX, size=10, source=False, query={"pinned": {"ids": promoted, "organic": words}}, aggs=facets)
hits = found["hits"]["hits"]
check("promoted products come first", [h["_id"] for h in hits[:2]] == promoted and all(h["_score"] > 1e37 for h in hits[:2]), hits[:3])
organic = {i: s for i, s in by_words(WORDS, kept).items() if i not in promoted}
same("the others as they would", hits[2:], organic, 8)
counts = collections.Counter(p["brand"] for p in products if p["id"] in organic or p["id"] in promoted)
check("and all are in the facets", {b["key"]: b["doc_count"] for b in found["aggregations"]["brands"]["buckets"]} == counts, found["aggregations"]["brands"])

# ---- the second shop: the query of the slides ------------------------------------------------

TEXT = "long lasting waterproof colour"
among = [p for p in products if p["product_type"] == "eyeliner"]
vector = embed(TEXT)
expected = collections.Counter({p["id"]: 0.9 * s for p in products if (s := texts["description"].score(TEXT, place[p["id"]])) > 0})
expected.update({i: 0.1 * s for i, s in by_meaning(vector, among, 5).items()})
found = es.search(index=INDEX, size=10, query={"match": {"description": {"query": TEXT, "boost": 0.9}}},
                  knn={"field": "description_embedding", "query_vector": vector, "k": 5, "num_candidates": 50,
                       "boost": 0.1, "filter": {"term": {"department": "eyeliner"}}})
same("the query of the slides", found["hits"]["hits"], expected, 10)
expected = collections.Counter({i: s for i, s in expected.items() if i in {p["id"] for p in among}})
found = es.search(index=INDEX, size=10, query={"bool": {
    "must": {"match": {"description": {"query": TEXT, "boost": 0.9}}}, "filter": {"term": {"department": "eyeliner"}}}},
    knn={"field": "description_embedding", "query_vector": vector, "k": 5, "num_candidates": 50,
         "boost": 0.1, "filter": {"term": {"department": "eyeliner"}}})
same("with the department on both", found["hits"]["hits"], expected, 10)

es.indices.delete(index=INDEX)
es.ingest.delete_pipeline(id=INDEX)
raise SystemExit(1 if failures else 0)
