"""The libraries that compare.py measures beside vizsla. A peer builds from rows and answers queries
at a setting of its sweep, on one thread. All are given the same m and ef_construction."""
import time

import faiss
import hnswlib
import numpy as np
import usearch.index

EFS = [16, 24, 32, 48, 64, 96, 128, 192, 256, 512]


class Hnswlib:
    sweep = EFS

    def build(self, rows, m, ef_construction):
        self.index = hnswlib.Index(space="ip", dim=rows.shape[1])
        self.index.init_index(max_elements=len(rows), M=m, ef_construction=ef_construction,
                              random_seed=42)
        self.index.set_num_threads(1)
        self.index.add_items(rows, num_threads=1)

    def search(self, queries, k, ef):
        self.index.set_ef(ef)
        return self.index.knn_query(queries, k=k, num_threads=1)[0]

    def bytes_per_row(self, rows):
        return self.index.index_file_size() / len(rows)


class Faiss:
    """HNSW over floats or 8-bit codes; IVF over 4-bit product codes, the best scored again."""

    def __init__(self, kind):
        self.kind = kind
        self.sweep = [1, 2, 4, 8, 16, 32, 64, 128] if kind == "ivfpq" else EFS

    def build(self, rows, m, ef_construction):
        faiss.omp_set_num_threads(1)
        dims, ip = rows.shape[1], faiss.METRIC_INNER_PRODUCT
        if self.kind == "ivfpq":
            lists = max(16, int(2 * len(rows) ** 0.5))
            self.index = faiss.index_factory(dims, f"IVF{lists},PQ{dims // 4}x4fs,RFlat", ip)
            self.index.k_factor = 10
            faiss.extract_index_ivf(self.index).cp.niter = 8
        elif self.kind == "hnsw":
            self.index = faiss.IndexHNSWFlat(dims, m, ip)
        else:
            self.index = faiss.IndexHNSWSQ(dims, faiss.ScalarQuantizer.QT_8bit, m, ip)
        if self.kind != "ivfpq":
            self.index.hnsw.efConstruction = ef_construction
        if not self.index.is_trained:
            self.index.train(rows)
        self.index.add(rows)

    def search(self, queries, k, setting):
        faiss.omp_set_num_threads(1)
        if self.kind == "ivfpq":
            faiss.extract_index_ivf(self.index).nprobe = setting
        else:
            self.index.hnsw.efSearch = setting
        # One by one, as a server is asked: a batch lets IVF and PQ share work between queries.
        return np.concatenate([self.index.search(query[None], k)[1] for query in queries])

    def filtered(self, query, k, ef, bits):
        selector = faiss.IDSelectorBitmap(len(bits) * 8, faiss.swig_ptr(bits))
        return self.index.search(query[None], k, params=faiss.SearchParametersHNSW(
            sel=selector, efSearch=ef))[1][0]

    def bytes_per_row(self, rows):
        index = self.index.base_index if self.kind == "ivfpq" else self.index
        return len(faiss.serialize_index(index)) / len(rows)


class Usearch:
    sweep = EFS

    def __init__(self, dtype):
        self.dtype = dtype

    def build(self, rows, m, ef_construction):
        self.index = usearch.index.Index(ndim=rows.shape[1], metric="cos", dtype=self.dtype,
                                         connectivity=m, expansion_add=ef_construction)
        self.index.add(np.arange(len(rows)), rows, threads=1)

    def search(self, queries, k, ef):
        self.index.expansion_search = ef
        return self.index.search(queries, k, threads=1).keys

    def bytes_per_row(self, rows):
        return self.index.serialized_length / len(rows)


def all_peers():
    peers = {"hnswlib": Hnswlib(), "faiss hnsw": Faiss("hnsw"), "faiss hnsw sq8": Faiss("sq8"),
             "faiss ivfpq fs": Faiss("ivfpq")}
    return peers | {f"usearch {dtype}": Usearch(dtype) for dtype in ("f32", "f16", "i8")}


def processor_time(work, *arguments):
    """What `work` answers and the processor time it took on this thread."""
    start = time.thread_time()
    answer = work(*arguments)
    return answer, time.thread_time() - start
