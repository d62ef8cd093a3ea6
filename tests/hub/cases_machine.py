"""The machine around it: full disks, two at once, the bar, the network, certificates."""
import os
import pty
import select
import shutil
import subprocess

from bench import Skip, contains, equal, flat_files, flat_repo, mount, wait_until
from server import Redirect, Slow


def a_full_disk_keeps_what_came(bench):
    bench.store = mount(bench, "models", 4)
    small = bench.hub({"org/name": flat_repo(2000000)})
    bench.refused("org/name", small, "needs 8.0 MB", "are free")
    equal(small.asked("/resolve/"), [])
    unknown = bench.hub({"org/name": flat_repo(2000000)}, blobs=False)
    bench.refused("org/name", unknown, "no room")
    equal(bench.run("rm", "org/name").returncode, 0)
    # Somebody else fills the disk in the middle.
    hub = bench.hub({"org/name": flat_repo(700000)})
    hub.faults["model.safetensors"] = [Slow(2000000)]
    process = bench.start("pull", "org/name", hub=hub)
    wait_until("a partial file", lambda: bench.partial_bytes() > 500000)
    filler = bench.store / ".filler"
    out = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(out, b"x" * 4096)
    except OSError:
        os.close(out)
    _, errors = process.communicate(timeout=60)
    equal(process.returncode, 2)
    contains(errors, "No space left", "kept", "again to go on")
    kept = bench.partials()[0].stat().st_size
    assert kept > 500000, kept
    filler.unlink()
    hub.faults.clear()
    bench.pulled("org/name", hub)
    equal(hub.asked("model.safetensors")[-1]["range"], f"bytes={kept}-")
    equal(bench.run("verify", "org/name").returncode, 0)


def a_full_disk_refuses_an_import(bench):
    bench.store = mount(bench, "models", 2)
    source = bench.make(flat_files(2000000))
    done = bench.run("import", source)
    equal(done.returncode, 2)
    contains(done.stderr, "No space left")
    equal((bench.names(), bench.listed()["others"]), ([], []))


def a_store_that_cannot_be_written_is_told(bench):
    bench.folder.joinpath("models").write_text("a file")
    done = bench.pull("org/name", bench.hub({"org/name": flat_repo()}))
    equal(done.returncode, 2)
    contains(done.stderr, "models")


def two_pulls_of_one_model_do_not_mix(bench):
    hub = bench.hub({"org/name": flat_repo(500000), "org/other": flat_repo()})
    slow = Slow(20000)  # minutes, until the others have come and gone
    hub.faults["model.safetensors"] = [slow]
    process = bench.start("pull", "org/name", hub=hub)
    wait_until("a partial file", lambda: bench.partials())
    for words in (("pull", "org/name"), ("rm", "org/name")):
        done = bench.run(*words, hub=hub)
        equal(done.returncode, 2)
        contains(done.stderr, "another process", "org/name")
    slow.rate = 100000000
    equal(bench.run("pull", "org/other", hub=hub).returncode, 0)
    _, errors = process.communicate(timeout=60)
    equal((process.returncode, bench.names()), (0, ["org/name", "org/other"]), errors)
    equal(bench.run("verify", "org/name", "org/other").returncode, 0)


def the_bar_shows_rate_and_time_left(bench):
    hub = bench.hub({"org/name": flat_repo()})
    hub.faults["model.safetensors"] = [Slow(200000)]
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(bench.environment(hub), TERM="xterm-256color")
        os.execv(bench.binary, [bench.binary, "models", "pull", "org/name"])
    out = b""
    while select.select([fd], [], [], 30)[0]:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        out += part
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    equal(os.waitstatus_to_exitcode(status), 0)
    contains(out.decode(errors="replace"), "downloading", " MB/s", " left", "is installed")
    assert out.count(b"left") >= 5, "the bar hardly moved"


def nothing_else_uses_the_network(bench):
    hub = bench.hub({"org/name": flat_repo()})
    bench.pulled("org/name", hub)
    hub.requests.clear()
    source = bench.make(flat_files())
    for words in (("list",), ("verify", "org/name"), ("import", source), ("verify", "source"), ("rm", "source"),
                  ("pull", "org/name"), ("rm", "org/name"), ("list", "--json"), ("verify", "org/name")):
        bench.run(*words, hub=hub)
    equal(hub.requests, [])


def a_certificate_is_checked(bench):
    key, cert = bench.folder / "key.pem", bench.folder / "cert.pem"
    made = shutil.which("openssl") and subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], capture_output=True)
    if not made or made.returncode:
        raise Skip("openssl cannot make a certificate here")
    plain = bench.hub()
    hub = bench.hub({"org/name": flat_repo()}, tls=(cert, key))
    bench.refused("org/name", hub, "certificate", "SSL_CERT_FILE")
    equal(hub.requests, [])
    trust = {"SSL_CERT_FILE": str(cert), "HF_TOKEN": "hf_secret"}
    plain.files["x"] = hub.repos["org/name"].files["model.safetensors"]
    hub.faults["model.safetensors"] = [Redirect(plain.url + "/x")]
    bench.refused("org/name", hub, "refused", env=trust)
    equal(plain.requests, [])
    bench.pulled("org/name", hub, env=trust)
    equal(hub.requests[-1]["token"], "Bearer hf_secret")
