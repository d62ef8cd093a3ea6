"""Indices as wholes with the official Python client, major 8 or 9: templates, aliases, rollover, open
and close, copies, synonyms, the cluster's settings."""
import os
import sys
import warnings

import elasticsearch
from elasticsearch import ApiError, BadRequestError, Elasticsearch, NotFoundError, helpers

warnings.simplefilter("error", elasticsearch.ElasticsearchWarning)
P = f"wholes{elasticsearch.__version__[0]}"
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen!r}"))


def expect(name, error, text, call):
    try:
        seen = call()
    except error as raised:
        check(name, text in str(raised.body), raised.body)
    else:
        check(name, False, seen)


es = Elasticsearch(os.environ["VIZSLA_URL"])

es.cluster.put_component_template(name=f"{P}-base", template={
    "settings": {"number_of_replicas": 0}, "mappings": {"properties": {"brand": {"type": "keyword"}}}})
es.indices.put_index_template(name=P, index_patterns=[f"{P}-*"], priority=7, composed_of=[f"{P}-base"],
                              template={"mappings": {"properties": {"text": {"type": "text"}}},
                                        "aliases": {f"{P}all": {}}})
check("template exists", bool(es.indices.exists_index_template(name=P)))
found = es.indices.get_index_template(name=P)["index_templates"][0]["index_template"]
check("and is given back", found["composed_of"] == [f"{P}-base"] and found["priority"] == 7, found)
simulated = es.indices.simulate_index_template(name=f"{P}-x")["template"]
check("simulated", set(simulated["mappings"]["properties"]) == {"brand", "text"}, simulated)
expect("a component in use stays", BadRequestError, "still in use by index templates",
       lambda: es.cluster.delete_component_template(name=f"{P}-base"))

helpers.bulk(es, ({"_index": f"{P}-000001", "_id": n, "brand": f"b{n % 3}", "text": f"word{n} soap"}
                  for n in range(30)), refresh=True)
check("bulk made the index by its template",
      es.indices.get_mapping(index=f"{P}-000001")[f"{P}-000001"]["mappings"]["properties"]["brand"]
      == {"type": "keyword"})
check("with its alias", es.count(index=f"{P}all")["count"] == 30)

es.indices.update_aliases(actions=[{"add": {"index": f"{P}-000001", "alias": f"{P}w",
                                            "is_write_index": True}}])
rolled = es.indices.rollover(alias=f"{P}w", conditions={"max_docs": 10})
check("rolled over", rolled["rolled_over"] and rolled["new_index"] == f"{P}-000002", rolled.body)
check("writes go to the new one",
      es.index(index=f"{P}w", document={"text": "x"}, refresh=True)["_index"] == f"{P}-000002")
check("searches to both", es.count(index=f"{P}w")["count"] == 31)

check("closed", es.indices.close(index=f"{P}-000001")["indices"][f"{P}-000001"]["closed"])
expect("a closed index is not searched", BadRequestError, "index_closed_exception",
       lambda: es.search(index=f"{P}-000001"))
es.indices.open(index=f"{P}-000001")
check("open", es.count(index=f"{P}-000001")["count"] == 30)
expect("a copy of what takes writes", ApiError, "must block write operations",
       lambda: es.indices.clone(index=f"{P}-000001", target=f"{P}-copy"))
es.indices.add_block(index=f"{P}-000001", block="write")
es.indices.clone(index=f"{P}-000001", target=f"{P}-copy", settings={"index.blocks.write": None})
check("copied", es.get(index=f"{P}-copy", id="7")["_source"]["text"] == "word7 soap")
check("written on its own",
      es.index(index=f"{P}-copy", id="7", document={"text": "y"})["_version"] == 2
      and es.get(index=f"{P}-000001", id="7")["_version"] == 1)

es.synonyms.put_synonym(id=P, synonyms_set=[{"id": "a", "synonyms": "soap, savon"}])
es.indices.create(index=f"{P}-syn", settings={"analysis": {
    "filter": {"s": {"type": "synonym_graph", "synonyms_set": P, "updateable": True}},
    "analyzer": {"fr": {"tokenizer": "standard", "filter": ["lowercase", "s"]}}}},
    mappings={"properties": {"text": {"type": "text", "search_analyzer": "fr"}}})
es.index(index=f"{P}-syn", id="1", document={"text": "green soap"}, refresh=True)


def hits(word):
    return es.search(index=f"{P}-syn", query={"match": {"text": word}})["hits"]["total"]["value"]


check("synonyms", hits("savon") == 1)
answer = es.synonyms.put_synonym_rule(set_id=P, rule_id="b", synonyms="soap, sabão")
check("a new rule reloads", answer["reload_analyzers_details"]["_shards"]["successful"] == 1, answer)
check("and counts", hits("sabão") == 1)
es.synonyms.delete_synonym_rule(set_id=P, rule_id="a")
check("a deleted one does not", hits("savon") == 0)
expect("a set in use stays", BadRequestError, "is used in the following indices",
       lambda: es.synonyms.delete_synonym(id=P))

es.cluster.put_settings(persistent={"action.auto_create_index": f"-{P}no*,*"})
expect("a name that writes may not make", NotFoundError, "forbids automatic creation",
       lambda: es.index(index=f"{P}no1", document={"a": 1}))
es.cluster.put_settings(persistent={"action.auto_create_index": None})
usage = es.indices.disk_usage(index=f"{P}-copy", run_expensive_tasks=True)[f"{P}-copy"]
check("disk usage", usage["store_size_in_bytes"] >= usage["fields"]["brand"]["total_in_bytes"] > 0, usage)
check("tables", f"{P} " in str(es.cat.templates()) and f"{P}-copy" in str(es.cat.segments()))
check("state", es.cluster.state(metric="metadata", index=f"{P}-copy")["metadata"]["indices"]
      [f"{P}-copy"]["state"] == "open")

es.indices.delete(index=[f"{P}-000001", f"{P}-000002", f"{P}-copy", f"{P}-syn"])
es.synonyms.delete_synonym(id=P)
es.indices.delete_index_template(name=P)
es.cluster.delete_component_template(name=f"{P}-base")
check("all is gone", not es.indices.exists_index_template(name=P)
      and not es.indices.exists(index=f"{P}-copy"))
sys.exit(failures > 0)
