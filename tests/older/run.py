#!/usr/bin/env python3
"""Folders that earlier releases wrote (data/, made by tools/make_older_folders.py), opened by today's program.

    tests/older/run.py --bin build/vizsla [--checker build/tests/unit/store/crash_child] [--only NAME]

A copy of each is opened: every document is there as it was written, with its version, and what was deleted is
gone; terms, ranges, places and nested objects find what Python finds; facets count it; the nearest vectors and
the scores of texts are worked out here. Then writing, merging and copying go on, and the folder is closed and
opened again. The checker, where it is given, validates each index before and after. Ends with `N passed, N failed,
N skipped`. Standard library only.
"""
import argparse
import collections
import json
import pathlib
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))
import shop

counts = {"passed": 0, "failed": 0}


def check(name, passed, seen=""):
    counts["passed" if passed else "failed"] += 1
    if not passed:
        print(f"FAILED {name}: {str(seen)[:600]}")


def near(a, b):
    return abs(a - b) <= 1e-6 * max(1, abs(b))


class Server:
    def __init__(self, binary, data):
        self.process = subprocess.Popen([binary, "serve", "--data", data, "--port", "0", "--log-level", "error"],
                                        stdout=subprocess.PIPE, text=True)
        found = re.search(r"http://[0-9.]+:[0-9]+", self.process.stdout.readline())
        if not found:
            raise SystemExit("FAILED the server did not start\n0 passed, 1 failed, 0 skipped")
        self.url = found.group(0)

    def ask(self, method, path, body=None):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
        kind = "application/x-ndjson" if isinstance(body, str) else "application/json"
        request = urllib.request.Request(self.url + path, data, {"Content-Type": kind}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                answer = json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            answer = json.loads(error.read() or b"{}") or {"status": error.code}
        if answer.get("errors"):
            check(f"{method} {path}", False, json.dumps(answer))
        return answer

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


class Folder:
    """One index of a copy, and what must be in it."""

    def __init__(self, title, server, index, kinds, there):
        self.title, self.server, self.index, self.kinds = title, server, index, kinds
        self.there = there
        self.docs = {name: source for name, (source, _) in there.items()}

    def check(self, what, passed, seen=""):
        check(f"{self.title} {self.index}: {what}", passed, seen)

    def search(self, body):
        return self.server.ask("POST", f"/{self.index}/_search", body)

    def finds(self, what, query, test, nested=None):
        answer = self.search({"query": query, "size": 1000, "_source": False, "track_total_hits": True})
        got = sorted(h["_id"] for h in answer.get("hits", {}).get("hits", []))
        want = sorted(name for name, doc in self.docs.items() if test(doc))
        self.check(what, got == want and len(want) > 0, (len(want), answer))

    def documents(self):
        wrong = []
        for name, (source, version) in self.there.items():
            got = self.server.ask("GET", f"/{self.index}/_doc/{name}")
            if got.get("_source") != source or got.get("_version") != version:
                wrong.append((name, got))
        self.check("documents are as they were written", not wrong, wrong[:1])
        got = self.server.ask("GET", f"/{self.index}/_count")["count"]
        self.check("as many as there were", got == len(self.there), (got, len(self.there)))
        gone = self.server.ask("GET", f"/{self.index}/_doc/d18")
        self.check("the deleted are gone", gone.get("found") is False, gone)

    def filters(self):
        def listed(doc, field):
            value = doc.get(field, [])
            return value if isinstance(value, list) else [value]
        self.finds("term", {"term": {"brand": "Ωmega"}}, lambda d: "Ωmega" in listed(d, "brand"))
        self.finds("terms of several values", {"terms": {"brand": ["both", "none"]}},
                   lambda d: "both" in listed(d, "brand"))
        self.finds("range of numbers", {"range": {"price": {"gte": 3, "lt": 9.5}}}, lambda d: 3 <= d["price"] < 9.5)
        self.finds("negative integers", {"range": {"stock": {"lt": 0}}}, lambda d: d["stock"] < 0)
        self.finds("dates", {"range": {"added": {"gte": "2024-03-01", "lt": "2024-07-01"}}},
                   lambda d: "2024-03" <= d["added"] < "2024-07")
        self.finds("exists", {"exists": {"field": "v"}}, lambda d: "v" in d)
        self.finds("longs beyond a double", {"term": {"big": (1 << 60) + 6}}, lambda d: d.get("big") == (1 << 60) + 6)
        self.finds("booleans", {"term": {"fresh": True}}, lambda d: d.get("fresh"))
        self.finds("places", {"geo_bounding_box": {"place": {"top": 0, "bottom": -40, "left": -180, "right": 0}}},
                   lambda d: "place" in d and -40 <= d["place"]["lat"] <= 0 and d["place"]["lon"] <= 0)
        self.finds("keywords within text", {"term": {"title.raw": self.docs["d3"]["title"]}},
                   lambda d: d["title"] == self.docs["d3"]["title"])
        self.finds("words", {"match": {"title": {"query": "lamp paper", "operator": "and"}}},
                   lambda d: {"lamp", "paper"} <= set(shop.tokens(d["title"])))
        phrase = " ".join(self.docs["d3"]["title"].split()[1:3])
        self.finds("phrases", {"match_phrase": {"title": phrase}},
                   lambda d: f" {phrase} " in f" {d['title']} ")
        self.finds("words beyond ASCII", {"match": {"note": "café"}}, lambda d: "note" in d)
        self.finds("piped or mended codes", {"term": {"maker.code": "mended"}},
                   lambda d: d.get("maker", {}).get("code") == "mended")
        if self.kinds >= 2:
            self.later_filters()

    def later_filters(self):
        self.finds("objects", {"nested": {"path": "parts", "query": {"bool": {"filter": [
            {"term": {"parts.sku": "s4"}}, {"range": {"parts.n": {"gte": 20}}}]}}}},
                   lambda d: any(p["sku"] == "s4" and p["n"] >= 20 for p in d.get("parts", [])))
        self.finds("words of objects", {"nested": {"path": "parts", "query": {"match": {"parts.name": "iron"}}}},
                   lambda d: any("iron" in p["name"] for p in d.get("parts", [])))
        self.finds("addresses", {"term": {"host": "10.0.3.0/24"}}, lambda d: d.get("host", "").startswith("10.0.3."))
        self.finds("scaled floats", {"range": {"fee": {"gte": 1.2, "lte": 2.3}}},
                   lambda d: "fee" in d and 1.2 <= d["fee"] <= 2.3)
        self.finds("flattened", {"term": {"labels.size.label": "3"}},
                   lambda d: d.get("labels", {}).get("size", {}).get("label") == "3")
        self.finds("wildcard", {"wildcard": {"path": "*/cedar/*2"}},
                   lambda d: re.search("/cedar/.*2$", d.get("path", "")))
        self.finds("a constant", {"term": {"kind": "thing"}}, lambda d: True)
        self.finds("synonyms", {"match": {"said": "lantern"}}, lambda d: "lamp" in d.get("said", ""))
        answer = self.search({"suggest": {"s": {"prefix": "lamp", "completion": {"field": "complete", "size": 3}}}})
        best = sorted((d["complete"]["weight"] for d in self.docs.values()
                       if "complete" in d and d["complete"]["input"][0].startswith("lamp")), reverse=True)[:3]
        got = [o["_score"] for o in answer.get("suggest", {}).get("s", [{}])[0].get("options", [])]
        self.check("completions", got == best and best, answer)

    def facets(self):
        answer = self.search({"size": 0, "aggs": {
            "brands": {"terms": {"field": "brand", "size": 20}}, "spent": {"sum": {"field": "price"}},
            "months": {"date_histogram": {"field": "added", "calendar_interval": "month", "min_doc_count": 1}}}})
        brands = collections.Counter(b for d in self.docs.values()
                                     for b in (d["brand"] if isinstance(d["brand"], list) else [d["brand"]]))
        found = answer.get("aggregations", {})
        got = {b["key"]: b["doc_count"] for b in found.get("brands", {}).get("buckets", [])}
        self.check("facets", got == brands, answer)
        months = collections.Counter(d["added"][:7] for d in self.docs.values())
        got = {b["key_as_string"][:7]: b["doc_count"] for b in found.get("months", {}).get("buckets", [])}
        self.check("months", got == months, answer)
        spent = sum(d["price"] for d in self.docs.values())
        self.check("sums", near(found.get("spent", {}).get("value", -1), spent), (found.get("spent"), spent))
        answer = self.search({"size": 5, "sort": [{"stock": "desc"}, {"price": "asc"}], "_source": False})
        want = sorted(((-d["stock"], d["price"]) for d in self.docs.values()))[:5]
        got = [(-h["sort"][0], h["sort"][1]) for h in answer["hits"]["hits"]]
        self.check("sorted", got == want, (got, want))

    def nearest(self, field, question, score):
        answer = self.search({"knn": {"field": field, "query_vector": question, "k": 10, "num_candidates": 500},
                              "size": 10, "_source": False})
        got = [h["_score"] for h in answer.get("hits", {}).get("hits", [])]
        want = sorted((score(question, d[field]) for d in self.docs.values() if field in d), reverse=True)[:10]
        self.check(f"nearest by {field}", len(got) == len(want) == 10 and all(map(near, got, want)), (got, want, answer))

    def vectors(self):
        self.nearest("v", shop.vector(77777), shop.cosine)
        self.nearest("flat", shop.vector(88888), shop.l2)
        if self.kinds >= 2:
            self.nearest("bytes", shop.whole_bytes(7777), shop.l2)
            self.nearest("bits", shop.bits(7777), shop.hamming)

    def scores(self):
        """Of an index without dead documents: those count in an index's statistics until it is merged."""
        answer = self.search({"query": {"match": {"title": "river lamp"}}, "size": 1000, "_source": False})
        got = {h["_id"]: h["_score"] for h in answer["hits"]["hits"]}
        want = shop.bm25(self.docs, "title", ["river", "lamp"])
        wrong = [(n, got[n], want[n]) for n in got if n in want and not near(got[n], want[n])]
        self.check("scores of texts", got.keys() == want.keys() and got and not wrong, (wrong[:3], len(got), len(want)))

    def all(self, merged):
        self.documents()
        self.filters()
        self.facets()
        self.vectors()
        if merged:
            self.scores()

    def go_on(self):
        """New documents, replaced ones, partial updates and deletions."""
        actions = []
        for i in range(20, 32):
            source = shop.document(i, 5, self.kinds)
            _, version = self.there.get(f"d{i}", (None, 0))
            self.there[f"d{i}"] = (source, version + 1)
            actions.append(("index", f"d{i}", source))
        for i in (18, 35, 52):  # 35: deleted, as 18 and 52 are
            self.there.pop(f"d{i}", None)
        for i in range(1000, 1020):
            source = shop.document(i % 89, 6, self.kinds)
            self.there[f"d{i}"] = (source, 1)
            actions.append(("index", f"d{i}", source))
        answer = self.server.ask("POST", f"/{self.index}/_bulk?refresh=true", shop.bulk(actions))
        self.check("goes on", "items" in answer, answer)
        for name in ("d2", "d40"):
            source, version = self.there[name]
            answer = self.server.ask("POST", f"/{self.index}/_update/{name}?refresh=true", {"doc": {"price": 77.5}})
            self.there[name] = (dict(source, price=77.5), version + 1)
            self.check("a partial update", answer.get("_version") == version + 1, answer)
        self.server.ask("DELETE", f"/{self.index}/_doc/d5?refresh=true")
        del self.there["d5"]
        # Deleted ids go on from their versions, or from 1 where a merge forgot them.
        for name in list(self.there):
            if self.there[name][1] == 1 and int(name[1:]) in (20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31):
                got = self.server.ask("GET", f"/{self.index}/_doc/{name}").get("_version")
                self.check("a deleted document's version goes on", got in (1, 3), got)
                self.there[name] = (self.there[name][0], got)
        self.docs = {name: source for name, (source, _) in self.there.items()}


def beside(title, server, kinds):
    """What is kept beside documents."""
    sale = server.ask("POST", "/sale/_count", {"query": {"match_all": {}}})
    check(f"{title}: an alias's filter", 0 < sale.get("count", 0) < 200, sale)
    got = server.ask("GET", "/_alias/latest")
    check(f"{title}: a write alias", got.get("merged", {}).get("aliases", {}).get("latest", {})
          .get("is_write_index") is True, got)
    if kinds < 2:
        return
    got = server.ask("GET", "/_synonyms/shop")
    check(f"{title}: synonyms", got.get("synonyms_set") == shop.SYNONYMS["synonyms_set"], got)
    got = server.ask("GET", "/_ingest/pipeline/older")
    check(f"{title}: pipelines", got.get("older", {}).get("processors") == shop.PIPELINE["processors"], got)
    got = server.ask("POST", "/plain/_search/template", {"id": "older", "params": {"brand": "acme"}})
    check(f"{title}: search templates", got.get("hits", {}).get("total", {}).get("value", 0) > 0, got)
    server.ask("PUT", "/made-1")
    got = server.ask("GET", "/made-1")
    fields = got.get("made-1", {}).get("mappings", {}).get("properties", {})
    check(f"{title}: templates", fields.keys() == {"when", "who", "extra"} and
          got["made-1"]["settings"]["index"].get("refresh_interval") == "7s", got)
    server.ask("DELETE", "/made-1")
    got = server.ask("PUT", "/plain/_doc/piped?pipeline=older&refresh=true", {"brand": "acme"})
    got = server.ask("GET", "/plain/_doc/piped")
    check(f"{title}: a pipeline runs", got.get("_source", {}).get("maker") == {"code": "piped"}, got)
    server.ask("DELETE", "/plain/_doc/piped?refresh=true")
    got = server.ask("GET", "/shut/_doc/1")
    check(f"{title}: closed", "index_closed_exception" in json.dumps(got), got)
    server.ask("POST", "/shut/_open")
    got = server.ask("GET", "/shut/_doc/1")
    check(f"{title}: opened", got.get("_source") == {"k": "kept"}, got)
    server.ask("POST", "/shut/_close")


def meanings(title, server):
    """Texts with chunks: each is found by itself with score 1, and its chunk is there."""
    for i in (0, 5, 11):
        got = server.ask("POST", "/notes/_search", {
            "query": {"semantic": {"field": "text", "query": shop.NOTES[i]["text"]}}, "size": 1,
            "fields": ["_inference_fields"]})
        best = got.get("hits", {}).get("hits", [{}])[0]
        check(f"{title}: meaning", best.get("_id") == str(i) and near(best["_score"], 1) and
              best["_source"] == dict(shop.NOTES[i], **{k: v for k, v in best["_source"].items()
                                                        if k == "_inference_fields"}), got)


def validate(title, checker, data):
    if checker:
        done = subprocess.run([checker, "--check", data], capture_output=True, text=True, check=False)
        check(f"{title}: valid", done.returncode == 0, done.stdout + done.stderr)


def try_folder(options, archive):
    title = archive.name.removesuffix(".tar.xz")
    kinds, first = shop.FOLDERS[title]
    with tempfile.TemporaryDirectory(prefix="vizsla-older-") as data:
        with tarfile.open(archive) as packed:
            packed.extractall(data, filter="data")
        if kinds >= 2:
            subprocess.run([options.bin, "models", "import", str(ROOT / "tests/golden/tiny/tiny-embed"), "--data", data],
                           stdout=subprocess.DEVNULL, check=True)
        there = {"plain": shop.write_all(lambda *_: None, "plain", kinds, first),
                 "merged": shop.write_all(lambda *_: None, "merged", kinds, shop.MERGED)}
        validate(f"{title}, as it was", options.checker, data)
        for round_, merged in (("opened", False), ("opened again", True)):
            server = Server(options.bin, data)
            folders = [Folder(f"{title}, {round_},", server, index, kinds, there[index]) for index in there]
            for folder in folders:
                folder.all(merged or folder.index == "merged")
            beside(f"{title}, {round_}", server, kinds)
            if kinds >= 2:
                meanings(f"{title}, {round_}", server)
            if not merged:
                for folder in folders:
                    folder.go_on()
                    folder.all(False)
                    done = server.ask("POST", f"/{folder.index}/_forcemerge?max_num_segments=1")
                    folder.check("merges", "_shards" in done, done)
                    folder.all(True)
            check(f"{title}: the server ends well", server.stop() == 0)
            validate(f"{title}, {round_}", options.checker, data)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--checker", help="build/tests/unit/store/crash_child")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    for archive in sorted((HERE / "data").glob("*.tar.xz")):
        if options.only in archive.name:
            before = dict(counts)
            try_folder(options, archive)
            print(f"{archive.name}: {counts['passed'] - before['passed']} passed, {counts['failed'] - before['failed']} failed")
    print(f"{counts['passed']} passed, {counts['failed']} failed, 0 skipped")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
