"""What the stories of the command line share: a folder and a program for each, and how to check."""
import contextlib
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import threading
import urllib.request

import tiny_model

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SAMPLES = ROOT / "samples"
SHARED = pathlib.Path(os.environ.get("VIZSLA_TEST_DATA", ROOT.parent / "shared/data"))


class Skip(Exception):
    pass


class Bench:
    """One test's folder and program."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, pathlib.Path(folder)
        self.data = str(self.folder / "data")
        self.server = None

    def run(self, *words, env=None, timeout=120):
        environment = {**os.environ, "VIZSLA_DATA": self.data, **(env or {})}
        return subprocess.run([self.binary, *map(str, words)], capture_output=True, text=True,
                              timeout=timeout, env=environment, stdin=subprocess.DEVNULL)

    def serve(self, *words):
        self.server = subprocess.Popen(
            [self.binary, "serve", "--data", self.data, "--port", "0", "--log-level", "warn", *words],
            stdout=subprocess.PIPE, text=True)
        line = self.server.stdout.readline()
        match = re.search(r"serves (http\S+)", line)
        assert match, f"the server said {line!r}"
        return match.group(1)

    def on_terminal(self, *words):
        """What the command writes to a terminal of its own."""
        pid, fd = pty.fork()
        if pid == 0:
            os.environ.update(VIZSLA_DATA=self.data, TERM="xterm-256color", COLORTERM="truecolor")
            os.execv(self.binary, [self.binary, *map(str, words)])
        out = b""
        while True:
            try:
                if not select.select([fd], [], [], 60)[0]:
                    break
                part = os.read(fd, 65536)
            except OSError:
                break
            if not part:
                break
            out += part
        _, status = os.waitpid(pid, 0)
        os.close(fd)
        equal(os.waitstatus_to_exitcode(status), 0)
        return out.decode(errors="replace")

    def stop(self, how=signal.SIGTERM):
        if self.server and self.server.poll() is None:
            self.server.send_signal(how)
            return self.server.wait(timeout=120)
        return None


def equal(seen, expected):
    assert seen == expected, f"expected {expected!r}, saw {seen!r}"


def contains(text, *parts):
    for part in parts:
        assert part in text, f"no {part!r} in {text!r}"


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def register_samples(bench, *words):
    done = bench.run("register", "--from", SAMPLES / "register.json", *words)
    equal(done.returncode, 0)
    return done


def install_clip(bench, name="clip-ViT-B-32", seed=7):
    """A small CLIP with made-up weights, installed under `name`."""
    source = bench.folder / f"model-{seed}-{len(list(bench.folder.iterdir()))}"
    tiny_model.clip(source, seed)
    equal(bench.run("models", "import", source, "--name", name).returncode, 0)
    return source


def call(url, method="GET", body=None):
    request = urllib.request.Request(url, method=method, headers={"Content-Type": "application/json"},
                                     data=None if body is None else json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


class Babbler:
    """A server that answers whatever it is asked with the same bytes."""

    def __init__(self, answer):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.answer = answer

    def __enter__(self):
        threading.Thread(target=self.talk, daemon=True).start()
        return self

    def talk(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):  # it may hang up before it has heard all
                asked = b""
                while b"\r\n\r\n" not in asked and (part := peer.recv(65536)):
                    asked += part
                length = re.search(rb"(?i)content-length: (\d+)", asked)
                missing = int(length[1]) - len(asked.split(b"\r\n\r\n", 1)[1]) if length else 0
                while missing > 0 and (part := peer.recv(65536)):
                    missing -= len(part)
                peer.sendall(self.answer)

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def http(status, body):
    return (f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body)
