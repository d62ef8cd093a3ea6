"""The documents of the older folders: what tools/make_older_folders.py wrote with each release, and what
run.py expects of today's program. Everything follows from a number; nothing is drawn by chance."""
import math

WORDS = "lamp chair table river stone cloud paper glass wood iron cotton linen blue red green small tall round".split()
# What each folder's documents have (1: what the first format knew, 2: everything), and how many come in
# the first request: from 256 on records are packed.
FOLDERS = {"format-1": (1, 70), "format-2": (2, 70), "format-3-no-hash": (2, 258), "format-3": (2, 258)}
MERGED = 48  # of the index that was merged
BRANDS = ["acme", "bolt", "cedar", "delta", "Ωmega"]
DIMS = 8


def _step(seed):
    """One step of a linear congruential generator, its upper bits."""
    return (seed * 6364136223846793005 + 1442695040888963407) % (1 << 64)


def _numbers(seed, count):
    out, state = [], _step(seed + 12345)
    for _ in range(count):
        state = _step(state)
        out.append(state >> 33)
    return out


def vector(i, version=0):
    return [(n % 81 - 40) / 16 for n in _numbers(1000 * version + i, DIMS)]


def whole_bytes(i, version=0):
    return [n % 255 - 127 for n in _numbers(7_000_000 + 1000 * version + i, DIMS)]


def bits(i, version=0):
    return [n % 256 - 128 for n in _numbers(9_000_000 + 1000 * version + i, 4)]


def title(i, version=0):
    picks = _numbers(3_000_000 + 1000 * version + i, 3 + i % 7)
    return " ".join(WORDS[min(n % 18, (n >> 8) % 18)] for n in picks)


def document(i, version, kinds):
    """Document `i` as its `version`-th writing. kinds: 1, what the first format knew; 2, everything."""
    doc = {
        "title": title(i, version),
        "brand": BRANDS[i % 5] if i % 11 else [BRANDS[i % 5], "both"],
        "price": i * 0.25 + version,
        "stock": (i * 37) % 101 - 50,
        "big": (1 << 60) + i,
        "added": f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}T{i % 24:02d}:30:00Z",
        "fresh": i % 3 == 0,
        "place": {"lat": (i % 90) - 45 + 0.5, "lon": (i * 7) % 360 - 180 + 0.25},
        "maker": {"name": f"maker {i % 13}", "code": f"m{i % 13}"},
        "v": vector(i, version),
        "flat": vector(i + 5000, version),
    }
    if i % 4 == 0:
        doc["note"] = "naïve café — не\tjunk\n" * 3
    if i % 19 == 0:
        del doc["v"]
    if i >= 90:  # the folders stay small
        return {name: doc[name] for name in ("title", "brand", "price", "stock", "added")}
    if kinds >= 2:
        doc["parts"] = [{"name": f"part {WORDS[(i + k) % 18]}", "sku": f"s{(i + k) % 9}", "n": i + k}
                        for k in range(i % 4)]
        doc["bytes"], doc["bits"] = whole_bytes(i, version), bits(i, version)
        doc["host"] = f"10.0.{i % 7}.{i % 250}"
        doc["fee"] = i % 40 / 10
        doc["labels"] = {"colour": WORDS[12 + i % 3], "size": {"label": str(i % 6)}}
        doc["path"] = f"/shop/{BRANDS[i % 5]}/{i}"
        doc["kind"] = "thing"
        doc["said"] = f"{WORDS[i % 18]} {WORDS[(i * 5) % 18]}"
        doc["complete"] = {"input": [f"{WORDS[i % 18]} {i}"], "weight": 1 + i % 20}
    return doc


def mappings(kinds):
    properties = {
        "title": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
        "brand": {"type": "keyword"}, "price": {"type": "double"}, "stock": {"type": "integer"},
        "big": {"type": "long"}, "added": {"type": "date"}, "fresh": {"type": "boolean"},
        "place": {"type": "geo_point"}, "note": {"type": "text"},
        "maker": {"properties": {"name": {"type": "text"}, "code": {"type": "keyword"}}},
        "v": {"type": "dense_vector", "dims": DIMS, "index": True, "similarity": "cosine",
              "index_options": {"type": "int8_hnsw"}},
        "flat": {"type": "dense_vector", "dims": DIMS, "index": True, "similarity": "l2_norm",
                 "index_options": {"type": "flat"}},
    }
    if kinds >= 2:
        properties.update({
            "parts": {"type": "nested", "properties": {
                "name": {"type": "text"}, "sku": {"type": "keyword"}, "n": {"type": "integer"}}},
            "bytes": {"type": "dense_vector", "dims": DIMS, "element_type": "byte", "similarity": "l2_norm"},
            "bits": {"type": "dense_vector", "dims": 32, "element_type": "bit"},
            "host": {"type": "ip"}, "fee": {"type": "scaled_float", "scaling_factor": 10},
            "labels": {"type": "flattened"}, "path": {"type": "wildcard"},
            "kind": {"type": "constant_keyword"},
            "said": {"type": "text", "analyzer": "said"},
            "complete": {"type": "completion"},
        })
    return {"dynamic": "strict", "properties": properties}


SETTINGS = {"analysis": {
    "filter": {"same": {"type": "synonym", "synonyms_set": "shop"}},
    "analyzer": {"said": {"tokenizer": "standard", "filter": ["lowercase", "same"]}}}}
SYNONYMS = {"synonyms_set": [{"id": "one", "synonyms": "lamp, lantern"}]}
PIPELINE = {"description": "of an older release",
            "processors": [{"set": {"field": "maker.code", "value": "piped"}}]}
TEMPLATE = {"index_patterns": ["made-*"], "priority": 3,
            "template": {"settings": {"index": {"refresh_interval": "7s"}},
                         "mappings": {"properties": {"when": {"type": "date"}, "who": {"type": "keyword"}}}}}
COMPONENT = {"template": {"mappings": {"properties": {"extra": {"type": "keyword"}}}}}
SCRIPT = {"script": {"lang": "mustache", "source": '{"query": {"term": {"brand": "{{brand}}"}}}'}}
SEMANTIC = {"properties": {"text": {"type": "semantic_text", "inference_id": "tiny-embed"},
                           "n": {"type": "integer"}}}
NOTES = [{"text": f"{WORDS[i]} {WORDS[i + 3]} {WORDS[i + 5]}", "n": i} for i in range(12)]


def bulk(actions):
    """[(action, id, source or None)] as NDJSON."""
    import json
    lines = []
    for action, name, source in actions:
        lines.append(json.dumps({action: {"_id": name}}))
        if source is not None:
            lines.append(json.dumps(source, ensure_ascii=False))
    return "\n".join(lines) + "\n"


def write_all(ask, index, kinds, first):
    """What the folder's index went through: a first request of `first` documents, then replacements, a
    partial update, deletions, and documents behind those. Returns what is there: {id: (source, version)}."""
    there = {f"d{i}": (document(i, 0, kinds), 1) for i in range(first)}
    ask("POST", f"/{index}/_bulk?refresh=true", bulk([("index", k, v[0]) for k, v in there.items()]))
    later = {}
    for i in range(0, first // 3, 3):
        later[f"d{i}"] = (document(i, 1, kinds), 2)
    for i in range(first, first + 12):
        later[f"d{i}"] = (document(i, 0, kinds), 1)
    ask("POST", f"/{index}/_bulk", bulk([("index", k, v[0]) for k, v in later.items()]))
    there.update(later)
    ask("POST", f"/{index}/_update/d7", {"doc": {"price": 700.5, "maker": {"code": "mended"}}})
    changed = dict(there["d7"][0], price=700.5, maker=dict(there["d7"][0]["maker"], code="mended"))
    there["d7"] = (changed, 2)
    gone = range(1, first + 12, 17)
    ask("POST", f"/{index}/_bulk?refresh=true", bulk([("delete", f"d{i}", None) for i in gone]))
    for i in gone:
        del there[f"d{i}"]
    return there


def tokens(text):
    return text.lower().split()


def bm25(docs, field, words, k1=1.2, b=0.75):
    """Lucene's scores of `match` on a field of short texts: {id: score}. Lengths up to 39 are exact."""
    texts = {name: tokens(doc[field]) for name, doc in docs.items() if doc.get(field)}
    total = sum(len(t) for t in texts.values())
    average = total / len(texts)
    scores = {}
    for word in words:
        df = sum(word in t for t in texts.values())
        idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
        for name, text in texts.items():
            freq = text.count(word)
            if freq:
                norm = k1 * (1 - b + b * len(text) / average)
                scores[name] = scores.get(name, 0) + idf * (k1 + 1) * freq / (freq + norm)
    return scores


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return (1 + dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))) / 2


def l2(a, b):
    return 1 / (1 + sum((x - y) ** 2 for x, y in zip(a, b)))


def hamming(a, b):
    return (32 - sum(bin((x ^ y) & 255).count("1") for x, y in zip(a, b))) / 32
