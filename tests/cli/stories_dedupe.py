"""Stories of dedupe: copies, versions and look-alikes kept apart, decisions remembered."""
import json
import pathlib
import re
import shutil

from story import SAMPLES, contains, equal, register_samples
from stories_folders import album, index


def dedupe(bench, *words):
    done = bench.run("dedupe", "--json", *words)
    equal((done.returncode, done.stderr), (0, ""))
    seen = json.loads(done.stdout)
    return {kind: sorted([pathlib.Path(file["path"]).name for file in group] for group in seen[kind])
            for kind in ("exact", "near", "similar")}


def copies(bench):
    """luigi.svg, a copy, one with other metadata, one drawn smaller."""
    folder = album(bench)
    text = (SAMPLES / "luigi.svg").read_text()
    shutil.copy(SAMPLES / "luigi.svg", folder / "b/copy.svg")
    (folder / "b/comment.svg").write_text(text.replace(">\n<", "><", 1))  # one byte less
    small = re.sub(r'width="\d+" height="\d+"', 'width="300" height="300"', text, count=1)
    assert small != text
    (folder / "a/deep/small.svg").write_text(small)
    index(bench, folder)
    return folder


def copies_versions_and_look_alikes_are_kept_apart(bench):
    folder = copies(bench)
    seen = dedupe(bench)
    equal(len(seen["exact"]), 1)
    equal(sorted(seen["exact"][0]), ["comment.svg", "copy.svg", "luigi.svg"])
    equal(len(seen["near"]), 1)
    centre = seen["exact"][0][0]
    equal(sorted(seen["near"][0]), sorted([centre, "small.svg"]))
    equal(seen["similar"], [])  # what is a version is no look-alike too
    full = json.loads(bench.run("dedupe", "--json").stdout)
    equal(sorted(file.get("same", "") for file in full["exact"][0]), ["", "bytes", "pixels"])
    assert full["near"][0][1]["bits"] <= 4
    said = bench.run("dedupe").stdout
    contains(said, "Copies: the same bytes or the same pixels: 1 group", "same pixels", "small.svg", "--not-duplicates")
    equal(dedupe(bench, folder / "a"), {"exact": [], "near": [[*sorted(["luigi.svg"]), "small.svg"]], "similar": []})
    equal(dedupe(bench, "--only", "exact")["near"], [])
    assert len(list(folder.rglob("*.svg"))) == 9  # nothing is removed


def look_alikes_are_found_by_vector(bench):
    folder = copies(bench)
    seen = dedupe(bench, "--only", "similar")
    assert any("small.svg" in group for group in seen["similar"]), seen
    seen = dedupe(bench, "--similar", "0.3")
    assert sum(map(len, seen["similar"])) > 2, seen
    equal(dedupe(bench, folder / "b", "--similar", "1")["similar"], [])


def a_decision_is_remembered(bench):
    folder = copies(bench)
    luigi, comment, small = folder / "a/luigi.svg", folder / "b/comment.svg", folder / "a/deep/small.svg"
    said = bench.run("dedupe", "--not-duplicates", luigi, comment, small)
    equal(said.returncode, 0)
    contains(said.stdout, "3 pairs will not")
    seen = dedupe(bench)
    equal(sorted(seen["exact"][0]), ["copy.svg", "luigi.svg"])  # the same bytes are not decided about
    equal((seen["near"], len(seen["exact"])), ([], 1))
    small.rename(folder / "moved.svg")  # it is about contents
    index(bench, folder, "--prune")
    equal(dedupe(bench)["near"], [])
    contains(bench.run("dedupe", "--duplicates", luigi, folder / "moved.svg").stdout, "1 pair may")
    assert "moved.svg" in str(dedupe(bench)["near"])
    done = bench.run("dedupe", "--not-duplicates", luigi, folder / "b/copy.svg")
    equal(done.returncode, 2)
    contains(done.stderr, "byte for byte")
    done = bench.run("dedupe", "--not-duplicates", luigi, folder / "none.svg")
    equal(done.returncode, 2)
    contains(done.stderr, "none.svg")


def dogs_are_compared_too_and_wrong_words_are_told(bench):
    done = bench.run("dedupe", "--data", bench.folder / "nothing")
    equal(done.returncode, 2)
    register_samples(bench)
    equal(bench.run("register", "--name", "Twin", SAMPLES / "luigi.svg").returncode, 0)
    equal(dedupe(bench, "--index", "dog-image-index")["exact"], [["luigi.svg", "luigi.svg"]])
    done = bench.run("dedupe")
    equal(done.returncode, 2)
    contains(done.stderr, "vizsla index FOLDER")
    for words in (("a", "b"), ("--only", "all"), ("--not-duplicates", "x"), ("--near", "16"), ("--similar", "2")):
        equal(bench.run("dedupe", *words).returncode, 2)
    folder = album(bench)
    index(bench, folder)
    contains(bench.run("dedupe").stdout, "No duplicates among 6 pictures")
    done = bench.run("dedupe", bench.folder / "elsewhere")
    equal(done.returncode, 2)
    contains(done.stderr, "elsewhere", "vizsla index")
