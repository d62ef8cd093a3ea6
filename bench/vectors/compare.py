"""vizsla's indexes beside other libraries': same rows, same settings, same run, one thread, in turns.

Called by ./run, which makes the environment. Builds run two at a time, searches alone and in turns,
best of ROUNDS each; queries a second at a given recall are interpolated on the swept parameter (log
rate over recall). All seconds are processor time of the one thread that works, so that other
programs on the machine disturb less; caches and memory bandwidth are still shared with them.
"""
import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from generate import generate
from peers import EFS, all_peers, processor_time

K = 10
LEVELS = [0.90, 0.95, 0.99]
KINDS = {"vizsla float": 0, "vizsla int8": 1, "vizsla int4": 2, "vizsla bit": 3}
FLATS = {"vizsla flat": 4, "vizsla flat int8": 5, "vizsla flat int4": 6, "vizsla flat bit": 7}
FILTERS = 50  # driver.c's
FILTER_KINDS = ["random", "near", "far"]
PERCENTS = [50, 20, 10, 5, 1, 0.1]
DEFAULT_EF = 15


class Driver:
    """bench_vectors over a pipe."""

    def __init__(self, program, rows, queries, dims, memory):
        self.process = subprocess.Popen([program, rows, queries, str(dims), memory],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"bench_vectors died at: {' '.join(map(str, words))}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def at_recall(curve, recall):
    """Queries a second at a recall, from [(recall, rate)]: what the fastest setting of at least that
    recall does, or an interpolation between two. None when no setting reaches it."""
    curve = sorted(curve)
    reached = [rate for got, rate in curve if got >= recall]
    best = max(reached, default=None)
    for (low, fast), (high, slow) in zip(curve, curve[1:]):
        if low < recall <= high:
            share = (recall - low) / (high - low)
            best = max(best, float(np.exp(np.log(fast) * (1 - share) + np.log(slow) * share)))
    return best


def machine():
    def first(path, key):
        with open(path) as file:
            for line in file:
                if line.startswith(key):
                    return line.split(":", 1)[1].strip()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {"cpu": first("/proc/cpuinfo", "model name"), "cores": os.cpu_count(),
            "memory": first("/proc/meminfo", "MemTotal"),
            "system": f"{platform.system()} {platform.machine()}",
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "commit": commit.stdout.strip(),
            "peers": {name: importlib.metadata.version(name)
                      for name in ("hnswlib", "faiss-cpu", "usearch")}}


def exact(rows, queries):
    truth = np.empty((len(queries), K), dtype=np.int64)
    for begin in range(0, len(queries), 100):
        scores = queries[begin:begin + 100] @ rows.T
        truth[begin:begin + 100] = np.argpartition(-scores, K, axis=1)[:, :K]
    return truth


def hits(found, truth):
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, truth)]))


def build_all(ours, peers, rows, args):
    """Seconds and bytes a row. Our builds run in the driver while peers build here."""
    builds, sizes = {}, {}

    def build_ours():
        for kind, number in (KINDS | FLATS).items():
            built = ours("build", args.m, args.ef_construction, number)
            if not built["valid"]:
                sys.exit("the graph does not validate")
            builds[kind], sizes[kind] = built["seconds"], built["memory_bytes"] / len(rows)

    def build_peer(name):
        _, builds[name] = processor_time(peers[name].build, rows, args.m, args.ef_construction)

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(build_ours)] + [pool.submit(build_peer, name) for name in peers]
        for job in jobs:
            job.result()
    for name, peer in peers.items():
        sizes[name] = peer.bytes_per_row(rows)
    return builds, sizes


def search_all(ours, peers, queries, truth, rounds):
    """{name: {setting: (seconds, recall)}}"""
    curves = {name: {} for name in [*KINDS, *FLATS, *peers]}

    def keep_best(name, setting, seconds, recall):
        best, _ = curves[name].get(setting, (1e9, 0))
        curves[name][setting] = (min(best, seconds), recall)

    for _ in range(rounds):
        for at in range(len(EFS)):
            for kind, number in KINDS.items():
                one = ours("search", EFS[at], K, number)
                keep_best(kind, EFS[at], one["seconds"], one["recall"])
            for name, peer in peers.items():
                if at < len(peer.sweep):
                    found, seconds = processor_time(peer.search, queries, K, peer.sweep[at])
                    keep_best(name, peer.sweep[at], seconds, hits(found, truth))
    for kind, number in FLATS.items():
        for ef in (16, 40, 64, 100):
            one = ours("search", ef, K, number)
            keep_best(kind, ef, one["seconds"], one["recall"])
    return curves


def make_filters(kind, percent, rows, queries):
    """A bitmap a query: random rows; those around the query's nearest row (near: correlated); those
    around the row farthest from it (far: anti-correlated)."""
    rng = np.random.default_rng(1)
    count = int(len(rows) * percent / 100)
    bits = np.zeros((FILTERS, len(rows)), dtype=bool)
    for q in range(FILTERS):
        if kind == "random":
            bits[q, rng.choice(len(rows), count, replace=False)] = True
            continue
        near = rows @ queries[q]
        around = rows @ rows[near.argmax() if kind == "near" else near.argmin()]
        bits[q, np.argpartition(-around, count)[:count]] = True
    return bits


def filtered_faiss(peer, rows, queries, bits):
    """FAISS's HNSW with a selector: the fastest swept ef of recall 0.95, or its best recall."""
    packed = [np.packbits(one, bitorder="little") for one in bits]
    matches = [np.flatnonzero(one) for one in bits]
    truth = [one[np.argsort(-(rows[one] @ query))[:K]] for one, query in zip(matches, queries)]
    for ef in (16, 64, 256, 1024):
        found, seconds = processor_time(
            lambda: [peer.filtered(query, K, ef, one) for one, query in zip(packed, queries)])
        recall = hits(found, truth)
        if recall >= 0.95:
            break
    return {"seconds": seconds / FILTERS, "recall": round(recall, 4), "ef": ef}


def filter_all(ours, peer, rows, queries, path):
    result = []
    print(f"\nfiltered at ef {DEFAULT_EF}: us a query / recall@{K}; scan: exact, over the matches; "
          "faiss hnsw at the least ef that reaches 0.95, of 16, 64, 256, 1024")
    print(f"{'':8}{'matches':>9}{'scan':>8}{'float':>15}{'int8':>15}{'int4':>15}{'bit':>15}"
          f"{'faiss':>15}")
    for kind in FILTER_KINDS:
        for percent in PERCENTS:
            bits = make_filters(kind, percent, rows, queries)
            np.packbits(bits, axis=1, bitorder="little").tofile(path)
            entry = {"filter": kind, "percent": percent,
                     "scan_seconds": ours("filters", path)["scan_seconds"]}
            for name, number in KINDS.items():
                entry[name] = min((ours("filtered", DEFAULT_EF, K, number) for _ in range(3)),
                                  key=lambda one: one["seconds"])
            entry["faiss hnsw"] = filtered_faiss(peer, rows, queries, bits)
            result.append(entry)
            cells = "".join(f"{entry[name]['seconds'] * 1e6:7.0f} / {entry[name]['recall']:.3f}"
                            for name in [*KINDS, "faiss hnsw"])
            print(f"{kind:8}{percent:>7} %{entry['scan_seconds'] * 1e6:8.0f}{cells}", flush=True)
    return result


def report(result):
    print(f"\n{'':18}{'build s':>9}{'bytes/row':>11}" +
          "".join(f"{'q/s @' + str(level):>11}" for level in LEVELS))
    for name, sweep in result["sweeps"].items():
        points = [(p["recall"], p["queries_per_second"]) for p in sweep]
        rates = {str(level): at_recall(points, level) for level in LEVELS}
        result["at_recall"][name] = rates
        print(f"{name:18}{result['build_seconds'][name]:9.1f}{result['bytes_per_row'][name]:11.0f}" +
              "".join(f"{rate:11.0f}" if rate else f"{'-':>11}" for rate in rates.values()))
    best = {level: max((rates[level] or 0, name) for name, rates in result["at_recall"].items()
                       if not name.startswith("vizsla")) for level in map(str, LEVELS)}
    for name in KINDS:
        ratios = {level: rate / best[level][0] for level, rate in result["at_recall"][name].items()
                  if rate and best[level][0]}
        to_hnswlib = {level: rate / result["at_recall"]["hnswlib"][level]
                      for level, rate in result["at_recall"][name].items()
                      if rate and result["at_recall"]["hnswlib"][level]}
        to_hnswlib["build"] = result["build_seconds"]["hnswlib"] / result["build_seconds"][name]
        result["ratios"][name] = {"best peer": ratios, "hnswlib": to_hnswlib}
        print(f"{name} over the best peer: " +
              ", ".join(f"{level} {ratio:.2f}x ({best[level][1]})"
                        for level, ratio in ratios.items()) +
              "; over hnswlib: " +
              ", ".join(f"{what} {ratio:.2f}x" for what, ratio in to_hnswlib.items()))
    print("bytes/row: of the index; vizsla's graphs over codes also read the mapped float rows "
          "(dims x 4) to score their best again, faiss ivfpq keeps them too")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", help="only these, by comma; hnswlib and faiss hnsw always")
    parser.add_argument("--memory", choices=["file", "huge"], default="file",
                        help="our rows: mapped from a file as the store does, or in huge pages")
    parser.add_argument("--data", choices=["clip", "spread"], default="clip",
                        help="see generate.py")
    parser.add_argument("--out", help="write the JSON here")
    args = parser.parse_args()

    name = os.path.join(args.cache, f"{args.data}-{args.rows}")
    rows, queries = generate(args.rows, max(args.queries, FILTERS), args.data)
    rows.tofile(name + ".rows")
    queries.tofile(name + ".queries")
    dims = rows.shape[1]
    ours = Driver(args.driver, name + ".rows", name + ".queries", dims, args.memory)
    peers = {peer: one for peer, one in all_peers().items()
             if not args.peers or peer in args.peers.split(",") + ["hnswlib", "faiss hnsw"]}
    result = {"machine": machine(), "kernels": ours("cpu")["kernels"], "rows": args.rows,
              "dims": dims, "queries": len(queries), "k": K, "m": args.m,
              "ef_construction": args.ef_construction, "memory": args.memory,
              "data": args.data}
    result["scan"] = ours("scan")
    print(f"exact scan {result['scan']['scan_gb_s']:.1f} GB/s, "
          f"plain read {result['scan']['read_gb_s']:.1f} GB/s", flush=True)
    ours("truth", K)
    result["build_seconds"], result["bytes_per_row"] = build_all(ours, peers, rows, args)
    curves = search_all(ours, peers, queries, exact(rows, queries), args.rounds)
    result["sweeps"] = {kind: [{"setting": setting, "recall": round(float(recall), 5),
                                "queries_per_second": round(len(queries) / seconds, 1)}
                               for setting, (seconds, recall) in curve.items()]
                        for kind, curve in curves.items()}
    result["at_recall"], result["ratios"] = {}, {}
    report(result)
    result["filtered"] = filter_all(ours, peers["faiss hnsw"], rows, queries, name + ".filters")
    ours.close()
    if args.out:
        with open(args.out, "w") as file:
            file.write(json.dumps(result, indent=1) + "\n")


main()
