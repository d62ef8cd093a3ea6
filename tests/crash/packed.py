#!/usr/bin/env python3
"""Kill -9 while requests of hundreds of documents come in: the dictionary that an index's sources are
packed with, made by its first large request, and tokens that are added in groups.

    tests/crash/packed.py --bin build/vizsla --checker build/tests/unit/store/crash_child
                          [--indices 6] [--seed N]

An index is killed four times: around its first request; while writers replace and delete; the same beside
forced merges; while it is copied. After each kill the checker validates every index of the folder
(vz_index_validate), then a server is started and asked: every acknowledged source is there byte for byte,
what was deleted is gone, a document of the request that was open is as before or as asked, and phrases,
terms, ranges and counts find exactly the documents that are there. The same again at the end, after a
forced merge of every index. Ends with `N passed, N failed, N skipped`. Standard library only.
"""
import argparse
import atexit
import http.client
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

WRITERS = 2
IDS = 900       # a writer
PER_CALL = 300  # and up to 100 more
SOURCES = 260   # a request, at least: of 256 a dictionary is made
TAGS = 40
WORDS = [a + b for a in "red blue lost old small tame wild shy loud grey".split()
         for b in "dog cat hare fox owl hen goat mole carp newt".split()]
MAPPINGS = {"tag": {"type": "keyword"}, "n": {"type": "long"}, "text": {"type": "text"}}
counts = {"passed": 0, "failed": 0}


def check(name, passed, seen=""):
    counts["passed" if passed else "failed"] += 1
    if not passed:
        print(f"FAILED {name}: {str(seen)[:400]}")


class Document:
    """What a seed makes: its words, its number and its source, spaced as no printer would."""

    def __init__(self, seed):
        chance = random.Random(seed)
        self.words = [chance.choice(WORDS) for _ in range(8 + seed % 25)]
        self.tag, self.n = f"tag-{seed % TAGS}", chance.randrange(100000)
        self.source = (f'{{"tag" : "{self.tag}","n":{self.n} , "text":"{" ".join(self.words)}",'
                       f'"note":"found near the river \\u00e9 {seed}",  "price": 1.{seed % 10}0 }}')


class Server:
    def __init__(self, binary, data):
        self.process = subprocess.Popen([binary, "serve", "--data", data, "--port", "0", "--log-level", "error"],
                                        stdout=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)  # whatever goes wrong here, it does not outlive the suite
        found = re.search(r"serves http\S+:(\d+)", self.process.stdout.readline())
        if not found:
            sys.exit("FAILED the server did not start\n0 passed, 1 failed, 0 skipped")
        self.port = int(found.group(1))
        self.connection = self.connect()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def end(self, kill=True):
        self.connection.close()
        (self.process.kill if kill else self.process.terminate)()
        return self.process.wait(timeout=60)


def raw(connection, method, path, body=None):
    text = body if isinstance(body, str) else json.dumps(body) if body is not None else None
    kind = "application/x-ndjson" if isinstance(body, str) else "application/json"
    connection.request(method, path, text, {"Content-Type": kind})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def call(connection, method, path, body=None):
    status, text = raw(connection, method, path, body)
    if status >= 300:
        raise AssertionError(f"{method} {path}: {status} {text[:300]}")
    return json.loads(text)


class Expected:
    """`held` is what each id of an index has: a seed, or None. `open` is what a writer asked for when the
    server went: id to seed or None."""

    def __init__(self):
        self.held, self.open, self.acknowledged = {}, {}, 0


def plan(chance, writer, is_first):
    """One request: what becomes of each id. The first has no deletes. Each has sources enough for a
    dictionary: the one that was to make it may be killed."""
    ids = chance.sample(range(IDS), PER_CALL + chance.randrange(100))
    gone = set() if is_first else set(ids[:chance.randrange(len(ids) - SOURCES)])
    return {f"{writer}-{i}": None if i in gone else chance.getrandbits(30) for i in ids}


def write(server, index, writer, chance, want, is_first):
    """Requests until the server is gone."""
    connection = server.connect()
    try:
        while True:
            wishes = plan(chance, writer, is_first)
            lines = []
            for name, seed in wishes.items():
                lines.append(json.dumps({"delete" if seed is None else "index": {"_id": name}}))
                if seed is not None:
                    lines.append(Document(seed).source)
            want.open[writer] = wishes
            items = call(connection, "POST", f"/{index}/_bulk", "\n".join(lines) + "\n")["items"]
            bad = [item for item in items for did in item.values() if did["status"] not in (200, 201, 404)]
            check(f"{index}: every operation is taken", len(items) == len(wishes) and not bad, bad[:2])
            want.held.update(wishes)
            want.acknowledged += len(wishes)
            del want.open[writer]
            is_first = False
    except (OSError, http.client.HTTPException, ValueError):
        return


def merge(server, index):
    connection = server.connect()
    try:
        while True:
            call(connection, "POST", f"/{index}/_forcemerge")
    except (OSError, http.client.HTTPException, ValueError):
        return


def copy(server, index, copies):
    connection = server.connect()
    try:
        while True:
            copies["asked"] = f"copy{copies['next']}-{index}"
            copies["next"] += 1
            call(connection, "PUT", f"/{index}/_clone/{copies['asked']}")
            copies["done"].append(copies["asked"])
    except (OSError, http.client.HTTPException, ValueError):
        return


def sources(connection, index, ids):
    """id to the bytes of its source, or None."""
    found = {}
    for at in range(0, len(ids), 500):
        some = ids[at:at + 500]
        status, text = raw(connection, "POST", f"/{index}/_mget", {"ids": some})
        if status != 200:
            return {}
        cuts = [text.index(f'"_id":"{name}"') for name in some] + [len(text)]
        for name, begin, end in zip(some, cuts, cuts[1:]):
            part = text[begin:end]
            source = re.search(r'"found":true,"_source":(\{.*?\})\}', part, re.S)
            found[name] = source.group(1) if source else None if '"found":false' in part else "?" + part[:200]
    return found


def settle(index, want, seen, title):
    """An open request's documents: as before or as asked."""
    for wishes in want.open.values():
        for name, seed in wishes.items():
            before = want.held.get(name)
            texts = [None if s is None else Document(s).source for s in (before, seed)]
            if seen.get(name, "?") not in texts:
                check(f"{title}: [{name}] is as before or as asked", False, seen.get(name, "?"))
            elif seen[name] == texts[1]:
                want.held[name] = seed
    want.open.clear()


def hits(connection, index, query):
    answer = call(connection, "POST", f"/{index}/_search", {"query": query, "size": 5000, "_source": False,
                                                            "track_total_hits": True})["hits"]
    names = {hit["_id"] for hit in answer["hits"]}
    return names if len(names) == answer["total"]["value"] else answer["total"]


def verify(connection, index, want, title, chance):
    ids = [f"{writer}-{i}" for writer in range(WRITERS) for i in range(IDS)]
    seen = sources(connection, index, ids)
    settle(index, want, seen, title)
    live = {name: Document(seed) for name, seed in want.held.items() if seed is not None}
    bad = [(name, seen.get(name, "?")) for name in ids
           if seen.get(name, "?") != (live[name].source if name in live else None)]
    check(f"{title}: every source is byte for byte what was acknowledged", not bad, (len(bad), bad[:2]))
    call(connection, "POST", f"/{index}/_refresh")
    searched = [("all", {"match_all": {}}, lambda d: True)]
    for tag in chance.sample(range(TAGS), 3):
        searched.append((f"tag {tag}", {"term": {"tag": f"tag-{tag}"}}, lambda d, t=f"tag-{tag}": d.tag == t))
    low = chance.randrange(90000)
    searched.append((f"range {low}", {"bool": {"filter": [{"range": {"n": {"gte": low, "lt": low + 9000}}}]}},
                     lambda d: low <= d.n < low + 9000))
    for name in chance.sample(sorted(live), min(8, len(live))):
        at = chance.randrange(len(live[name].words) - 1)
        pair = live[name].words[at:at + 2]
        searched.append((f"phrase {pair}", {"match_phrase": {"text": " ".join(pair)}},
                         lambda d, p=pair: any(d.words[i:i + 2] == p for i in range(len(d.words)))))
        searched.append((f"word {pair[0]}", {"term": {"text": pair[0]}}, lambda d, w=pair[0]: w in d.words))
    for what, query, holds in searched:
        found, right = hits(connection, index, query), {name for name, d in live.items() if holds(d)}
        check(f"{title}: {what}", found == right,
              (len(right), sorted(found ^ right)[:5] if isinstance(found, set) else found))


def validate(options, data, title):
    """Before a server has mended anything by writing. How many indices have a dictionary."""
    done = subprocess.run([options.checker, "--check", data], capture_output=True, text=True)
    check(f"{title}: every index validates", done.returncode == 0, done.stderr)
    found = re.search(r"(\d+) with a dictionary", done.stdout)
    return int(found.group(1)) if found else -1


def disturb(server, index, phase, want, copies, chance):
    """Writes, merges or copies until the server is killed."""
    if phase == 3:
        call(server.connection, "PUT", f"/{index}/_settings", {"index.blocks.write": True})
        threads = [threading.Thread(target=copy, args=(server, index, copies))]
    else:
        threads = [threading.Thread(target=write, args=(server, index, writer, random.Random(chance.getrandbits(30)),
                                                        want, phase == 0)) for writer in range(WRITERS)]
    if phase == 2:
        threads.append(threading.Thread(target=merge, args=(server, index)))
    for thread in threads:
        thread.start()
    end = time.monotonic() + 60
    while phase == 1 and not want.acknowledged and time.monotonic() < end:
        time.sleep(0.01)  # a slow machine's kills may all come before the request that makes the dictionary
    time.sleep(chance.uniform(0.01, 0.12) if phase == 0 else chance.uniform(0.05, 0.5))
    server.end()
    for thread in threads:
        thread.join()


def verify_copies(connection, index, want, copies, title, chance):
    """Those acknowledged are whole; the one that was under way is whole or not there."""
    there = {row["index"] for row in call(connection, "GET", "/_cat/indices?format=json&h=index")}
    lost = [name for name in copies["done"] if name not in there]
    check(f"{title}: the copies are there", not lost, lost)
    for name in [name for name in copies["done"][-1:] + [copies["asked"]] if name in there]:
        verify(connection, name, want, f"{title} {name}", chance)
    for name in there:
        if name.startswith("copy"):
            call(connection, "DELETE", f"/{name}")
    copies["done"].clear()
    call(connection, "PUT", f"/{index}/_settings", {"index.blocks.write": False})


def run_index(options, data, index, chance, want):
    copies = {"next": 0, "asked": None, "done": []}
    server = Server(options.bin, data)
    call(server.connection, "PUT", f"/{index}", {"mappings": {"properties": MAPPINGS}})
    for phase in range(4):
        title = f"{index}, kill {phase + 1}"
        disturb(server, index, phase, want, copies, chance)
        validate(options, data, title)
        server = Server(options.bin, data)
        verify(server.connection, index, want, title, chance)
        if phase == 3:
            verify_copies(server.connection, index, want, copies, title, chance)
    server.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--checker", required=True)
    parser.add_argument("--indices", type=int, default=6)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    chance, begin = random.Random(options.seed), time.time()
    data = tempfile.mkdtemp(prefix="vizsla-crash-")
    print(f"seed {options.seed}")
    wants = {}
    for number in range(options.indices):
        if counts["failed"]:
            break
        wants[f"dogs{number}"] = Expected()
        try:
            run_index(options, data, f"dogs{number}", chance, wants[f"dogs{number}"])
        except (AssertionError, OSError, http.client.HTTPException) as error:
            check(f"dogs{number}: the server answers", False, f"{error}, folder {data}")
            print(f"{counts['passed']} passed, {counts['failed']} failed, 0 skipped")
            return 1
    packed = validate(options, data, "the end")
    check("every index has a dictionary", packed == len(wants), packed)
    server = Server(options.bin, data)
    for index, want in wants.items():
        call(server.connection, "POST", f"/{index}/_forcemerge")
        verify(server.connection, index, want, f"{index}, merged", chance)
    check("it stops", server.end(kill=False) == 0, server.process.returncode)
    packed = validate(options, data, "merged")
    check("every index has a dictionary still", packed == len(wants), packed)
    print(f"packed: {sum(want.acknowledged for want in wants.values())} operations acknowledged, "
          f"{time.time() - begin:.1f} s, seed {options.seed}" + (f", folder {data}" if counts["failed"] else ""))
    if not counts["failed"]:
        shutil.rmtree(data, ignore_errors=True)
    print(f"{counts['passed']} passed, {counts['failed']} failed, 0 skipped")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
