"""A hub on this machine: Hugging Face's URLs over generated models, and everything that can go wrong.

    hub = Hub({"org/name": Repo({"config.json": b"{}", ...})})
    hub.url, hub.requests, hub.faults["model.safetensors"] = [Cut(1000), Cut(5000)]

Standard library only. A Hub is a thread; stop() ends it.
"""
import hashlib
import http.server
import json
import random
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse


# ---- models -------------------------------------------------------------------------------------

def safetensors(count, seed=1):
    """A file with one tensor of `count` floats."""
    data = random.Random(seed).randbytes(4 * count)
    head = json.dumps({"weight": {"dtype": "F32", "shape": [count],
                                  "data_offsets": [0, len(data)]}}).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + data


def config(kind="bert"):
    return json.dumps({"model_type": kind}).encode()


def modules(*paths):
    return json.dumps([{"idx": i, "name": str(i), "path": path, "type": "sentence_transformers.models.X"}
                       for i, path in enumerate(paths)]).encode()


DECOYS = {".gitattributes": b"x", "README.md": b"# model", "tf_model.h5": b"h5", "rust_model.ot": b"ot",
          "flax_model.msgpack": b"mp", "onnx/model.onnx": b"onnx", "onnx/config.json": b"{}",
          "openvino/openvino_model.bin": b"ov", "train_script.py": b"import os", "pictures/a b.png": b"png"}
TOKENIZER = {"tokenizer.json": b'{"version": "1.0"}', "tokenizer_config.json": b"{}",
             "special_tokens_map.json": b"{}", "vocab.txt": b"a\nb\n"}


class Repo:
    """The files of one repository; `revisions` gives other branches other files."""

    def __init__(self, files, revisions=None, token=None, gated=False, license="apache-2.0"):
        self.files, self.token, self.gated, self.license = files, token, gated, license
        self.revisions = revisions or {}

    def at(self, revision):
        """(commit, files) or None."""
        for name, files in {"main": self.files, **self.revisions}.items():
            commit = hashlib.sha1(b"".join(k.encode() + v for k, v in sorted(files.items()))).hexdigest()
            if revision in (name, commit):
                return commit, files
        return None


def is_large(data):
    return len(data) > 20000


def digest_of(data):
    if is_large(data):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


# ---- what can go wrong: one of these is used up a request ----------------------------------------

class Cut:
    """Sends so many bytes of the body, then drops the connection."""
    def __init__(self, after):
        self.after = after


class Status:
    """Answers with this code."""
    def __init__(self, code, **headers):
        self.code, self.headers = code, headers


class Stall:
    """Sends so many bytes, then nothing for so long."""
    def __init__(self, after, seconds):
        self.after, self.seconds = after, seconds


class Slow:
    """Bytes a second; never used up."""
    def __init__(self, rate):
        self.rate = rate


class Body:
    """Sends other bytes; `length` is what it says, None for no length."""
    def __init__(self, data, length=-1):
        self.data, self.length = data, len(data) if length == -1 else length


class OtherPart:
    """Answers a range with one that begins so many bytes later."""
    def __init__(self, later):
        self.later = later


class Redirect:
    def __init__(self, location, code=302):
        self.location, self.code = location, code


class Hub:
    def __init__(self, repos=None, host="127.0.0.1", tls=None, **settings):
        self.repos, self.requests, self.faults = repos or {}, [], {}
        self.blobs = settings.get("blobs", True)          # sizes and checksums in the listing
        self.etags = settings.get("etags", True)          # checksums in headers
        self.ranges = settings.get("ranges", True)
        self.storage = settings.get("storage")            # another Hub: large files are redirected there
        self.listing = settings.get("listing")            # changes the listing before it is sent
        self.files = {}                                   # plain paths, for a storage
        self.lock = threading.Lock()
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hub.answer(self)

            def log_message(self, *words):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.server = Server((host, 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if tls else ''}://{host}:{self.port}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def asked(self, part):
        """Requests whose path contains this."""
        with self.lock:
            return [r for r in self.requests if part in r["path"]]

    # ---- answering --------------------------------------------------------------------------

    def answer(self, h):
        path = urllib.parse.urlsplit(h.path)
        with self.lock:
            self.requests.append({"path": h.path, "range": h.headers.get("Range"),
                                  "token": h.headers.get("Authorization"), "agent": h.headers.get("User-Agent")})
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/([^/]+)", path.path)
        if match:
            return self.answer_listing(h, match.group(1), urllib.parse.unquote(match.group(2)))
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path.path)
        if match:
            return self.answer_file(h, match.group(1), *map(urllib.parse.unquote, match.groups()[1:]))
        name = path.path.lstrip("/")
        if name in self.files:
            return self.send(h, self.files[name], self.fault(name), {"ETag": '"5d41402abc4b2a76"'})
        return self.send_code(h, 404)

    def fault(self, name):
        with self.lock:
            faults = self.faults.get(name, [])
            if not faults:
                return None
            return faults[0] if isinstance(faults[0], Slow) else faults.pop(0)

    def repo(self, h, name):
        """The repository, or None when an error was sent."""
        repo = self.repos.get(name)
        token = h.headers.get("Authorization")
        if repo and repo.gated:
            self.send_code(h, 403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is\trestricted"})
        elif not repo:
            self.send_code(h, 404, {"X-Error-Code": "RepoNotFound"})
        elif repo.token and token != "Bearer " + repo.token:
            self.send_code(h, 401, {"X-Error-Message": "Invalid username or password."})
        else:
            return repo
        return None

    def answer_listing(self, h, name, revision):
        fault = self.fault("listing")
        if fault:
            return self.send(h, b"", fault, {})
        repo = self.repo(h, name)
        if not repo:
            return None
        found = repo.at(revision)
        if not found:
            return self.send_code(h, 404, {"X-Error-Code": "RevisionNotFound"})
        commit, files = found
        siblings = []
        for path, data in files.items():
            entry = {"rfilename": path}
            if self.blobs:
                entry.update(size=len(data), blobId=hashlib.sha1(data).hexdigest() if is_large(data)
                             else digest_of(data))
                if is_large(data):
                    entry["lfs"] = {"sha256": digest_of(data), "size": len(data), "pointerSize": 134}
            siblings.append(entry)
        listing = {"id": name, "sha": commit, "siblings": siblings, "cardData": {"license": repo.license}}
        if self.listing:
            listing = self.listing(listing)
        body = listing if isinstance(listing, bytes) else json.dumps(listing).encode()
        return self.send(h, body, None, {"Content-Type": "application/json"})

    def answer_file(self, h, name, revision, path):
        repo = self.repo(h, name)
        if not repo:
            return None
        found = repo.at(revision)
        if not found or path not in found[1]:
            return self.send_code(h, 404, {"X-Error-Code": "EntryNotFound"})
        commit, data = found[0], found[1][path]
        headers = {"X-Repo-Commit": commit}
        fault = self.fault(path)
        if self.etags:
            headers["ETag"] = f'"{digest_of(data)}"'
        if self.storage and is_large(data):
            if self.etags:
                headers.update({"X-Linked-Etag": f'"{digest_of(data)}"', "X-Linked-Size": str(len(data)),
                                "ETag": '"0123456789012345678901234567890123456789"'})
            self.storage.files[digest_of(data)] = data
            fault = Redirect(f"{self.storage.url}/{digest_of(data)}?signature=x")
        return self.send(h, data, fault, headers)

    # ---- sending ----------------------------------------------------------------------------

    def send_code(self, h, code, headers=None):
        body = b'{"error": "no"}'
        h.send_response(code)
        for key, value in (headers or {}).items():
            h.send_header(key.replace("_", "-"), value)
        h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        h.wfile.write(body)

    def send(self, h, data, fault, headers):
        if isinstance(fault, Status):
            return self.send_code(h, fault.code, fault.headers)
        if isinstance(fault, Redirect):
            return self.send_code(h, fault.code, {**headers, "Location": fault.location})
        if isinstance(fault, Body):
            data = fault.data
        length, start, code = len(data), 0, 200
        wanted = re.fullmatch(r"bytes=(\d+)-", h.headers.get("Range") or "")
        if wanted and self.ranges and not isinstance(fault, Body):
            start, code = int(wanted.group(1)), 206
            start += fault.later if isinstance(fault, OtherPart) else 0
            if start >= length:
                return self.send_code(h, 416, {"Content-Range": f"bytes */{length}"})
            headers = {**headers, "Content-Range": f"bytes {start}-{length - 1}/{length}"}
        h.send_response(code)
        for key, value in headers.items():
            h.send_header(key, value)
        if isinstance(fault, Body):
            if fault.length is not None:
                h.send_header("Content-Length", str(fault.length))
            else:
                h.send_header("Connection", "close")
                h.close_connection = True
        else:
            h.send_header("Content-Length", str(length - start))
        h.end_headers()
        return self.send_body(h, data[start:], fault)

    def send_body(self, h, data, fault):
        if isinstance(fault, (Cut, Stall)):
            h.wfile.write(data[:fault.after])
            h.wfile.flush()
            if isinstance(fault, Stall):
                time.sleep(fault.seconds)
            # A reset, as a real line's end often is, or an orderly end in the middle.
            if fault.after % 2:
                h.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            h.close_connection = True
            h.connection.close()
        elif isinstance(fault, Slow):
            step = max(1, fault.rate // 20)
            for at in range(0, len(data), step):
                h.wfile.write(data[at:at + step])
                h.wfile.flush()
                time.sleep(step / fault.rate)
        else:
            h.wfile.write(data)
