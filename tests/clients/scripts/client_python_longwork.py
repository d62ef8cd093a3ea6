"""Long work with the official Python client: helpers.scan and reindex, by-query requests with scripts,
tasks, another server as a source, stored scripts, templates, rank evaluation."""
import os
import time
import warnings

import elasticsearch
from elasticsearch import BadRequestError, ConflictError, Elasticsearch, NotFoundError, helpers

warnings.simplefilter("error", elasticsearch.ElasticsearchWarning)
warnings.filterwarnings("ignore", message="This API is in technical preview")
TAG = f"long-py{elasticsearch.__version__[0]}"
SOURCE, COPY, HELPED, REMOTE = (f"{TAG}-{name}" for name in ("source", "copy", "helped", "remote"))
COUNT = 2500
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen!r}"))


def expect(name, error, call):
    try:
        seen = call()
    except error as raised:
        check(name, True)
        return raised
    check(name, False, seen)
    return None


def document(i):
    return {"n": i, "group": f"g{i % 7}", "text": f"number {i} of many", "weight": i * 0.125,
            "v": [i * 0.5, -i * 0.25, 1.0]}


es = Elasticsearch(os.environ["VIZSLA_URL"])
for index in (SOURCE, COPY, HELPED, REMOTE):
    es.options(ignore_status=404).indices.delete(index=index)
mappings = {"properties": {"n": {"type": "integer"}, "group": {"type": "keyword"}, "text": {"type": "text"},
                           "weight": {"type": "double"},
                           "v": {"type": "dense_vector", "dims": 3, "similarity": "cosine"}}}
for index in (SOURCE, COPY, HELPED, REMOTE):
    es.indices.create(index=index, mappings=mappings)
done, _ = helpers.bulk(es, ({"_index": SOURCE, "_id": str(i), "_source": document(i)} for i in range(COUNT)),
                       refresh=True)
check("bulk", done == COUNT, done)

seen = {hit["_id"]: hit["_source"] for hit in helpers.scan(es, index=SOURCE, size=300)}
check("scan sees all", len(seen) == COUNT and seen["77"] == document(77), len(seen))
some = [hit["_id"] for hit in helpers.scan(es, index=SOURCE, query={"query": {"term": {"group": "g3"}}})]
check("scan by a query", len(some) == len(range(3, COUNT, 7)), len(some))

made, _ = helpers.reindex(es, SOURCE, HELPED, query={"query": {"range": {"n": {"lt": 1200}}}})
es.indices.refresh(index=HELPED)
check("helpers.reindex", made == 1200 and es.count(index=HELPED)["count"] == 1200, made)

answer = es.reindex(source={"index": SOURCE, "size": 400}, dest={"index": COPY}, refresh=True)
check("reindex", answer["created"] == COUNT and answer["batches"] == 7 and not answer["failures"], answer)
check("documents are the same", es.get(index=COPY, id="1234")["_source"] == document(1234))
answer = es.reindex(source={"index": SOURCE}, dest={"index": COPY, "op_type": "create"}, conflicts="proceed")
check("reindex with conflicts", answer["version_conflicts"] == COUNT and answer["created"] == 0, answer)
error = expect("reindex without proceeding", ConflictError,
               lambda: es.reindex(source={"index": SOURCE}, dest={"index": COPY, "op_type": "create"}))
check("says which", error and len(error.body["failures"]) == 1000, error and len(error.body["failures"]))

answer = es.reindex(source={"index": SOURCE, "size": 500, "remote": {"host": os.environ["VIZSLA_URL"]},
                            "query": {"range": {"n": {"gte": 100}}}},
                    dest={"index": REMOTE}, script={"source": "ctx._source.from = 'far'"}, refresh=True)
check("reindex from a server", answer["created"] == COUNT - 100 and answer["total"] == COUNT - 100, answer)
check("with its script", es.get(index=REMOTE, id="100")["_source"] == {**document(100), "from": "far"})
expect("not from any server", BadRequestError,
       lambda: es.reindex(source={"index": SOURCE, "remote": {"host": "http://192.0.2.1:9200"}},
                          dest={"index": REMOTE}))

answer = es.update_by_query(index=SOURCE, query={"term": {"group": "g1"}}, refresh=True, slices=2,
                            script={"source": "ctx._source.weight = ctx._source.n * params.f",
                                    "params": {"f": 2}})
ones = len(range(1, COUNT, 7))
check("update by query", answer["updated"] == ones and len(answer["slices"]) == 2, answer)
sums = es.search(index=SOURCE, size=0, query={"term": {"group": "g1"}}, aggs={"s": {"sum": {"field": "weight"}}})
check("scripts computed", sums["aggregations"]["s"]["value"] == 2 * sum(range(1, COUNT, 7)), sums)

task = es.update_by_query(index=COPY, wait_for_completion=False, requests_per_second=2, scroll_size=100,
                          script={"source": "ctx._source.seen = true"})["task"]
listed = es.tasks.list(actions="*byquery", detailed=True)
check("task is listed", any(task in node["tasks"] for node in listed["nodes"].values()), listed)
check("task is running", not es.tasks.get(task_id=task)["completed"])
es.update_by_query_rethrottle(task_id=task, requests_per_second=-1)
result = es.tasks.get(task_id=task, wait_for_completion=True, timeout="60s")
check("task completed", result["completed"] and result["response"]["updated"] == COUNT, result)
task = es.delete_by_query(index=COPY, query={"match_all": {}}, wait_for_completion=False,
                          requests_per_second=2, scroll_size=100, conflicts="proceed")["task"]
time.sleep(0.3)
es.tasks.cancel(task_id=task, wait_for_completion=True)
result = es.tasks.get(task_id=task)
check("task cancelled", result["response"]["canceled"] == "by user request", result)
es.indices.refresh(index=COPY)
left = es.count(index=COPY)["count"]
check("cancelled in the middle", left == COUNT - result["response"]["deleted"] and left > 0, left)
expect("no such task", NotFoundError, lambda: es.tasks.get(task_id="nobody:1"))
answer = es.delete_by_query(index=COPY, query={"range": {"n": {"gte": 0}}}, refresh=True)
check("delete by query", answer["deleted"] == left and es.count(index=COPY)["count"] == 0, answer)

es.put_script(id=f"{TAG}-add", script={"lang": "painless", "source": "ctx._source.n += params.by"})
for _ in range(3):
    answer = es.update(index=SOURCE, id="5", script={"id": f"{TAG}-add", "params": {"by": 10}})
check("update by a stored script", answer["_version"] == 4, answer)
check("it added", es.get(index=SOURCE, id="5")["_source"]["n"] == 35)
answer = es.update(index=SOURCE, id="new", script={"source": "ctx._source.n += 1"}, upsert={"n": 1})
check("upsert", answer["result"] == "created", answer)
actions = [{"_op_type": "update", "_index": SOURCE, "_id": "5", "script": {"source": "ctx._source.n += 1"}}
           for _ in range(20)]
check("scripts in bulk", helpers.bulk(es, actions)[0] == 20)
check("all of them", es.get(index=SOURCE, id="5")["_source"]["n"] == 55)
es.delete_script(id=f"{TAG}-add")
expect("script is gone", NotFoundError, lambda: es.get_script(id=f"{TAG}-add"))

template = '{"query": {"terms": {"group": {{#toJson}}groups{{/toJson}}}}, "size": {{n}}{{^n}}3{{/n}}}'
es.put_script(id=f"{TAG}-find", script={"lang": "mustache", "source": template})
found = es.search_template(index=REMOTE, id=f"{TAG}-find", params={"groups": ["g1", "g2"]})
check("search template", len(found["hits"]["hits"]) == 3, found)
shown = es.render_search_template(id=f"{TAG}-find", params={"groups": ["g1"], "n": 7})
check("render", shown["template_output"] == {"query": {"terms": {"group": ["g1"]}}, "size": 7}, shown)
many = es.msearch_template(search_templates=[{"index": REMOTE}, {"id": f"{TAG}-find", "params": {"groups": ["g1"], "n": 1}},
                                     {"index": REMOTE}, {"source": {"query": {"term": {"n": "{{n}}"}}},
                                                         "params": {"n": 500}}])
check("msearch template", [len(r["hits"]["hits"]) for r in many["responses"]] == [1, 1], many)
rated = es.rank_eval(index=REMOTE, metric={"precision": {"k": 5}},
                     requests=[{"id": "q", "request": {"query": {"term": {"n": 500}}},
                                "ratings": [{"_index": REMOTE, "_id": "500", "rating": 1}]}])
check("rank eval", rated["metric_score"] == 1.0, rated)

for index in (SOURCE, COPY, HELPED, REMOTE):
    es.indices.delete(index=index)
raise SystemExit(1 if failures else 0)
