"""A door in front of a real server: TLS with a certificate of its own, and a key that is asked for.

    with Gate(folder, "http://127.0.0.1:9200", "ApiKey abc") as door:
        ... door.url, door.certificate ...

Requests that carry the key go through unchanged, others get Elasticsearch's 401.
"""
import http.server
import json
import pathlib
import ssl
import subprocess
import threading
import urllib.error
import urllib.request


class Gate:
    def __init__(self, folder, url, key):
        self.certificate = pathlib.Path(folder) / "gate.pem"
        private = pathlib.Path(folder) / "gate.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", private, "-out", self.certificate],
                       check=True, capture_output=True)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(url, key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, private)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def handler(url, key):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != key:
                return self.answer(401, json.dumps({"status": 401, "error": {
                    "type": "security_exception", "reason": "missing authentication credentials",
                    "root_cause": []}}).encode())
            request = urllib.request.Request(url + self.path, body or None, method=self.command)
            if self.headers.get("Content-Type"):
                request.add_header("Content-Type", self.headers["Content-Type"])
            try:
                with urllib.request.urlopen(request, timeout=60) as reply:
                    return self.answer(reply.status, reply.read())
            except urllib.error.HTTPError as error:
                return self.answer(error.code, error.read())

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_):
            pass

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on

    return Handler
