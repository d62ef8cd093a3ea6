"""The libraries that compare.py measures beside vizsla. A peer builds from rows, keeps its index in a
file, and answers queries at a setting of its sweep. All are given the same m and ef_construction.

Run as a program it tells how much memory an index takes when nothing else is in the process:
    peers.py NAME PATH DIMS      prints {"resident_bytes": ..}
"""
import json
import os
import sys
import time

import numpy as np

EFS = [16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024]


class Hnswlib:
    sweep = EFS
    most = None  # matches of a filter, past which it is not measured

    def __init__(self):
        import hnswlib
        self.library = hnswlib

    def build(self, rows, m, ef_construction, threads=1):
        self.index = self.library.Index(space="ip", dim=rows.shape[1])
        self.index.init_index(max_elements=len(rows), M=m, ef_construction=ef_construction,
                              random_seed=42)
        self.index.add_items(rows, num_threads=threads)

    def save(self, path):
        self.index.save_index(path)

    def load(self, path, dims):
        self.index = self.library.Index(space="ip", dim=dims)
        self.index.load_index(path)

    def search(self, queries, k, ef, threads=1):
        self.index.set_ef(ef)
        return self.index.knn_query(queries, k=k, num_threads=threads)[0]

    filtered_sweep = [16, 64, 256, 1024]

    def prepare_filter(self, bits, accepted):
        return accepted

    def filtered(self, query, k, ef, accepted):
        """Its filter is a function in Python, asked for every row it visits: slow by design, and the
        only way there is from Python. In C++ it would be a virtual call, as FAISS's selectors are."""
        self.index.set_ef(ef)
        try:
            return self.index.knn_query(query[None], k=k, num_threads=1,
                                        filter=lambda row: accepted[row])[0][0]
        except RuntimeError:  # it found fewer than k
            return np.empty(0, dtype=np.int64)


class Faiss:
    """HNSW over floats or 8-bit codes; IVF over 4-bit product codes, the best scored again."""

    most = None

    def __init__(self, kind):
        import faiss
        self.library = faiss
        self.kind = kind
        self.sweep = [1, 2, 4, 8, 16, 32, 64, 128, 256] if kind == "ivfpq" else EFS

    def build(self, rows, m, ef_construction, threads=1):
        faiss = self.library
        faiss.omp_set_num_threads(threads)
        dims, ip = rows.shape[1], faiss.METRIC_INNER_PRODUCT
        if self.kind == "ivfpq":
            lists = max(16, int(2 * len(rows) ** 0.5))
            self.index = faiss.index_factory(dims, f"IVF{lists},PQ{dims // 4}x4fs,RFlat", ip)
            faiss.extract_index_ivf(self.index).cp.niter = 8
        elif self.kind == "hnsw":
            self.index = faiss.IndexHNSWFlat(dims, m, ip)
        else:
            self.index = faiss.IndexHNSWSQ(dims, faiss.ScalarQuantizer.QT_8bit, m, ip)
        if self.kind != "ivfpq":
            self.index.hnsw.efConstruction = ef_construction
        if not self.index.is_trained:
            self.index.train(rows[:min(len(rows), 100_000)])
        self.index.add(rows)
        self.prepare()

    def prepare(self):
        if self.kind == "ivfpq":
            self.owner = self.index  # what downcast_index returns owns nothing
            self.index = self.library.downcast_index(self.owner)
            self.index.k_factor = 10

    def save(self, path):
        self.library.write_index(self.index, path)

    def load(self, path, dims):
        self.index = self.library.read_index(path)
        self.prepare()

    def search(self, queries, k, setting, threads=1):
        self.library.omp_set_num_threads(threads)
        if self.kind == "ivfpq":
            self.library.extract_index_ivf(self.index).nprobe = setting
        else:
            self.index.hnsw.efSearch = setting
        if threads > 1:
            return self.index.search(queries, k)[1]
        # One by one, as a server is asked: a batch lets IVF and PQ share work between queries.
        return np.concatenate([self.index.search(query[None], k)[1] for query in queries])

    filtered_sweep = [16, 32, 64, 128, 256, 1024]

    def prepare_filter(self, bits, accepted):
        return bits, self.library.IDSelectorBitmap(len(bits) * 8, self.library.swig_ptr(bits))

    def parameters(self, setting, selector):
        return self.library.SearchParametersHNSW(sel=selector, efSearch=setting)

    def filtered(self, query, k, setting, prepared):
        self.library.omp_set_num_threads(1)
        return self.index.search(query[None], k, params=self.parameters(setting, prepared[1]))[1][0]


class FaissFlat(Faiss):
    """Every row asked about in a bitmap, those that match scored: floats, or 8-bit codes in lists of
    which the nearest are looked through. Not in the sweep without filters."""

    def __init__(self, kind):
        super().__init__(kind)
        self.filtered_sweep = [0] if kind == "flat" else [2, 4, 8, 16, 32, 64, 128, 256, 1 << 20]

    def build(self, rows, m, ef_construction, threads=1):
        faiss, dims = self.library, rows.shape[1]
        faiss.omp_set_num_threads(threads)
        lists = max(16, int(len(rows) ** 0.5))
        name = "Flat" if self.kind == "flat" else f"IVF{lists},SQ8"
        self.index = faiss.index_factory(dims, name, faiss.METRIC_INNER_PRODUCT)
        if self.kind != "flat":
            faiss.extract_index_ivf(self.index).cp.niter = 8
            self.index.train(rows[:min(len(rows), 50 * lists)])
        self.index.add(rows)

    def parameters(self, setting, selector):
        if self.kind == "flat":
            return self.library.SearchParameters(sel=selector)
        return self.library.SearchParametersIVF(sel=selector, nprobe=setting)


class Numpy:
    """What a user writes: the rows that match gathered and multiplied."""

    most = 100_000
    filtered_sweep = [0]

    def build(self, rows, m, ef_construction, threads=1):
        self.rows = rows

    def prepare_filter(self, bits, accepted):
        return np.flatnonzero(accepted)

    def filtered(self, query, k, setting, matches):
        similarities = self.rows[matches] @ query
        return matches[np.argpartition(-similarities, k - 1)[:k]]


class Usearch:
    sweep = EFS

    def __init__(self, dtype):
        import usearch.index
        self.library = usearch.index
        self.dtype = dtype

    def build(self, rows, m, ef_construction, threads=1):
        self.index = self.library.Index(ndim=rows.shape[1], metric="cos", dtype=self.dtype,
                                        connectivity=m, expansion_add=ef_construction)
        self.index.add(np.arange(len(rows)), rows, threads=threads)

    def save(self, path):
        self.index.save(path)

    def load(self, path, dims):
        self.index = self.library.Index.restore(path)

    def search(self, queries, k, ef, threads=1):
        self.index.expansion_search = ef
        return self.index.search(queries, k, threads=threads).keys


MAKERS = {
    "hnswlib": Hnswlib,
    "faiss hnsw": lambda: Faiss("hnsw"),
    "faiss hnsw sq8": lambda: Faiss("sq8"),
    "faiss ivfpq fs": lambda: Faiss("ivfpq"),
    "usearch f32": lambda: Usearch("f32"),
    "usearch f16": lambda: Usearch("f16"),
    "usearch i8": lambda: Usearch("i8"),
}
FILTERED = {  # USearch's Python has no filters, FAISS's fast scan of product codes neither
    "faiss hnsw": MAKERS["faiss hnsw"],
    "faiss hnsw sq8": MAKERS["faiss hnsw sq8"],
    "hnswlib": MAKERS["hnswlib"],
    "faiss flat": lambda: FaissFlat("flat"),
    "faiss ivf sq8": lambda: FaissFlat("ivfsq8"),
    "numpy": Numpy,
}
FILTERED_ONLY = ["faiss flat", "faiss ivf sq8", "numpy"]


def processor_time(work, *arguments):
    """What `work` answers and the processor time it took on this thread."""
    start = time.thread_time()
    answer = work(*arguments)
    return answer, time.thread_time() - start


def wall_time(work, *arguments):
    start = time.perf_counter()
    answer = work(*arguments)
    return answer, time.perf_counter() - start


def resident():
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def main():
    name, path, dims = sys.argv[1], sys.argv[2], int(sys.argv[3])
    peer = MAKERS[name]()
    before = resident()
    peer.load(path, dims)
    print(json.dumps({"resident_bytes": resident() - before}))
    sys.stdout.flush()
    os._exit(0)  # some take their time to free what the process's end frees too


if __name__ == "__main__":
    main()
