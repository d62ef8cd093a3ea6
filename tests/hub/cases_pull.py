"""Pulling what is there: which files, which layouts, which revision, again and anew."""
import hashlib
import json

from bench import GOLDEN, clip_files, contains, equal, flat_files, flat_repo, installed_files
from server import DECOYS, Repo, Status, TOKENIZER, config, modules, safetensors


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
