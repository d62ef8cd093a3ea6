"""Stories of import-model: into this machine's folder, and through the API of another server."""
import json
import pathlib
import sys

import gate
import tiny_model
from story import ROOT, SAMPLES, Babbler, Bench, call, contains, equal, http, install_clip

sys.path.append(str(ROOT / "tests/hub"))
import server as hub  # noqa: E402


def vector(bench, text, name):
    done = bench.run("embed", text, "--model", name, "--json", "--precision", "f32")
    equal((done.returncode, done.stderr), (0, ""))
    return json.loads(done.stdout)["embedding"]


def infer(url, model, text):
    answer = call(f"{url}/_ml/trained_models/{model}/_infer", "POST", {"docs": [{"text_field": text}]})
    return answer["inference_results"][0]["predicted_value"]


def close(a, b):
    return sum(x * y for x, y in zip(a, b)) > 0.999


def a_folder_is_installed_here_and_started(bench):
    source = tiny_model.clip(bench.folder / "My Model")
    done = bench.run("import-model", "--hub-model-id", source, "--es-model-id", "dogs-eye", "--json")
    equal((done.returncode, done.stderr), (0, ""))
    equal(json.loads(done.stdout), {"model_id": "dogs-eye", "name": "dogs-eye", "task_type": "text_embedding",
                                    "sent": False, "started": False})
    done = bench.run("import-model", "--hub-model-id", source, "--es-model-id", "dogs-eye")
    equal(done.returncode, 2)
    contains(done.stderr, "--clear-previous")
    url = bench.serve()
    done = bench.run("import-model", "--url", url, "--hub-model-id", source, "--es-model-id", "dogs-eye",
                     "--clear-previous", "--start")
    equal((done.returncode, done.stderr), (0, ""))
    contains(done.stdout, "is installed as dogs-eye, and started")
    stats = call(url + "/_ml/trained_models/dogs-eye/_stats")["trained_model_stats"][0]
    equal(stats["deployment_stats"]["state"], "started")
    assert close(infer(url, "dogs-eye", "a lost dog"), vector(bench, "a lost dog", "dogs-eye"))


def a_model_is_sent_to_a_server_of_another_folder(bench):
    there = Bench(bench.binary, bench.folder / "there")
    there.folder.mkdir()
    url = there.serve()
    source = tiny_model.clip(bench.folder / "tiny-clip")
    install_clip(bench, "mine")
    try:
        words = ("import-model", "--url", url, "--hub-model-id", source)
        done = bench.run(*words, "--start", "--json")
        equal((done.returncode, done.stderr), (0, ""))
        seen = json.loads(done.stdout)
        equal((seen["model_id"], seen["sent"], seen["started"]), ("tiny-clip", True, True))
        assert close(infer(url, "tiny-clip", "a lost dog"), vector(bench, "a lost dog", "mine"))
        done = bench.run(*words)
        equal(done.returncode, 2)
        contains(done.stderr, "[tiny-clip] is there already", "--clear-previous")
        equal(bench.run(*words, "--clear-previous").returncode, 0)
        done = bench.run(*words, "--es-model-id", "shorter", "--max-model-input-length", "8",
                         "--search-prefix", "query: ")
        equal((done.returncode, done.stderr), (0, ""))
    finally:
        there.stop()


def a_server_behind_tls_and_a_key(bench):
    there = Bench(bench.binary, bench.folder / "there")
    there.folder.mkdir()
    source = tiny_model.clip(bench.folder / "tiny-clip")
    try:
        with gate.Gate(bench.folder, there.serve(), "ApiKey aWQ6c2VjcmV0") as door:
            words = ("import-model", "--url", door.url, "--hub-model-id", source)
            done = bench.run(*words)
            equal(done.returncode, 2)
            contains(done.stderr, "cannot reach")  # nobody vouches for its certificate
            done = bench.run(*words, "--insecure")
            equal(done.returncode, 2)
            contains(done.stderr, "missing authentication credentials")
            done = bench.run(*words, "--ca-certs", door.certificate, "--es-api-key", "aWQ6c2VjcmV0", "--json")
            equal((done.returncode, done.stderr), (0, ""))
            equal(json.loads(done.stdout)["sent"], True)
    finally:
        there.stop()


def a_model_comes_from_the_hub(bench):
    source = tiny_model.clip(bench.folder / "tiny")
    files = {path.name: path.read_bytes() for path in pathlib.Path(source).iterdir()}
    there = Bench(bench.binary, bench.folder / "there")
    there.folder.mkdir()
    url = there.serve()
    served = hub.Hub({"my-company/dogs-clip": hub.Repo(files, token="hf_secret")})
    try:
        words = ("import-model", "--hub-model-id", "my-company/dogs-clip")
        done = bench.run(*words, env={"HF_ENDPOINT": served.url})
        equal(done.returncode, 2)
        contains(done.stderr, "token")
        words += ("--hub-access-token", "hf_secret", "--task-type", "text_embedding")
        for where in (("--start",), ("--url", url, "--start")):
            done = bench.run(*words, *where, "--json", env={"HF_ENDPOINT": served.url})
            equal((done.returncode, done.stderr.count("checksum")), (0, 0))
            seen = json.loads(done.stdout)
            equal((seen["model_id"], seen["sent"]), ("my-company__dogs-clip", "--url" in where))
        assert close(infer(url, "my-company__dogs-clip", "a lost dog"),
                     vector(bench, "a lost dog", "my-company/dogs-clip"))
    finally:
        served.stop()
        there.stop()


def without_a_tokenizer_it_sees_all_the_same(bench):
    source = pathlib.Path(tiny_model.clip(bench.folder / "tiny"))
    photo = SAMPLES / "luigi.svg"
    equal(bench.run("models", "import", source, "--name", "whole").returncode, 0)
    for name in ("tokenizer.json", "vocab.json", "merges.txt"):
        (source / name).unlink(missing_ok=True)
    equal(bench.run("models", "import", source, "--name", "mute").returncode, 0)
    vectors = [bench.run("embed", photo, "--model", name) for name in ("whole", "mute")]
    equal((vectors[0].returncode, vectors[0].stdout), (0, vectors[1].stdout))
    done = bench.run("embed", "a lost dog", "--model", "mute")
    equal((done.returncode, done.stdout), (2, ""))
    contains(done.stderr, "holds no tokenizer")


def wrong_wishes_are_refused_aloud(bench):
    source = tiny_model.clip(bench.folder / "tiny")
    for words, part in (((), "--hub-model-id NAME"), (("--hub-model-id", source, "--es-api-key", "x"), "need --url"),
                        (("--hub-model-id", source, "--insecure"), "need --url"),
                        (("--hub-model-id", source, "--url", "http://127.0.0.1:1", "--es-api-key", "x",
                          "--es-username", "y"), "either --es-api-key or --es-username"),
                        (("--hub-model-id", source, "--search-prefix", "q"), "need --url"),
                        (("--hub-model-id", source, "--task-type", "ner"), "made for text_embedding"),
                        (("--hub-model-id", bench.folder), "config.json"), (("x",), "unexpected 'x'"),
                        (("--hub-model-id", source, "--url", "http://127.0.0.1:1"), "127.0.0.1")):
        done = bench.run("import-model", *words)
        equal(done.returncode, 2)
        contains(done.stderr, part)
    root = {"name": "x", "version": {"number": "8.19.0"}, "tagline": "You Know, for Search"}
    with Babbler(http(200, json.dumps(root).encode())) as server:
        done = bench.run("import-model", "--url", server.url, "--hub-model-id", source)
        equal(done.returncode, 2)
        contains(done.stderr, "TorchScript", f"eland_import_hub_model --url {server.url}")


def many_are_embedded_at_once(bench):
    install_clip(bench)
    words = [SAMPLES / f"{dog}.svg" for dog in ("luigi", "otto", "mango")] + ["a lost dog", "grass"]
    done = bench.run("embed", *words, "--model", "clip-ViT-B-32", "--json")
    equal((done.returncode, done.stderr), (0, ""))
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    equal([line["input"] for line in lines], [str(word) for word in words])
    equal([line["kind"] for line in lines], ["image", "image", "image", "text", "text"])
    for line, word in zip(lines, words):
        one = json.loads(bench.run("embed", word, "--model", "clip-ViT-B-32", "--json").stdout)
        assert close(line["embedding"], one["embedding"]), word
        assert "input" not in one
    plain = bench.run("embed", *words, "--model", "clip-ViT-B-32").stdout.splitlines()
    equal([len(json.loads(line)) for line in plain], [32] * 5)
    (bench.folder / "broken.jpg").write_text("no")
    done = bench.run("embed", words[0], bench.folder / "broken.jpg", words[1], "--model", "clip-ViT-B-32", "--json")
    equal((done.returncode, len(done.stdout.splitlines())), (1, 3))
    contains(done.stderr, "broken.jpg")
    contains(json.loads(done.stdout.splitlines()[1])["error"], "not a picture")
