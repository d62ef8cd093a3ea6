"""Field types with the official Python client: flattened, ip, dates by format, dynamic templates,
_field_caps. Expected values are worked out here."""
import datetime
import ipaddress
import math
import os

from elasticsearch import BadRequestError, Elasticsearch, helpers

INDEX = "types-py"
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {seen!r}"))


def ids(answer):
    return sorted(hit["_id"] for hit in answer["hits"]["hits"])


es = Elasticsearch(os.environ["VIZSLA_URL"])
es.options(ignore_status=[404]).indices.delete(index=INDEX)
es.indices.create(index=INDEX, mappings={
    "dynamic_templates": [
        {"codes": {"match_mapping_type": "string", "match": "*_code",
                   "mapping": {"type": "keyword"}}},
        {"rates": {"match_mapping_type": "double", "path_match": "rate.*",
                   "mapping": {"type": "scaled_float", "scaling_factor": 1000}}}],
    "properties": {
        "host": {"type": "ip"}, "labels": {"type": "flattened"},
        "tenant": {"type": "constant_keyword", "value": "acme"},
        "day": {"type": "date", "format": "dd/MM/yyyy||epoch_second"},
        "week": {"type": "date", "format": "strict_weekyear_week_day"},
        "ordinal": {"type": "date", "format": "basic_ordinal_date"}}})

hosts = [f"10.{i % 4}.{i % 7}.{i}" for i in range(60)] + [f"2001:db8:{i:x}::{i:x}" for i in range(60)]
start = datetime.date(2019, 12, 20)
docs = []
for i, host in enumerate(hosts):
    day = start + datetime.timedelta(days=5 * i)
    year, week, weekday = day.isocalendar()
    docs.append({"host": host, "labels": {"level": ["low", "mid", "high"][i % 3],
                                          "rack": {"row": str(i % 5)}},
                 "day": day.strftime("%d/%m/%Y"), "week": f"{year}-W{week:02d}-{weekday}",
                 "ordinal": day.strftime("%Y%j"), "zip_code": f"{i:05d}",
                 "rate": {"growth": i / 7}})
helpers.bulk(es, ({"_index": INDEX, "_id": str(i), "_source": doc} for i, doc in enumerate(docs)),
             refresh=True)
days = [start + datetime.timedelta(days=5 * i) for i in range(len(hosts))]


def search(**body):
    return es.search(index=INDEX, size=200, **body)


def expected(test):
    return sorted(str(i) for i in range(len(hosts)) if test(i))


for block in ["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/40", "2001:db8:10::/44", "0.0.0.0/0"]:
    network = ipaddress.ip_network(block)
    want = expected(lambda i: ipaddress.ip_address(hosts[i]) in network)
    check(f"addresses in {block}", ids(search(query={"term": {"host": block}})) == want)
low, high = ipaddress.ip_address("10.1.2.0"), ipaddress.ip_address("10.3.0.0")
want = expected(lambda i: hosts[i].count(".") and low <= ipaddress.ip_address(hosts[i]) < high)
check("a range of addresses",
      ids(search(query={"range": {"host": {"gte": str(low), "lt": str(high)}}})) == want)
order = [hit["_source"]["host"] for hit in search(sort=["host"])["hits"]["hits"]]
numbers = [int(ipaddress.ip_address(h)) + (0xFFFF << 32 if "." in h else 0) for h in order]
check("addresses sort as numbers", numbers == sorted(numbers) and len(order) == len(hosts), order)

want = expected(lambda i: i % 3 == 2)
check("a key of a flattened field", ids(search(query={"term": {"labels.level": "high"}})) == want)
check("any leaf of it", ids(search(query={"term": {"labels": "high"}})) == want)
score = search(query={"term": {"labels.level": "high"}})["hits"]["max_score"]
n, df = len(hosts), len(want)
# A field without norms has length 1 everywhere, beside an average of two leaves a document.
want = math.log(1 + (n - df + 0.5) / (df + 0.5)) * 2.2 / (1 + 1.2 * (0.25 + 0.75 / 2))
check("its score", abs(score - want) < 1e-6, (score, want))
buckets = search(aggs={"rows": {"terms": {"field": "labels.rack.row", "size": 10}}})
buckets = {b["key"]: b["doc_count"] for b in buckets["aggregations"]["rows"]["buckets"]}
check("facets of a key", buckets == {str(r): len(hosts) // 5 for r in range(5)}, buckets)

bound = days[40]
want = expected(lambda i: days[i] >= bound)
for field, text in [("day", bound.strftime("%d/%m/%Y")), ("ordinal", bound.strftime("%Y%j")),
                    ("week", "{}-W{:02d}-{}".format(*bound.isocalendar()))]:
    check(f"a bound as {text}", ids(search(query={"range": {field: {"gte": text}}})) == want)
seconds = int(datetime.datetime(bound.year, bound.month, bound.day,
                                tzinfo=datetime.timezone.utc).timestamp())
check("a bound in seconds", ids(search(query={"range": {"day": {"gte": seconds}}})) == want)
shown = search(query={"ids": {"values": ["40"]}}, fields=["day", "week", "ordinal"])
shown = shown["hits"]["hits"][0]["fields"]
check("dates in their own format", shown == {"day": [docs[40]["day"]], "week": [docs[40]["week"]],
                                             "ordinal": [docs[40]["ordinal"]]}, shown)
try:
    es.index(index=INDEX, document={"week": "2021-W53-1"})
    check("no 53rd week in 2021", False)
except BadRequestError as error:
    check("no 53rd week in 2021", "document_parsing_exception" in str(error), str(error))

mapping = es.indices.get_mapping(index=INDEX)[INDEX]["mappings"]["properties"]
check("templates", mapping["zip_code"] == {"type": "keyword"} and mapping["rate"]["properties"]
      == {"growth": {"type": "scaled_float", "scaling_factor": 1000}}, mapping)
total = search(aggs={"s": {"sum": {"field": "rate.growth"}}})["aggregations"]["s"]["value"]
want = sum(math.floor(i / 7 * 1000 + 0.5) / 1000 for i in range(len(hosts)))
check("scaled sum", abs(total - want) < 1e-6, (total, want))
check("a constant", search(query={"term": {"tenant": "acme"}})["hits"]["total"]["value"]
      == len(hosts))

caps = es.field_caps(index=INDEX, fields=["host", "labels", "tenant", "rate.*", "_id"])
kinds = {name: list(kind) for name, kind in caps["fields"].items()}
check("_field_caps", kinds == {"host": ["ip"], "labels": ["flattened"], "tenant": ["keyword"],
                               "rate": ["object"], "rate.growth": ["scaled_float"],
                               "_id": ["_id"]}, kinds)
es.indices.delete(index=INDEX)
raise SystemExit(failures != 0)
