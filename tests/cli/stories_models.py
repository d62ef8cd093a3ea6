"""Stories of register and find with models: which one is taken, refused, read with."""
import json
import shutil

from story import SAMPLES, contains, equal, install_clip, register_samples


def embed(bench, what, *words):
    done = bench.run("embed", what, "--model", "clip-ViT-B-32", "--json", *words)
    equal(done.returncode, 0)
    return json.loads(done.stdout)["embedding"]


def score(a, b):
    return (1 + sum(x * y for x, y in zip(a, b))) / 2


def the_first_dog_decides_the_model_and_says_so_once(bench):
    first = register_samples(bench, "--json")
    contains(first.stderr, "built-in eye", "models pull clip-ViT-B-32")
    equal(json.loads(first.stdout)["model"], "vizsla-eye-1")
    equal(register_samples(bench).stderr, "")
    install_clip(bench)
    again = register_samples(bench, "--json")  # the index keeps its model
    equal((again.stderr, json.loads(again.stdout)["model"]), ("", "vizsla-eye-1"))
    equal(json.loads(bench.run("find", SAMPLES / "lost.svg", "--json").stdout)["dogs"][0]["dog_id"], "Luigi")


def an_installed_clip_is_the_default(bench):
    install_clip(bench)
    first = register_samples(bench, "--json")
    contains(first.stderr, "clip-ViT-B-32", "--model")
    equal(json.loads(first.stdout)["model"], "sentence-transformers/clip-ViT-B-32")
    found = json.loads(bench.run("find", SAMPLES / "luigi.svg", "--json").stdout)
    equal((found["model"], found["found"]), ("sentence-transformers/clip-ViT-B-32", True))
    best = found["dogs"][0]
    equal((best["dog_id"], best["match"]), ("Luigi", "same picture"))  # the same bytes: certain
    assert best["score"] > 0.9999, best
    other = found["dogs"][1]
    equal(other["match"], "not measured")
    assert "probability" not in other, other
    done = bench.run("find", SAMPLES / "lost.svg")
    equal(done.returncode, 0)
    contains(done.stdout, "Nearest: ", "was not measured for sentence-transformers/clip-ViT-B-32")


def a_description_is_searched_for(bench):
    install_clip(bench)
    register_samples(bench)
    text = "black and white terrier on a beach"
    found = json.loads(bench.run("find", text, "--json", "--top", "12").stdout)
    equal((found["text"], found["verdict"]), (text, "not measured"))
    query = embed(bench, text)
    expected = {}
    for dog in json.loads((SAMPLES / "register.json").read_text())["dogs"]:
        expected[dog["dog_id"]] = score(query, embed(bench, SAMPLES / dog["file"]))
    equal(sorted(d["dog_id"] for d in found["dogs"]), sorted(expected))
    equal([d["score"] for d in found["dogs"]], sorted((d["score"] for d in found["dogs"]), reverse=True))
    for dog in found["dogs"]:
        assert abs(dog["score"] - expected[dog["dog_id"]]) < 2e-3, (dog, expected[dog["dog_id"]])
    contains(bench.run("find", text).stdout, "Nearest: ")
    # A misspelt name is no description.
    done = bench.run("find", "lots.jpg")
    equal(done.returncode, 2)
    contains(done.stderr, "lots.jpg")
    # A file of that name is a picture, unless told otherwise.
    shutil.copy(SAMPLES / "lost.svg", bench.folder / "beach")
    contains(bench.run("find", bench.folder / "beach", "--json").stdout, '"picture"')
    contains(bench.run("find", bench.folder / "beach", "--json", "--text").stdout, '"text"')


def the_eye_reads_no_descriptions(bench):
    register_samples(bench)
    done = bench.run("find", "black and white terrier")
    equal(done.returncode, 2)
    contains(done.stderr, "no file", "vizsla models pull clip-ViT-B-32", "vizsla reindex --model clip-ViT-B-32")


def another_model_is_refused_with_what_to_do(bench):
    register_samples(bench)
    install_clip(bench)
    picture = SAMPLES / "lost.svg"
    for words in (("register", "--name", "X"), ("find",)):
        done = bench.run(*words, "--model", "clip-ViT-B-32", picture)
        equal(done.returncode, 2)
        contains(done.stderr, "vizsla-eye-1", "vizsla reindex --model sentence-transformers/clip-ViT-B-32")
    equal(bench.run("find", "--model", "eye", picture).returncode, 0)


def other_weights_of_the_same_name_are_noticed(bench):
    install_clip(bench, seed=7)
    register_samples(bench)
    equal(bench.run("models", "rm", "clip-ViT-B-32").returncode, 0)
    done = bench.run("find", SAMPLES / "lost.svg")
    equal(done.returncode, 2)
    contains(done.stderr, "not installed", "vizsla models pull sentence-transformers/clip-ViT-B-32")
    install_clip(bench, seed=8)
    done = bench.run("find", SAMPLES / "lost.svg")
    equal(done.returncode, 2)
    contains(done.stderr, "other weights", "vizsla reindex")
    # The right weights under another name will do.
    install_clip(bench, name="mine", seed=7)
    equal(bench.run("find", SAMPLES / "lost.svg").returncode, 0)


def a_second_model_may_read_the_texts(bench):
    install_clip(bench)
    install_clip(bench, name="reader", seed=9)
    register_samples(bench)
    plain = json.loads(bench.run("find", "um cachorro", "--json").stdout)
    other = json.loads(bench.run("find", "um cachorro", "--json", "--text-model", "reader").stdout)
    assert plain["dogs"] != other["dogs"]
    done = bench.run("find", "um cachorro", "--text-model", "eye")
    equal(done.returncode, 2)
    contains(done.stderr, "reads no texts")
    done = bench.run("find", "um cachorro", "--text-model", "absent")
    equal(done.returncode, 2)
    contains(done.stderr, "models pull")


def the_index_remembers_model_and_digest(bench):
    from story import call
    install_clip(bench)
    url = bench.serve()
    register_samples(bench)
    field = call(url + "/dog-image-index/_mapping")["dog-image-index"]["mappings"]["properties"]["image_embedding"]
    equal((field["dims"], field["meta"]["model"]), (32, "sentence-transformers/clip-ViT-B-32"))
    listed = json.loads(bench.run("models", "list", "--json").stdout)["models"][0]
    equal(field["meta"]["model_digest"], listed["digest"])


def dogs_are_listed_and_removed(bench):
    done = bench.run("dogs", "list")
    equal(done.returncode, 2)
    contains(done.stderr, "no data folder")
    register_samples(bench)
    extra = bench.folder / "extra.svg"
    shutil.copy(SAMPLES / "lost.svg", extra)
    equal(bench.run("register", "--name", "Luigi", extra).returncode, 0)
    listed = json.loads(bench.run("dogs", "list", "--json").stdout)["dogs"]
    equal(len(listed), 12)
    equal([d["dog_id"] for d in listed], sorted(d["dog_id"] for d in listed))
    luigi = next(d for d in listed if d["dog_id"] == "Luigi")
    equal((luigi["owner_name"], len(luigi["pictures"])), ("Ully", 2))
    contains(bench.run("dogs", "list").stdout, "Ully", "Vizsla")
    contains(bench.run("dogs", "list", "Luigi").stdout, "luigi.svg", "extra.svg")
    equal(bench.run("dogs", "list", "Nobody").returncode, 1)
    contains(bench.run("dogs", "remove", "Luigi", "--picture", extra).stdout, "1 picture removed")
    assert extra.exists()
    contains(bench.run("dogs", "remove", "Luigi", "Otto").stdout, "Luigi: 1 picture", "Otto: 1 picture")
    equal(len(json.loads(bench.run("dogs", "list", "--json").stdout)["dogs"]), 10)
    done = bench.run("dogs", "remove", "Luigi")
    equal(done.returncode, 2)
    contains(done.stderr, "no dog is registered as Luigi")
    assert json.loads(bench.run("find", SAMPLES / "luigi.svg", "--json").stdout)["dogs"][0]["dog_id"] != "Luigi"
    equal(bench.run("dogs").returncode, 2)
    contains(bench.run("dogs", "--help").stdout, "Usage: vizsla dogs")


def a_server_looks_for_those_without_the_model(bench):
    from story import Bench
    from stories_folders import album, index
    install_clip(bench)
    register_samples(bench)
    index(bench, album(bench))
    url = bench.serve()
    elsewhere = Bench(bench.binary, bench.folder / "elsewhere")
    for words in (("find", SAMPLES / "luigi.svg"), ("find", "a lost dog"),
                  ("search", SAMPLES / "luigi.svg", "+in red"), ("search", "grass")):
        here = json.loads(bench.run(*words, "--json").stdout)
        done = elsewhere.run(*words, "--json", "--url", url)
        equal((done.returncode, done.stderr), (0, ""))
        there = json.loads(done.stdout)
        for key in ("dogs", "hits"):
            for a, b in zip(here.get(key, []), there.get(key, [])):
                assert abs(a["score"] - b["score"]) < 1e-2, (words, a, b)
    done = elsewhere.run("find", "x", "--text-model", "reader", "--url", url)
    equal(done.returncode, 2)
    contains(done.stderr, "--text-model", "models pull")
    equal(bench.run("models", "rm", "clip-ViT-B-32").returncode, 0)
    done = elsewhere.run("find", "a lost dog", "--url", url)
    equal(done.returncode, 2)
    contains(done.stderr, "not installed here", "models pull")
