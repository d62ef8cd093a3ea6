#!/usr/bin/env python3
"""Getting models: pull against a hub on this machine with every fault a line has, import, verify, rm.

    tests/hub/run.py --bin build/vizsla [--only WORD] [--seed N]

The hub (server.py) serves Hugging Face's URLs over small generated models. No other network is used.
Ends with `N passed, N failed, N skipped`. Standard library only; `openssl` for the TLS tests.
"""
import argparse
import hashlib
import json
import os
import pathlib
import pickle
import pty
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from server import (Body, Cut, DECOYS, Hub, OtherPart, Redirect, Repo, Slow, Stall, Status, TOKENIZER, config,  # noqa: E402
                    digest_of, modules, safetensors)

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests/golden/weights"
SEED = 1


class Skip(Exception):
    pass


class Bench:
    """One test's folder, program and hubs."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, pathlib.Path(folder)
        self.store = self.folder / "models"
        self.hubs = []

    def hub(self, *words, **settings):
        self.hubs.append(Hub(*words, **settings))
        return self.hubs[-1]

    def environment(self, hub=None, **more):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith("HF_") and "proxy" not in k.lower() and not k.startswith("VIZSLA_M")}
        env.update(VIZSLA_MODELS=str(self.store), VIZSLA_DATA=str(self.folder / "data"), **more)
        # Where a test forgets the hub, nobody is there.
        env["HF_ENDPOINT"] = hub if isinstance(hub, str) else hub.url if hub else "http://127.0.0.1:9"
        return env

    def run(self, *words, hub=None, timeout=60, env=None):
        done = subprocess.run([self.binary, "models", *map(str, words)], capture_output=True, text=True,
                              timeout=timeout, env=self.environment(hub, **(env or {})),
                              stdin=subprocess.DEVNULL)
        assert done.returncode in (0, 1, 2), f"exit {done.returncode}: {done.stderr}"
        return done

    def pull(self, name, hub, *words, **more):
        return self.run("pull", name, *words, hub=hub, **more)

    def pulled(self, name, hub, *words, **more):
        done = self.pull(name, hub, "--json", *words, **more)
        equal(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def refused(self, name, hub, *parts, words=(), **more):
        """A pull that fails, says these parts and leaves no model."""
        done = self.pull(name, hub, *words, **more)
        equal(done.returncode, 2, done.stdout)
        contains(done.stderr, *parts)
        equal(len(done.stderr.strip().splitlines()), 1, done.stderr)
        equal(self.names(), [])
        return done

    def listed(self):
        done = self.run("list", "--json")
        equal(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def names(self):
        return [m["name"] for m in self.listed()["models"]]

    def start(self, *words, hub=None):
        return subprocess.Popen([self.binary, "models", *map(str, words)], env=self.environment(hub),
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def partials(self):
        return sorted(self.store.glob(".pulling/*/**/*.partial"))

    def partial_bytes(self):
        """Of the first partial file; 0 when there is none, or when it got its name meanwhile."""
        try:
            return self.partials()[0].stat().st_size
        except (IndexError, FileNotFoundError):
            return 0

    def make(self, files, name="source"):
        folder = self.folder / name
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return folder

    def stop(self):
        for hub in self.hubs:
            hub.stop()


def equal(seen, expected, why=""):
    assert seen == expected, f"expected {expected!r}, saw {seen!r} {why}"


def contains(text, *parts):
    for part in parts:
        assert part in text, f"no {part!r} in {text!r}"


def wait_until(what, true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.01)


def clip_files(weights="0_CLIPModel/pytorch_model.bin"):
    data = (GOLDEN / "zip.bin").read_bytes() if weights.endswith(".bin") else safetensors(50000)
    files = {"modules.json": modules("0_CLIPModel"), "config_sentence_transformers.json": b"{}",
             "0_CLIPModel/config.json": config("clip"), "0_CLIPModel/preprocessor_config.json": b"{}",
             "0_CLIPModel/vocab.json": b"{}", "0_CLIPModel/merges.txt": b"#version\n",
             "0_CLIPModel/tokenizer_config.json": b"{}", "0_CLIPModel/special_tokens_map.json": b"{}",
             weights: data}
    return files


def flat_files(count=50000, seed=1):
    return {"config.json": config(), **TOKENIZER, "model.safetensors": safetensors(count, seed)}


def flat_repo(count=50000, **settings):
    return Repo({**flat_files(count), **DECOYS}, **settings)


def installed_files(folder):
    folder = pathlib.Path(folder)
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# ---- tests: each takes a Bench ------------------------------------------------------------------

def help_is_there_for_every_verb(bench):
    page = bench.run("--help")
    equal(page.returncode, 0)
    for verb in ("pull", "import", "list", "verify", "rm"):
        contains(page.stdout, verb)
        own = bench.run(verb, "--help")
        equal(own.returncode, 0)
        contains(own.stdout, "Usage: vizsla models " + verb, "--help", "--json", "Examples:")
    contains(bench.run("pull", "--help").stdout, "HF_TOKEN", "HF_ENDPOINT")


def wrong_words_are_told(bench):
    for words, part in [((), "Usage"), (("frobnicate",), "no command 'models frobnicate'"),
                        (("pull",), "one name"), (("pull", "a", "b"), "one name"), (("list", "a"), "no name"),
                        (("rm",), "a name"), (("verify",), "a name"), (("import",), "one name or folder"),
                        (("pull", "a", "--retries", "0"), "from 1 to 1000"), (("list", "--colour"), "no such option")]:
        done = bench.run(*words)
        equal(done.returncode, 2)
        contains(done.stderr, part)
        equal(done.stdout, "")


def bad_names_ask_nobody(bench):
    hub = bench.hub()
    for name in ("", "a/b/c", "../x", "a/../b", ".a/b", "a/b.", "a--b/c", "a/b@", "a/b@../x", "a/b@x..y", "/a",
                 "a/", "a b/c", "a/b\n", "ä/b", "x" * 97, "a/" + "x" * 400, "a/b@" + "x" * 300, "a@b@c", "~/b", "a/b?x",
                 "a/b#x", "a/b%2e", "http://x/y"):
        done = bench.pull(name, hub)
        equal(done.returncode, 2, name)
        equal(len(done.stderr.strip().splitlines()), 1, done.stderr)
        equal(bench.run("rm", name).returncode, 2)
        equal(bench.run("verify", name).returncode, 2)
    equal(hub.requests, [])
    assert not bench.store.exists(), "a store was made for a bad name"


def only_needed_files_are_fetched(bench):
    files = {**flat_files(), **DECOYS, "pytorch_model.bin": b"other", "1_Pooling/config.json": b"{}",
             "modules.json": modules("", "1_Pooling", "2_Normalize"), "sentence_bert_config.json": b"{}",
             "model.safetensors.index.json": b"{}"}
    hub = bench.hub({"org/name": Repo(files)})
    model = bench.pulled("org/name", hub)
    wanted = {"config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt",
              "model.safetensors", "modules.json", "sentence_bert_config.json", "1_Pooling/config.json"}
    seen = installed_files(model["folder"])
    equal(set(seen), wanted | {"vizsla.json"})
    for path in wanted:
        equal(seen[path], files[path], path)
    equal({r["path"].rsplit("/resolve/")[1].split("/", 1)[1] for r in hub.asked("/resolve/")}, wanted)
    contains(hub.requests[0]["agent"], "vizsla/")
    manifest = json.loads(seen["vizsla.json"])
    commit = hub.repos["org/name"].at("main")[0]
    equal((manifest["vizsla_model"], manifest["name"], manifest["revision"], manifest["commit"], manifest["type"],
           manifest["license"], manifest["source"]),
          (1, "org/name", "main", commit, "bert", "apache-2.0", hub.url + "/org/name"))
    equal({f["path"]: (f["bytes"], f["sha256"]) for f in manifest["files"]},
          {p: (len(files[p]), hashlib.sha256(files[p]).hexdigest()) for p in wanted})
    equal(bench.listed()["others"], [])
    assert all(commit in r["path"] for r in hub.asked("/resolve/")), "files are not bound to the commit"


def clip_in_both_layouts(bench):
    flat = {"config.json": config("clip"), "preprocessor_config.json": b"{}", **TOKENIZER, "vocab.json": b"{}",
            "merges.txt": b"#", "pytorch_model.bin": (GOLDEN / "zip.bin").read_bytes(), **DECOYS}
    hub = bench.hub({"sentence-transformers/clip-ViT-B-32": Repo({**clip_files(), **DECOYS}),
                     "openai/clip-vit-base-patch32": Repo(flat)})
    model = bench.pulled("clip-ViT-B-32", hub)
    equal((model["name"], model["type"]), ("sentence-transformers/clip-ViT-B-32", "clip"))
    equal(set(installed_files(model["folder"])), set(clip_files()) | {"vizsla.json"})
    model = bench.pulled("openai/clip-vit-base-patch32", hub)
    equal(set(installed_files(model["folder"])), {k for k in flat if k not in DECOYS} | {"vizsla.json"})
    equal(bench.names(), ["openai/clip-vit-base-patch32", "sentence-transformers/clip-ViT-B-32"])
    for name in ("clip-ViT-B-32", "sentence-transformers/clip-ViT-B-32", "clip-vit-base-patch32"):
        equal(bench.run("verify", "--files-only", name).returncode, 0)
        equal(bench.run("verify", name).returncode, 2)  # no weights that could be asked


def dense_modules_bring_their_weights(bench):
    files = {"modules.json": modules("", "1_Pooling", "2_Dense"), "config.json": config("distilbert"),
             "model.safetensors": safetensors(50000), "pytorch_model.bin": b"other", **TOKENIZER,
             "1_Pooling/config.json": b"{}", "2_Dense/config.json": b"{}",
             "2_Dense/pytorch_model.bin": (GOLDEN / "zip.bin").read_bytes(), "3_Other/model.safetensors": b"x"}
    hub = bench.hub({"sentence-transformers/clip-ViT-B-32-multilingual-v1": Repo(files)})
    seen = installed_files(bench.pulled("clip-ViT-B-32-multilingual-v1", hub)["folder"])
    assert {"2_Dense/pytorch_model.bin", "2_Dense/config.json", "model.safetensors"} <= set(seen), seen.keys()
    assert not {"pytorch_model.bin", "3_Other/model.safetensors"} & set(seen), seen.keys()


def shards_come_with_their_index(bench):
    files = {"config.json": config(), **TOKENIZER, "pytorch_model.bin": b"other", "model-other.safetensors": b"x"}
    for path in (GOLDEN / "sharded").iterdir():
        files[path.name] = path.read_bytes()
    hub = bench.hub({"a/b": Repo(files), "a/missing": Repo({k: v for k, v in files.items() if "00002" not in k})})
    seen = set(installed_files(bench.pulled("a/b", hub)["folder"]))
    equal(seen, set(files) - {"pytorch_model.bin", "model-other.safetensors"} | {"vizsla.json"})
    bench.run("rm", "a/b")
    bench.refused("a/missing", hub, "00002", "not there")


def a_revision_is_a_model_of_its_own(bench):
    new, strange = flat_files(seed=2), flat_files(seed=3)
    repo = flat_repo(revisions={"v2": new, "refs/pr/1": strange})
    hub = bench.hub({"org/name": repo})
    for name, data in [("org/name", repo.files), ("org/name@v2", new), ("org/name@refs/pr/1", strange)]:
        model = bench.pulled(name, hub)
        equal(model["name"], name)
        equal(installed_files(model["folder"])["model.safetensors"], data["model.safetensors"])
    equal(bench.names(), ["org/name", "org/name@refs/pr/1", "org/name@v2"])
    assert hub.asked("/revision/refs%2Fpr%2F1"), "a revision's slash must be escaped"
    equal(bench.run("verify", "org/name@refs/pr/1").returncode, 0)
    equal(bench.run("rm", "org/name@v2").returncode, 0)
    equal(bench.names(), ["org/name", "org/name@refs/pr/1"])
    done = bench.pull("org/name@v3", hub)
    equal(done.returncode, 2)
    contains(done.stderr, "org/name@v3", "404")


def an_installed_model_asks_nobody(bench):
    hub = bench.hub({"org/name": flat_repo()})
    first = bench.pulled("org/name", hub)
    count = len(hub.requests)
    again = bench.pulled("org/name", hub)
    equal((again["was_installed"], again["digest"], again["fetched_bytes"]), (True, first["digest"], 0))
    contains(bench.pull("org/name", None).stdout, "installed already")
    equal(len(hub.requests), count)
    equal(bench.pulled("org/name", hub, "--update")["was_installed"], True)
    equal(len(hub.requests), count + 1)


def an_update_replaces_it_whole(bench):
    hub = bench.hub({"org/name": flat_repo()})
    old = bench.pulled("org/name", hub)
    hub.repos["org/name"].files = {**flat_files(seed=9), "added_tokens.json": b"{}"}
    hub.faults["model.safetensors"] = [Status(403)]
    equal(bench.pull("org/name", hub, "--update").returncode, 2)
    equal(bench.run("verify", "org/name").returncode, 0)
    new = bench.pulled("org/name", hub, "--update")
    equal((new["was_installed"], new["folder"]), (False, old["folder"]))
    assert new["digest"] != old["digest"] and new["commit"] != old["commit"]
    equal(bench.run("verify", "org/name").returncode, 0)
    equal((bench.listed()["others"], len(bench.names())), ([], 1))


def cut_connections_are_gone_on_with(bench):
    hub = bench.hub({"org/name": flat_repo(500000)})
    hub.faults["model.safetensors"] = [Cut(300000), Cut(1000), Cut(700001), Cut(0), Cut(123456)]
    hub.faults["tokenizer.json"] = [Cut(3)]
    model = bench.pulled("org/name", hub)
    ranges = [r["range"] for r in hub.asked("model.safetensors")]
    equal((len(ranges), ranges[0]), (6, None))
    starts = [int(r[6:-1]) for r in ranges[1:]]
    # The third was a reset, which may lose what the kernel had not yet handed over.
    equal((starts[0], starts[1], starts[3] - starts[2], starts[4] - starts[3]), (300000, 301000, 0, 123456))
    assert starts[2] >= starts[1], starts
    equal(model["fetched_bytes"], model["bytes"])
    equal(bench.run("verify", "org/name").returncode, 0)


def a_hub_without_ranges_is_asked_for_all(bench):
    hub = bench.hub({"org/name": flat_repo()}, ranges=False)
    hub.faults["model.safetensors"] = [Cut(100000), Cut(150000)]
    model = bench.pulled("org/name", hub)
    assert model["fetched_bytes"] > model["bytes"], model
    equal(bench.run("verify", "org/name").returncode, 0)


def a_line_that_stays_dead_ends_and_is_resumed_later(bench):
    hub = bench.hub({"org/name": flat_repo()})
    hub.faults["model.safetensors"] = [Cut(100000)] + [Cut(0)] * 3
    began = time.monotonic()
    bench.refused("org/name", hub, "model.safetensors", "broke", words=("--retries", "3"))
    assert time.monotonic() - began > 0.5, "no pause between tries"
    equal(len(hub.asked("model.safetensors")), 4)
    equal([p.stat().st_size for p in bench.partials()], [100000])
    others = bench.listed()["others"]
    equal([(o["name"], o["state"]) for o in others], [("org/name", "unfinished")])
    contains(bench.run("list").stdout, "org/name", "unfinished", "pull again")
    model = bench.pulled("org/name", hub)
    equal(hub.asked("model.safetensors")[-1]["range"], "bytes=100000-")
    assert model["resumed_bytes"] >= 100000 and model["fetched_bytes"] < 110000, model
    equal(len(hub.asked("tokenizer.json")), 1)
    equal(bench.listed()["others"], [])


def a_killed_process_is_gone_on_with(bench):
    hub = bench.hub({"org/name": flat_repo(1000000)})
    hub.faults["model.safetensors"] = [Slow(2000000)]
    for least in (300000, 900000):
        process = bench.start("pull", "org/name", hub=hub)
        wait_until("a partial file", lambda: bench.partial_bytes() > least)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        equal(bench.names(), [])
    hub.faults.clear()
    there = bench.partials()[0].stat().st_size
    model = bench.pulled("org/name", hub)
    starts = [int(r["range"][6:-1]) for r in hub.asked("model.safetensors")[1:]]
    assert len(starts) == 2 and starts[0] > 300000 and starts[1] == there, starts
    assert model["fetched_bytes"] == 4000000 + len(safetensors(0)) - there + 4 or model["fetched_bytes"] < 4000000
    equal(bench.run("verify", "org/name").returncode, 0)


def kills_at_random_moments_leave_nothing_half(bench):
    hub = bench.hub({"org/name": flat_repo(300000)})
    chance = random.Random(SEED)
    for _ in range(12):
        hub.faults["model.safetensors"] = [Slow(8000000)]
        process = bench.start("pull", "org/name", "--update", hub=hub)
        time.sleep(chance.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        names = bench.names()
        assert names in ([], ["org/name"]), names
        if names:
            equal(bench.run("verify", "org/name").returncode, 0)
            if chance.random() < 0.5:
                hub.repos["org/name"].files["added_tokens.json"] = b"%d" % chance.getrandbits(30)
            else:
                equal(bench.run("rm", "org/name").returncode, 0)
    hub.faults.clear()
    bench.pulled("org/name", hub, "--update")
    equal(bench.run("verify", "org/name").returncode, 0)
    equal(bench.listed()["others"], [])


def busy_servers_are_asked_again(bench):
    hub = bench.hub({"org/name": flat_repo()})
    hub.faults["listing"] = [Status(503), Status(500)]
    hub.faults["model.safetensors"] = [Status(502), Status(504), Status(429, Retry_After="2")]
    began = time.monotonic()
    bench.pulled("org/name", hub)
    assert time.monotonic() - began > 2, "Retry-After was not kept"
    hub.faults["listing"] = [Status(503)] * 9
    done = bench.pull("org/name", hub, "--update", "--retries", "2")
    equal(done.returncode, 2)
    contains(done.stderr, "503")


def a_silent_server_is_cut_and_asked_again(bench):
    hub = bench.hub({"org/name": flat_repo()})
    hub.faults["model.safetensors"] = [Stall(50000, 30)]
    began = time.monotonic()
    bench.pulled("org/name", hub, "--silence", "1")
    assert time.monotonic() - began < 20, "waited for a silent server"
    equal(hub.asked("model.safetensors")[-1]["range"], "bytes=50000-")


def a_slow_server_is_waited_for(bench):
    hub = bench.hub({"org/name": flat_repo()})
    hub.faults["model.safetensors"] = [Slow(60000)]
    bench.pulled("org/name", hub, "--silence", "1")
    equal(len(hub.asked("model.safetensors")), 1)


def a_wrong_checksum_is_refused(bench):
    for path in ("model.safetensors", "config.json"):
        repo = flat_repo()
        bad = bytearray(repo.files[path])
        bad[len(bad) // 2] ^= 1
        hub = bench.hub({"org/name": repo})
        hub.faults[path] = [Body(bytes(bad))]
        bench.refused("org/name", hub, "checksum", path, "org/name")
        equal(bench.partials(), [])
        equal(len(hub.asked("/" + path)), 1)
        bench.pulled("org/name", hub)
        equal(bench.run("rm", "org/name").returncode, 0)


def a_spoilt_partial_file_is_fetched_anew(bench):
    hub = bench.hub({"org/name": flat_repo()})
    size = len(hub.repos["org/name"].files["model.safetensors"])
    for spoil in (b"\0" * 120000, b"\0" * size, b"\0" * (size + 5)):
        hub.faults["model.safetensors"] = [Cut(100000), Cut(0)]
        hub.requests.clear()
        equal(bench.pull("org/name", hub, "--retries", "1").returncode, 2)
        bench.partials()[0].write_bytes(spoil)
        hub.faults.clear()
        bench.pulled("org/name", hub)
        equal(bench.run("verify", "org/name").returncode, 0)
        equal(hub.asked("model.safetensors")[-1]["range"], None)
        equal(bench.run("rm", "org/name").returncode, 0)


def a_partial_file_beyond_the_end_is_fetched_anew(bench):
    hub = bench.hub({"org/name": flat_repo()}, blobs=False, etags=False)
    size = len(hub.repos["org/name"].files["model.safetensors"])
    for length in (size, size + 5):
        hub.faults["model.safetensors"] = [Cut(100000), Cut(0)]
        equal(bench.pull("org/name", hub, "--retries", "1").returncode, 2)
        bench.partials()[0].write_bytes(b"\0" * length)
        hub.faults.clear()
        bench.pulled("org/name", hub)
        equal([r["range"] for r in hub.asked("model.safetensors")[-2:]], [f"bytes={length}-", None])
        path = bench.store / "org--name/model.safetensors"
        equal(path.read_bytes(), hub.repos["org/name"].files["model.safetensors"])
        equal(bench.run("rm", "org/name").returncode, 0)


def another_part_than_asked_for_is_not_taken(bench):
    for blobs in (True, False):
        hub = bench.hub({"org/name": flat_repo()}, blobs=blobs)
        hub.faults["model.safetensors"] = [Cut(100000), OtherPart(8)]
        bench.pulled("org/name", hub)
        equal([r["range"] for r in hub.asked("model.safetensors")], [None, "bytes=100000-", None])
        equal(bench.run("rm", "org/name").returncode, 0)
        hub.faults["model.safetensors"] = [Cut(100000), OtherPart(-8)]
        bench.pulled("org/name", hub)
        equal(bench.run("verify", "org/name").returncode, 0)
        equal(bench.run("rm", "org/name").returncode, 0)


def leftovers_of_another_commit_are_not_mixed_in(bench):
    hub = bench.hub({"org/name": flat_repo()})
    hub.faults["model.safetensors"] = [Cut(100000), Cut(0)]
    equal(bench.pull("org/name", hub, "--retries", "1").returncode, 2)
    hub.repos["org/name"].files = flat_files(seed=5)
    hub.faults.clear()
    model = bench.pulled("org/name", hub)
    equal(hub.asked("model.safetensors")[-1]["range"], None)
    equal((bench.listed()["others"], model["resumed_bytes"]), ([], 0))
    equal(bench.run("verify", "org/name").returncode, 0)


def large_files_come_from_another_host(bench):
    for blobs in (True, False):
        storage = bench.hub()
        hub = bench.hub({"org/name": flat_repo(token="hf_secret")}, storage=storage, blobs=blobs)
        storage.faults.clear()
        data = hub.repos["org/name"].files["model.safetensors"]
        storage.faults[digest_of(data)] = [Cut(90000)]
        bench.pulled("org/name", hub, env={"HF_TOKEN": " hf_secret\n"})
        equal({r["token"] for r in hub.requests}, {"Bearer hf_secret"})
        equal([(r["token"], r["range"]) for r in storage.requests], [(None, None), (None, "bytes=90000-")])
        bad = bytearray(data)
        bad[-1] ^= 1
        storage.faults[digest_of(data)] = [Body(bytes(bad))]
        equal(bench.run("rm", "org/name").returncode, 0)
        bench.refused("org/name", hub, "checksum", env={"HF_TOKEN": "hf_secret"})


def the_token_stays_at_its_host_whatever_the_way(bench):
    other = bench.hub({"org/name": flat_repo()})
    hub = bench.hub({"org/name": flat_repo()})
    evil = [other.url + "/x", f"//127.0.0.1:{other.port}/x", f"http://localhost:{hub.port}/x",
            f"HTTP://127.0.0.1:{other.port}/x"]
    other.files["x"] = hub.files["x"] = hub.repos["org/name"].files["model.safetensors"]
    for location in evil:
        hub.faults["model.safetensors"] = [Redirect(location, 307)]
        done = bench.pull("org/name", hub, env={"HF_TOKEN": "hf_secret"})
        equal(done.returncode, 0, done.stderr)
        bench.run("rm", "org/name")
    equal({r["token"] for r in other.requests}, {None})
    at_other_name = [r for r in hub.requests if r["path"] == "/x"]
    equal([r["token"] for r in at_other_name], [None])
    # The same host by a relative step keeps it, as the hub's own redirects for renamed models need.
    hub.faults["model.safetensors"] = [Redirect("/x", 301)]
    bench.pulled("org/name", hub, env={"HF_TOKEN": "hf_secret"})
    equal(hub.asked("/x")[-1]["token"], "Bearer hf_secret")


def redirects_have_an_end_and_a_scheme(bench):
    hub = bench.hub({"org/name": flat_repo()})
    for location, part in [(f"{hub.url}/org/name/resolve/main/loop", "circles"), ("file:///etc/passwd", "https"),
                           ("gopher://127.0.0.1:1/", "https"), ("http://", "no plain"), ("", "no plain"),
                           ("javascript:1", "https"), (f"http://user:word@127.0.0.1:{hub.port}/x", "no plain")]:
        hub.faults["model.safetensors"] = [Redirect(location)]
        hub.repos["org/name"].files["loop"] = b"x"
        hub.faults["loop"] = [Redirect(location)] * 20
        done = bench.pull("org/name", hub)
        equal(done.returncode, 2, location)
        equal(bench.names(), [])
        if part == "circles":
            contains(done.stderr, part)
    hub.faults["model.safetensors"] = [Redirect("http://" + "x" * 9000)]
    equal(bench.pull("org/name", hub).returncode, 2)


def a_private_model_wants_a_token(bench):
    hub = bench.hub({"org/name": flat_repo(token="hf_right"), "org/gated": flat_repo(gated=True)})
    bench.refused("org/name", hub, "401", "HF_TOKEN", "Invalid username or password")
    equal(len(hub.requests), 1)
    bench.refused("org/name", hub, "401", "the token in HF_TOKEN", env={"HF_TOKEN": "hf_wrong"})
    done = bench.refused("org/gated", hub, "403", "terms", "HF_TOKEN", env={"HF_TOKEN": "hf_right"})
    assert "hf_right" not in done.stderr
    assert "\t" not in done.stderr, "a hub's text drives the terminal"
    bench.refused("org/none", hub, "no model org/none", "404", hub.url)
    bench.refused("none", hub, "sentence-transformers/none", "404")
    bench.pulled("org/name", hub, env={"HF_TOKEN": "hf_right"})
    for token in ("a\r\nX-Evil: 1", "a b", "ü"):
        done = bench.pull("org/gated", hub, env={"HF_TOKEN": token})
        equal(done.returncode, 2)
        contains(done.stderr, "no token")


def the_token_is_not_sent_over_plain_http_to_others(bench):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; says which address would be used
            address = probe.getsockname()[0]
        except OSError:
            address = "127.0.0.1"
    if address.startswith("127."):
        raise Skip("this machine has no address but the loopback's")
    hub = bench.hub({"org/name": flat_repo(token="hf_secret")}, host=address)
    bench.refused("org/name", hub, "plain http", env={"HF_TOKEN": "hf_secret"})
    equal([r["token"] for r in hub.requests], [None])


def nobody_there_is_told_at_once(bench):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for endpoint in (f"http://127.0.0.1:{port}", "https://name.invalid"):
        began = time.monotonic()
        done = bench.refused("org/name", endpoint, "cannot reach", "vizsla models import",
                             endpoint.split("//")[1].split(":")[0])
        assert time.monotonic() - began < 15, "tried for long"
    for endpoint in ("ftp://x", "hub.example", "file:///tmp", "https://", "http://x/?q=1",
                     "http://user:word@127.0.0.1:1"):
        done = bench.pull("org/name", endpoint)
        equal(done.returncode, 2)
        contains(done.stderr, "is no hub")


def something_else_than_a_hub_is_told(bench):
    for answer, part in [(b"<html>login</html>", "is it a hub"), (b"[]", "lists no files"), (b'{"siblings": 7}', "lists no files"),
                         (b'{"siblings": []}', "config.json"), (b'{"siblings": [{}]}', "without a name"),
                         (b'{"siblings": [{"rfilename": 7}]}', "without a name"), (b"", "is it a hub"),
                         (b'{"siblings": [{"rfilename": "a\\u0000b"}]}', "without a name")]:
        hub = bench.hub({"org/name": flat_repo()}, listing=lambda _, a=answer: a)
        bench.refused("org/name", hub, part)


def names_that_lead_out_are_refused(bench):
    evil = ["../config.json", "a/../../x", "/etc/passwd", "..", "a//b", "./x", "a/./b", "..\\x", "a\nb", "\x1b[31m",
            "x" * 500, "", "1_Pooling/../../../x"]
    for name in evil:
        def add(listing, name=name):
            listing["siblings"].append({"rfilename": name, "size": 2})
            return listing
        hub = bench.hub({"org/name": flat_repo()}, listing=add)
        done = bench.refused("org/name", hub, "file")
        assert "\x1b" not in done.stderr
        equal(hub.asked("/resolve/"), [])
    for path in ("../out", "/tmp/out", "a/../../out", "..", "a\\b"):
        hub = bench.hub({"org/name": Repo({**flat_files(), "modules.json": modules("", path)})})
        bench.refused("org/name", hub, "modules.json", "outside")
    for shard in ("../model.safetensors", "/etc/passwd", "sub/x.safetensors", ".."):
        index = json.dumps({"weight_map": {"a": shard}}).encode()
        hub = bench.hub({"org/name": Repo({"config.json": config(), "model.safetensors.index.json": index})})
        bench.refused("org/name", hub, "outside")
    equal(sorted(p.name for p in bench.folder.iterdir()), ["models"])


def sizes_beyond_reason_are_refused(bench):
    for path, size, part in [("model.safetensors", 10**15, "limit"), ("model.safetensors", 2**63 - 1, "limit"),
                             ("model.safetensors", -1, "size"), ("model.safetensors", 1e300, "size"),
                             ("model.safetensors", "7", "size"), ("model.safetensors", 2**64, "size"),
                             ("tokenizer.json", 10**9, "limit"), ("config.json", [], "size")]:
        def lie(listing, path=path, size=size):
            for entry in listing["siblings"]:
                if entry["rfilename"] == path:
                    entry["size"] = size
            return listing
        hub = bench.hub({"org/name": flat_repo()}, listing=lie)
        bench.refused("org/name", hub, part)
        equal(hub.asked("/resolve/"), [])
    many = bench.hub({"org/name": flat_repo()}, listing=lambda listing: {
        "siblings": [{"rfilename": f"f{i}"} for i in range(30000)]})
    bench.refused("org/name", many, "30000 files", "limit")
    crowd = bench.hub({"org/name": Repo({**flat_files(), "modules.json": modules(*map(str, range(99)))})})
    bench.refused("org/name", crowd, "modules.json", "16")
    shards = {f"s{i}.safetensors": b"x" for i in range(600)}
    index = json.dumps({"weight_map": {str(i): name for i, name in enumerate(shards)}}).encode()
    crowd = bench.hub({"org/name": Repo({"config.json": config(), "model.safetensors.index.json": index, **shards})})
    bench.refused("org/name", crowd, "500")


def more_or_less_than_announced_is_refused(bench):
    data = flat_files()["model.safetensors"]
    for body, part in [(Body(data + b"x"), "where it listed"), (Body(data[:-1]), "where it listed"),
                       (Body(data * 3, None), "more than"), (Body(data, 10**15), "limit"), (Body(data, 0), "where it listed")]:
        hub = bench.hub({"org/name": flat_repo()})
        hub.faults["model.safetensors"] = [body]
        bench.refused("org/name", hub, part)
    # Without a listed size, what the answer announces counts; and a text without end is stopped.
    hub = bench.hub({"org/name": flat_repo()}, blobs=False)
    hub.faults["model.safetensors"] = [Body(data, 10**15)]
    bench.refused("org/name", hub, "limit")
    hub.faults["tokenizer.json"] = [Body(b"x" * (65 << 20), None)]
    bench.refused("org/name", hub, "more than")
    endless = bench.hub({"org/name": flat_repo()}, listing=lambda _: b" " * (33 << 20))
    bench.refused("org/name", endless, "limit")
    hub = bench.hub({"org/name": flat_repo()})
    hub.faults["model.safetensors"] = [Body(data[:5000], None)]
    bench.pulled("org/name", hub)  # cut without a length: gone on with


def a_mirror_without_sizes_is_checked_by_headers(bench):
    hub = bench.hub({"org/name": flat_repo()}, blobs=False)
    hub.faults["model.safetensors"] = [Cut(90001)]
    equal(bench.pulled("org/name", hub)["files_without_checksum"], 0)
    bench.run("rm", "org/name")
    bad = bytearray(hub.repos["org/name"].files["model.safetensors"])
    bad[-1] ^= 1
    hub.faults["model.safetensors"] = [Body(bytes(bad))]
    bench.refused("org/name", hub, "checksum")
    bare = bench.hub({"org/name": flat_repo()}, blobs=False, etags=False)
    done = bench.pull("org/name", bare)
    equal(done.returncode, 0, done.stderr)
    contains(done.stderr, "no checksum for 6")
    equal(bench.run("verify", "org/name").returncode, 0)


def no_weights_for_us_is_told(bench):
    base = {"config.json": config(), **TOKENIZER}
    for files, parts in [({**base, "onnx/model.onnx": b"x", "tf_model.h5": b"x"}, ("no weights", "onnx/model.onnx", "tf_model.h5")),
                         (base, ("no weights",)), ({"model.safetensors": safetensors(9), **TOKENIZER}, ("no config.json",)),
                         ({**flat_files(), "modules.json": modules("0_Other")}, ("no config.json", "0_Other")),
                         ({**flat_files(), "modules.json": b"{}"}, ("modules.json",)),
                         ({**flat_files(), "modules.json": b"[1]"}, ("modules.json",)),
                         ({**flat_files(), "modules.json": b"\xff"}, ("modules.json", "JSON")),
                         ({**base, "model.safetensors.index.json": b"{}"}, ("weight_map",))]:
        hub = bench.hub({"org/name": Repo(files)})
        bench.refused("org/name", hub, "org/name", *parts)


def files_that_are_not_what_they_say_are_not_installed(bench):
    class Evil:
        def __reduce__(self):
            return os.system, ("echo run > " + str(bench.folder / "run"),)
    bomb = bench.folder / "bomb.bin"
    with zipfile.ZipFile(bomb, "w") as out:
        out.writestr("archive/data.pkl", pickle.dumps(Evil(), protocol=2))
        out.writestr("archive/version", "3\n")
    data = bomb.read_bytes()
    bomb.unlink()
    for files, part in [({"pytorch_model.bin": data, "config.json": config()}, "system"),
                        ({"model.safetensors": b"no tensors here" * 9, "config.json": config()}, "safetensors"),
                        ({"model.safetensors": safetensors(9), "config.json": b"[]"}, "config.json"),
                        ({"model.safetensors": safetensors(9), "config.json": b"<html>"}, "config.json")]:
        bench.refused("org/name", bench.hub({"org/name": Repo(files)}), part)
        source = bench.make(files)
        done = bench.run("import", source, "--name", "x")
        equal(done.returncode, 2)
        contains(done.stderr, part)
        shutil.rmtree(source)
    equal((bench.names(), (bench.folder / "run").exists()), ([], False))


def a_full_disk_keeps_what_came(bench):
    bench.store = mount(bench, "models", 4)
    small = bench.hub({"org/name": flat_repo(2000000)})
    bench.refused("org/name", small, "needs 8.0 MB", "are free")
    equal(small.asked("/resolve/"), [])
    unknown = bench.hub({"org/name": flat_repo(2000000)}, blobs=False)
    bench.refused("org/name", unknown, "no room")
    equal(bench.run("rm", "org/name").returncode, 0)
    # Somebody else fills the disk in the middle.
    hub = bench.hub({"org/name": flat_repo(700000)})
    hub.faults["model.safetensors"] = [Slow(2000000)]
    process = bench.start("pull", "org/name", hub=hub)
    wait_until("a partial file", lambda: bench.partial_bytes() > 500000)
    filler = bench.store / ".filler"
    out = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(out, b"x" * 4096)
    except OSError:
        os.close(out)
    _, errors = process.communicate(timeout=60)
    equal(process.returncode, 2)
    contains(errors, "No space left", "kept", "again to go on")
    kept = bench.partials()[0].stat().st_size
    assert kept > 500000, kept
    filler.unlink()
    hub.faults.clear()
    bench.pulled("org/name", hub)
    equal(hub.asked("model.safetensors")[-1]["range"], f"bytes={kept}-")
    equal(bench.run("verify", "org/name").returncode, 0)


def a_full_disk_refuses_an_import(bench):
    bench.store = mount(bench, "models", 2)
    source = bench.make(flat_files(2000000))
    done = bench.run("import", source)
    equal(done.returncode, 2)
    contains(done.stderr, "No space left")
    equal((bench.names(), bench.listed()["others"]), ([], []))


def mount(bench, name, megabytes):
    folder = bench.folder / name
    folder.mkdir()
    if os.geteuid() != 0:
        raise Skip("a small disk takes root to mount")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        raise Skip("a small disk cannot be mounted: " + done.stderr.strip())
    bench.mounted = folder
    return folder


def a_store_that_cannot_be_written_is_told(bench):
    bench.folder.joinpath("models").write_text("a file")
    done = bench.pull("org/name", bench.hub({"org/name": flat_repo()}))
    equal(done.returncode, 2)
    contains(done.stderr, "models")


def two_pulls_of_one_model_do_not_mix(bench):
    hub = bench.hub({"org/name": flat_repo(500000), "org/other": flat_repo()})
    hub.faults["model.safetensors"] = [Slow(1500000)]
    process = bench.start("pull", "org/name", hub=hub)
    wait_until("a partial file", lambda: bench.partials())
    for words in (("pull", "org/name"), ("rm", "org/name")):
        done = bench.run(*words, hub=hub)
        equal(done.returncode, 2)
        contains(done.stderr, "another process", "org/name")
    equal(bench.run("pull", "org/other", hub=hub).returncode, 0)
    _, errors = process.communicate(timeout=60)
    equal((process.returncode, bench.names()), (0, ["org/name", "org/other"]), errors)
    equal(bench.run("verify", "org/name", "org/other").returncode, 0)


def the_bar_shows_rate_and_time_left(bench):
    hub = bench.hub({"org/name": flat_repo()})
    hub.faults["model.safetensors"] = [Slow(200000)]
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(bench.environment(hub), TERM="xterm-256color")
        os.execv(bench.binary, [bench.binary, "models", "pull", "org/name"])
    out = b""
    while select.select([fd], [], [], 30)[0]:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        out += part
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    equal(os.waitstatus_to_exitcode(status), 0)
    contains(out.decode(errors="replace"), "downloading", " MB/s", " left", "is installed")
    assert out.count(b"left") >= 5, "the bar hardly moved"


def nothing_else_uses_the_network(bench):
    hub = bench.hub({"org/name": flat_repo()})
    bench.pulled("org/name", hub)
    hub.requests.clear()
    source = bench.make(flat_files())
    for words in (("list",), ("verify", "org/name"), ("import", source), ("verify", "source"), ("rm", "source"),
                  ("pull", "org/name"), ("rm", "org/name"), ("list", "--json"), ("verify", "org/name")):
        bench.run(*words, hub=hub)
    equal(hub.requests, [])


def a_certificate_is_checked(bench):
    key, cert = bench.folder / "key.pem", bench.folder / "cert.pem"
    made = shutil.which("openssl") and subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], capture_output=True)
    if not made or made.returncode:
        raise Skip("openssl cannot make a certificate here")
    plain = bench.hub()
    hub = bench.hub({"org/name": flat_repo()}, tls=(cert, key))
    bench.refused("org/name", hub, "certificate", "SSL_CERT_FILE")
    equal(hub.requests, [])
    trust = {"SSL_CERT_FILE": str(cert), "HF_TOKEN": "hf_secret"}
    plain.files["x"] = hub.repos["org/name"].files["model.safetensors"]
    hub.faults["model.safetensors"] = [Redirect(plain.url + "/x")]
    bench.refused("org/name", hub, "refused", env=trust)
    equal(plain.requests, [])
    bench.pulled("org/name", hub, env=trust)
    equal(hub.requests[-1]["token"], "Bearer hf_secret")


# ---- import, list, verify, rm --------------------------------------------------------------------

def a_folder_is_imported_as_pulled(bench):
    files = {**clip_files("0_CLIPModel/model.safetensors"), **DECOYS, ".git/config": b"x"}
    hub = bench.hub({"sentence-transformers/clip-ViT-B-32": Repo(files)})
    pulled = bench.pulled("clip-ViT-B-32", hub)
    bench.run("rm", "clip-ViT-B-32")
    source = bench.make(files, "clip-ViT-B-32")
    done = bench.run("import", source, "--json")
    equal(done.returncode, 0, done.stderr)
    model = json.loads(done.stdout)
    equal((model["name"], model["digest"], model["source"], model["type"]),
          ("sentence-transformers/clip-ViT-B-32", pulled["digest"], str(source.resolve()), "clip"))
    equal(set(installed_files(model["folder"])), {f["path"] for f in pulled["files"]} | {"vizsla.json"})
    weights = "0_CLIPModel/model.safetensors"
    equal((source / weights).stat().st_ino, (pathlib.Path(model["folder"]) / weights).stat().st_ino)
    done = bench.run("import", source)
    equal(done.returncode, 2)
    contains(done.stderr, "installed already", "--name")
    copied = json.loads(bench.run("import", source, "--name", "mine/copy", "--copy", "--json").stdout)
    assert (source / weights).stat().st_ino != (pathlib.Path(copied["folder"]) / weights).stat().st_ino
    shutil.rmtree(source)
    equal(bench.run("verify", "--files-only", "clip-ViT-B-32", "mine/copy", "copy").returncode, 0)


def a_folder_on_another_disk_is_copied(bench):
    there = mount(bench, "disk", 4)
    source = bench.make(flat_files())
    bench.store = there / "models"
    contains(bench.run("import", source).stdout, "source is installed")
    equal(bench.run("verify", "source").returncode, 0)


def the_hub_cache_is_understood(bench):
    cache = bench.folder / "hub/models--BAAI--bge-small-en-v1.5"
    commit = "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a"
    snapshot = cache / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    (cache / "refs").mkdir()
    (cache / "refs/main").write_text(commit)
    for path, data in flat_files().items():
        blob = cache / "blobs" / digest_of(data)
        blob.write_bytes(data)
        (snapshot / path).symlink_to(os.path.relpath(blob, snapshot))
    for folder in (cache, snapshot):
        model = json.loads(bench.run("import", folder, "--json").stdout)
        equal((model["name"], model["commit"]), ("BAAI/bge-small-en-v1.5", commit))
        assert not any(p.is_symlink() for p in pathlib.Path(model["folder"]).rglob("*")), "links were kept"
        equal(bench.run("rm", "bge-small-en-v1.5").returncode, 0)


def a_folder_put_into_the_store_by_hand_is_imported_in_place(bench):
    bench.make(flat_files(), "models/by-hand")
    equal([(o["name"], o["state"]) for o in bench.listed()["others"]], [("by-hand", "no manifest")])
    contains(bench.run("list").stdout, "by-hand", "import")
    done = bench.run("verify", "by-hand")
    equal(done.returncode, 2)
    equal(bench.run("import", bench.store / "by-hand").returncode, 0)
    equal((bench.names(), bench.listed()["others"]), (["by-hand"], []))
    equal(bench.run("verify", "by-hand").returncode, 0)
    bench.make(flat_files(), "models/stranger")
    done = bench.run("import", bench.store / "by-hand", "--name", "stranger")
    equal(done.returncode, 2)
    contains(done.stderr, "stranger")


def what_is_no_model_is_not_imported(bench):
    (bench.folder / "file").write_text("x")
    for folder, part in [(bench.folder / "absent", "absent"), (bench.folder / "file", "not a folder"),
                         (bench.make({"x": b"y"}, "empty"), "config.json"),
                         (bench.make({"config.json": config(), "vocab.txt": b"x"}, "bare"), "no weights"),
                         (bench.make(flat_files(), "a name"), "--name")]:
        done = bench.run("import", folder)
        equal(done.returncode, 2)
        contains(done.stderr, part)
    equal((bench.names(), bench.listed()["others"]), ([], []))
    equal(bench.run("import", bench.folder / "a name", "--name", "good").returncode, 0)


def damage_is_found(bench):
    source = bench.make(flat_files())
    model = json.loads(bench.run("import", source, "--copy", "--json").stdout)
    folder = pathlib.Path(model["folder"])
    good = (folder / "model.safetensors").read_bytes()
    for damage, state in [(lambda p: p.write_bytes(good[:-1] + bytes([good[-1] ^ 1])), "changed"),
                          (lambda p: p.write_bytes(good[:-1]), "changed"), (lambda p: p.write_bytes(good + b"x"), "changed"),
                          (lambda p: p.unlink(), "missing"), (lambda p: p.mkdir(), "missing")]:
        damage(folder / "model.safetensors")
        done = bench.run("verify", "source")
        equal(done.returncode, 1)
        contains(done.stdout, "model.safetensors is " + state, "damaged")
        seen = json.loads(bench.run("verify", "source", "--json").stdout)
        equal((seen["good"], {f["path"]: f["state"] for f in seen["files"]}["model.safetensors"]), (False, state))
    (folder / "model.safetensors").rmdir()
    (folder / "model.safetensors").write_bytes(good)
    done = bench.run("verify", "source")
    equal(done.returncode, 0)
    contains(done.stdout, "is whole")
    equal(json.loads(bench.run("verify", "source", "--json").stdout)["good"], True)


def bad_manifests_are_told(bench):
    source = bench.make(flat_files())
    model = json.loads(bench.run("import", source, "--json").stdout)
    manifest = pathlib.Path(model["folder"]) / "vizsla.json"
    right = json.loads(manifest.read_text())
    evil = [b"", b"{", b"[]", b"7", b"\xff\xfe", b"{}", b'{"vizsla_model": 99}', b" " * (2 << 20)]
    for key, value in [("files", []), ("files", 7), ("files", [{}]), ("name", "../x"), ("name", ""), ("name", 7),
                       ("files", [{"path": "../../etc/passwd", "bytes": 1, "sha256": "0" * 64}]),
                       ("files", [{"path": "x", "bytes": -1, "sha256": "0" * 64}]),
                       ("files", [{"path": "x", "bytes": 1, "sha256": "short"}]),
                       ("files", [{"path": "x", "bytes": 1e99, "sha256": "0" * 64}])]:
        evil.append(json.dumps({**right, key: value}).encode())
    for text in evil:
        manifest.write_bytes(text)
        equal(bench.run("verify", "source").returncode, 2, text[:60])
        listed = bench.listed()
        equal(([m["name"] for m in listed["models"]], [o["state"] for o in listed["others"]]),
              ([], ["broken manifest"]), text[:60])
    contains(bench.run("list").stdout, "broken manifest")
    equal(bench.run("rm", "source").returncode, 0)
    equal(bench.listed()["others"], [])


def models_are_removed(bench):
    hub = bench.hub({"org/name": flat_repo(), "other/name": flat_repo()})
    bench.pulled("org/name", hub)
    done = bench.run("rm", "nothing")
    equal(done.returncode, 2)
    contains(done.stderr, "not installed", "vizsla models pull nothing")
    bench.pulled("other/name", hub)
    done = bench.run("rm", "name")
    equal(done.returncode, 2)
    contains(done.stderr, "org/name", "other/name", "which")
    seen = json.loads(bench.run("rm", "org/name", "--json").stdout)
    equal((seen["removed"], seen["bytes"] > 200000), ("org/name", True))
    equal(bench.run("rm", "name").returncode, 0)  # one is left of that name
    hub.faults["model.safetensors"] = [Cut(100000), Cut(0)]
    equal(bench.pull("org/name", hub, "--retries", "1").returncode, 2)
    contains(bench.run("rm", "org/name").stdout, "removed (0.1 MB)")
    equal((bench.names(), bench.listed()["others"]), ([], []))
    equal(bench.run("rm", "org/name").returncode, 2)


def the_list_is_told_in_words_and_json(bench):
    contains(bench.run("list").stdout, "No model is installed", "vizsla models pull")
    equal(bench.listed(), {"folder": str(bench.store), "models": [], "others": []})
    assert not bench.store.exists(), "listing made a folder"
    hub = bench.hub({"org/name": flat_repo(license="mit")})
    bench.pulled("org/name", hub)
    contains(bench.run("list").stdout, "org/name", "bert", "0.2", hub.url)
    model = bench.listed()["models"][0]
    equal((model["license"], len(model["digest"]), len(model["files"])), ("mit", 64, 6))


def the_store_is_where_it_is_said(bench):
    files = flat_files()
    source = bench.make(files)
    def run(*words, **env):
        environment = {k: v for k, v in bench.environment().items() if k != "VIZSLA_MODELS"}
        done = subprocess.run([bench.binary, "models", *map(str, words)], env={**environment, **env}, capture_output=True, text=True)
        equal(done.returncode, 0, done.stderr)
    places = {"data": {}, "e": {"VIZSLA_MODELS": str(bench.folder / "e")}}
    run("import", source)
    assert (bench.folder / "data/models/source/vizsla.json").exists()
    run("import", source, **places["e"])
    assert (bench.folder / "e/source/vizsla.json").exists()
    run("import", source, "--models", bench.folder / "m", **places["e"])
    assert (bench.folder / "m/source/vizsla.json").exists()
    run("import", source, "--data", bench.folder / "d", **places["e"])
    assert (bench.folder / "d/models/source/vizsla.json").exists()


def broken_listings_break_nothing(bench):
    chance = random.Random(SEED)
    hub = bench.hub({"org/name": flat_repo()})
    good = None
    def keep(listing):
        nonlocal good
        good = json.dumps(listing).encode()
        return listing
    hub.listing = keep
    bench.pulled("org/name", hub)
    pieces = [b"null", b"-1", b"1e999", b"[]", b"{}", b'""', b"true", b"\xff", b'"../x"', b"[" * 100, b"0" * 50, b'"', b","]
    for _ in range(60):
        bad = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(bad))
            bad[at:at + chance.randint(0, 30)] = chance.choice(pieces)
        hub.listing = lambda _, b=bytes(bad): b
        bench.pull("org/name", hub, "--update", "--retries", "1")
        assert bench.names() == ["org/name"], bytes(bad)
    hub.listing = None
    equal(bench.run("verify", "org/name").returncode, 0)


TESTS = [value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__code__", None)
         and value.__code__.co_varnames[:1] == ("bench",) and name != "mount"]


def main():
    global SEED
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    SEED = options.seed
    print(f"seed {SEED}")
    binary = str(pathlib.Path(options.bin).resolve())
    passed = failed = skipped = 0
    for test in TESTS:
        name = test.__name__.replace("_", " ")
        if options.only not in test.__name__:
            continue
        with tempfile.TemporaryDirectory(prefix="vizsla-hub-") as folder:
            bench = Bench(binary, folder)
            bench.mounted = None
            began = time.monotonic()
            try:
                test(bench)
                passed += 1
                print(f"ok   {name} ({time.monotonic() - began:.1f} s)")
            except Skip as reason:
                skipped += 1
                print(f"SKIP {name}: {reason}")
            except Exception:  # noqa: BLE001 - any failure is a failed test
                failed += 1
                print(f"FAIL {name}\n     " + traceback.format_exc(limit=-3).replace("\n", "\n     "))
            finally:
                bench.stop()
                if bench.mounted:
                    subprocess.run(["umount", "-l", bench.mounted], check=False)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
