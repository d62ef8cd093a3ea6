"""Hosts and what they say: redirects, tokens, names, sizes, files that are not what they say."""
import json
import os
import pickle
import shutil
import socket
import time
import zipfile

from bench import Skip, contains, equal, flat_files, flat_repo
from server import Body, Cut, Redirect, Repo, TOKENIZER, config, digest_of, modules, safetensors


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
    with socket.socket() as silent:  # bound, and nobody listens: no other program can take the port
        silent.bind(("127.0.0.1", 0))
        for endpoint in (f"http://127.0.0.1:{silent.getsockname()[1]}", "https://name.invalid"):
            began = time.monotonic()
            bench.refused("org/name", endpoint, "cannot reach", "vizsla models import",
                          endpoint.split("//")[1].split(":")[0])
            assert time.monotonic() - began < 60, "tried for long"  # some resolvers take their time
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
