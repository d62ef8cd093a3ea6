"""Dumps an index with elasticdump (npm) and restores it into another; compares both.

    elasticdump.py PATH-OF-ELASTICDUMP     with VIZSLA_URL in the environment
"""
import json
import math
import os
import subprocess
import sys
import tempfile
import urllib.request

URL = os.environ["VIZSLA_URL"]
DUMP = sys.argv[1]
COUNT = 250
failures = 0


def call(method, path, body=None, kind="application/json"):
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body else None
    request = urllib.request.Request(URL + path, data=data, method=method,
                                     headers={"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen}"))


def dump(source, target, kind):
    done = subprocess.run([DUMP, f"--input={source}", f"--output={target}", f"--type={kind}",
                           "--limit=60"], capture_output=True, text=True, timeout=100)
    check(f"{kind}: {source.split('/')[-1]} to {target.split('/')[-1]}", done.returncode == 0,
          done.stdout[-800:] + done.stderr[-800:])


def documents(index):
    found = call("POST", f"/{index}/_search", {"size": 1000, "sort": ["n"]})
    return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}


call("PUT", "/dump-from", {"mappings": {"properties": {
    "n": {"type": "integer"}, "name": {"type": "keyword"}, "when": {"type": "date"},
    "v": {"type": "dense_vector", "dims": 16, "similarity": "cosine"}}}})
lines = ""
for n in range(COUNT):
    lines += json.dumps({"index": {"_id": f"id-{n}"}}) + "\n" + json.dumps({
        "n": n, "name": f"näme {n}", "when": "2024-01-01T00:00:00Z",
        "v": [math.sin(n + j) for j in range(16)]}) + "\n"
check("bulk", not call("POST", "/dump-from/_bulk?refresh=true", lines, "application/x-ndjson")["errors"])
with tempfile.TemporaryDirectory() as folder:
    for kind in ("mapping", "data"):
        dump(f"{URL}/dump-from", f"{folder}/{kind}.json", kind)
    for kind in ("mapping", "data"):
        dump(f"{folder}/{kind}.json", f"{URL}/dump-to", kind)
call("POST", "/dump-to/_refresh")
before, after = documents("dump-from"), documents("dump-to")
check("all documents are there", len(before) == COUNT and before.keys() == after.keys(),
      (len(before), len(after)))
check("and are the same", before == after)
check("and the mapping is the same",
      call("GET", "/dump-from/_mapping")["dump-from"] == call("GET", "/dump-to/_mapping")["dump-to"])
call("DELETE", "/dump-from,dump-to")
sys.exit(1 if failures else 0)
