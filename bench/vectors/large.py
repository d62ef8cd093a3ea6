"""More vectors than memory holds as floats: ten million rows of 512 on a machine of 24 GB.

    bench/vectors/run large [--rows 10000000] [--kinds int8,int8-bit,bit] [--threads 1]

Rows are generated in a stream into a file (20 GB for ten million) and mapped from it; the graph and
its codes are in memory (int8 7.1 GB, bit 2.2 GB; "int8-bit" is built as int8 and then changed), the
floats are read for the candidates of a search and, with one bit, for the neighbours that an insert
chooses. Exact answers come from one pass over the file. What is done is kept under
build/bench/vectors/large-N, so a run that was stopped goes on; a graph that is there is opened, not
built. Every search is measured twice: with no row in the page cache ("disk": each candidate's row is
read), and then again with those rows there. About 3 minutes go to the rows, 2 to the exact answers,
40 to the graph of int8 and 60 to that of one bit.
"""
import argparse
import json
import os
import time

import numpy as np

import generate
from compare import DIMS, EFS, K, KINDS, Driver, at_recall, machine, point_of

LEVELS = [0.80, 0.90, 0.95, 0.99]


def page_cache():
    with open("/proc/meminfo") as file:
        fields = dict(line.split(":") for line in file)
    return int(fields["Cached"].split()[0]) * 1024


def obtain(driver, args, kind, number, folder):
    """The graph, opened or made; what is known of its making."""
    path = os.path.join(folder, f"index-{kind}")
    if os.path.exists(path) and os.path.exists(path + ".json"):
        driver("open", path, args.m, number)
        with open(path + ".json") as file:
            return json.load(file)
    if "-" in kind:
        source = kind.split("-")[0]
        source_number = KINDS["vizsla " + source]
        driver("open", os.path.join(folder, f"index-{source}"), args.m, source_number)
        driver("forget")
        built = driver("recode", source_number, number, args.m)
        driver("drop", source_number)
    else:
        built = driver("build", args.m, args.ef_construction, number, args.threads)
    built |= {"threads": 1 if "-" in kind else args.threads, "page_cache_bytes": page_cache(),
              "save_seconds": driver("save", path, number)["seconds"]}
    with open(path + ".json", "w") as file:
        json.dump(built, file)
    return built


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--kinds", default="int8,int8-bit,bit")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=100)
    parser.add_argument("--out")
    args = parser.parse_args()

    folder = os.path.join(args.cache, "vectors", f"large-{args.rows}")
    os.makedirs(folder, exist_ok=True)
    rows, queries = os.path.join(folder, "rows.f32"), os.path.join(folder, "queries.f32")
    result = {"machine": machine(), "rows": args.rows, "dims": DIMS, "k": K, "m": args.m,
              "ef_construction": args.ef_construction, "threads": args.threads, "kinds": {}}
    if not os.path.exists(queries):
        start = time.time()
        source = generate.Source("clip")
        generate.write(rows, source, args.rows)
        source.sample(args.queries).astype(np.float32).tofile(queries)
        print(f"rows in {time.time() - start:.0f} s", flush=True)
    driver = Driver(args.driver, rows, queries, "cold")
    start = time.time()
    driver("truth", K, os.path.join(folder, "truth.u32"))
    result["truth_seconds"] = round(time.time() - start, 1)
    print(f"exact answers in {result['truth_seconds']} s", flush=True)
    for kind in args.kinds.split(","):
        number = KINDS["vizsla " + kind.split("-")[-1]]
        built = obtain(driver, args, kind, number, folder)
        sweep = []
        print(f"\n{kind}: {built['seconds']:.0f} s, {built['memory_bytes'] / 2**30:.2f} GiB\n"
              f"{'ef':>6}{'recall':>9}{'q/s':>9}{'2: q/s':>9}{'p50 us':>9}{'p99 us':>9}{'visited':>9}"
              f"{'disk q/s':>9}{'p50 us':>9}{'p99 us':>9}")
        for ef in EFS:
            driver("forget")
            cold = driver("search", ef, K, number, 1)
            one = driver("search", ef, K, number, 1)
            two = driver("search", ef, K, number, 2)
            point = {"setting": ef, **point_of(args.queries, one),
                     "queries_per_second_2": round(args.queries / two["seconds"], 1),
                     "cold": point_of(args.queries, cold)}
            sweep.append(point)
            print(f"{ef:6}{point['recall']:9.4f}{point['queries_per_second']:9.0f}"
                  f"{point['queries_per_second_2']:9.0f}{point['p50_us']:9.0f}"
                  f"{point['p99_us']:9.0f}{point['visited']:9.0f}"
                  f"{point['cold']['queries_per_second']:9.0f}{point['cold']['p50_us']:9.0f}"
                  f"{point['cold']['p99_us']:9.0f}", flush=True)
        points = [(p["recall"], p["queries_per_second"]) for p in sweep]
        result["kinds"][kind] = {"build": built, "sweep": sweep, "at_recall": {
            str(level): at_recall(points, level) for level in LEVELS}}
        driver("drop", number)
    driver.close()
    if args.out:
        with open(args.out, "w") as file:
            file.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
