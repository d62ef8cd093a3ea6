"""vizsla's indexes beside other libraries: same rows, same settings, same machine.

Called by ./run, which makes the environment. For each kind of data and number of rows: rows, queries
and exact answers are generated; then one index after the other is built, saved, swept over its
parameter and dropped. What was measured goes into a file at once, and what is there is not measured
again (--again NAMES does), so a run may be stopped and goes on where it was; rows and the peers'
indexes are kept too. At the end one table and one JSON of everything.

Queries a second at a recall are interpolated on the swept parameter (log rate over recall). With
one thread seconds are processor time of the thread that works, so that other programs disturb less;
with two they are wall time, and so are p50 and p99 (which for peers include the call from Python,
about 5 us). "resident" is what an index adds to a process's memory; vizsla's float rows are mapped
from a file and not counted, theirs hold them inside.
"""
import argparse
import datetime
import glob
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys

import numpy as np

import generate
from peers import EFS, FILTERED, FILTERED_ONLY, MAKERS, processor_time, wall_time

DIMS = generate.DIMS
K = 10
LEVELS = [0.90, 0.95, 0.99]
KINDS = {"vizsla float": 0, "vizsla int8": 1, "vizsla int4": 2, "vizsla bit": 3,
         "vizsla flat": 4, "vizsla flat int8": 5, "vizsla flat int4": 6, "vizsla flat bit": 7}
GRAPHS = list(KINDS)[:4]
FILTERS = 50  # driver.c's
FILTER_KINDS = ["random", "near", "far", "hole"]
PERCENTS = [50, 20, 10, 5, 1, 0.1]
DEFAULT_EF = 15
LATENCY_QUERIES = 200


class Driver:
    """bench_vectors over a pipe."""

    def __init__(self, program, rows, queries, memory):
        self.process = subprocess.Popen([program, rows, queries, str(DIMS), memory],
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


def slug(name):
    return name.replace(" ", "-")


def machine():
    def first(path, key):
        with open(path) as file:
            for line in file:
                if line.startswith(key):
                    return line.split(":", 1)[1].strip()
        return None
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return {"cpu": first("/proc/cpuinfo", "model name"), "cores": os.cpu_count(),
            "memory": first("/proc/meminfo", "MemTotal"),
            "system": f"{platform.system()} {platform.machine()}",
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "commit": commit.stdout.strip(),
            "peers": {name: importlib.metadata.version(name)
                      for name in ("hnswlib", "faiss-cpu", "usearch")}}


def hits(found, truth):
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, truth)]))


class Case:
    """A kind of data and a number of rows, and its folder in the cache."""

    def __init__(self, kind, count, args):
        self.kind, self.count, self.args = kind, count, args
        self.folder = os.path.join(args.cache, "vectors", f"{kind}-{count}")
        os.makedirs(self.folder, exist_ok=True)
        self.rows_path, self.queries_path = self.path("rows.f32"), self.path("queries.f32")
        if not os.path.exists(self.queries_path):
            self.make()
        self.queries = np.fromfile(self.queries_path, np.float32).reshape(-1, DIMS)
        self.driver = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def make(self):
        print(f"generating {self.count} {self.kind} rows", flush=True)
        if self.kind == "real":
            vectors = generate.real(self.args.real)
            vectors[200:].tofile(self.rows_path)
            vectors[:200].tofile(self.queries_path)
            return
        source = generate.Source(self.kind)
        generate.write(self.rows_path, source, self.count)
        source.sample(self.args.queries).astype(np.float32).tofile(self.queries_path)

    def rows(self):
        return np.memmap(self.rows_path, np.float32, "r").reshape(-1, DIMS)

    def ours(self, *words):
        if not self.driver:
            self.driver = Driver(self.args.driver, self.rows_path, self.queries_path,
                                 self.args.memory)
            self.driver("truth", K, self.path("truth.u32"))
        return self.driver(*words)

    def truth(self):
        self.ours("cpu")
        return np.fromfile(self.path("truth.u32"), np.uint32).reshape(-1, K)

    def close(self):
        if self.driver:
            self.driver.close()
            self.driver = None

    def measured(self, name, measure):
        """What the file of `name` says, or what `measure` does now."""
        path = self.path(f"result-{slug(name)}.json")
        if os.path.exists(path) and name not in self.args.again:
            with open(path) as file:
                return json.load(file)
        print(f"{self.kind} {self.count}: {name}", flush=True)
        result = measure()
        with open(path + ".part", "w") as file:
            json.dump(result, file, indent=1)
        os.replace(path + ".part", path)
        return result


# ---- one index ----

def best_of(rounds, measure):
    return min((measure() for _ in range(rounds)), key=lambda one: one["seconds"])


def at_recall(points, recall):
    """Queries a second at a recall, from [(recall, rate)]: what the fastest setting of at least that
    recall does, or an interpolation between two. None when no setting reaches it."""
    points = sorted(points)
    best = max((rate for got, rate in points if got >= recall), default=None)
    for (low, fast), (high, slow) in zip(points, points[1:]):
        if low < recall <= high:
            share = (recall - low) / (high - low)
            best = max(best, math.exp(math.log(fast) * (1 - share) + math.log(slow) * share))
    return best


def sweep(settings, one_thread, two_threads):
    """Stops once 0.999 is reached: what comes after is slower only."""
    points = []
    for setting in settings:
        point = {"setting": setting, **one_thread(setting)}
        point["queries_per_second_2"] = round(two_threads(setting), 1)
        points.append(point)
        if point["recall"] >= 0.999:
            break
    return points


def point_of(count, result):
    return {"recall": round(result["recall"], 5),
            "queries_per_second": round(count / result["seconds"], 1),
            "visited": result.get("visited"), "p50_us": result["p50_us"],
            "p99_us": result["p99_us"]}


def measure_ours(case, name):
    args, number = case.args, KINDS[name]
    threads = args.build_threads
    built = case.ours("build", args.m, args.ef_construction, number, threads)
    if not built["valid"]:
        sys.exit("the graph does not validate")
    case.ours("save", case.path(f"index-{slug(name)}"), number)
    count = len(case.queries)
    settings = EFS if name in GRAPHS else [16, 40, 64, 100]

    def one(ef):
        return point_of(count, best_of(args.rounds, lambda: case.ours("search", ef, K, number, 1)))

    def two(ef):
        return count / best_of(args.rounds,
                               lambda: case.ours("search", ef, K, number, 2))["seconds"]

    points = sweep(settings, one, two)
    case.ours("drop", number)
    return {"build_seconds": built["seconds"], "build_threads": threads,
            "bytes_per_row": built["memory_bytes"] / case.count,
            "resident_bytes": built["resident_bytes"], "sweep": points}


def measure_peer(case, name):
    args, peer, queries, truth = case.args, MAKERS[name](), case.queries, case.truth()
    path, built_path = case.path(f"index-{slug(name)}"), case.path(f"built-{slug(name)}.json")
    if os.path.exists(built_path) and os.path.exists(path):
        with open(built_path) as file:
            build_seconds = json.load(file)["seconds"]
        peer.load(path, DIMS)
    else:
        time_it = processor_time if args.build_threads == 1 else wall_time
        rows = np.ascontiguousarray(case.rows())
        _, build_seconds = time_it(peer.build, rows, args.m, args.ef_construction,
                                   args.build_threads)
        peer.save(path)
        with open(built_path, "w") as file:
            json.dump({"seconds": build_seconds}, file)
        del rows
    alone = subprocess.run([sys.executable, os.path.join(os.path.dirname(__file__), "peers.py"),
                            name, path, str(DIMS)], capture_output=True, text=True, check=True)

    def one(setting):
        best = 1e9
        for _ in range(args.rounds):
            found, seconds = processor_time(peer.search, queries, K, setting)
            best = min(best, seconds)
        each = sorted(wall_time(peer.search, query[None], K, setting)[1]
                      for query in queries[:LATENCY_QUERIES])
        return point_of(len(queries), {
            "seconds": best, "recall": hits(found, truth),
            "p50_us": round(each[len(each) // 2] * 1e6, 1),
            "p99_us": round(each[len(each) * 99 // 100] * 1e6, 1)})

    def two(setting):
        return len(queries) / min(wall_time(peer.search, queries, K, setting, 2)[1]
                                  for _ in range(args.rounds))

    return {"build_seconds": build_seconds, "build_threads": args.build_threads,
            "bytes_per_row": os.path.getsize(path) / case.count,
            "resident_bytes": json.loads(alone.stdout)["resident_bytes"],
            "sweep": sweep(peer.sweep, one, two)}


# ---- filters ----

class Filters:
    """A bitmap a query: random rows; those around the query's nearest row (near: correlated); those
    around the row farthest from it (far: anti-correlated); all but the nearest to it (hole)."""

    def __init__(self, rows, queries):
        self.rows, self.queries = rows, queries[:FILTERS]
        self.similarities = self.to_rows(self.queries)
        self.kind = self.around = None

    def to_rows(self, vectors, piece=50_000):
        return np.concatenate([vectors @ np.asarray(self.rows[at:at + piece]).T
                               for at in range(0, len(self.rows), piece)], axis=1)

    def order(self, kind, q):
        """What is largest of the rows that are accepted for a query."""
        if kind == "hole":
            return -self.similarities[q]
        if self.kind != kind:
            pivots = self.similarities.argmax(1) if kind == "near" else self.similarities.argmin(1)
            self.kind, self.around = kind, self.to_rows(np.asarray(self.rows[pivots]))
        return self.around[q]

    def make(self, kind, percent):
        count = max(K, int(len(self.rows) * percent / 100))
        rng = np.random.default_rng(1)
        bits = np.zeros((FILTERS, len(self.rows)), dtype=bool)
        for q in range(FILTERS):
            if kind == "random":
                bits[q, rng.choice(len(self.rows), count, replace=False)] = True
            else:
                bits[q, np.argpartition(-self.order(kind, q), count - 1)[:count]] = True
        return bits

    def truth(self, bits):
        matches = [np.flatnonzero(one) for one in bits]
        return [one[np.argpartition(-all[one], K - 1)[:K]]
                for one, all in zip(matches, self.similarities)]


def filtered_peer(peer, queries, bits, truth):
    """The fastest swept setting of recall 0.95, or of the best recall. 20 s at most for a setting, and
    none after one that took more than a second without coming nearer to 0.95."""
    packed = [np.packbits(one, bitorder="little") for one in bits]
    prepared = [peer.prepare_filter(one, whole) for one, whole in zip(packed, bits)]
    best = None
    for setting in peer.filtered_sweep:
        found, seconds = processor_time(
            lambda: [peer.filtered(query, K, setting, one)
                     for one, query in zip(prepared, queries)])
        recall = hits(found, truth)
        if seconds < 2:
            found, again = processor_time(
                lambda: [peer.filtered(query, K, setting, one)
                         for one, query in zip(prepared, queries)])
            seconds = min(seconds, again)
        point = {"seconds": seconds / FILTERS, "recall": round(recall, 4), "ef": setting}
        stuck = best and recall <= best["recall"] + 0.01 and seconds > 1
        if not best or recall > best["recall"]:
            best = point
        if recall >= 0.95 or seconds > 20 or stuck:
            break
    return best


def filter_peers(case, rows):
    """Those whose index is there, and those that need none but the rows."""
    peers = {}
    for name in FILTERED:
        path = case.path(f"index-{slug(name)}")
        if name not in FILTERED_ONLY and not os.path.exists(path):
            continue
        peers[name] = FILTERED[name]()
        if os.path.exists(path):
            peers[name].load(path, DIMS)
        else:
            peers[name].build(rows, case.args.m, case.args.ef_construction)
    return peers


def measure_filters(case):
    rows = np.ascontiguousarray(case.rows())
    filters, peers = Filters(rows, case.queries), filter_peers(case, rows)
    graphs = [name for name in GRAPHS if os.path.exists(case.path(f"index-{slug(name)}"))]
    for name in graphs:
        case.ours("open", case.path(f"index-{slug(name)}"), case.args.m, KINDS[name])
    result = []
    for kind in FILTER_KINDS:
        for percent in PERCENTS:
            bits = filters.make(kind, percent)
            truth = filters.truth(bits)
            path = case.path("filters.bits")
            np.packbits(bits, axis=1, bitorder="little").tofile(path)
            case.ours("filters", path)
            entry = {"filter": kind, "percent": percent}
            for name in graphs:
                entry[name] = case.ours("filtered", DEFAULT_EF, K, KINDS[name],
                                        2 if case.count < 1_000_000 else 1)
            entry["scan_seconds"] = min(entry[name]["scan_seconds"] for name in graphs)
            for name, peer in peers.items():
                if peer.most and bits[0].sum() > peer.most:
                    continue
                entry[name] = filtered_peer(peer, case.queries, bits, truth)
            result.append(entry)
            print(f"  {kind} {percent} %", flush=True)
    for name in graphs:
        case.ours("drop", KINDS[name])
    os.remove(case.path("filters.bits"))
    return result


# ---- the run ----

def measure_case(case):
    args = case.args
    wanted = [name for name in [*KINDS, *MAKERS]
              if not args.only or name in args.only or name == "hnswlib"]
    result = {"data": case.kind, "rows": case.count, "queries": len(case.queries), "indexes": {}}
    if args.only_filters:
        wanted = [name for name in wanted if os.path.exists(case.path(f"result-{slug(name)}.json"))]
    result["scan"] = case.measured("scan", lambda: {
        "one": case.ours("scan", 1), "two": case.ours("scan", 2)})
    result["kernels"] = case.ours("cpu")["kernels"]
    for name in wanted:
        measure = measure_ours if name in KINDS else measure_peer
        result["indexes"][name] = case.measured(name, lambda: measure(case, name))
    if not args.no_filters:
        result["filtered"] = case.measured("filtered", lambda: measure_filters(case))
    case.close()
    for name, index in result["indexes"].items():
        for field, key in (("queries_per_second", "at_recall"),
                           ("queries_per_second_2", "at_recall_2")):
            points = [(p["recall"], p[field]) for p in index["sweep"]]
            index[key] = {str(level): at_recall(points, level) for level in LEVELS}
        fit = [p for p in index["sweep"] if p["recall"] >= 0.95]
        index["at_0.95"] = {key: fit[0][key] for key in ("p50_us", "p99_us")} if fit else None
    return result


def compare(result):
    """Ratios of vizsla's graphs to hnswlib and to the best peer."""
    indexes = result["indexes"]
    reference = indexes.get("hnswlib")
    result["ratios"] = {}
    for name in GRAPHS:
        if name not in indexes or not reference:
            continue
        mine, ratios = indexes[name], {"hnswlib": {}, "best peer": {}}
        for level in map(str, LEVELS):
            rate = mine["at_recall"][level]
            best = max((indexes[peer]["at_recall"][level] or 0, peer)
                       for peer in indexes if peer in MAKERS)
            if rate and reference["at_recall"][level]:
                ratios["hnswlib"][level] = round(rate / reference["at_recall"][level], 2)
            if rate and best[0]:
                ratios["best peer"][level] = [round(rate / best[0], 2), best[1]]
        ratios["hnswlib"]["build"] = round(reference["build_seconds"] / mine["build_seconds"], 2)
        ratios["hnswlib"]["resident"] = round(
            mine["resident_bytes"] / reference["resident_bytes"], 3)
        result["ratios"][name] = ratios


def cell(value, width=9):
    return f"{value:{width}.0f}" if value else f"{'-':>{width}}"


def show(result):
    scan = result["scan"]
    print(f"\n{result['data']}, {result['rows']:,} rows of {DIMS}, {result['queries']} queries, "
          f"recall@{K}. Exact scan {scan['one']['scan_gb_s']:.1f} GB/s of "
          f"{scan['one']['read_gb_s']:.1f} that a plain read reaches "
          f"({scan['one']['scan_gb_s'] / scan['one']['read_gb_s']:.0%}), two threads "
          f"{scan['two']['scan_gb_s']:.1f} of {scan['two']['read_gb_s']:.1f}")
    print(f"{'':18}{'build s':>9}{'bytes/row':>10}{'resident':>10}"
          + "".join(f"{'q/s@' + str(level):>9}" for level in LEVELS)
          + "".join(f"{'2: @' + str(level):>9}" for level in LEVELS)
          + f"{'p50 us':>9}{'p99 us':>9}")
    for name, index in result["indexes"].items():
        at = index["at_0.95"] or {"p50_us": None, "p99_us": None}
        print(f"{name:18}{index['build_seconds']:9.1f}{index['bytes_per_row']:10.0f}"
              f"{index['resident_bytes'] / 2**20:8.0f} M"
              + "".join(cell(rate) for rate in index["at_recall"].values())
              + "".join(cell(rate) for rate in index["at_recall_2"].values())
              + cell(at["p50_us"]) + cell(at["p99_us"]))
    for name, ratios in result["ratios"].items():
        print(f"{name}: " + ", ".join(f"{what} {ratio}x" for what, ratio in
                                      ratios["hnswlib"].items()) + " of hnswlib; "
              + ", ".join(f"{level} {one[0]}x {one[1]}" for level, one in
                          ratios["best peer"].items()))
    if result.get("filtered"):
        show_filtered(result["filtered"])


def show_filtered(entries):
    ours = [name for name in GRAPHS if name in entries[0]]
    theirs = [name for name in FILTERED if name in entries[0]]
    print(f"filtered at ef {DEFAULT_EF}: us a query / recall@{K}; scan: exact, over the matches, whose "
          "list is given, and below it what ours take of that in the same minute; peers at the fastest "
          "of their settings that reaches 0.95")
    print(f"{'':8}{'matches':>9}{'scan':>8}"
          + "".join(f"{name.split(' ', 1)[-1]:>16}" for name in [*ours, *theirs]) + "  best peer / ours")
    for entry in entries:
        fit = {name: entry[name]["seconds"] for name in theirs
               if name in entry and entry[name]["recall"] >= 0.95}
        best = min(fit, key=fit.get) if fit else None
        print(f"{entry['filter']:8}{entry['percent']:>7} %{entry['scan_seconds'] * 1e6:8.0f}"
              + "".join(f"{entry[name]['seconds'] * 1e6:8.0f} / {entry[name]['recall']:.3f}"
                        if name in entry else f"{'-':>16}" for name in [*ours, *theirs])
              + (f"  {best}: " + ", ".join(f"{fit[best] / entry[name]['seconds']:.1f}"
                                           for name in ours) if best else "  -"))
        print(f"{'':25}" + "".join(f"{entry[name]['seconds'] / entry[name]['scan_seconds']:8.2f}"
                                   f"{'':8}" for name in ours))


def show_growth(cases):
    """How the time of a query at recall 0.95 grows with the rows, beside what log n would give."""
    result = {}
    for kind in {case["data"] for case in cases}:
        sizes = sorted((c for c in cases if c["data"] == kind), key=lambda c: c["rows"])
        if len(sizes) < 2:
            continue
        print(f"\n{kind}: time of a query at recall 0.95 against {sizes[0]['rows']:,} rows "
              "(log n: " + ", ".join(
                  f"{math.log(c['rows']) / math.log(sizes[0]['rows']):.2f}" for c in sizes) + ")")
        for name in sizes[0]["indexes"]:
            rates = [c["indexes"].get(name, {}).get("at_recall", {}).get("0.95") for c in sizes]
            if all(rates):
                growth = [round(rates[0] / rate, 2) for rate in rates]
                result.setdefault(kind, {})[name] = growth
                print(f"  {name:18}" + "".join(f"{one:8.2f}" for one in growth))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--rows", default="10000,100000,1000000", help="sizes, by comma")
    parser.add_argument("--data", default="clip,real,uniform",
                        help="kinds by comma, also spread: see generate.py; real has one size")
    parser.add_argument("--real", help="folder of the real vectors")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=100)
    parser.add_argument("--build-threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="these indexes by comma; hnswlib always")
    parser.add_argument("--again", default="", help="measure these again, by comma; also scan, "
                        "filtered, and all")
    parser.add_argument("--no-filters", action="store_true")
    parser.add_argument("--only-filters", action="store_true",
                        help="of the rest show what was measured, and measure nothing anew")
    parser.add_argument("--memory", choices=["file", "huge"], default="file",
                        help="our rows: mapped from a file as the store does, or in huge pages")
    parser.add_argument("--out", help="write the JSON here")
    args = parser.parse_args()
    args.only = [name for name in args.only.split(",") if name]
    args.again = [name for name in args.again.split(",") if name]
    if "all" in args.again:
        args.again = [*KINDS, *MAKERS, "scan", "filtered"]

    everything = {"machine": machine(), "k": K, "dims": DIMS, "m": args.m,
                  "ef_construction": args.ef_construction, "memory": args.memory, "cases": []}
    for kind in args.data.split(","):
        sizes = [int(size) for size in args.rows.split(",")]
        if kind == "real":
            if not args.real or not glob.glob(os.path.join(args.real, "*.npy")):
                print("no real vectors here: skipped")
                continue
            sizes = [len(generate.real(args.real)) - 200]
        for size in sizes:
            result = measure_case(Case(kind, size, args))
            compare(result)
            everything["cases"].append(result)
    for result in everything["cases"]:
        show(result)
    everything["growth"] = show_growth(everything["cases"])
    print("\nbytes/row: of the index in a file; vizsla's graphs over codes also read the mapped "
          "float rows (dims x 4) to score their best again")
    if args.out:
        with open(args.out, "w") as file:
            file.write(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    main()
