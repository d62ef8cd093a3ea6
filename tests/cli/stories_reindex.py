"""Stories of reindex: another model for an index, beside the old one, without a gap."""
import json
import shutil
import signal
import subprocess
import threading
import time
import urllib.error

from story import SAMPLES, Skip, call, contains, equal, install_clip, register_samples
from stories_folders import DOGS, album, index, names, search


def reindex(bench, *words, code=0):
    done = bench.run("reindex", "--json", *words)
    equal((done.returncode, done.stderr), (code, ""))
    return json.loads(done.stdout)


def indices(url):
    return sorted(line["index"] for line in call(url + "/_cat/indices?format=json"))


def find(bench, picture="luigi.svg"):
    return json.loads(bench.run("find", SAMPLES / picture, "--json").stdout)


def the_dogs_get_another_model_and_another(bench):
    register_samples(bench)
    install_clip(bench)
    seen = reindex(bench, "--model", "clip-ViT-B-32")
    equal((seen["old_model"], seen["model"], seen["looked_at"], seen["failed"]),
          ("vizsla-eye-1", "sentence-transformers/clip-ViT-B-32", 12, []))
    equal((seen["new_index"], seen["kept_index"]), ("dog-image-index-000002", "dog-image-index-000001"))
    found = find(bench)
    equal((found["model"], found["registered"]), ("sentence-transformers/clip-ViT-B-32", 12))
    equal((found["dogs"][0]["dog_id"], found["dogs"][0]["owner_name"]), ("Luigi", "Ully"))
    equal(json.loads(register_samples(bench, "--json").stdout)["updated"], 12)  # the same documents
    contains(bench.run("reindex", "--model", "clip-ViT-B-32").stdout, "already")
    back = reindex(bench, "--model", "eye", "--drop-old")
    equal((back["new_index"], back["kept_index"]), ("dog-image-index-000003", None))
    found = find(bench)
    equal((found["model"], found["dogs"][0]["match"]), ("vizsla-eye-1", "same picture"))
    url = bench.serve()
    equal(indices(url), ["dog-image-index-000001", "dog-image-index-000003"])
    equal(call(url + "/dog-image-index/_alias"), {"dog-image-index-000003": {"aliases": {"dog-image-index": {}}}})
    kept = call(url + "/dog-image-index-000001/_search?size=100")["hits"]["hits"]
    equal((len(kept), len(kept[0]["_source"]["image_embedding"])), (12, 512))
    for name in indices(url):
        assert "_meta" not in str(call(f"{url}/{name}/_mapping")).replace("'_meta': {}", ""), name


def a_folder_gets_another_model(bench):
    folder = album(bench)
    index(bench, folder)
    install_clip(bench)
    seen = reindex(bench, "--model", "clip-ViT-B-32", "--index", "pictures")
    equal((seen["looked_at"], seen["index"]), (6, "pictures"))
    equal(index(bench, folder)["unchanged"], 6)
    equal(names(search(bench, SAMPLES / "otto.svg", "+in red", "-k", "6")).sort(), sorted(DOGS).sort())
    equal(search(bench, SAMPLES / "luigi.svg")["hits"][0]["match"], "same picture")


def pictures_that_are_gone_are_listed(bench):
    pictures = bench.folder / "pictures"
    shutil.copytree(SAMPLES, pictures)
    equal(bench.run("register", "--from", pictures / "register.json").returncode, 0)
    install_clip(bench)
    (pictures / "otto.svg").unlink()
    (pictures / "mango.svg").write_text("broken")
    seen = reindex(bench, "--model", "clip-ViT-B-32", code=1)
    equal((seen["looked_at"], seen["documents"]), (10, 12))
    equal(sorted(f["path"].rsplit("/", 1)[1] for f in seen["failed"]), ["mango.svg", "otto.svg"])
    listed = json.loads(bench.run("dogs", "list", "--json").stdout)["dogs"]
    equal(len(listed), 12)  # with their owners
    equal(len(find(bench)["dogs"]), 5)
    equal(len(json.loads(bench.run("find", SAMPLES / "luigi.svg", "--json", "--top", "20").stdout)["dogs"]), 10)
    done = bench.run("reindex", "--model", "eye", "--drop-gone")
    equal(done.returncode, 1)
    contains(done.stderr, "otto.svg", "mango.svg")
    contains(done.stdout, "2 whose picture could not be looked at were left out")
    equal(len(json.loads(bench.run("dogs", "list", "--json").stdout)["dogs"]), 10)


def wrong_wishes_change_nothing(bench):
    register_samples(bench)
    for words, part in (((), "--model NAME"), (("--model", "absent"), "models pull"),
                        (("--model", "eye", "--index", "absent"), "absent"), (("--model", "eye", "x"), "--model NAME")):
        done = bench.run("reindex", *words)
        equal(done.returncode, 2)
        contains(done.stderr, part)
    equal(find(bench)["dogs"][0]["dog_id"], "Luigi")


def many(bench, count=240):
    folder = bench.folder / "many"
    folder.mkdir()
    for i in range(count):
        (folder / f"{i:03}.svg").write_text((SAMPLES / f"{DOGS[i % 6]}.svg").read_text() + f"<!-- {i} -->")
    index(bench, folder)
    return folder


def interrupt(bench, how, *words):
    """Sends the signal when the half-made index is there."""
    url = bench.serve()
    running = subprocess.Popen([bench.binary, "reindex", "--data", bench.data, "--index", "pictures", *words],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while running.poll() is None and "pictures-000002" not in indices(url):
        time.sleep(0.01)
    if running.poll() is None:
        running.send_signal(how)
    out, err = running.communicate(timeout=120)
    bench.stop()
    return running.returncode, out + err


def an_interrupted_one_changes_nothing(bench):
    many(bench)
    install_clip(bench)
    code, said = interrupt(bench, signal.SIGINT, "--model", "clip-ViT-B-32")
    if code == 0:
        raise Skip("this machine was done before the signal")
    equal(code, 1)
    contains(said, "unchanged", "removed")
    url = bench.serve()
    equal(indices(url), ["pictures"])
    equal(call(url + "/pictures/_count")["count"], 240)
    bench.stop()
    code, said = interrupt(bench, signal.SIGKILL, "--model", "clip-ViT-B-32")
    if code == 0:
        raise Skip("this machine was done before the signal")
    equal(code, -9)  # leaves a half-made one
    equal(len(search(bench, SAMPLES / "luigi.svg", "-k", "3")["hits"]), 3)
    equal(reindex(bench, "--model", "clip-ViT-B-32", "--index", "pictures")["looked_at"], 240)
    url = bench.serve()
    equal(indices(url), ["pictures-000001", "pictures-000002"])


def an_interrupted_one_goes_on_with_resume(bench):
    many(bench)
    install_clip(bench)
    code, said = interrupt(bench, signal.SIGINT, "--model", "clip-ViT-B-32", "--resume")
    if code == 0:
        raise Skip("this machine was done before the signal")
    contains(said, "stays in", "goes on")
    if interrupt(bench, signal.SIGKILL, "--model", "clip-ViT-B-32", "--resume")[0] == 0:
        raise Skip("this machine was done before the signal")
    seen = reindex(bench, "--model", "clip-ViT-B-32", "--index", "pictures", "--resume")
    assert seen["resumed"] and seen["looked_at"] <= 240, seen
    url = bench.serve()
    equal(indices(url), ["pictures-000001", "pictures-000002"])
    for name in indices(url):
        equal(call(f"{url}/{name}/_count")["count"], 240)
    equal(call(url + "/pictures/_count", "POST", {"query": {"exists": {"field": "embedding"}}})["count"], 240)


def what_happens_meanwhile_comes_along(bench):
    """Searches never fail; what is written, changed and deleted during a rebuild is in the new index."""
    folder = many(bench)
    install_clip(bench)
    url = bench.serve()
    field = {"exists": {"field": "embedding"}}
    stop, failures, done = threading.Event(), [], {"searches": 0, "added": 0}

    def searcher():
        while not stop.is_set():
            try:
                seen = call(url + "/pictures/_search", "POST", {"query": field, "size": 1})
                assert seen["hits"]["total"]["value"] >= 239, seen["hits"]["total"]
                done["searches"] += 1
            except Exception as problem:  # noqa: BLE001
                failures.append(repr(problem))

    def writer():
        while not stop.is_set() and done["added"] < 200:  # or a busy machine never catches up with them
            path = folder / f"new-{done['added']}.svg"
            shutil.copy(SAMPLES / "otto.svg", path)
            try:
                call(f"{url}/pictures/_doc/new{done['added']}", "PUT", {"path": str(path), "name": path.name})
                done["added"] += 1
            except urllib.error.HTTPError as problem:
                if problem.code != 403:  # the moment of the swap
                    failures.append(problem.read().decode())
            time.sleep(0.05)

    threads = [threading.Thread(target=searcher, daemon=True), threading.Thread(target=writer, daemon=True)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 60
    while not failures and (done["searches"] < 6 or not done["added"]) and time.monotonic() < end:
        time.sleep(0.01)
    victim = call(url + "/pictures/_search", "POST", {"query": {"term": {"name": "007.svg"}}})["hits"]["hits"][0]["_id"]

    def remove():
        while True:
            try:
                return call(f"{url}/pictures/_doc/{victim}", "DELETE")
            except urllib.error.HTTPError as problem:
                if problem.code != 403:  # the moment of the swap
                    failures.append(problem.read().decode())
                    return None
                time.sleep(0.01)

    running = threading.Timer(0.2, remove)
    running.start()
    try:
        result = bench.run("reindex", "--model", "clip-ViT-B-32", "--index", "pictures", "--json", timeout=900)
    finally:
        stop.set()
    for thread in [*threads, running]:
        thread.join()
    equal((result.returncode, failures), (0, []))
    call(url + "/pictures/_refresh", "POST")
    equal(call(url + "/pictures/_count")["count"], 239 + done["added"])
    assert done["searches"] > 5 and done["added"] > 0, done
    equal(call(url + "/pictures/_count", "POST", {"query": {"term": {"name": "007.svg"}}})["count"], 0)


def other_aliases_go_along(bench):
    register_samples(bench)
    install_clip(bench)
    url = bench.serve()
    call(url + "/dog-image-index/_alias/terriers", "PUT", {"filter": {"term": {"breed": "Beagle"}}})
    reindex(bench, "--model", "clip-ViT-B-32")
    equal(call(url + "/terriers/_count")["count"], 1)
    reindex(bench, "--model", "eye")
    equal(sorted(call(url + "/_alias/terriers")), ["dog-image-index-000003"])
    equal(indices(url), ["dog-image-index-000001", "dog-image-index-000002", "dog-image-index-000003"])


def a_crash_in_the_moment_of_the_swap_is_mended(bench):
    """A half-made index and an old one that nobody may write to: what kill -9 can leave."""
    register_samples(bench)
    install_clip(bench)
    url = bench.serve()
    call(url + "/dog-image-index-000002", "PUT", {"mappings": {"_meta": {"vizsla_reindex": {
        "from": "dog-image-index", "seq_no": 0, "model": "x"}}}})
    call(url + "/dog-image-index/_settings", "PUT", {"index.blocks.write": True})
    done = bench.run("reindex", "--model", "absent")
    equal(done.returncode, 2)
    picture = SAMPLES / "lost.svg"
    equal(bench.run("register", "--name", "X", picture).returncode, 1)  # still blocked
    equal(reindex(bench, "--model", "clip-ViT-B-32")["looked_at"], 12)
    equal(bench.run("register", "--name", "X", picture).returncode, 0)
    equal(indices(url), ["dog-image-index-000001", "dog-image-index-000002"])
