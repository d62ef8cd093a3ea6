"""A search page with the official Python client: highlighting, corrections of words, completions,
search as you type. What must come is worked out here from the documents: marked words, edit distances,
prefixes, BM25 of shingles."""
import math
import os
import random
import re
import warnings
from collections import Counter

import elasticsearch
from elasticsearch import BadRequestError, Elasticsearch, helpers

warnings.simplefilter("error", elasticsearch.ElasticsearchWarning)
INDEX = f"page-py{elasticsearch.__version__[0]}"
LETTERS = "abcde"
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen!r}"))


rng = random.Random(5)
VOCABULARY = sorted({"".join(rng.choice(LETTERS) for _ in range(rng.randrange(3, 8))) for _ in range(150)})
docs = []
for i in range(200):
    words = [rng.choice(VOCABULARY) for _ in range(rng.randrange(3, 40))]
    sentences, at = [], 0
    while at < len(words):
        n = rng.randrange(2, 9)
        sentences.append(" ".join(words[at:at + n]).capitalize() + ".")
        at += n
    name = " ".join(rng.choice(VOCABULARY).capitalize() for _ in range(rng.randrange(1, 4)))
    docs.append({"body": " ".join(sentences), "name": {"input": name, "weight": rng.randrange(0, 50)}})

es = Elasticsearch(os.environ["VIZSLA_URL"])
es.options(ignore_status=404).indices.delete(index=INDEX)
es.indices.create(index=INDEX, mappings={"properties": {
    "body": {"type": "text"}, "name": {"type": "completion"}}})
helpers.bulk(es, ({"_index": INDEX, "_id": str(i), "_source": d} for i, d in enumerate(docs)), refresh=True)


def tokens(text):
    return re.findall(r"[a-z]+", text.lower())


# ---- highlighting -----------------------------------------------------------------------------------


def highlighted(query, size=200, **options):
    found = es.search(index=INDEX, query=query, size=size, source=False,
                      highlight={"fields": {"body": options}})
    return {int(h["_id"]): h.get("highlight", {}).get("body") for h in found["hits"]["hits"]}


def marked(text, wanted):
    return re.sub(r"[A-Za-z]+", lambda m: f"<em>{m[0]}</em>" if wanted(m[0].lower()) else m[0], text)


wrong = []
for _ in range(20):
    chosen = rng.sample(VOCABULARY, 3)
    for i, seen in highlighted({"match": {"body": " ".join(chosen)}}, number_of_fragments=0).items():
        want = [marked(docs[i]["body"], lambda w: w in chosen)]
        if seen != want:
            wrong.append((seen, want))
check("every word of a match is marked, nothing else", not wrong, wrong[:1])

wrong = []
for _ in range(20):
    prefix = rng.choice(VOCABULARY)[:2]
    for kind in ("unified", "plain"):
        for i, seen in highlighted({"prefix": {"body": prefix}}, number_of_fragments=0, type=kind).items():
            want = [marked(docs[i]["body"], lambda w: w.startswith(prefix))]
            if seen != want:
                wrong.append((kind, seen, want))
check("prefixes, unified and plain", not wrong, wrong[:1])

wrong, phrases = [], 0
for d in rng.sample(docs, 40):
    words = tokens(d["body"])
    at = rng.randrange(len(words) - 1)
    first, second = words[at], words[at + 1]
    if first == second:
        continue
    pattern = re.compile(rf"(?i)\b{first}\b[. ]+\b{second}\b")
    for i, seen in highlighted({"match_phrase": {"body": f"{first} {second}"}}, number_of_fragments=0).items():
        phrases += 1
        want = [pattern.sub(lambda m: f"<em>{m[0]}</em>", docs[i]["body"])]
        if seen != want:
            wrong.append((seen, want))
check("phrases are marked as a whole, where they stand", phrases >= 40 and not wrong, wrong[:1])

wrong = []
for _ in range(20):
    word = rng.choice(VOCABULARY)
    for i, seen in highlighted({"match": {"body": word}}, fragment_size=0, number_of_fragments=1000).items():
        sentences = re.findall(r"[^.]+\.", docs[i]["body"])
        want = [marked(s.strip(), lambda w: w == word) for s in sentences if word in tokens(s)]
        if seen != want:
            wrong.append((seen, want))
check("sentences as fragments", not wrong, wrong[:1])

bounded = highlighted({"match_all": {}}, highlight_query={"match": {"body": " ".join(VOCABULARY[:60])}}, fragment_size=40)
lengths = [len(re.sub("</?em>", "", f)) for fragments in bounded.values() for f in fragments or []]
longest = max(len(w) for w in VOCABULARY)
check("fragments keep to their size but for a word at each end", lengths and max(lengths) <= 40 + 2 * (longest + 1), max(lengths))
check("at most five of them", max(len(f or []) for f in bounded.values()) <= 5)

# ---- corrections ------------------------------------------------------------------------------------


def edits(a, b):
    """Optimal string alignment: a swap of neighbours is one."""
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            best = min(row[j - 1] + 1, rows[-1][j] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


frequency = Counter(w for d in docs for w in set(tokens(d["body"])))


def corrections(word, most, prefix):
    near = [(1 - edits(word, w) / min(len(word), len(w)), n, w) for w, n in frequency.items()
            if w != word and w[:prefix] == word[:prefix] and edits(word, w) <= most]
    return sorted(((s, n, w) for s, n, w in near if s >= 0.5), key=lambda c: (-c[0], -c[1], c[2]))


wrong, options = [], 0
for _ in range(60):
    word = list(rng.choice([w for w in VOCABULARY if len(w) > 3]))
    at = rng.randrange(1, len(word))
    word[at] = rng.choice(LETTERS)
    word = "".join(word)
    most, prefix = rng.choice([1, 2]), rng.choice([1, 2])
    seen = es.search(index=INDEX, suggest={"s": {"text": word, "term": {
        "field": "body", "suggest_mode": "always", "max_term_freq": 1000, "size": 100, "shard_size": 100,
        "max_edits": most, "prefix_length": prefix}}})["suggest"]["s"][0]["options"]
    want = corrections(word, most, prefix) if len(word) >= 4 else []
    options += len(want)
    if [(o["text"], o["freq"]) for o in seen] != [(w, n) for _, n, w in want] or any(
            abs(o["score"] - s) > 1e-6 for o, (s, _, _) in zip(seen, want)):
        wrong.append((word, seen, want))
check("corrections, their scores, counts and order", options > 100 and not wrong, wrong[:1])

# ---- completions ------------------------------------------------------------------------------------

# Some change, some go.
for i in range(0, 200, 10):
    docs[i]["name"]["weight"] = 60 + i % 7
    es.index(index=INDEX, id=str(i), document=docs[i])
for i in range(5, 200, 10):
    es.delete(index=INDEX, id=str(i))
    docs[i] = None
es.indices.refresh(index=INDEX)


def completions(prefix, size, **options):
    answer = es.search(index=INDEX, source=False, suggest={"c": {"prefix": prefix, "completion": {
        "field": "name", "size": size, **options}}})["suggest"]["c"][0]
    return [(o["text"], o["_score"], int(o["_id"])) for o in answer["options"]]


def expected(fits):
    names = [(d["name"]["input"], float(d["name"]["weight"]), i) for i, d in enumerate(docs) if d and fits(d["name"]["input"].lower())]
    return sorted(names, key=lambda n: (-n[1], n[0], n[2]))


wrong = []
for d in rng.sample([d for d in docs if d], 30):
    name = d["name"]["input"]
    prefix = name[:rng.randrange(1, len(name) + 1)].rstrip()
    size = rng.choice([1, 5, 500])
    want = expected(lambda n: n.startswith(prefix.lower()))[:size]
    seen = completions(prefix.upper(), size)
    if seen != want:
        wrong.append((prefix, seen, want))
check("completions by weight, changes and deletions seen", not wrong, wrong[:1])

wrong = []
for d in rng.sample([d for d in docs if d], 30):
    query = d["name"]["input"].lower()[:6].rstrip()
    if len(query) < 4:
        continue
    at = rng.randrange(1, len(query))
    query = query[:at] + "z" + query[at + 1:]
    want = {i for _, _, i in expected(lambda n: n[0] == query[0] and min(
        edits(query, n[:k]) for k in range(len(n) + 1)) <= 1)}
    seen = {i for _, _, i in completions(query, 500, fuzzy={"fuzziness": 1})}
    if seen != want:
        wrong.append((query, seen ^ want))
check("fuzzy completions are those within an edit", not wrong, wrong[:1])

wrong = []
for first in LETTERS:
    want = list(dict.fromkeys(n for n, _, _ in expected(lambda n: n.startswith(first))))
    seen = [n for n, _, _ in completions(first, 500, skip_duplicates=True)]
    if seen != want:
        wrong.append((first, seen, want))
check("without duplicates", not wrong, wrong[:1])

try:
    es.search(index=INDEX, suggest={"c": {"prefix": "a", "completion": {"field": "body"}}})
    check("a text is no completion field", False)
except BadRequestError as error:
    check("a text is no completion field", "is not a completion suggest field" in str(error.body), error.body)

# ---- search as you type -----------------------------------------------------------------------------

TYPED = INDEX + "-typed"
es.options(ignore_status=404).indices.delete(index=TYPED)
es.indices.create(index=TYPED, mappings={"properties": {"t": {"type": "search_as_you_type"}}})
FEW = VOCABULARY[:25]
titles = [[rng.choice(FEW) for _ in range(rng.randrange(1, 8))] for _ in range(150)]
helpers.bulk(es, ({"_index": TYPED, "_id": str(i), "t": " ".join(t)} for i, t in enumerate(titles)), refresh=True)


def shingles(words, n):
    return [" ".join(words[i:i + n]) for i in range(len(words) - n + 1)]


def bm25(n, term):
    fields = [shingles(t, n) for t in titles]
    having = [f for f in fields if f]
    df = sum(term in f for f in having)
    average = sum(map(len, having)) / len(having)
    idf = math.log(1 + (len(having) - df + 0.5) / (df + 0.5))
    return [2.2 * idf * f.count(term) / (f.count(term) + 1.2 * (0.25 + 0.75 * len(f) / average)) for f in fields]


def typed(words):
    scores = [0.0] * len(titles)
    for n in (1, 2, 3):
        asked = shingles(words, n)
        for term in asked[:-1]:
            scores = [a + b for a, b in zip(scores, bm25(n, term))]
        if asked:
            scores = [a + any(s.startswith(asked[-1]) for s in shingles(t, n)) for a, t in zip(scores, titles)]
    return {str(i): s for i, s in enumerate(scores) if s > 0}


wrong, found = [], 0
for _ in range(40):
    title = rng.choice(titles)
    at = rng.randrange(len(title))
    words = title[at:at + rng.randrange(1, 5)]
    words[-1] = words[-1][:rng.randrange(1, len(words[-1]) + 1)]
    want = typed(words)
    answer = es.search(index=TYPED, size=200, source=False, query={"multi_match": {
        "query": " ".join(words), "type": "bool_prefix", "fields": ["t", "t._2gram", "t._3gram"]}})
    seen = {h["_id"]: h["_score"] for h in answer["hits"]["hits"]}
    found += len(seen)
    if set(seen) != set(want) or any(abs(seen[i] - want[i]) > 1e-5 for i in seen):
        wrong.append((words, seen, want))
check("as you type: who is found, with which score", found > 200 and not wrong, wrong[:1])

wrong = []
for _ in range(40):
    title = rng.choice([t for t in titles if len(t) > 1])
    n = rng.randrange(2, min(len(title), 3) + 1)
    phrase = title[:n]
    want = {str(i): s for i, s in enumerate(bm25(n, " ".join(phrase))) if s > 0}
    answer = es.search(index=TYPED, size=200, source=False, query={"match_phrase": {"t": " ".join(phrase)}})
    seen = {h["_id"]: h["_score"] for h in answer["hits"]["hits"]}
    if set(seen) != set(want) or any(abs(seen[i] - want[i]) > 1e-5 for i in seen):
        wrong.append((phrase, seen, want))
check("phrases are terms of the shingles", not wrong, wrong[:1])
es.indices.delete(index=TYPED)

es.indices.delete(index=INDEX)
raise SystemExit(1 if failures else 0)
