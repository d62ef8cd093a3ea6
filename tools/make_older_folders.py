#!/usr/bin/env python3
"""Makes tests/older/data: folders as earlier releases of this program wrote them.

    tools/make_older_folders.py [--only NAME] [--tree FOLDER]

For each of COMMITS, in order: checks that commit out into a tree of its own, builds the release there, lets it
write what tests/older/shop.py says, stops it, and packs the folder (without models, which tests import).
Run it by hand when a format of docs/format changes: add the last commit of the format that ends, and keep
what is there - an older folder is never made anew, or it would show what that commit's checkout does today.
"""
import argparse
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

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "tests/older/data"
sys.path.insert(0, str(ROOT / "tests/older"))
import shop

# The name and its commit; the documents are in shop.FOLDERS.
COMMITS = {
    "format-1": "b6471bf",            # the last with 1 in `state`; texts were kept, not analysed
    "format-2": "9ddefe4",            # the last with 2: everything but packed records
    "format-3-no-hash": "7136f89~1",  # 3, records packed, no `packer_hash` yet
    "format-3": "06c7e1e",            # 3 with `packer_hash`
}


def run(*command, **more):
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, **more)


def build(tree, commit):
    if not tree.exists():
        run("git", "-C", ROOT, "worktree", "add", "-q", "--detach", tree, commit)
    run("git", "-C", tree, "checkout", "-q", "--detach", commit)
    if not (tree / "build/build.ninja").exists():
        run("meson", "setup", tree / "build", tree, "-Dbuildtype=release", "-Dbench=false")
    run("ninja", "-C", tree / "build", "-j1", "vizsla")
    return tree / "build/vizsla"


class Server:
    def __init__(self, binary, data):
        self.process = subprocess.Popen([binary, "serve", "--data", data, "--port", "0", "--log-level", "error"],
                                        stdout=subprocess.PIPE, text=True)
        found = re.search(r"http://[0-9.]+:[0-9]+", self.process.stdout.readline())
        if not found:
            sys.exit("the server did not say where it is")
        self.url = found.group(0)

    def ask(self, method, path, body=None):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
        kind = "application/x-ndjson" if isinstance(body, str) else "application/json"
        request = urllib.request.Request(self.url + path, data, {"Content-Type": kind}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                answer = json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            sys.exit(f"{method} {path}: {error.code} {error.read().decode()[:600]}")
        if answer.get("errors"):
            sys.exit(f"{method} {path}: {json.dumps(answer)[:600]}")
        return answer

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(60):
            sys.exit("the server did not end well")


def write(ask, kinds, first):
    body = {"mappings": shop.mappings(kinds), "aliases": {
        "sale": {"filter": {"term": {"brand": "acme"}}}}}
    if kinds >= 2:
        ask("PUT", "/_synonyms/shop", shop.SYNONYMS)
        ask("PUT", "/_ingest/pipeline/older", shop.PIPELINE)
        ask("PUT", "/_component_template/older", shop.COMPONENT)
        ask("PUT", "/_index_template/older", dict(shop.TEMPLATE, composed_of=["older"]))
        ask("PUT", "/_scripts/older", shop.SCRIPT)
        body["settings"] = shop.SETTINGS
    ask("PUT", "/plain", body)
    shop.write_all(ask, "plain", kinds, first)
    ask("PUT", "/merged", dict(body, aliases={"latest": {"is_write_index": True}}))
    shop.write_all(ask, "merged", kinds, shop.MERGED)
    ask("POST", "/merged/_forcemerge?max_num_segments=1")
    if kinds >= 2:
        ask("PUT", "/notes", {"mappings": shop.SEMANTIC})
        ask("POST", "/notes/_bulk?refresh=true",
            shop.bulk([("index", str(i), note) for i, note in enumerate(shop.NOTES)]))
        ask("PUT", "/shut", {"mappings": {"properties": {"k": {"type": "keyword"}}}})
        ask("PUT", "/shut/_doc/1", {"k": "kept"})
        ask("POST", "/shut/_close")


def make(name, tree):
    commit, (kinds, first) = COMMITS[name], shop.FOLDERS[name]
    binary = build(tree, commit)
    with tempfile.TemporaryDirectory(prefix="vizsla-older-") as data:
        if kinds >= 2:
            run(binary, "models", "import", tree / "tests/golden/tiny/tiny-embed", "--data", data)
        server = Server(binary, data)
        write(server.ask, kinds, first)
        server.stop()

        def keep(entry):
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = 0
            return None if re.fullmatch(r"\./models(/.*)?", entry.name) else entry
        DATA.mkdir(parents=True, exist_ok=True)
        target = DATA / f"{name}.tar.xz"
        with tarfile.open(target, "w:xz", preset=9) as packed:
            packed.add(data, ".", filter=keep)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size:,} bytes, written by {commit}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--tree", type=pathlib.Path, default=ROOT / "build/older",
                        help="a worktree to build in; made when it is not there")
    options = parser.parse_args()
    for name in COMMITS:
        if options.only in name:
            make(name, options.tree)


if __name__ == "__main__":
    main()
