#!/usr/bin/env python3
"""Writes docs/compatibility.md from the route table in src/rest/router.c.

    tools/compat.py            write it
    tools/compat.py --check    exit 1 when it is not up to date

Standard library only.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "src/rest/router.c"
PAGE = ROOT / "docs/compatibility.md"

METHODS = {"VZ_GET": "GET", "VZ_POST": "POST", "VZ_PUT": "PUT", "VZ_DELETE": "DELETE",
           "POST_PUT": "POST, PUT", "GET_POST": "GET, POST", "VZ_ANY": "any"}

HEAD = """\
# What of the Elasticsearch API works

Made by `tools/compat.py` from the route table in `src/rest/router.c`; do not edit.

vizsla answers as Elasticsearch 8.19 on one node: the same shapes, status codes, error types and
words. Clients of major 7, 8 and 9 are accepted, in any mixture of media types. What is not served is
refused with an error of Elasticsearch's shape that says so (`unsupported_operation_exception`,
status 400); nothing that would change an answer is ignored. Every GET answers HEAD too.

Differences worth knowing:

- An index is one shard, whatever `number_of_shards` says. Replicas have nowhere to go: an index that
  asks for some is yellow, as on any cluster of one node.
- Field types refused aloud: `date_nanos`, ranges, `geo_shape`, `join`, `rank_features`, `token_count`,
  `version` and other rare ones. So are parameters that are not obeyed (`norms` and `index_options: freqs`
  of keywords, `fielddata`, `subobjects: false`, `dynamic: runtime`, `_source.enabled: false`,
  `_routing.required`, similarities other than BM25 and boolean). `_source.includes` and `excludes` leave
  parts out of what is shown; the whole is kept, and an `_update` merges into the whole. At most 1,000
  fields, 20 levels. Keys of `flattened` fields below `nested` ones are asked by nested queries alone.
- `_field_caps` with `index_filter` leaves out indices in which no document matches; of metadata fields
  it names `_id`, `_index` and `_source`.
- Aggregations are counted exactly; which are refused, and what bounds them: [scoring.md](scoring.md). How
  searches go together, with examples: [search.md](search.md).
- Routing is accepted everywhere and leads to the one shard. `_routing` is not kept.
- Vectors of every kind are scored exactly: quantized kinds walk or scan codes and score the candidates
  with the vectors themselves. Without `num_candidates` a search is as wide as recall@10 of 0.95 takes
  on 100,000 vectors, not 1.5 k. What `knn` has beside: [vectors.md](vectors.md).
- Full text is scored as Lucene's BM25 over one segment, to six digits. Served: `match`, `match_phrase`,
  `match_phrase_prefix`, `match_bool_prefix`, `multi_match` (all types), `combined_fields`,
  `query_string`, `simple_query_string`, `?q=`, `more_like_this` (of texts, documents in the request and
  documents of the index searched), and `term`, `terms`, `range`, `prefix`, `wildcard`, `regexp`, `fuzzy`,
  `exists` on text fields. Beside them `script`, `terms_set`, `distance_feature` (of dates and places), `rank_feature`, `wrapper`
  and `terms` with the values of a document, which an alias' filter has not. `intervals` has all its
  rules and filters but scripts, the span queries are served but `span_gap`; highlighting marks the words of both wherever
  they stand. Refused aloud for now: rewrites
  that score the terms of a pattern (`scoring_boolean`, `top_terms_N`). `max_determinized_states` bounds what
  `~` and `&` of a regular expression take; nothing else is determinized. Query strings may nest 64 parentheses and be 1 MiB long. Every query is
  explained, named (`_name`) and validated; the children of `nested` in an explanation are told as a whole.
- Inside `nested` every query is served that is served outside, but `more_like_this` of documents and
  `knn` beside others, scored over the objects, which count until their document is compacted away. The index
  of the objects is made by the first such query after a start or a compaction, which takes longer, and the
  `timeout` holds for it. Texts in filters of `nested` sorts, of `knn` on nested vectors and of aggregations
  below `nested` are refused.
- `highlight`: `unified` (also for what matched in `inner_hits`), `plain` and `fvh`, of text and keyword
  fields, always by a new analysis of `_source`. Boundaries are ICU's. `fragment_offset`, `options`,
  `force_source`, `highlight_filter` and `phrase_limit` are accepted and change nothing; type `semantic` is
  refused.
- `suggest`: `term` (of text fields, also by the URL) and `completion` (prefix, fuzzy, regex,
  skip_duplicates), beside hits and in `_msearch`. `contexts` and `phrase` are refused. An alias' filter
  counts for completions. With `fuzzy` a weight is multiplied by how many bytes agree from the beginning.
- `retriever`: standard, knn, rrf (weights, filter, `query` and `fields`), linear (none, minmax, l2_norm),
  rescorer, pinned and text_similarity_reranker (with models of this program), in any nesting; `rule`,
  `diversify` and `chunk_rescorer` are refused. All are named and explained. The older `rank` with
  `sub_searches` is served. A failed child's reason is the `caused_by` of the error.
- `sort` by fields of `nested` objects reads the source of each document it orders. Refused: `_index`, `_seq_no`,
  `_version`, `nested` in `_script` sorts and in `top_hits`. Numbers have formats by Java's patterns there and in
  `docvalue_fields`; `stored_fields` are read from `_source`.
- `runtime_mappings` of a search: keyword, long, double, date and boolean with a script that emits, which is run
  for every document of the index before the search, so one that fails on any document fails the search (but for
  `on_script_error: continue`). A `timeout` that passes meanwhile gives no hits. `runtime` in mappings, `ip`, `geo_point`, `composite` and `lookup` are refused.
- `rescore` takes queries, not scripts. `collapse` takes keyword and number fields; `inner_hits` of at most
  10,000 groups are looked up in one request.
- At most 500 points in time are open; `index_filter` is refused. Slices are cut by document number or by a
  number field.
- `semantic_text` (and `semantic`, the same under another name) is made by models installed here; a field
  without `inference_id` takes the largest installed model for texts at its first document and keeps it.
  Values are texts, and pictures where the model sees (`data:image/...;base64,...`, `{"image": "<base64>"}`,
  `{"type": "image", "value": ...}`). `semantic`, `match` and `knn` ask it, with texts or pictures; chunks
  are shown by `fields: ["_inference_fields"]`. Refused aloud: sparse models and `sparse_vector`,
  `inner_hits` of its chunks, the `semantic` highlighter, `_inference_fields` in documents, `multi_match`,
  scripts in `_update` (as in Elasticsearch). An update of one of several source fields must name all.
- `PUT /{index}/_doc/{id}` is on disk when it is answered (`index.translog.durability: request`).
  `_flush` has nothing to do; `_forcemerge` finishes the vector graphs and rewrites the index without
  deleted documents, and without the pieces of them that other sources were compressed with.
- What a request may cost has limits where Elasticsearch has a heap. 429 `circuit_breaking_exception`:
  terms that a search looks up (64 MiB, 512 MiB for those of an `_msearch`), explanations of its hits
  (512 MiB). 400: tokens of a text (2^20, and 32 more for each byte of it), scripts of an aggregation's
  buckets (2^28 steps), lists and objects that `append` compares (ten million), words times
  fields of a query (65,536 clauses). `_mtermvectors` ends after a minute. No time is limited but by `timeout`; a search ends when its client leaves.
- A closed index takes no memory; what still reads it, a scroll say, goes on. `_clone`, `_shrink` and `_split`
  write the documents, versions and sequence numbers into files of their own; `number_of_shards` is what the
  settings say and one shard whatever it is.
- Templates make no data streams. Cluster settings about where shards go are kept without effect; those that
  would change answers and are not obeyed are refused, unknown ones too.
- A segment of `_segments` is an index's generation. `_disk_usage` measures files: postings of all text fields
  are in the sums and below `_texts`, documents and dictionaries below `_source`.
- A bulk request whose last action lacks its document is refused as a whole; Elasticsearch drops that
  action silently.
- A scroll keeps any number of matches in the order of documents (`sort: ["_doc"]`, or no sort and
  `match_all`); in any other order up to 10,000. At most 500 are open.
- Long work (`_reindex`, `_update_by_query`, `_delete_by_query`) goes on behind its answer with
  `wait_for_completion=false`, at most 32 at a time; what became of the newest 1,000 is kept for
  `_tasks/{id}` until the server ends, not over a restart. `slices=auto` is one slice. Sorts are refused.
  `_reindex` reads other servers only where `serve --reindex-remote` names them.
- Painless stored without a `context` is compiled when it is used. Stored scripts in the bodies of searches
  are looked up when the search comes in. Templates have no partials.
- Only long work can be cancelled; other requests are listed by `_tasks` while they run.
- `_cluster/health?wait_for_status=green` answers at once (408 when it cannot be).
- YAML, CBOR and SMILE are refused; JSON and NDJSON are served.

Parameters of every route: `pretty`, `human`, `error_trace`, `filter_path`, `format=json`. Parameters
marked ✗ are known and refused aloud. Those without effect on one node (`timeout`, `preference`,
`wait_for_active_shards`, ...) are checked for their type and otherwise ignored.
"""


def c_string(text, macros):
    """Literals and macros side by side, as the preprocessor would join them."""
    parts = []
    for literal, name in re.findall(r'"((?:[^"\\]|\\.)*)"|([A-Z_]+)', text):
        parts.append(c_string(macros[name], macros) if name else literal)
    return "".join(parts)


def read_table():
    source = TABLE.read_text()
    joined = source.replace("\\\n", " ")
    macros = dict(re.findall(r"^#define ([A-Z_]+) (.*)$", joined, re.M))
    body = source[source.index("vz_routes[] = {"):source.index("/* clang-format on */")]
    groups, rows = [], None
    for line in body.split("\n"):
        title = re.match(r"\s*/\* (.*) \*/$", line)
        row = re.match(r'\s*\{(\w+), "([^"]+)", (\w+), (.*), "([^"]*)"\},$', line)
        if title:
            rows = []
            groups.append((title.group(1), rows))
        elif row:
            methods, path, handler, params, doc = row.groups()
            rows.append((METHODS[methods], path, handler != "NULL", c_string(params, macros), doc))
        elif line.strip() and "vz_routes" not in line and line.strip() != "};":
            raise SystemExit(f"{TABLE}: cannot read the row {line.strip()!r}")
    return groups


def show_params(text):
    names = []
    for item in sorted(set(text.split()), key=lambda name: name.lstrip("!")):
        name = item.lstrip("!").split(":")[0]
        names.append(f"`{name}` ✗" if item.startswith("!") else f"`{name}`")
    return ", ".join(names)


def page():
    out = [HEAD]
    for title, rows in read_table():
        out.append(f"## {title}\n")
        if not any(served for _, _, served, _, _ in rows):
            out.append(", ".join(f"`{path}`" if methods == "any" else f"`{methods} {path}`"
                                 for methods, path, _, _, _ in rows) + "\n")
            continue
        out.append("| request | what it does | parameters |\n|---|---|---|")
        for methods, path, served, params, doc in rows:
            out.append(f"| {methods} `{path}` | {doc} | {show_params(params)} |")
        out.append("")
    return "\n".join(out).rstrip("\n") + "\n"


def main():
    text = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("docs/compatibility.md is not up to date: run tools/compat.py")
            return 1
        return 0
    PAGE.write_text(text)
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
