"""rsyslog's Elasticsearch output against a server of its own, which goes away in between.

    rsyslog.py RSYSLOGD     with VIZSLA_BIN in the environment

rsyslogd runs as a process of this script: its own configuration, pid file and work folder, listening
on a port of its own; the machine's syslog is not touched. Messages go in over TCP, come out by _bulk.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

RSYSLOGD, BIN = sys.argv[1], os.environ["VIZSLA_BIN"]
folder = pathlib.Path(tempfile.mkdtemp(prefix="vz-rsyslog-"))
failures = 0

CONFIG = """
global(workDirectory="{folder}/work")
module(load="imtcp")
module(load="omelasticsearch")
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="{folder}/port")
template(name="document" type="list") {{
    constant(value="{{\\"@timestamp\\":\\"") property(name="timereported" dateFormat="rfc3339")
    constant(value="\\",\\"host\\":\\"") property(name="hostname" format="json")
    constant(value="\\",\\"severity\\":\\"") property(name="syslogseverity-text")
    constant(value="\\",\\"tag\\":\\"") property(name="syslogtag" format="json")
    constant(value="\\",\\"message\\":\\"") property(name="msg" format="json")
    constant(value="\\"}}")
}}
template(name="index" type="string" string="logs-%$year%.%$month%")
action(type="omelasticsearch" server="127.0.0.1" serverport="{server}" template="document"
       searchIndex="index" dynSearchIndex="on" searchType="" bulkmode="on" maxbytes="1m"
       errorFile="{folder}/errors" queue.type="linkedlist" queue.dequeueBatchSize="64"
       action.resumeRetryCount="-1" action.resumeInterval="1")
"""


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen}"), flush=True)


def start_server(port):
    server = subprocess.Popen([BIN, "serve", "--data", str(folder / "data"), "--port", str(port),
                               "--log-level", "warn"], stdout=subprocess.PIPE, text=True)
    found = re.search(r"serves http\S+:(\d+)", server.stdout.readline())
    return server, int(found.group(1))


def call(method, path, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method,
                                     data=json.dumps(body).encode() if body else None,
                                     headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def count():
    try:
        call("POST", "/logs-*/_refresh")
        return call("GET", "/logs-*/_count")["count"]
    except (urllib.error.URLError, OSError):
        return -1


def wait_for(test, seconds=120):
    until = time.monotonic() + seconds
    while not test() and time.monotonic() < until:
        time.sleep(0.2)
    return test()


def send(first, last):
    with socket.create_connection(("127.0.0.1", int((folder / "port").read_text()))) as syslog:
        for n in range(first, last):
            line = f"<13>1 2026-11-20T12:00:00.{n % 1000:03d}Z kennel app 1 - - dog \"{n}\" barks: ação\\{n}"
            syslog.sendall(line.encode() + b"\n")


(folder / "work").mkdir()
server, port = start_server(0)
(folder / "rsyslog.conf").write_text(CONFIG.format(folder=folder, server=port))
syslogd = subprocess.Popen([RSYSLOGD, "-n", "-f", str(folder / "rsyslog.conf"),
                            "-i", str(folder / "pid")],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    call("PUT", "/_index_template/logs", {"index_patterns": ["logs-*"], "template": {
        "settings": {"number_of_replicas": 0},
        "mappings": {"properties": {"severity": {"type": "keyword"}, "host": {"type": "keyword"}}}}})
    check("rsyslogd listens", wait_for(lambda: (folder / "port").exists()))
    send(0, 300)
    check("300 messages arrive", wait_for(lambda: count() == 300), count())
    found = call("GET", "/logs-*/_search", {
        "size": 1, "query": {"match": {"message": "17"}},
        "aggs": {"by": {"terms": {"field": "severity"}}, "hosts": {"terms": {"field": "host"}}}})
    source = found["hits"]["hits"][0]["_source"]
    check("whole", source["message"] == 'dog "17" barks: ação\\17' and source["host"] == "kennel"
          and source["@timestamp"].startswith("2026-11-20T12:00:00.017"), source)
    facets = call("GET", "/logs-*/_search", {"size": 0, "aggs": {"by": {"terms": {"field": "severity"}}}})
    check("facets by the template's keyword",
          facets["aggregations"]["by"]["buckets"] == [{"key": "notice", "doc_count": 300}],
          facets["aggregations"])
    index = found["hits"]["hits"][0]["_index"]
    check("the index has its template",
          call("GET", f"/{index}/_settings")[index]["settings"]["index"]["number_of_replicas"] == "0")

    server.send_signal(signal.SIGKILL)
    server.wait()
    send(300, 400)
    time.sleep(2)
    server, again = start_server(port)
    check("the server is back on its port", again == port, again)
    check("what was sent meanwhile arrives", wait_for(lambda: count() >= 400), count())
    ids = call("GET", "/logs-*/_search", {"size": 1000, "_source": ["message"]})["hits"]["hits"]
    numbers = [int(re.search(r'"(\d+)"', hit["_source"]["message"]).group(1)) for hit in ids]
    check("none is missing", set(numbers) == set(range(400)), sorted(set(range(400)) - set(numbers)))
    check("nothing was refused", not (folder / "errors").exists(),
          (folder / "errors").read_text()[:500] if (folder / "errors").exists() else "")
finally:
    for process in (syslogd, server):
        process.terminate()
    for process in (syslogd, server):
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    shutil.rmtree(folder, ignore_errors=True)
sys.exit(failures > 0)
