#!/usr/bin/env python3
"""The REST API, case by case, over a real socket: tests as data.

    tests/api/run.py --bin build/vizsla [--only FILE] [--url http://127.0.0.1:9200]

Each file in cases/ is a sequence of cases against a server without indices:

    === what this case shows
    PUT /dogs?pretty
    > Header: value            a request header ("Content-Type: application/json" is the default)
    @cut                       the body does not end with the newline that _bulk and _msearch get
    @crlf                      the body's lines end with CR LF, as a form's parts do
    @content-length 4294967296 sent instead of a body
    @until                     asked again, for a minute at most, until the answer is as expected
    {"mappings": {}}           the body, any number of lines
    --- 200                    the expected status
    < Allow: GET               an answer header that must contain this
    ~ regular expression       that the answer's text must match
    = name hits.hits.0._id     keeps a part of the answer; ${name} in later cases is that
    {"acknowledged": true}     JSON the answer must contain

Expected JSON matches when every member it names matches; "!name" must be absent; lists match
element by element and in length, unless the last element is "..."; "<any>", "<int>", "<number>",
"<string>" and "<re:...>" match kinds. Numbers match within 1e-6. Every answer must carry
X-Elastic-Product. The server has the tiny models of tests/golden/tiny installed and takes pictures
from samples/ by name. Ends with `N passed, N failed, N skipped`. Standard library only.
"""
import argparse
import gzip
import http.client
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent


class Case:
    def __init__(self, file, line, title):
        self.file, self.line, self.title = file, line, title
        self.method = self.path = None
        self.headers, self.body, self.cut, self.content_length = {}, [], False, None
        self.crlf = self.until = False
        self.status, self.want_headers, self.patterns, self.keeps, self.want = None, [], [], [], []


def parse(path):
    cases, case, expecting = [], None, False
    for number, line in enumerate(path.read_text().split("\n"), 1):
        if line.startswith("=== "):
            case, expecting = Case(path.name, number, line[4:]), False
            cases.append(case)
        elif case is None or (line.startswith("# ") and not case.body):
            continue
        elif case.method is None:
            if line:
                case.method, case.path = line.split(" ", 1)
        elif not expecting:
            if line.startswith("--- "):
                case.status, expecting = int(line[4:]), True
            elif line.startswith("> "):
                name, value = line[2:].split(":", 1)
                case.headers[name] = value.strip()
            elif line == "@cut":
                case.cut = True
            elif line == "@crlf":
                case.crlf = True
            elif line == "@until":
                case.until = True
            elif line.startswith("@content-length "):
                case.content_length = line.split(" ")[1]
            else:
                case.body.append(line)
        elif line.startswith("< "):
            case.want_headers.append(line[2:].split(": ", 1))
        elif line.startswith("~ "):
            case.patterns.append(line[2:])
        elif line.startswith("= "):
            case.keeps.append(line[2:].split(" ", 1))
        else:
            case.want.append(line)
    return cases


def differs(want, got, where="answer"):
    """None, or what is different and where."""
    if isinstance(want, str) and want.startswith("<") and want.endswith(">"):
        kind = want[1:-1]
        if kind == "any":
            return None
        if kind == "int" and isinstance(got, int) and not isinstance(got, bool):
            return None
        if kind == "number" and isinstance(got, (int, float)) and not isinstance(got, bool):
            return None
        if kind == "string" and isinstance(got, str):
            return None
        if kind.startswith("re:") and isinstance(got, str) and re.search(kind[3:], got):
            return None
        return f"{where}: wanted {want}, got {got!r}"
    if isinstance(want, dict):
        if not isinstance(got, dict):
            return f"{where}: wanted an object, got {got!r}"
        for key, value in want.items():
            if key.startswith("!"):
                if key[1:] in got:
                    return f"{where}.{key[1:]}: must be absent, is {got[key[1:]]!r}"
            elif key not in got:
                return f"{where}.{key}: missing"
            else:
                found = differs(value, got[key], f"{where}.{key}")
                if found:
                    return found
        return None
    if isinstance(want, list):
        if not isinstance(got, list):
            return f"{where}: wanted a list, got {got!r}"
        open_ended = want and want[-1] == "..."
        items = want[:-1] if open_ended else want
        if len(got) < len(items) or (not open_ended and len(got) != len(items)):
            return f"{where}: wanted {len(items)} elements, got {len(got)}"
        for i, value in enumerate(items):
            found = differs(value, got[i], f"{where}[{i}]")
            if found:
                return found
        return None
    if isinstance(want, float) or (isinstance(got, float) and isinstance(want, int)):
        same = isinstance(got, (int, float)) and abs(want - got) <= 1e-6 * max(1, abs(want))
    else:
        same = want == got and type(want) is type(got)
    return None if same else f"{where}: wanted {want!r}, got {got!r}"


def pick(value, path):
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


class Server:
    def __init__(self, binary):
        self.data = tempfile.mkdtemp(prefix="vizsla-api-")
        root = HERE.parent.parent
        for model in sorted((root / "tests/golden/tiny").iterdir()):
            subprocess.run([binary, "models", "import", str(model), "--data", self.data],
                           stdout=subprocess.DEVNULL, check=True)
        self.process = subprocess.Popen(
            [binary, "serve", "--data", self.data, "--port", "0", "--image-folder",
             str(root / "samples")], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http://[0-9.]+:[0-9]+", line)
        if not found:
            raise SystemExit(f"the server did not say where it is: {line!r}")
        self.url = found.group(0)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(120)
        shutil.rmtree(self.data, ignore_errors=True)
        return code


class Client:
    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.host, self.port = parts.hostname, parts.port
        self.connection = None

    def call(self, method, path, body=None, headers=None, content_length=None):
        for attempt in (1, 2):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
                connection = self.connection
                connection.putrequest(method, path, skip_accept_encoding=True)
                for name, value in (headers or {}).items():
                    connection.putheader(name, value)
                if content_length is not None:
                    connection.putheader("Content-Length", content_length)
                elif body is not None:
                    connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body if content_length is None else None)
                answer = connection.getresponse()
                data = answer.read()
                if answer.getheader("Content-Encoding") == "gzip":
                    data = gzip.decompress(data)
                if content_length is not None or answer.getheader("Connection") == "close":
                    self.close()
                return answer.status, answer.headers, data.decode("utf-8", "replace")
            except (http.client.HTTPException, ConnectionError):
                self.close()
                if attempt == 2:
                    raise
        return None

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def fill_in(text, kept):
    return re.sub(r"\$\{(\w+)\}", lambda m: str(kept[m.group(1)]), text)


def ask(case, client, kept):
    headers = dict(case.headers)
    body = None
    if case.body and any(case.body):
        while case.body and case.body[-1] == "":
            case.body.pop()
        text = fill_in(("\r\n" if case.crlf else "\n").join(case.body), kept)
        if re.search(r"_bulk|_msearch", case.path) and not case.cut:
            text += "\n"
        body = text.encode()
        headers.setdefault("Content-Type", "application/json")
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.compress(body)
    status, got_headers, text = client.call(case.method, fill_in(case.path, kept), body, headers,
                                            case.content_length)
    problems = []
    if status != case.status:
        problems.append(f"status {status}, wanted {case.status}")
    if got_headers.get("X-Elastic-Product") != "Elasticsearch":
        problems.append("no X-Elastic-Product header")
    for name, value in case.want_headers:
        if value not in (got_headers.get(name) or ""):
            problems.append(f"header {name}: {got_headers.get(name)!r}, wanted {value!r}")
    for pattern in case.patterns:
        if not re.search(fill_in(pattern, kept), text, re.M):
            problems.append(f"no match for {pattern!r}")
    want = fill_in("\n".join(case.want).strip(), kept)
    if want or case.keeps:
        try:
            got = json.loads(text)
            found = differs(json.loads(want), got) if want else None
            if found:
                problems.append(found)
            for name, path in case.keeps:
                kept[name] = pick(got, path)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            problems.append(f"{type(error).__name__}: {error}")
    return problems, text


def run_case(case, client, kept):
    end = time.monotonic() + 60
    while True:
        problems, text = ask(case, client, kept)
        if not problems or not case.until or time.monotonic() > end:
            return problems, text
        time.sleep(0.02)


def clear(client):
    client.call("DELETE", "/_search/scroll/_all")
    _, _, text = client.call("GET", "/_cat/indices?h=index&format=json")
    for row in json.loads(text):
        client.call("DELETE", "/" + urllib.parse.quote(row["index"], safe=""))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", help="the vizsla program")
    parser.add_argument("--url", help="a running server instead; its indices are deleted!")
    parser.add_argument("--only", default="", help="files whose name contains this")
    options = parser.parse_args()
    if not options.bin and not options.url:
        parser.error("--bin or --url is needed")
    server = None if options.url else Server(options.bin)
    client = Client(options.url or server.url)
    passed = failed = 0
    start = time.time()
    for path in sorted((HERE / "cases").glob("*.txt")):
        if options.only not in path.name:
            continue
        clear(client)
        kept, here = {}, 0
        cases = parse(path)
        for case in cases:
            try:
                problems, text = run_case(case, client, kept)
            except (OSError, http.client.HTTPException) as error:
                problems, text = [f"{type(error).__name__}: {error}"], ""
            if problems:
                failed += 1
                print(f"FAILED {case.file}:{case.line} {case.title}\n  {case.method} {case.path}")
                for problem in problems:
                    print(f"  {problem}")
                print(f"  the answer: {text[:600]}")
            else:
                passed += 1
                here += 1
        print(f"{path.stem}: {here} of {len(cases)}")
    client.close()
    compat = HERE.parent.parent / "tools/compat.py"
    if compat.exists() and not options.only:
        if subprocess.run([sys.executable, str(compat), "--check"], check=False).returncode:
            failed += 1
            print("FAILED docs/compatibility.md is not what src/rest/router.c says")
        else:
            passed += 1
    if server:
        code = server.stop()
        if code != 0:
            failed += 1
            print(f"FAILED the server ended with code {code}")
    print(f"in {time.time() - start:.1f} s")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
