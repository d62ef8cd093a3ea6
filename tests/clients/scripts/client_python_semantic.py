"""semantic_text with the official Python client: texts become vectors inside the server. Every score
is worked out here, from the vectors that the inference API gives for each chunk."""
import math
import os
import warnings

import elasticsearch
from elasticsearch import ApiError, BadRequestError, Elasticsearch, helpers

warnings.simplefilter("error", elasticsearch.ElasticsearchWarning)
INDEX = f"semantic-py{elasticsearch.__version__[0]}"
MODEL = "tiny-embed"
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {str(seen)[:600]}"))


def near(a, b):
    return abs(a - b) <= 1e-6 * max(abs(a), abs(b), 1e-9)


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def score(a, b):
    return (1 + dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))) / 2


es = Elasticsearch(os.environ["VIZSLA_URL"], request_timeout=60)
known = {}


def embed(text):
    if text not in known:
        known[text] = es.inference.text_embedding(inference_id=MODEL, input=[text])["text_embedding"][0]["embedding"]
    return known[text]


for name in (INDEX, INDEX + "-copy"):
    es.options(ignore_status=404).indices.delete(index=name)
mappings = {"properties": {
    "title": {"type": "text", "copy_to": "about"}, "body": {"type": "text", "copy_to": "about"},
    "about": {"type": "semantic_text", "inference_id": MODEL,
              "chunking_settings": {"strategy": "word", "max_chunk_size": 10, "overlap": 0}},
    "kind": {"type": "keyword"}}}
es.indices.create(index=INDEX, mappings=mappings)

WORDS = "red blue happy lost old small dog cat car park house puppy rain sun walk runs sleeps found".split()
docs = {}
for i in range(120):
    pick = [WORDS[(i * 7 + k * k * (i % 5 + 1)) % len(WORDS)] for k in range(3 + i % 25)]
    docs[str(i)] = {"title": " ".join(pick[:3]), "body": " ".join(pick), "kind": "abc"[i % 3]}


def chunks(text):
    """Windows of ten words; the blank before a word is its window's."""
    words = text.split()
    cut = [" ".join(words[k:k + 10]) for k in range(0, len(words), 10)]
    return [cut[0]] + [" " + piece for piece in cut[1:]]


def expected(question, kept=docs):
    q = embed(question)
    return {i: max(score(q, embed(c)) for text in (d["title"], d["body"]) for c in chunks(text)) for i, d in kept.items()}


done, errors = helpers.bulk(es, ({"_index": INDEX, "_id": i, "_source": d} for i, d in docs.items()), chunk_size=50, refresh=True)
check("bulk", done == len(docs) and not errors, errors)
mapped = es.indices.get_mapping(index=INDEX)[INDEX]["mappings"]["properties"]
check("the model's settings are kept", mapped["about"]["model_settings"]["dimensions"] == 32 and set(mapped) == set(mappings["properties"]), mapped)
check("the source is the texts alone", es.get(index=INDEX, id="7")["_source"] == docs["7"], es.get(index=INDEX, id="7"))


def same(name, answer, want, size):
    hits = answer["hits"]["hits"]
    ranked = sorted(want.values(), reverse=True)[:size]
    wrong = [(h["_id"], h["_score"], want.get(h["_id"])) for h in hits if h["_id"] not in want or not near(h["_score"], want[h["_id"]])]
    check(name, len(hits) == len(ranked) and not wrong and all(near(h["_score"], r) for h, r in zip(hits, ranked)), (wrong[:3], len(hits)))


ASK = "lost puppy"
same("semantic", es.search(index=INDEX, query={"semantic": {"field": "about", "query": ASK}}, size=15), expected(ASK), 15)
same("match is semantic", es.search(index=INDEX, query={"match": {"about": ASK}}, size=15), expected(ASK), 15)
same("with a boost", es.search(index=INDEX, query={"match": {"about": {"query": ASK, "boost": 2.5}}}, size=15),
     {i: 2.5 * s for i, s in expected(ASK).items()}, 15)
only = {i: d for i, d in docs.items() if d["kind"] == "b"}
same("knn with a filter", es.search(index=INDEX, size=12, knn={"field": "about", "k": 12, "num_candidates": 100, "filter": {"term": {"kind": "b"}},
     "query_vector_builder": {"text_embedding": {"model_text": ASK}}}), expected(ASK, only), 12)
same("knn with a vector", es.search(index=INDEX, size=12, knn={"field": "about", "k": 12, "num_candidates": 100, "query_vector": embed("happy cat")}),
     expected("happy cat"), 12)
found = es.search(index=INDEX, query={"ids": {"values": ["24"]}}, fields=["_inference_fields"])["hits"]["hits"][0]["_source"]
shown = found["_inference_fields"]["about"]["inference"]["chunks"]
texts = {name: [docs["24"][name][c["start_offset"]:c["end_offset"]] for c in list_] for name, list_ in shown.items()}
check("chunks and where they stand", texts == {name: chunks(docs["24"][name]) for name in ("title", "body")}, texts)
check("with their vectors", all(score(c["embeddings"], embed(text)) > 0.999999 for name in texts for c, text in zip(shown[name], texts[name])))

docs["3"].update(title="old house", body="rain in the park")
es.update(index=INDEX, id="3", doc={"title": "old house", "body": "rain in the park"}, refresh=True)
es.update(index=INDEX, id="4", doc={"kind": "z"}, refresh=True)
docs["4"]["kind"] = "z"
same("after updates", es.search(index=INDEX, query={"semantic": {"field": "about", "query": "rain in the park"}}, size=10), expected("rain in the park"), 10)

bad = es.bulk(index=INDEX, operations=[{"index": {"_id": "bad"}}, {"title": "fine", "about": {"no": "text"}}, {"index": {"_id": "good"}}, {"title": "sun"}], refresh=True)
check("one bad document fails alone", bad["errors"] and bad["items"][0]["index"]["status"] == 400 and bad["items"][1]["index"]["status"] == 201, bad)
check("and is not there", not es.exists(index=INDEX, id="bad"))
try:
    es.search(index=INDEX, query={"sparse_vector": {"field": "about", "query": "x"}})
    check("sparse_vector is refused", False)
except BadRequestError as error:
    check("sparse_vector is refused", True)

docs["good"] = {"title": "sun", "body": "sun"}
es.indices.create(index=INDEX + "-copy", mappings=mappings)
try:
    es.reindex(source={"index": INDEX}, dest={"index": INDEX + "-copy"}, refresh=True)
    same("reindexed", es.search(index=INDEX + "-copy", query={"match": {"about": ASK}}, size=15), expected(ASK), 15)
except ApiError:
    helpers.bulk(es, ({"_index": INDEX + "-copy", "_id": h["_id"], "_source": h["_source"]}
                      for h in helpers.scan(es, index=INDEX)), refresh=True)
    same("reindexed by the client", es.search(index=INDEX + "-copy", query={"match": {"about": ASK}}, size=15), expected(ASK), 15)

for name in (INDEX, INDEX + "-copy"):
    es.indices.delete(index=name)
raise SystemExit(1 if failures else 0)
