"""vizsla's graph beside hnswlib's: same rows, same settings, same run, one thread, in turns.

Called by ./run, which makes the environment. Searches alternate between the two, best of ROUNDS
each; queries a second at a given recall are interpolated on the swept ef (log rate over recall).
All seconds are processor time of the one thread that works, so that other programs on the machine
disturb less; caches and memory bandwidth are still shared with them.
"""
import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time

import hnswlib
import numpy as np

from generate import generate

K = 10
EFS = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]
LEVELS = [0.95, 0.98, 0.99]
KINDS = {"float": 0, "int8": 1}


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
    """Queries a second at a recall, from [(recall, rate)]; None when the curve does not span it."""
    curve = sorted(curve)
    for (low, fast), (high, slow) in zip(curve, curve[1:]):
        if low <= recall <= high and high > low:
            share = (recall - low) / (high - low)
            return float(np.exp(np.log(fast) * (1 - share) + np.log(slow) * share))
    return None


def machine():
    def first(path, key):
        with open(path) as file:
            for line in file:
                if line.startswith(key):
                    return line.split(":", 1)[1].strip()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {"cpu": first("/proc/cpuinfo", "model name"), "cores": os.cpu_count(),
            "memory": first("/proc/meminfo", "MemTotal"), "system": f"{platform.system()} {platform.machine()}",
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "commit": commit.stdout.strip(), "hnswlib": importlib.metadata.version("hnswlib")}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", choices=["file", "huge"], default="file",
                        help="our rows: mapped from a file as the store does, or in huge pages")
    parser.add_argument("--data", choices=["clip", "spread"], default="clip",
                        help="see generate.py")
    parser.add_argument("--out", help="write the JSON here")
    args = parser.parse_args()

    name = os.path.join(args.cache, f"{args.data}-{args.rows}")
    rows, queries = generate(args.rows, args.queries, args.data)
    rows.tofile(name + ".rows")
    queries.tofile(name + ".queries")
    dims = rows.shape[1]
    ours = Driver(args.driver, name + ".rows", name + ".queries", dims, args.memory)
    result = {"machine": machine(), "kernels": ours("cpu")["kernels"], "rows": args.rows,
              "dims": dims, "queries": args.queries, "k": K, "m": args.m,
              "ef_construction": args.ef_construction, "memory": args.memory,
              "data": args.data}
    result["scan"] = ours("scan")
    print(f"exact scan {result['scan']['scan_gb_s']:.1f} GB/s, "
          f"plain read {result['scan']['read_gb_s']:.1f} GB/s")
    ours("truth", K)

    theirs = hnswlib.Index(space="ip", dim=dims)
    theirs.init_index(max_elements=args.rows, M=args.m, ef_construction=args.ef_construction,
                      random_seed=42)
    theirs.set_num_threads(1)
    start = time.process_time()
    theirs.add_items(rows, num_threads=1)
    builds = {"hnswlib": time.process_time() - start}
    curves = {"hnswlib": {}}

    def measure_theirs(ef):
        theirs.set_ef(ef)
        start = time.process_time()
        labels, _ = theirs.knn_query(queries, k=K, num_threads=1)
        seconds = time.process_time() - start
        recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(labels, truth)])
        return seconds, recall

    # One exact answer for both: hnswlib's brute force would take longer and say the same.
    truth = np.empty((args.queries, K), dtype=np.int64)
    for begin in range(0, args.queries, 100):
        scores = queries[begin:begin + 100] @ rows.T
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        truth[begin:begin + 100] = best

    for kind, quantize in KINDS.items():
        built = ours("build", args.m, args.ef_construction, quantize)
        builds[kind] = built["seconds"]
        if not built["valid"]:
            sys.exit("the graph does not validate")
        curves[kind] = {}

    def keep_best(kind, ef, seconds, recall):
        best, _ = curves[kind].get(ef, (1e9, 0))
        curves[kind][ef] = (min(best, seconds), recall)

    for _ in range(args.rounds):
        for ef in EFS:
            for kind, quantize in KINDS.items():
                one = ours("search", ef, K, quantize)
                keep_best(kind, ef, one["seconds"], one["recall"])
            keep_best("hnswlib", ef, *measure_theirs(ef))
    ours.close()

    result["build_seconds"] = builds
    result["sweeps"] = {kind: [{"ef": ef, "recall": round(float(recall), 5),
                                "queries_per_second": round(args.queries / seconds, 1)}
                               for ef, (seconds, recall) in curve.items()]
                        for kind, curve in curves.items()}
    result["at_recall"] = {}
    print(f"\n{'':10}{'build s':>10}" + "".join(f"{'q/s @' + str(r):>12}" for r in LEVELS))
    for kind, sweep in result["sweeps"].items():
        points = [(p["recall"], p["queries_per_second"]) for p in sweep]
        rates = {str(level): at_recall(points, level) for level in LEVELS}
        result["at_recall"][kind] = rates
        print(f"{kind:10}{builds[kind]:10.1f}" +
              "".join(f"{rate:12.0f}" if rate else f"{'-':>12}" for rate in rates.values()))
    result["ratios"] = {}
    for kind in KINDS:
        ratios = {level: rate / result["at_recall"]["hnswlib"][level]
                  for level, rate in result["at_recall"][kind].items()
                  if rate and result["at_recall"]["hnswlib"][level]}
        ratios["build"] = builds["hnswlib"] / builds[kind]
        result["ratios"][kind] = ratios
        print(f"{kind} over hnswlib: " +
              ", ".join(f"{what} {ratio:.2f}x" for what, ratio in ratios.items()))
    text = json.dumps(result, indent=1)
    if args.out:
        with open(args.out, "w") as file:
            file.write(text + "\n")


main()
