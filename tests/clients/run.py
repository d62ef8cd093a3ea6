#!/usr/bin/env python3
"""The tutorial's calls with real clients against the real server, over a real socket.

    tests/clients/run.py --bin build/vizsla [--only NAME] [--cache build/clients]

For each client: create the index (twice; the second time ignoring the 400), index one dog, bulk
the others, refresh, search with knn + boost + _source + size, get, delete, delete the index. A
client whose package cannot be had (no registry, not in Debian here) is skipped aloud. Ends with
`N passed, N failed, N skipped`. Standard library only.
"""
import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SCRIPTS = HERE / "scripts"
ROOT = HERE.parent.parent
SHARED = pathlib.Path(os.environ.get("VIZSLA_TEST_DATA", ROOT.parent / "shared/data"))
PRODUCTS = SHARED / "products/makeup-products.json"
MINILM = "all-MiniLM-L6-v2"
installed = set()  # models beside the tiny ones


class Skip(Exception):
    """The client cannot be had on this machine; the text says why."""


def sh(command, cwd=None, timeout=240):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=timeout, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout


def have(program):
    if not shutil.which(program):
        raise Skip(f"{program} is not installed")


def python_venv(cache, name, requirement):
    """A virtual environment with one PyPI package; gives its interpreter."""
    folder = cache / name
    python = folder / "bin/python"
    if not (folder / ".ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        code, out = sh([sys.executable, "-m", "venv", str(folder)])
        if code:
            raise Skip("python3-venv is not installed: " + out.strip()[-200:])
        code, out = sh([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check",
                        requirement])
        if code:
            raise Skip(f"PyPI cannot be reached for {requirement}: " + out.strip()[-200:])
        (folder / ".ready").touch()
    return str(python)


def node_modules(cache, name, requirement):
    have("node")
    have("npm")
    folder = cache / name
    if not (folder / ".ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text('{"private": true}')
        code, out = sh(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts",
                        "--loglevel=error", requirement], cwd=folder)
        if code:
            raise Skip(f"npm cannot fetch {requirement}: " + out.strip()[-200:])
        (folder / ".ready").touch()
    return folder


def python_from_pypi(version, script="client_python.py"):
    def prepare(cache):
        python = python_venv(cache, f"python-{version}", f"elasticsearch=={version}")
        return [python, str(SCRIPTS / script)]
    return prepare


def shop(version):
    """Real products and a real model."""
    def prepare(cache):
        if not PRODUCTS.is_file():
            raise Skip("there is no ../shared/data/products")
        if MINILM not in installed:
            raise Skip("all-MiniLM's weights cannot be had")
        return python_from_pypi(version, "client_python_shop.py")(cache)
    return prepare


def python_from_debian(_cache):
    code, _ = sh(["/usr/bin/python3", "-c", "import elasticsearch"])
    if code:
        raise Skip("Debian's python3-elasticsearch is not installed")
    return ["/usr/bin/python3", str(SCRIPTS / "client_python7.py")]


def javascript(version):
    def prepare(cache):
        folder = node_modules(cache, f"js-{version}", f"@elastic/elasticsearch@{version}")
        shutil.copy(SCRIPTS / "client_js.js", folder / "client_js.js")
        return ["node", str(folder / "client_js.js")]
    return prepare


def perl(_cache):
    have("perl")
    code, _ = sh(["perl", "-MSearch::Elasticsearch", "-e", "1"])
    if code:
        raise Skip("Debian's libsearch-elasticsearch-perl is not installed")
    return ["perl", str(SCRIPTS / "client_perl.pl")]


def ruby(_cache):
    have("ruby")
    code, _ = sh(["ruby", "-e", "require 'elasticsearch'"])
    if code:
        raise Skip("Debian's ruby-elasticsearch is not installed")
    return ["ruby", str(SCRIPTS / "client_ruby.rb")]


def golang(cache):
    have("go")
    folder = cache / "go"
    binary = folder / "client"
    if not binary.exists():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(SCRIPTS / "client_go", folder)
        code, out = sh(["go", "build", "-o", "client", "."], cwd=folder)
        if code:
            raise Skip("the Go proxy cannot be reached, or its client does not build: "
                       + out.strip()[-300:])
    return [str(binary)]


def elasticdump(cache):
    folder = node_modules(cache, "elasticdump", "elasticdump@6.110.0")
    return [sys.executable, str(SCRIPTS / "elasticdump.py"),
            str(folder / "node_modules/.bin/elasticdump")]


def rsyslog(_cache):
    program = shutil.which("rsyslogd") or shutil.which("rsyslogd", path="/usr/sbin:/sbin")
    if not program:
        raise Skip("Debian's rsyslog is not installed")
    if not list(pathlib.Path("/usr/lib").glob("*/rsyslog/omelasticsearch.so")):
        raise Skip("Debian's rsyslog-elasticsearch is not installed")
    return [sys.executable, str(SCRIPTS / "rsyslog.py"), program]


CLIENTS = {
    "python-9": python_from_pypi("9.1.1"),
    "python-8": python_from_pypi("8.19.1"),
    "python-9-models": python_from_pypi("9.1.1", "client_python_models.py"),
    "python-8-models": python_from_pypi("8.19.1", "client_python_models.py"),
    "python-9-eland": python_from_pypi("9.1.1", "client_python_eland.py"),
    "python-8-eland": python_from_pypi("8.19.1", "client_python_eland.py"),
    "python-9-rerank": python_from_pypi("9.1.1", "client_python_rerank.py"),
    "python-8-rerank": python_from_pypi("8.19.1", "client_python_rerank.py"),
    "python-9-indices": python_from_pypi("9.1.1", "client_python_indices.py"),
    "python-8-indices": python_from_pypi("8.19.1", "client_python_indices.py"),
    "python-9-ingest": python_from_pypi("9.1.1", "client_python_ingest.py"),
    "python-8-ingest": python_from_pypi("8.19.1", "client_python_ingest.py"),
    "python-9-tutorial": python_from_pypi("9.1.1", "client_python_tutorial.py"),
    "python-8-tutorial": python_from_pypi("8.19.1", "client_python_tutorial.py"),
    "python-9-aggs": python_from_pypi("9.1.1", "client_python_aggs.py"),
    "python-8-aggs": python_from_pypi("8.19.1", "client_python_aggs.py"),
    "python-9-longwork": python_from_pypi("9.1.1", "client_python_longwork.py"),
    "python-8-longwork": python_from_pypi("8.19.1", "client_python_longwork.py"),
    "python-9-scoring": python_from_pypi("9.1.1", "client_python_scoring.py"),
    "python-8-scoring": python_from_pypi("8.19.1", "client_python_scoring.py"),
    "python-9-fusion": python_from_pypi("9.1.1", "client_python_fusion.py"),
    "python-8-fusion": python_from_pypi("8.19.1", "client_python_fusion.py"),
    "python-9-words": python_from_pypi("9.1.1", "client_python_words.py"),
    "python-8-words": python_from_pypi("8.19.1", "client_python_words.py"),
    "python-9-page": python_from_pypi("9.1.1", "client_python_page.py"),
    "python-8-page": python_from_pypi("8.19.1", "client_python_page.py"),
    "python-9-types": python_from_pypi("9.1.1", "client_python_types.py"),
    "python-8-types": python_from_pypi("8.19.1", "client_python_types.py"),
    "python-9-kinds": python_from_pypi("9.1.1", "client_python_kinds.py"),
    "python-8-kinds": python_from_pypi("8.19.1", "client_python_kinds.py"),
    "python-9-semantic": python_from_pypi("9.1.1", "client_python_semantic.py"),
    "python-8-semantic": python_from_pypi("8.19.1", "client_python_semantic.py"),
    "python-9-shop": shop("9.1.1"),
    "python-8-shop": shop("8.19.1"),
    "python-7-debian": python_from_debian,
    "javascript-9": javascript("9.0.3"),
    "javascript-8": javascript("8.19.1"),
    "perl-debian": perl,
    "ruby-debian": ruby,
    "go-8": golang,
    "elasticdump": elasticdump,
    "rsyslog": rsyslog,
}


def install_minilm(binary, data, cache):
    code, out = sh([sys.executable, str(ROOT / "tests/models/run.py"), "--fetch", "--cache", str(cache)],
                   timeout=400)
    if code == 0:
        code, out = sh([binary, "models", "import", out.strip(), "--name", MINILM, "--data", data])
    if code == 0:
        installed.add(MINILM)
    else:
        print("     " + out.strip()[-300:])


def start_server(binary, data):
    """Starts the server, with the tiny models, on a free port; gives (process, url)."""
    for model in sorted((HERE.parent / "golden/tiny").iterdir()):
        subprocess.run([binary, "models", "import", str(model), "--data", data],
                       stdout=subprocess.DEVNULL, check=True)
    server = subprocess.Popen([binary, "serve", "--data", data, "--port", "0", "--log-level", "warn",
                               "--reindex-remote", "127.0.0.1:*"],
                              stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline()
    match = re.search(r"serves (http\S+)", line)
    if not match:
        server.kill()
        sys.exit(f"the server did not start: {line!r}")
    return server, match.group(1)


def run_client(name, prepare, cache, url):
    """Gives (passed, failed, skipped) and prints a line a check."""
    try:
        command = prepare(cache)
    except (Skip, subprocess.TimeoutExpired) as reason:
        print(f"SKIP {name}: {reason}")
        return 0, 0, 1
    began = time.monotonic()
    try:
        done = subprocess.run(command, env={**os.environ, "VIZSLA_URL": url,
                                            "VIZSLA_PRODUCTS": str(PRODUCTS)},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=600, stdin=subprocess.DEVNULL)
        out, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        out, code = f"{late.stdout or ''}\nnot ok within 600 s", 1
    passed = len(re.findall(r"^ok ", out, re.M))
    failed = len(re.findall(r"^not ok ", out, re.M))
    if code and not failed:
        failed = 1
    if not passed and not failed:
        failed = 1
    print(f"{'FAIL' if failed else 'ok  '} {name}: {passed} passed, {failed} failed "
          f"({time.monotonic() - began:.1f} s)")
    if failed:
        print("     " + out.strip()[-3000:].replace("\n", "\n     "))
    return passed, failed, 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--only")
    parser.add_argument("--cache", default=str(HERE.parent.parent / "build/clients"))
    options = parser.parse_args()
    cache = pathlib.Path(options.cache).resolve()
    os.environ["VIZSLA_BIN"] = str(pathlib.Path(options.bin).resolve())  # for those with a server of their own
    cache.mkdir(parents=True, exist_ok=True)
    total = [0, 0, 0]
    with tempfile.TemporaryDirectory(prefix="vizsla-clients-") as data:
        if any("shop" in name for name in CLIENTS if (options.only or "") in name):
            install_minilm(options.bin, data, cache)
        server, url = start_server(options.bin, data)
        try:
            for name, prepare in CLIENTS.items():
                if options.only and options.only not in name:
                    continue
                for i, count in enumerate(run_client(name, prepare, cache, url)):
                    total[i] += count
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(timeout=120)
    total[0 if code == 0 else 1] += 1
    print(f"{'ok  ' if code == 0 else 'FAIL'} the server stopped with exit code {code}")
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
