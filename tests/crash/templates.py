#!/usr/bin/env python3
"""Templates, synonyms, cluster settings and closed indices over kill -9.

    tests/crash/templates.py --bin build/vizsla [--rounds 8] [--seed N]

A server takes changes as fast as it can and is killed at a random moment; what it acknowledged must be
there when it is started again, as it was put last. Ends with `N passed, N failed, N skipped`.
Standard library only.
"""
import argparse
import http.client
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time


def start(binary, data):
    server = subprocess.Popen([binary, "serve", "--data", data, "--port", "0", "--log-level", "warn"],
                              stdout=subprocess.PIPE, text=True)
    found = re.search(r"serves http\S+:(\d+)", server.stdout.readline())
    return server, int(found.group(1))


def call(connection, method, path, body=None):
    connection.request(method, path, json.dumps(body) if body is not None else None,
                       {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def change(port, tries, acknowledged, stop):
    """Puts things until the server is gone; `tries` is what was asked last, acknowledged or not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    n = tries.get("n", 0)
    try:
        while not stop.is_set():
            n += 1
            tries["n"] = n
            name = f"t{n % 5}"
            puts = [("template", name, "PUT", f"/_index_template/{name}",
                     {"index_patterns": [f"{name}-*"], "version": n}),
                    ("synonyms", name, "PUT", f"/_synonyms/{name}",
                     {"synonyms_set": [{"id": "r", "synonyms": f"a, b{n}"}]}),
                    ("setting", "x", "PUT", "/_cluster/settings",
                     {"persistent": {"cluster.routing.allocation.enable": f"v{n}"}}),
                    ("state", "idx", "POST", "/idx/" + ("_close" if n % 2 else "_open"), None)]
            for kind, key, method, path, body in puts:
                tries[kind, key] = n
                status, answer = call(connection, method, path, body)
                if status >= 300:
                    raise AssertionError(f"{method} {path}: {status} {answer}")
                acknowledged[kind, key] = n
    except (OSError, http.client.HTTPException):
        pass


def look(connection, kind, key):
    if kind == "template":
        return call(connection, "GET", f"/_index_template/{key}")[1]["index_templates"][0]["index_template"]["version"]
    if kind == "synonyms":
        return int(call(connection, "GET", f"/_synonyms/{key}/r")[1]["synonyms"][4:])
    if kind == "setting":
        return int(call(connection, "GET", "/_cluster/settings?flat_settings=true")[1]["persistent"]
                   ["cluster.routing.allocation.enable"][1:])
    return call(connection, "GET", "/_cat/indices/idx?format=json&h=status,docs.count")[1][0]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    chance = random.Random(options.seed)
    data = tempfile.mkdtemp(prefix="vz-crash-templates-")
    passed = failed = 0
    tries, acknowledged = {}, {}
    server, port = start(options.bin, data)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    call(connection, "PUT", "/idx/_doc/1?refresh=true", {"a": 1})
    for _ in range(options.rounds):
        stop = threading.Event()
        thread = threading.Thread(target=change, args=(port, tries, acknowledged, stop))
        thread.start()
        time.sleep(chance.uniform(0.2, 0.7))
        server.send_signal(signal.SIGKILL)
        server.wait()
        stop.set()
        thread.join()
        server, port = start(options.bin, data)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for (kind, key), n in sorted(acknowledged.items()):
            is_now, asked = look(connection, kind, key), tries[kind, key]
            if kind == "state":
                good = is_now["status"] in {"close" if m % 2 else "open" for m in (n, asked)}
            else:
                good = is_now in (n, asked)
            passed += good
            failed += not good
            if not good:
                print(f"FAILED {kind} {key}: {is_now}, acknowledged {n}, asked {asked}")
        call(connection, "POST", "/idx/_open")
        tries["n"] += tries["n"] % 2  # the next one closes
        good = call(connection, "GET", "/idx/_doc/1")[1].get("found") is True
        passed, failed = passed + good, failed + (not good)
    server.terminate()
    server.wait()
    shutil.rmtree(data, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
