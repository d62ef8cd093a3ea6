#!/usr/bin/env python3
"""The server is killed (-9) while documents with semantic fields come in, and started again.

    tests/crash/semantic.py --bin build/vizsla [--rounds 5] [--seed N]

After each start: every document that was acknowledged is there with its text, is found by its text
with score 1 (its vector is its own), and has its chunk; one that was not acknowledged is there
whole or not at all. Ends with `N passed, N failed, N skipped`. Standard library only.
"""
import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WORDS = "red blue happy lost old small dog cat car park house puppy rain sun walk runs sleeps found".split()
counts = {"passed": 0, "failed": 0}


def check(name, passed, seen=""):
    counts["passed" if passed else "failed"] += 1
    if not passed:
        print(f"FAIL {name}: {str(seen)[:500]}")


def start(binary, data):
    server = subprocess.Popen([binary, "serve", "--data", data, "--port", "0", "--log-level", "error"],
                              stdout=subprocess.PIPE, text=True)
    match = re.search(r"serves (http\S+)", server.stdout.readline())
    if not match:
        sys.exit("the server did not start")
    return server, match.group(1)


def ask(url, method, path, body=None):
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
    kind = "application/x-ndjson" if isinstance(body, str) else "application/json"
    request = urllib.request.Request(f"{url}/{path}", data, {"Content-Type": kind}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def text_of(number):
    rng = random.Random(number)
    return " ".join(rng.choice(WORDS) for _ in range(2 + number % 9)) + f" {WORDS[number % len(WORDS)]}"


def write(url, first, written):
    """Bulks of ten until the server is gone; notes what was acknowledged."""
    number = first
    try:
        while True:
            batch = range(number, number + 10)
            body = "".join(json.dumps({"index": {"_id": str(i)}}) + "\n" +
                           json.dumps({"text": text_of(i), "n": i}) + "\n" for i in batch)
            written["sent"] = number + 10
            answer = ask(url, "POST", "notes/_bulk", body)
            for i, item in zip(batch, answer["items"]):
                if item["index"]["status"] in (200, 201):
                    written["acknowledged"].append(i)
            number += 10
    except (urllib.error.URLError, ConnectionError, OSError, ValueError):
        return


def verify(url, written, name):
    ask(url, "POST", "notes/_refresh")
    lost = [i for i in written["acknowledged"]
            if ask(url, "GET", f"notes/_doc/{i}").get("_source", {}).get("text") != text_of(i)]
    check(f"{name}: nothing acknowledged is lost", not lost, lost[:5])
    answer = ask(url, "POST", "notes/_search", {"query": {"match_all": {}}, "size": 5000, "track_total_hits": True,
                                                "sort": [{"n": "desc"}], "fields": ["_inference_fields"]})
    found, total, sent = answer["hits"]["hits"], answer["hits"]["total"]["value"], set(written["acknowledged"])
    whole = [h for h in found if h["_source"]["text"] == text_of(h["_source"]["n"]) and
             len(h["_source"]["_inference_fields"]["text"]["inference"]["chunks"]["text"]) == 1]
    check(f"{name}: every document is whole", len(whole) == len(found) == min(total, 5000) and total >= len(sent),
          (len(whole), len(found), total, len(sent)))
    for hit in random.Random(len(found)).sample(found, min(10, len(found))):
        n = hit["_source"]["n"]
        best = ask(url, "POST", "notes/_search", {"query": {"bool": {
            "must": {"knn": {"field": "text", "k": 100, "num_candidates": 500, "filter": {"term": {"n": n}},
                             "query_vector_builder": {"text_embedding": {"model_text": text_of(n)}}}}}}})["hits"]["hits"]
        check(f"{name}: {n} has its own vector", len(best) == 1 and abs(best[0]["_score"] - 1) < 1e-5, best)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    rng = random.Random(options.seed)
    print(f"seed {options.seed}")
    written = {"acknowledged": [], "sent": 0}
    with tempfile.TemporaryDirectory(prefix="vizsla-crash-") as data:
        subprocess.run([options.bin, "models", "import", str(ROOT / "tests/golden/tiny/tiny-embed"), "--data", data],
                       stdout=subprocess.DEVNULL, check=True)
        for number in range(options.rounds):
            server, url = start(options.bin, data)
            if number == 0:
                ask(url, "PUT", "notes", {"mappings": {"properties": {
                    "text": {"type": "semantic_text", "inference_id": "tiny-embed"}, "n": {"type": "integer"}}}})
            else:
                verify(url, written, f"round {number}")
            writer = threading.Thread(target=write, args=(url, written["sent"], written))
            writer.start()
            time.sleep(rng.uniform(0.05, 0.6))
            end = time.monotonic() + 60
            while number + 1 == options.rounds and len(written["acknowledged"]) <= 20 and time.monotonic() < end:
                time.sleep(0.05)  # a slow machine's kills may all have come before the first answer
            server.kill()
            writer.join()
            server.wait()
        server, url = start(options.bin, data)
        verify(url, written, "the end")
        server.terminate()
        check("it stops", server.wait(timeout=120) == 0, server.returncode)
    check("documents came in", len(written["acknowledged"]) > 20, written["acknowledged"])
    print(f"{len(written['acknowledged'])} of {written['sent']} documents acknowledged")
    print(f"{counts['passed']} passed, {counts['failed']} failed, 0 skipped")
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
