"""Stories of index and search: any folder of pictures, kept up to date, asked with pictures and texts."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

from story import SAMPLES, SHARED, Skip, call, contains, equal, install_clip

DOGS = ["biscuit", "bruno", "clover", "luigi", "mango", "nimbus"]


def album(bench, name="album"):
    """Six dogs in two folders and one below, and things that are no pictures."""
    folder = bench.folder / name
    (folder / "a/deep").mkdir(parents=True)
    (folder / "b").mkdir()
    for i, dog in enumerate(DOGS):
        shutil.copy(SAMPLES / f"{dog}.svg", folder / ("a", "b", "a/deep")[i % 3] / f"{dog}.svg")
    (folder / "notes.txt").write_text("no picture")
    return folder


def index(bench, folder, *words, code=0, **more):
    done = bench.run("index", folder, "--json", *words, **more)
    equal((done.returncode, done.stderr if code == 0 and "new index" not in done.stderr else ""), (code, ""))
    return json.loads(done.stdout)


def counts(seen):
    return {key: seen[key] for key in ("added", "changed", "touched", "unchanged", "removed", "gone")
            if seen[key]}


def documents(bench, name="pictures"):
    """All documents by file name, from a server of the folder."""
    url = bench.serve()
    hits = call(f"{url}/{name}/_search?size=1000")["hits"]["hits"]
    bench.stop()
    return {hit["_source"]["name"]: hit["_source"] for hit in hits}


def a_folder_is_indexed_and_again_costs_nothing(bench):
    folder = album(bench)
    first = index(bench, folder)
    equal((counts(first), first["pictures"], first["other_files"], first["failed"]), ({"added": 6}, 6, 1, []))
    equal(counts(index(bench, folder)), {"unchanged": 6})
    contains(bench.run("index", folder).stdout, "0 added", "6 unchanged")
    seen = documents(bench)
    equal(sorted(seen), sorted(f"{dog}.svg" for dog in DOGS))
    luigi = seen["luigi.svg"]
    path = folder.resolve() / "a/luigi.svg"
    equal((luigi["path"], luigi["folder"], luigi["size"], luigi["format"]),
          (str(path), str(path.parent), path.stat().st_size, "svg"))
    equal(luigi["modified"], int(path.stat().st_mtime * 1000))
    assert luigi["width"] > 0 and luigi["height"] > 0
    equal([len(luigi[key]) for key in ("content_hash", "pixel_hash", "perceptual_hash", "embedding")],
          [32, 32, 16, 512])


def what_changes_is_noticed(bench):
    folder = album(bench)
    index(bench, folder)
    shutil.copy(SAMPLES / "otto.svg", folder / "b/bruno.svg")             # other content
    os.utime(folder / "a/luigi.svg", (1, 1))                             # other time, same content
    (folder / "a/deep/clover.svg").rename(folder / "b/clever.svg")       # another name
    shutil.copy(SAMPLES / "pretzel.svg", folder / "a/deep/pretzel.svg")  # new
    seen = [p.name for p in folder.rglob("*.svg")]
    again = index(bench, folder)
    equal(counts(again), {"added": 2, "changed": 1, "touched": 1, "unchanged": 3, "gone": 1})
    contains(bench.run("index", folder).stdout, "1 files of the index are gone", "--prune")
    equal(counts(index(bench, folder, "--prune")), {"unchanged": 7, "removed": 1})
    names = documents(bench)
    equal(sorted(names), sorted(seen))
    equal(names["luigi.svg"]["modified"], 1000)


def pruning_keeps_what_is_not_known_to_be_gone(bench):
    folder = album(bench)
    other = bench.folder / "other"
    other.mkdir()
    shutil.copy(SAMPLES / "otto.svg", other)
    index(bench, folder)
    index(bench, other)
    equal(counts(index(bench, folder, "--prune")), {"unchanged": 6})  # another folder's is not looked at
    empty = bench.folder / "away"
    folder.rename(empty)
    folder.mkdir()  # a mount point without its disk
    done = bench.run("index", folder, "--prune")
    equal(done.returncode, 2)
    contains(done.stderr, "all 6 documents", "mounted", "--force")
    equal(counts(index(bench, folder, "--prune", "--force")), {"removed": 6})
    equal(sorted(documents(bench)), ["otto.svg"])


def broken_files_are_told_and_the_rest_indexed(bench):
    folder = album(bench)
    (folder / "a/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (folder / "a/empty.png").write_bytes(b"")
    (folder / "b/text.jpg").write_text("this is no picture")
    os.mkfifo(folder / "b/pipe.jpg")
    bad_name = os.fsencode(str(folder / "b")) + b"/na\xefve.jpg"
    with open(bad_name, "wb") as file:
        file.write(b"x")
    failures = bench.folder / "failures.ndjson"
    seen = index(bench, folder, "--failures", failures, code=1)
    equal(seen["added"], 6)
    names = sorted(pathlib.Path(f["path"]).name.encode(errors="replace") for f in seen["failed"])
    equal(len(names), 4)
    lines = [json.loads(line) for line in failures.read_text().splitlines()]
    equal(sorted(map(str, lines)), sorted(map(str, seen["failed"])))
    done = bench.run("index", folder)
    equal(done.returncode, 1)
    contains(done.stderr, "broken.jpg", "empty.png", "text.jpg", "UTF-8")
    contains(done.stdout, "4 failed", "6 unchanged")


def hidden_folders_excluded_names_and_loops(bench):
    folder = album(bench)
    for hidden in (".cache", "@eaDir", "a/.thumbs"):
        (folder / hidden).mkdir()
        shutil.copy(SAMPLES / "otto.svg", folder / hidden)
    (folder / "phone").mkdir()
    (folder / "phone/.nomedia").write_text("")
    shutil.copy(SAMPLES / "otto.svg", folder / "phone/phone.svg")
    (folder / "b/loop").symlink_to(folder)
    (folder / "b/up").symlink_to("..")
    outside = bench.folder / "outside"
    outside.mkdir()
    shutil.copy(SAMPLES / "olive.svg", outside)
    (folder / "b/olive").symlink_to(outside)
    (folder / "b/dangling.jpg").symlink_to("nowhere.jpg")
    equal(counts(index(bench, folder)), {"added": 6})
    equal(counts(index(bench, folder, "--follow", code=1)), {"added": 1, "unchanged": 6})
    equal(counts(index(bench, folder, "--hidden")), {"added": 3, "unchanged": 6, "gone": 1})
    seen = index(bench, folder, "--index", "fewer", "--exclude", "b*.svg", "--exclude", "*/deep")
    equal(seen["added"], 2)


def another_index_or_model_is_refused(bench):
    folder = album(bench)
    index(bench, folder)
    install_clip(bench)
    done = bench.run("index", folder, "--model", "clip-ViT-B-32")
    equal(done.returncode, 2)
    contains(done.stderr, "vizsla reindex --model sentence-transformers/clip-ViT-B-32 --index pictures")
    seen = index(bench, folder, "--index", "clip", "--model", "clip-ViT-B-32")
    equal((seen["added"], seen["model"]), (6, "sentence-transformers/clip-ViT-B-32"))
    equal(bench.run("register", "--name", "Luigi", SAMPLES / "luigi.svg").returncode, 0)
    done = bench.run("index", folder, "--index", "dog-image-index")
    equal(done.returncode, 2)
    contains(done.stderr, "--index")
    done = bench.run("index", bench.folder / "absent")
    equal(done.returncode, 2)
    contains(done.stderr, "absent")


def stopping_leaves_whole_documents_and_the_next_run_goes_on(bench):
    folder = bench.folder / "many"
    folder.mkdir()
    for i in range(300):
        shutil.copy(SAMPLES / f"{DOGS[i % 6]}.svg", folder / f"{i:03}.svg")
    for how in (signal.SIGINT, signal.SIGKILL):
        running = subprocess.Popen([bench.binary, "index", folder, "--data", bench.data, "--json"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        time.sleep(0.6)
        running.send_signal(how)
        out, _ = running.communicate(timeout=120)
        if how == signal.SIGINT and running.returncode == 1:
            seen = json.loads(out)
            assert seen["stopped"] and seen["failed"] == [], seen
    last = index(bench, folder)
    equal(last["added"] + last["unchanged"], 300)
    equal(counts(index(bench, folder)), {"unchanged": 300})


def a_folder_goes_through_a_server_too(bench):
    url = bench.serve()
    folder = album(bench)
    seen = index(bench, folder)
    equal((seen["where"], seen["added"]), (url, 6))
    equal(counts(index(bench, folder, "--url", url)), {"unchanged": 6})


def the_cameras_date_and_place_are_indexed(bench):
    if not (SHARED / "exif/gps").is_dir():
        raise Skip("there is no ../shared/data/exif")
    folder = bench.folder / "gps"
    folder.mkdir()
    shutil.copy(next(p for p in (SHARED / "exif/gps").iterdir() if p.name.startswith("DSCN0010")), folder / "x.jpg")
    index(bench, folder)
    exif = documents(bench)["x.jpg"]["exif"]
    contains(exif["date"], "2008-10-22T")
    assert abs(exif["location"]["lat"] - 43.467) < 0.01, exif


def search(bench, *words, code=0):
    done = bench.run("search", *words, "--json")
    equal((done.returncode, done.stderr), (code, ""))
    return json.loads(done.stdout)


def names(seen):
    return [pathlib.Path(hit["path"]).stem for hit in seen["hits"]]


def an_index_is_searched_with_a_picture(bench):
    folder = album(bench)
    index(bench, folder)
    seen = search(bench, SAMPLES / "luigi.svg")
    equal((names(seen)[0], len(seen["hits"]), seen["pictures"]), ("luigi", 6, 6))
    equal((seen["hits"][0]["match"], seen["hits"][0]["source"]["format"]), ("same picture", "svg"))
    assert seen["hits"][0]["score"] > 0.9999 and "embedding" not in seen["hits"][0]["source"]
    equal(len(search(bench, SAMPLES / "luigi.svg", "-k", "2")["hits"]), 2)
    contains(bench.run("search", SAMPLES / "luigi.svg").stdout, "  1  1.0000  same picture", "luigi.svg")
    equal(names(search(bench, "--index", "pictures", SAMPLES / "lost.svg"))[0], "luigi")
    done = bench.run("search", "a dog on a beach")
    equal(done.returncode, 2)
    contains(done.stderr, "reads no texts", "vizsla reindex --model clip-ViT-B-32 --index pictures")
    done = bench.run("search", "x.jpg", "--index", "absent")
    equal(done.returncode, 2)
    contains(done.stderr, "vizsla index FOLDER --index absent")


def pictures_and_texts_are_added_and_subtracted(bench):
    install_clip(bench)
    folder = album(bench)
    index(bench, folder)

    def vector(word):
        return json.loads(bench.run("embed", word, "--model", "clip-ViT-B-32", "--json").stdout)["embedding"]

    photo, red, grass = vector(SAMPLES / "otto.svg"), vector("in red"), vector("grass")
    for words, weights in (((SAMPLES / "otto.svg", "+in red", "-grass"), (1, 1, -1)),
                           ((SAMPLES / "otto.svg", "+0.5*in red", "-0.25*grass"), (1, 0.5, -0.25)),
                           (("-grass", "+in red"), (0, 1, -1)), (("in red",), (0, 1, 0))):
        query = [weights[0] * a + weights[1] * b + weights[2] * c for a, b, c in zip(photo, red, grass)]
        length = sum(x * x for x in query) ** 0.5
        seen = search(bench, *words)
        expected = {dog: (1 + sum(a * b for a, b in zip(query, vector(SAMPLES / f"{dog}.svg"))) / length) / 2
                    for dog in DOGS}
        equal(sorted(names(seen)), sorted(expected))
        for name, hit in zip(names(seen), seen["hits"]):
            assert abs(hit["score"] - expected[name]) < 1e-2, (words, name, hit["score"], expected[name])
            assert "match" not in hit
    equal([q["weight"] for q in search(bench, "a", "+0.5*b", "-c")["query"]], [1.0, 0.5, -1.0])
    done = bench.run("search", "grass", "-grass")
    equal(done.returncode, 2)
    contains(done.stderr, "cancel")
    for words in ((), ("",), ("-",), ("+2*",)):
        done = bench.run("search", *words)
        equal(done.returncode, 2)
        contains(done.stderr, "expected 1 to")


def filters_narrow_a_search(bench):
    folder = album(bench)
    os.utime(folder / "a/luigi.svg", (1, 1))
    index(bench, folder)
    for filters, expected in (
            (["name=luigi.svg"], ["luigi"]), (["name=b*"], ["biscuit", "bruno"]),
            ([f"folder={folder.resolve() / 'b'}"], ["bruno", "mango"]), (["modified<2000-01-01"], ["luigi"]),
            (["name=b*", f"folder={folder.resolve() / 'b'}"], ["bruno"]), (["width>100000"], [])):
        words = [word for text in filters for word in ("--filter", text)]
        equal(sorted(names(search(bench, SAMPLES / "otto.svg", *words, code=0 if expected else 1))), expected)
    for text, part in (("colour=red", "no field colour; it has"), ("name", "FIELD=VALUE"), ("=x", "FIELD=VALUE")):
        done = bench.run("search", SAMPLES / "otto.svg", "--filter", text)
        equal(done.returncode, 2)
        contains(done.stderr, part)


def a_terminal_shows_progress_and_pictures(bench):
    folder = album(bench)
    for i in range(60):
        shutil.copy(SAMPLES / f"{DOGS[i % 6]}.svg", folder / f"{i}.svg")
    contains(bench.on_terminal("index", folder), "indexing", "left", "66 added")
    out = bench.on_terminal("search", SAMPLES / "luigi.svg", "-k", "3")
    contains(out, "\x1b[", "same picture")
    assert len(out) > 2000, "no pictures"
    assert "\x1b[" not in bench.on_terminal("search", SAMPLES / "luigi.svg", "--no-picture")
    out = bench.on_terminal("dedupe")
    contains(out, "\x1b[", "Copies: the same bytes or the same pixels: 6 groups")
    assert "\x1b[" in bench.run("dedupe", "--picture", env={"TERM": "xterm-256color"}).stdout
