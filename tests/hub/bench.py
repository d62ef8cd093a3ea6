"""What every test of getting models has: a folder, the program, hubs, and what is expected."""
import json
import os
import pathlib
import subprocess
import time

from server import DECOYS, Hub, Repo, TOKENIZER, config, modules, safetensors

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests/golden/weights"


class Skip(Exception):
    pass


class Bench:
    """One test's folder, program and hubs."""

    def __init__(self, binary, folder, seed):
        self.binary, self.folder, self.seed = binary, pathlib.Path(folder), seed
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


def wait_until(what, true, seconds=60):
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
