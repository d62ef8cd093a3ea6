"""Lines that break: cut, dead, slow, busy, killed; wrong bytes; going on where it stopped."""
import random
import signal
import time

from bench import contains, equal, flat_files, flat_repo, wait_until
from server import Body, Cut, OtherPart, Slow, Stall, Status, safetensors


def cut_connections_are_gone_on_with(bench):
    hub = bench.hub({"org/name": flat_repo(500000)})
    hub.faults["model.safetensors"] = [Cut(300000), Cut(1000), Cut(700001), Cut(0), Cut(123456)]
    hub.faults["tokenizer.json"] = [Cut(3)]
    model = bench.pulled("org/name", hub)
    ranges = [r["range"] for r in hub.asked("model.safetensors")]
    equal((len(ranges), ranges[0]), (6, None))
    starts = [int(r[6:-1]) for r in ranges[1:]]
    # The third was a reset, which may lose what the kernel had not yet handed over.
    equal((starts[0], starts[1], starts[3] - starts[2], starts[4] - starts[3]), (300000, 301000, 0, 123456))
    assert starts[2] >= starts[1], starts
    equal(model["fetched_bytes"], model["bytes"])
    equal(bench.run("verify", "org/name").returncode, 0)


def a_hub_without_ranges_is_asked_for_all(bench):
    hub = bench.hub({"org/name": flat_repo()}, ranges=False)
    hub.faults["model.safetensors"] = [Cut(100000), Cut(150000)]
    model = bench.pulled("org/name", hub)
    assert model["fetched_bytes"] > model["bytes"], model
    equal(bench.run("verify", "org/name").returncode, 0)


def a_line_that_stays_dead_ends_and_is_resumed_later(bench):
    hub = bench.hub({"org/name": flat_repo()})
    hub.faults["model.safetensors"] = [Cut(100000)] + [Cut(0)] * 3
    began = time.monotonic()
    bench.refused("org/name", hub, "model.safetensors", "broke", words=("--retries", "3"))
    assert time.monotonic() - began > 0.5, "no pause between tries"
    equal(len(hub.asked("model.safetensors")), 4)
    equal([p.stat().st_size for p in bench.partials()], [100000])
    others = bench.listed()["others"]
    equal([(o["name"], o["state"]) for o in others], [("org/name", "unfinished")])
    contains(bench.run("list").stdout, "org/name", "unfinished", "pull again")
    model = bench.pulled("org/name", hub)
    equal(hub.asked("model.safetensors")[-1]["range"], "bytes=100000-")
    assert model["resumed_bytes"] >= 100000 and model["fetched_bytes"] < 110000, model
    equal(len(hub.asked("tokenizer.json")), 1)
    equal(bench.listed()["others"], [])


def a_killed_process_is_gone_on_with(bench):
    hub = bench.hub({"org/name": flat_repo(1000000)})
    hub.faults["model.safetensors"] = [Slow(2000000)]
    for least in (300000, 900000):
        process = bench.start("pull", "org/name", hub=hub)
        wait_until("a partial file", lambda: bench.partial_bytes() > least)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        equal(bench.names(), [])
    hub.faults.clear()
    there = bench.partials()[0].stat().st_size
    model = bench.pulled("org/name", hub)
    starts = [int(r["range"][6:-1]) for r in hub.asked("model.safetensors")[1:]]
    assert len(starts) == 2 and starts[0] > 300000 and starts[1] == there, starts
    assert model["fetched_bytes"] == 4000000 + len(safetensors(0)) - there + 4 or model["fetched_bytes"] < 4000000
    equal(bench.run("verify", "org/name").returncode, 0)


def kills_at_random_moments_leave_nothing_half(bench):
    hub = bench.hub({"org/name": flat_repo(300000)})
    chance = random.Random(bench.seed)
    for _ in range(12):
        hub.faults["model.safetensors"] = [Slow(8000000)]
        process = bench.start("pull", "org/name", "--update", hub=hub)
        time.sleep(chance.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        names = bench.names()
        assert names in ([], ["org/name"]), names
        if names:
            equal(bench.run("verify", "org/name").returncode, 0)
            if chance.random() < 0.5:
                hub.repos["org/name"].files["added_tokens.json"] = b"%d" % chance.getrandbits(30)
            else:
                equal(bench.run("rm", "org/name").returncode, 0)
    hub.faults.clear()
    bench.pulled("org/name", hub, "--update")
    equal(bench.run("verify", "org/name").returncode, 0)
    equal(bench.listed()["others"], [])


def busy_servers_are_asked_again(bench):
    hub = bench.hub({"org/name": flat_repo()})
    hub.faults["listing"] = [Status(503), Status(500)]
    hub.faults["model.safetensors"] = [Status(502), Status(504), Status(429, Retry_After="2")]
    began = time.monotonic()
    bench.pulled("org/name", hub)
    assert time.monotonic() - began > 2, "Retry-After was not kept"
    hub.faults["listing"] = [Status(503)] * 9
    done = bench.pull("org/name", hub, "--update", "--retries", "2")
    equal(done.returncode, 2)
    contains(done.stderr, "503")


def a_silent_server_is_cut_and_asked_again(bench):
    hub = bench.hub({"org/name": flat_repo()})
    hub.faults["model.safetensors"] = [Stall(50000, 120)]
    began = time.monotonic()
    bench.pulled("org/name", hub, "--silence", "1")
    assert time.monotonic() - began < 60, "waited for a silent server"
    equal(hub.asked("model.safetensors")[-1]["range"], "bytes=50000-")


def a_slow_server_is_waited_for(bench):
    hub = bench.hub({"org/name": flat_repo()})
    hub.faults["model.safetensors"] = [Slow(40000)]  # five seconds
    bench.pulled("org/name", hub, "--silence", "3")
    equal(len(hub.asked("model.safetensors")), 1)


def a_wrong_checksum_is_refused(bench):
    for path in ("model.safetensors", "config.json"):
        repo = flat_repo()
        bad = bytearray(repo.files[path])
        bad[len(bad) // 2] ^= 1
        hub = bench.hub({"org/name": repo})
        hub.faults[path] = [Body(bytes(bad))]
        bench.refused("org/name", hub, "checksum", path, "org/name")
        equal(bench.partials(), [])
        equal(len(hub.asked("/" + path)), 1)
        bench.pulled("org/name", hub)
        equal(bench.run("rm", "org/name").returncode, 0)


def a_spoilt_partial_file_is_fetched_anew(bench):
    hub = bench.hub({"org/name": flat_repo()})
    size = len(hub.repos["org/name"].files["model.safetensors"])
    for spoil in (b"\0" * 120000, b"\0" * size, b"\0" * (size + 5)):
        hub.faults["model.safetensors"] = [Cut(100000), Cut(0)]
        hub.requests.clear()
        equal(bench.pull("org/name", hub, "--retries", "1").returncode, 2)
        bench.partials()[0].write_bytes(spoil)
        hub.faults.clear()
        bench.pulled("org/name", hub)
        equal(bench.run("verify", "org/name").returncode, 0)
        equal(hub.asked("model.safetensors")[-1]["range"], None)
        equal(bench.run("rm", "org/name").returncode, 0)


def a_partial_file_beyond_the_end_is_fetched_anew(bench):
    hub = bench.hub({"org/name": flat_repo()}, blobs=False, etags=False)
    size = len(hub.repos["org/name"].files["model.safetensors"])
    for length in (size, size + 5):
        hub.faults["model.safetensors"] = [Cut(100000), Cut(0)]
        equal(bench.pull("org/name", hub, "--retries", "1").returncode, 2)
        bench.partials()[0].write_bytes(b"\0" * length)
        hub.faults.clear()
        bench.pulled("org/name", hub)
        equal([r["range"] for r in hub.asked("model.safetensors")[-2:]], [f"bytes={length}-", None])
        path = bench.store / "org--name/model.safetensors"
        equal(path.read_bytes(), hub.repos["org/name"].files["model.safetensors"])
        equal(bench.run("rm", "org/name").returncode, 0)


def another_part_than_asked_for_is_not_taken(bench):
    for blobs in (True, False):
        hub = bench.hub({"org/name": flat_repo()}, blobs=blobs)
        hub.faults["model.safetensors"] = [Cut(100000), OtherPart(8)]
        bench.pulled("org/name", hub)
        equal([r["range"] for r in hub.asked("model.safetensors")], [None, "bytes=100000-", None])
        equal(bench.run("rm", "org/name").returncode, 0)
        hub.faults["model.safetensors"] = [Cut(100000), OtherPart(-8)]
        bench.pulled("org/name", hub)
        equal(bench.run("verify", "org/name").returncode, 0)
        equal(bench.run("rm", "org/name").returncode, 0)


def leftovers_of_another_commit_are_not_mixed_in(bench):
    hub = bench.hub({"org/name": flat_repo()})
    hub.faults["model.safetensors"] = [Cut(100000), Cut(0)]
    equal(bench.pull("org/name", hub, "--retries", "1").returncode, 2)
    hub.repos["org/name"].files = flat_files(seed=5)
    hub.faults.clear()
    model = bench.pulled("org/name", hub)
    equal(hub.asked("model.safetensors")[-1]["range"], None)
    equal((bench.listed()["others"], model["resumed_bytes"]), ([], 0))
    equal(bench.run("verify", "org/name").returncode, 0)
