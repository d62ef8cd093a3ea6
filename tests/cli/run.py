#!/usr/bin/env python3
"""The command line as a person uses it: register, find, serve, their errors and exit codes.

    tests/cli/run.py --bin build/vizsla [--only WORD]

Runs the real program on real folders, with and without a server, with the project's sample dogs and,
where ../shared/data is there, the tutorial's photos. Ends with `N passed, N failed, N skipped`.
Standard library only.
"""
import argparse
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
import traceback
import urllib.error
import urllib.request

import stories_dedupe
import stories_folders
import stories_import
import stories_models
import stories_reindex
from story import SAMPLES, SHARED, Babbler, Bench, Skip, contains, equal, get, http, register_samples

# ---- tests: each takes a Bench ------------------------------------------------------------------

def help_is_there_for_every_command(bench):
    top = bench.run("--help")
    equal(top.returncode, 0)
    for command in ("serve", "register", "find", "dogs", "index", "search", "reindex", "dedupe", "models", "embed",
                    "import-model", "version"):
        contains(top.stdout, command)
        page = bench.run(command, "--help")
        equal(bench.run("help", command).stdout, page.stdout)
        equal(page.returncode, 0)
        contains(page.stdout, "Usage: vizsla " + command, "--help")
    for command in ("serve", "register", "find", "dogs", "index", "search", "reindex", "dedupe", "embed",
                    "import-model"):
        contains(bench.run(command, "--help").stdout, "Examples:")


def wrong_words_are_told(bench):
    for words, part in [
            ((), "Usage"), (("frobnicate",), "no command 'frobnicate'"), (("find",), "one picture or one text"),
            (("find", "a", "b"), "one picture or one text"), (("find", "--top", "0", "a"), "from 1 to 1000"),
            (("find", "--top", "many", "a"), "from 1 to 1000"), (("find", "--color", "a"), "no such option"),
            (("find", "a", "--top"), "needs a value"), (("find", "--json=yes", "a"), "takes no value"),
            (("register", "x.png"), "--name"), (("register", "--name", "X"), "PICTURE"),
            (("serve", "--port", "99999"), "from 0 to 65535"), (("serve", "--max-memory", "lots"), "512m"),
            (("serve", "there"), "unexpected 'there'")]:
        done = bench.run(*words)
        equal(done.returncode, 2)
        contains(done.stderr, part)
        equal(done.stdout, "")


def version_is_json_too(bench):
    seen = json.loads(bench.run("version", "--json").stdout)
    equal(seen["elasticsearch_api"], "8.19")
    contains(bench.run("version").stdout, seen["vizsla"])


def the_lost_sample_is_found(bench):
    contains(register_samples(bench).stdout, " registered")
    done = bench.run("find", SAMPLES / "lost.svg")
    equal(done.returncode, 0)
    contains(done.stdout, "This looks like Luigi", "Ully")
    found = json.loads(bench.run("find", SAMPLES / "lost.svg", "--json", "--top", "3").stdout)
    equal((found["found"], found["dogs"][0]["dog_id"], len(found["dogs"])), (True, "Luigi", 3))
    assert found["dogs"][0]["score"] > found["dogs"][1]["score"]


def registering_again_adds_nothing(bench):
    count = len(json.loads((SAMPLES / "register.json").read_text())["dogs"])
    equal(json.loads(register_samples(bench, "--json").stdout)["registered"], count)
    again = json.loads(register_samples(bench, "--json").stdout)
    equal((again["registered"], again["updated"], again["failed"]), (0, count, []))
    found = json.loads(bench.run("find", SAMPLES / "lost.svg", "--json").stdout)
    equal(found["registered"], count)


def a_changed_owner_is_brought_up_to_date(bench):
    picture = SAMPLES / json.loads((SAMPLES / "register.json").read_text())["dogs"][0]["file"]
    for owner in ("Anna", "Ben"):
        equal(bench.run("register", "--name", "Rex", "--owner", owner, picture).returncode, 0)
    found = json.loads(bench.run("find", picture, "--json").stdout)
    equal((found["registered"], found["dogs"][0]["owner_name"]), (1, "Ben"))


def what_is_not_given_stays(bench):
    picture = SAMPLES / json.loads((SAMPLES / "register.json").read_text())["dogs"][0]["file"]
    equal(bench.run("register", "--name", "Rex", "--owner", "Anna 555", picture).returncode, 0)
    equal(bench.run("register", "--name", "Rex", "--breed", "mix", picture).returncode, 0)
    dog = json.loads(bench.run("find", picture, "--json").stdout)["dogs"][0]
    equal((dog["owner_name"], dog["breed"]), ("Anna 555", "mix"))


def a_long_owner_is_shown_whole(bench):
    picture = SAMPLES / json.loads((SAMPLES / "register.json").read_text())["dogs"][0]["file"]
    owner = "Shelter Berlin-Mitte, Jürgen Müller, +49 30 555 0101"
    equal(bench.run("register", "--name", "Rex", "--owner", owner, picture).returncode, 0)
    contains(bench.run("find", picture).stdout.splitlines()[-1], owner)


def commands_wait_for_each_other(bench):
    register_samples(bench)
    several = [subprocess.Popen([bench.binary, "find", SAMPLES / "lost.svg", "--data", bench.data],
                                stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for one in several:
        contains(one.communicate(timeout=60)[0], "Luigi")
        equal(one.returncode, 0)


def a_pipe_is_no_picture(bench):
    os.mkfifo(bench.folder / "pipe.jpg")
    done = bench.run("register", "--name", "Pipe", bench.folder / "pipe.jpg")
    equal(done.returncode, 1)
    contains(done.stderr, "is not a file")


def a_vector_is_printed(bench):
    seen = json.loads(bench.run("embed", SAMPLES / "luigi.svg", "--json").stdout)
    equal((seen["kind"], seen["dims"], len(seen["embedding"])), ("image", 512, 512))
    assert abs(sum(x * x for x in seen["embedding"]) - 1) < 1e-4
    done = bench.run("embed", "a black and white terrier")
    equal(done.returncode, 2)
    contains(done.stderr, "vizsla models pull")
    done = bench.run("embed", "a dog", "--model", "clip-ViT-B-32")
    equal(done.returncode, 2)
    contains(done.stderr, "models pull")


def several_pictures_of_one_dog_are_one_match(bench):
    files = [SAMPLES / d["file"] for d in json.loads((SAMPLES / "register.json").read_text())["dogs"]]
    equal(bench.run("register", "--name", "Many", *files[:3]).returncode, 0)
    equal(bench.run("register", "--name", "One", files[3]).returncode, 0)
    found = json.loads(bench.run("find", files[0], "--json").stdout)
    equal(sorted(d["dog_id"] for d in found["dogs"]), ["Many", "One"])
    equal(found["registered"], 4)


def a_bad_picture_is_told_and_the_rest_registered(bench):
    good = SAMPLES / json.loads((SAMPLES / "register.json").read_text())["dogs"][0]["file"]
    shutil.copy(good, bench.folder / "good.svg")
    (bench.folder / "text.png").write_text("this is no picture")
    (bench.folder / "empty.jpg").write_text("")
    (bench.folder / "list.json").write_text(json.dumps({"dogs": [
        {"dog_id": "Text", "file": "text.png"}, {"dog_id": "Good", "file": "good.svg", "breed": "b"},
        {"dog_id": "Empty", "file": "empty.jpg"}, {"dog_id": "None", "file": "none.jpg"}]}))
    done = bench.run("register", "--from", bench.folder / "list.json")
    equal(done.returncode, 1)
    contains(done.stdout, "1 registered", "3 failed")
    for name in ("Text not registered", "Empty not registered", "None not registered", "none.jpg"):
        contains(done.stderr, name)
    equal(done.stderr.count(" not registered"), 3)
    summary = json.loads(bench.run("register", "--from", bench.folder / "list.json", "--json").stdout)
    equal([f["dog_id"] for f in summary["failed"]], ["Text", "Empty", "None"])


def bad_lists_are_told(bench):
    path = bench.folder / "list.json"
    for text, part in [("{", "list.json"), ('{"cats": []}', '"dogs"'), ('{"dogs": [{"file": "x"}]}', "dogs[0]"),
                       ('{"dogs": [{"dog_id": 7, "file": "x"}]}', "dogs[0]"),
                       ('{"dogs": [{"dog_id": "A", "file": "x", "owner": "Anna"}]}', "owner_name")]:
        path.write_text(text)
        done = bench.run("register", "--from", path)
        equal(done.returncode, 2)
        contains(done.stderr, part)
    done = bench.run("register", "--from", bench.folder / "absent.json")
    equal(done.returncode, 2)
    contains(done.stderr, "absent.json")


def finding_before_registering_says_what_to_do(bench):
    done = bench.run("find", SAMPLES / "lost.svg")
    equal(done.returncode, 2)
    contains(done.stderr, "vizsla register --name")
    bench.serve()
    done = bench.run("find", SAMPLES / "lost.svg")
    equal(done.returncode, 2)
    contains(done.stderr, "vizsla register --name")


def something_else_is_no_good_match(bench):
    register_samples(bench)
    noise = bench.folder / "noise.svg"
    noise.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="300" height="300">'
                     '<rect width="300" height="300" fill="#00f"/>'
                     + "".join(f'<circle cx="{i * 37 % 300}" cy="{i * 61 % 300}" r="{i % 23}" fill="#f{i % 10}0"/>'
                               for i in range(200)) + "</svg>")
    done = bench.run("find", noise)
    equal(done.returncode, 1)
    contains(done.stdout, "No good match")
    equal(json.loads(bench.run("find", noise, "--json").stdout)["found"], False)


def through_a_server_and_without_it_the_same(bench):
    url = bench.serve()
    contains(register_samples(bench).stdout, url)
    through = json.loads(bench.run("find", SAMPLES / "lost.svg", "--json").stdout)
    equal(through["where"], url)
    by_url = json.loads(bench.run("find", "--url", url, SAMPLES / "lost.svg", "--json").stdout)
    contains(get(url + "/_cat/indices"), "dog-image-index")
    equal(bench.stop(), 0)
    alone = json.loads(bench.run("find", SAMPLES / "lost.svg", "--json").stdout)
    equal(alone["where"], bench.data)
    for other in (by_url, alone):
        equal([(d["dog_id"], d["score"]) for d in other["dogs"]],
              [(d["dog_id"], d["score"]) for d in through["dogs"]])


def a_killed_server_loses_nothing(bench):
    bench.serve()
    register_samples(bench)
    bench.stop(signal.SIGKILL)
    found = json.loads(bench.run("find", SAMPLES / "lost.svg", "--json").stdout)
    equal((found["where"], found["dogs"][0]["dog_id"]), (bench.data, "Luigi"))


def a_second_server_on_the_folder_is_refused(bench):
    url = bench.serve()
    done = bench.run("serve", "--port", "0")
    equal(done.returncode, 2)
    contains(done.stderr, bench.data)
    get(url)
    other = bench.run("serve", "--data", bench.folder / "other", "--port", url.rsplit(":", 1)[1])
    equal(other.returncode, 2)
    contains(other.stderr, url.rsplit(":", 1)[1])


def beyond_loopback_is_refused_with_advice(bench):
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        done = bench.run("serve", "--host", host, "--port", "0")
        equal(done.returncode, 2)
        contains(done.stderr, "--allow-remote-without-security")
    contains(bench.run("serve", "--host", "localhost").stderr, "numeric address")


def pages_of_other_hosts_are_refused(bench):
    url = bench.serve("--allow-host", "dogs.example")

    def status(method="GET", **headers):
        request = urllib.request.Request(url + "/x", method=method, headers=headers)
        try:
            return urllib.request.urlopen(request, timeout=10).status, ""
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    equal(status("PUT")[0], 200)
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}):
        code, said = status("DELETE", **headers)
        equal(code, 403)
        contains(json.loads(said)["error"]["reason"], "--allow-host")
    equal(status("HEAD", Origin="https://dogs.example")[0], 200)
    equal(status("HEAD", Host="dogs.example:443", Origin="https://dogs.example")[0], 200)
    equal(status("DELETE", Origin=url)[0], 200)


def nonsense_from_a_server_is_told(bench):
    hit = b'{"_source": {"dog_id": 7, "breed": [[]], "exif": {"location": {"lat": "x", "lon": {}}}}, "_score": "y"}'
    for answer in (b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort",
                   http(200, b""), http(200, b"<html>\x1b[2J</html>"), http(200, b"\x00\xff\x1b[31m"),
                   http(200, b"[]"), http(200, b"7"), http(200, b"{}"), http(200, b'{"items": 3, "hits": 3}'),
                   http(200, b'{"count": "many", "items": [[], {"index": 9}], "hits": {"hits": {"a": 1}}}'),
                   http(500, b"\x1b]0;evil\x07"), http(404, b'{"error": {"reason": "\\u001b[2J\\u009b2J"}}'),
                   http(302, b""), http(200, b'{"count": 1, "hits": {"hits": 5}}'),
                   http(200, b"[" * 100000), b"HTTP/1.1 abc\r\n\r\n"):
        with Babbler(answer) as server:
            for words in (("find", SAMPLES / "lost.svg"),
                          ("register", "--name", "L", SAMPLES / "lost.svg")):
                done = bench.run(*words, "--url", server.url)
                said = done.stdout + done.stderr
                assert done.returncode == 2, f"{words[0]} {answer[:60]!r}: {done.returncode} {said}"
                contains(done.stderr, "vizsla: ")
                assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", said), repr(said)
    with Babbler(http(200, b'{"count": 1, "hits": {"hits": [' + hit + b", 5, {}, " + hit + b"]}}")) as server:
        done = bench.run("find", SAMPLES / "lost.svg", "--url", server.url)
        assert done.returncode in (1, 2), done


def nobody_at_the_url_is_told(bench):
    with socket.socket() as silent:  # bound, and nobody listens: no other program can take the port
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        done = bench.run("find", "--url", f"http://127.0.0.1:{port}", SAMPLES / "lost.svg")
    equal(done.returncode, 2)
    contains(done.stderr, str(port))


def a_stopping_server_finishes_and_frees_the_folder(bench):
    url = bench.serve()
    register_samples(bench)
    began = time.monotonic()
    equal(bench.stop(signal.SIGINT), 0)
    assert time.monotonic() - began < 60
    equal(bench.run("find", SAMPLES / "lost.svg").returncode, 0)
    try:
        get(url)
        raise AssertionError("still serving")
    except OSError:
        pass


def a_progress_bar_and_a_picture_on_a_terminal(bench):
    contains(bench.on_terminal("register", "--from", SAMPLES / "register.json"), "registering", "left")
    out = bench.on_terminal("find", SAMPLES / "lost.svg")
    contains(out, "\x1b[", "Luigi")
    assert len(out) > 2000, "no picture"
    assert "\x1b[" not in bench.run("find", SAMPLES / "lost.svg").stdout, "escape codes in a pipe"


def names_cannot_drive_the_terminal(bench):
    picture = SAMPLES / json.loads((SAMPLES / "register.json").read_text())["dogs"][0]["file"]
    equal(bench.run("register", "--name", "E\x1b[31mvil", "--owner", "日本語", picture).returncode, 0)
    out = bench.run("find", picture).stdout
    assert "\x1b" not in out, repr(out)
    contains(out, "日本語")


def the_tutorials_photos_find_luigi(bench):
    if not (SHARED / "dogs").is_dir():
        raise Skip("there is no ../shared/data/dogs")
    done = bench.run("register", "--from", SHARED / "dogs/register.json", "--json")
    equal((done.returncode, json.loads(done.stdout)["registered"]), (0, 11))
    found = json.loads(bench.run("find", SHARED / "lost-dogs/lost_dog1.png", "--json").stdout)
    equal(found["dogs"][0]["dog_id"], "Luigi")
    equal(found["dogs"][0]["owner_name"], "Ully")


def the_cameras_date_and_place_are_kept(bench):
    folder = SHARED / "exif/gps"
    if not folder.is_dir():
        raise Skip("there is no ../shared/data/exif")
    picture = next(p for p in sorted(folder.iterdir()) if p.name.startswith("DSCN0010"))
    equal(bench.run("register", "--name", "Walker", picture).returncode, 0)
    dog = json.loads(bench.run("find", picture, "--json").stdout)["dogs"][0]
    contains(dog["date"], "2008-10-22T")
    assert abs(dog["location"]["lat"] - 43.467) < 0.01 and abs(dog["location"]["lon"] - 11.885) < 0.01, dog
    equal(dog["match"], "same picture")


def a_picture_over_the_limit_is_refused(bench):
    picture = bench.folder / "big.svg"
    picture.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="3000" height="3000">'
                       '<rect width="9" height="9"/></svg>')
    done = bench.run("register", "--name", "Big", "--max-megapixels", "5", picture)
    equal(done.returncode, 1)
    contains(done.stderr, "megapixel")


def stories(names):
    """Functions of a bench alone."""
    return [value for value in names.values()
            if (code := getattr(value, "__code__", None)) and code.co_varnames[:1] == ("bench",)
            and code.co_argcount == 1 and not code.co_flags & 0x0C]


TESTS = stories(dict(globals()))
for module in (stories_models, stories_folders, stories_reindex, stories_dedupe, stories_import):
    TESTS += stories(vars(module))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    binary = str(pathlib.Path(options.bin).resolve())
    passed = failed = skipped = 0
    for test in TESTS:
        name = test.__name__.replace("_", " ")
        if options.only not in test.__name__:
            continue
        with tempfile.TemporaryDirectory(prefix="vizsla-cli-") as folder:
            bench = Bench(binary, folder)
            try:
                test(bench)
                passed += 1
                print(f"ok   {name}")
            except Skip as reason:
                skipped += 1
                print(f"SKIP {name}: {reason}")
            except Exception:  # noqa: BLE001 - any failure is a failed test
                failed += 1
                print(f"FAIL {name}\n     " + traceback.format_exc(limit=-2).replace("\n", "\n     "))
            finally:
                bench.stop(signal.SIGKILL)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
