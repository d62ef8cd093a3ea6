"""What is kept: import, list, verify, rm."""
import json
import os
import pathlib
import random
import shutil
import subprocess

from bench import clip_files, contains, equal, flat_files, flat_repo, installed_files, mount
from server import Cut, DECOYS, Repo, config, digest_of


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
    chance = random.Random(bench.seed)
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
