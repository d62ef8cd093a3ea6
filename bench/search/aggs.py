#!/usr/bin/env python3
"""What aggregations over all of a generated catalogue cost, through the real server.

    bench/search/aggs.py --bin build/vizsla [--docs 1000000] [--data DIR] [--only WORD] [--runs 15]

Builds an index of products (brands by Zipf's law, categories, prices, dates over three years) with
_bulk, then times each aggregation with "size": 0 over HTTP. Prints the least and the median of the
runs as the client sees them. --data keeps the folder, so that another run need not index again.
Standard library only; the seed is fixed.
"""
import argparse
import datetime
import http.client
import json
import pathlib
import random
import socket
import statistics
import subprocess
import tempfile
import time

MAPPING = {"mappings": {"properties": {
    "brand": {"type": "keyword"}, "category": {"type": "keyword"}, "tags": {"type": "keyword"},
    "sku": {"type": "keyword"}, "price": {"type": "double"}, "stock": {"type": "integer"},
    "rating": {"type": "float"}, "views": {"type": "long"}, "created": {"type": "date"},
    "active": {"type": "boolean"}, "place": {"type": "geo_point"}}}}

DAY_PRICE = {"day": {"date_histogram": {"field": "created", "fixed_interval": "1d"}}}
QUERIES = {
    "terms 20 (category)": {"terms": {"field": "category"}},
    "terms 5,000 (brand)": {"terms": {"field": "brand"}},
    "terms many values (tags)": {"terms": {"field": "tags"}},
    "terms numbers (stock)": {"terms": {"field": "stock"}},
    "terms + avg": {"terms": {"field": "category"}, "aggs": {"p": {"avg": {"field": "price"}}}},
    "terms brand + avg": {"terms": {"field": "brand"}, "aggs": {"p": {"avg": {"field": "price"}}}},
    "terms + stats by avg": {"terms": {"field": "brand", "order": {"p.avg": "desc"}},
                             "aggs": {"p": {"stats": {"field": "price"}}}},
    "histogram (price)": {"histogram": {"field": "price", "interval": 50}},
    "histogram + sum": {"histogram": {"field": "price", "interval": 50},
                        "aggs": {"s": {"sum": {"field": "stock"}}}},
    "date_histogram fixed 1d": DAY_PRICE["day"],
    "date_histogram month": {"date_histogram": {"field": "created", "calendar_interval": "month"}},
    "date_histogram day, zone": {"date_histogram": {
        "field": "created", "calendar_interval": "day", "time_zone": "Europe/Amsterdam"}},
    "date_histogram month + sum": {
        "date_histogram": {"field": "created", "calendar_interval": "month"},
        "aggs": {"s": {"sum": {"field": "price"}}}},
    "terms > month": {"terms": {"field": "category"}, "aggs": {
        "m": {"date_histogram": {"field": "created", "calendar_interval": "month"}}}},
    "range 4 (price)": {"range": {"field": "price", "ranges": [
        {"to": 20}, {"from": 20, "to": 50}, {"from": 50, "to": 200}, {"from": 200}]}},
    "percentiles": {"percentiles": {"field": "price"}},
    "percentiles (long)": {"percentiles": {"field": "views"}},
    "cardinality (brand)": {"cardinality": {"field": "brand"}},
    "cardinality (price)": {"cardinality": {"field": "price"}},
    "cardinality (sku)": {"cardinality": {"field": "sku"}},
    "avg": {"avg": {"field": "price"}},
    "stats": {"stats": {"field": "price"}},
    "extended_stats": {"extended_stats": {"field": "price"}},
    "min (long)": {"min": {"field": "views"}},
    "value_count": {"value_count": {"field": "brand"}},
    "missing": {"missing": {"field": "rating"}},
    "composite 2": {"composite": {"size": 100, "sources": [
        {"c": {"terms": {"field": "category"}}}, {"b": {"terms": {"field": "brand"}}}]}},
    "multi_terms": {"multi_terms": {"terms": [{"field": "category"}, {"field": "active"}]}},
    "geohash_grid 3": {"geohash_grid": {"field": "place", "precision": 3}},
    "geo_distance": {"geo_distance": {"field": "place", "origin": "52.37,4.89", "unit": "km",
                                      "ranges": [{"to": 100}, {"from": 100, "to": 500}]}},
    "filters": {"filters": {"filters": {"a": {"term": {"active": True}},
                                        "b": {"range": {"price": {"lt": 30}}}}}},
    "terms > top_hits": {"terms": {"field": "category"}, "aggs": {
        "t": {"top_hits": {"size": 1, "sort": [{"price": "desc"}]}}}},
}


def documents(count):
    rng = random.Random(20241120)
    brands = [f"brand-{i}" for i in range(5000)]
    weights = [1 / (i + 1) for i in range(5000)]
    categories = [f"category-{i}" for i in range(20)]
    tags = [f"tag-{i}" for i in range(200)]
    start = int(datetime.datetime(2022, 1, 1, tzinfo=datetime.timezone.utc).timestamp() * 1000)
    span = 3 * 365 * 86400000
    picked = rng.choices(brands, weights, k=count)
    for i in range(count):
        doc = {"brand": picked[i], "category": categories[int(rng.random() ** 2 * 20)],
               "tags": rng.sample(tags, rng.randint(0, 4)), "sku": f"sku-{i}",
               "price": round(rng.lognormvariate(3.5, 0.9), 2), "stock": rng.randint(0, 500),
               "views": int(rng.expovariate(1 / 50000)), "created": start + rng.randrange(span),
               "active": rng.random() < 0.9,
               "place": [round(rng.uniform(-10, 30), 5), round(rng.uniform(35, 60), 5)]}
        if rng.random() < 0.7:
            doc["rating"] = round(rng.uniform(1, 5), 1)
        yield doc


class Server:
    def __init__(self, binary, data):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen([binary, "serve", "--data", str(data), "--port",
                                         str(self.port)], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        for _ in range(600):
            try:
                self.ask("GET", "/")
                return
            except OSError:
                self.connection.close()
                time.sleep(0.1)
        raise SystemExit("the server does not answer")

    def ask(self, method, path, body=None):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def build(server, count):
    status, answer = server.ask("PUT", "/bench", MAPPING)
    if status == 400:
        return  # kept from another run
    lines, begun = [], time.time()
    for doc in documents(count):
        lines.append('{"index":{}}\n' + json.dumps(doc) + "\n")
        if len(lines) == 10000:
            status, answer = server.ask("POST", "/bench/_bulk", "".join(lines).encode())
            if status != 200 or answer.get("errors"):
                raise SystemExit(f"_bulk: {status} {str(answer)[:500]}")
            lines = []
    if lines:
        server.ask("POST", "/bench/_bulk", "".join(lines).encode())
    server.ask("POST", "/bench/_refresh")
    print(f"indexed {count} documents in {time.time() - begun:.1f} s", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--bin", default="build/vizsla")
    options.add_argument("--docs", type=int, default=1000000)
    options.add_argument("--data")
    options.add_argument("--only", default="")
    options.add_argument("--runs", type=int, default=15)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        data = pathlib.Path(args.data or scratch)
        server = Server(args.bin, data)
        try:
            build(server, args.docs)
            print(f"{'aggregation':32} {'min ms':>8} {'median':>8}")
            for name, body in QUERIES.items():
                if args.only not in name:
                    continue
                times = []
                request = {"size": 0, "aggs": {"a": body}}
                for _ in range(args.runs):
                    begun = time.perf_counter()
                    status, answer = server.ask("POST", "/bench/_search", request)
                    times.append((time.perf_counter() - begun) * 1000)
                    if status != 200:
                        print(f"{name:32} {answer['error']['reason'][:70]}")
                        break
                else:
                    print(f"{name:32} {min(times):8.2f} {statistics.median(times):8.2f}",
                          flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
