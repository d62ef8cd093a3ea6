"""The tutorial's notebook with the official Python client, major 8 or 9: Dog, DogRepository and
DogService as they stand there. Once with vectors computed outside the index, as the notebook does,
and once with documents that are sent with their picture, so that the server embeds.

The pictures are the tutorial's photos from VIZSLA_TEST_DATA where they are, else the samples.
"""
import base64
import json
import os
import pathlib
import sys
import urllib.request
import warnings

import elasticsearch
from elasticsearch import BadRequestError, Elasticsearch

warnings.simplefilter("error", elasticsearch.ElasticsearchWarning)
MAJOR = elasticsearch.__version__[0]
URL = os.environ["VIZSLA_URL"]
ROOT = pathlib.Path(__file__).resolve().parents[3]
SHARED = pathlib.Path(os.environ.get("VIZSLA_TEST_DATA", ROOT.parent / "shared/data"))
SAMPLES = ROOT / "samples"
TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
failures = 0


def check(name, passed, seen=""):
    global failures
    failures += not passed
    print(f"{'ok' if passed else 'not ok'} {name}" + ("" if passed else f": {str(seen)[:600]!r}"))


def data_uri(image_path):
    data = pathlib.Path(image_path).read_bytes()
    return f"data:{TYPES[pathlib.Path(image_path).suffix]};base64,{base64.b64encode(data).decode()}"


class Outside:
    """The notebook's img_model: somebody who is asked for a vector and knows of no index."""

    def __init__(self, model):
        self.model = model

    def encode(self, what):
        value = data_uri(what) if isinstance(what, pathlib.Path) else what
        asked = urllib.request.Request(
            f"{URL}/_inference/embedding/{self.model}", json.dumps({"input": value}).encode(),
            {"content-type": "application/json"})
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)["embeddings"][0]["embedding"]


class Dog:
    def __init__(self, dog_id, image_path, breed, owner_name, location, date):
        self.dog_id = dog_id
        self.image_path = image_path
        self.breed = breed
        self.owner_name = owner_name
        self.exif = {"location": location, "date": date}
        self.image_embedding = None

    @staticmethod
    def get_embedding(image_path, img_model):
        return img_model.encode(image_path)

    def generate_embedding(self, img_model):
        self.image_embedding = (Dog.get_embedding(self.image_path, img_model) if img_model
                                else data_uri(self.image_path))

    def to_dict(self):
        return {**self.__dict__, "image_path": str(self.image_path)}


class DogRepository:
    FIELDS = ["dog_id", "breed", "owner_name", "image_path", "exif"]

    def __init__(self, es_client, index_name, img_model=None):
        self.es_client = es_client
        self.index_name = index_name
        self.img_model = img_model

    def insert(self, dog):
        dog.generate_embedding(self.img_model)
        self.es_client.index(index=self.index_name, document=dog.to_dict(), refresh=True)

    def bulk_insert(self, dogs):
        operations = []
        for dog in dogs:
            dog.generate_embedding(self.img_model)
            operations += [{"index": {"_index": self.index_name}}, dog.to_dict()]
        done = self.es_client.bulk(operations=operations, refresh=True)
        check("bulk_insert has no errors", not done["errors"], done)

    def search_by_image(self, **question):
        knn = {"field": "image_embedding", "k": 2, "num_candidates": 100, "boost": 100.0, **question}
        return self.es_client.search(index=self.index_name, knn=knn, source=self.FIELDS, size=1)


class DogService:
    def __init__(self, dog_repository):
        self.dog_repository = dog_repository

    def register_dog(self, dog):
        self.dog_repository.insert(dog)

    def register_dogs(self, dogs):
        self.dog_repository.bulk_insert(dogs)

    def find_dog_by_image(self, image_path):
        img_model = self.dog_repository.img_model
        if img_model:
            return self.dog_repository.search_by_image(
                query_vector=Dog.get_embedding(image_path, img_model))
        return self.dog_repository.search_by_image(
            query_vector_builder={"embedding": {"input": data_uri(image_path)}})


class Util:
    @staticmethod
    def mapping(dims, model=None):
        vector = {"type": "dense_vector", "dims": dims, "index": True, "similarity": "cosine"}
        if model:
            vector["meta"] = {"model": model}
        return {"properties": {
            "dog_id": {"type": "keyword"}, "breed": {"type": "keyword"},
            "image_path": {"type": "keyword"}, "owner_name": {"type": "keyword"},
            "exif": {"properties": {"location": {"type": "geo_point"}, "date": {"type": "date"}}},
            "image_embedding": vector}}

    @staticmethod
    def create_index(es_client, index_name, mappings):
        return es_client.options(ignore_status=400).indices.create(index=index_name,
                                                                   mappings=mappings)

    @staticmethod
    def delete_index(es_client, index_name):
        es_client.options(ignore_status=404).indices.delete(index=index_name)


def the_dogs():
    """The tutorial's eleven and the photo of the found one; else the samples, drawn."""
    folder, lost = SHARED / "dogs", SHARED / "lost-dogs/lost_dog1.png"
    if not lost.exists():
        folder, lost = SAMPLES, SAMPLES / "lost.svg"
    known = json.loads((folder / "register.json").read_text())
    return [Dog(d.get("dog_id") or d.get("name"), folder / d["file"], d.get("breed", ""),
                d.get("owner_name") or d.get("owner", ""), {"lat": 52.5 + i, "lon": 13.4},
                f"2024-05-{i + 1:02d}T10:00:00")
            for i, d in enumerate(known["dogs"] if isinstance(known, dict) else known)], lost


def best(found):
    return found["hits"]["hits"][0]


def notebook(name, index, dims, img_model, model):
    """Registers one dog, then the others; gives the service."""
    Util.delete_index(es, index)
    Util.create_index(es, index, Util.mapping(dims, model))
    again = Util.create_index(es, index, Util.mapping(dims, model))
    check(f"{name}: the index is there already", again["status"] == 400, again)
    service = DogService(DogRepository(es, index, img_model))
    dogs, _ = the_dogs()
    service.register_dog(dogs[0])
    service.register_dogs(dogs[1:])
    check(f"{name}: all dogs are there", es.count(index=index)["count"] == len(dogs))
    return service


def kept(index, dog_id):
    found = es.search(index=index, query={"term": {"dog_id": dog_id}}, source_includes=["image_*"])
    return best(found)["_source"]["image_embedding"]


es = Elasticsearch(URL)
DOGS, LOST = the_dogs()
FIRST = DOGS[0]
for MODEL, DIMS in (("eye", 512), ("tiny-clip", 32)):
    OUT, IN = f"dog-image-index-outside-{MODEL}-{MAJOR}", f"dog-image-index-{MODEL}-{MAJOR}"
    outside = notebook(f"{MODEL}, outside", OUT, DIMS, Outside(MODEL), None)
    inside = notebook(f"{MODEL}, inside", IN, DIMS, None, MODEL)
    one, two = outside.find_dog_by_image(FIRST.image_path), inside.find_dog_by_image(FIRST.image_path)
    for name, found in (("outside", one), ("inside", two)):
        hits = found["hits"]["hits"]
        check(f"{MODEL}, {name}: a dog's own picture finds it", len(hits) == 1 and
              hits[0]["_source"]["dog_id"] == FIRST.dog_id and hits[0]["_score"] > 99.9, found)
        check(f"{MODEL}, {name}: only the fields asked for, and what was sent",
              set(hits[0]["_source"]) == set(DogRepository.FIELDS) and
              hits[0]["_source"]["owner_name"] == FIRST.owner_name and
              hits[0]["_source"]["exif"] == FIRST.exif, hits)
    one, two = best(outside.find_dog_by_image(LOST)), best(inside.find_dog_by_image(LOST))
    check(f"{MODEL}: both ways find the same dog by the lost one's photo, with the same score",
          one["_source"] == two["_source"] and abs(one["_score"] - two["_score"]) < 1e-3, (one, two))
    if MODEL == "eye":
        check("the lost dog is Luigi", two["_source"]["dog_id"].lower() == "luigi", two)
    check(f"{MODEL}: the vectors of both ways are equal", max(
        abs(a - b) for a, b in zip(kept(OUT, FIRST.dog_id), kept(IN, FIRST.dog_id))) < 1e-5)
    check(f"{MODEL}: no picture is kept", "base64" not in str(es.search(index=IN, size=20).body))

# ---- words, with the model that reads them
OUT, IN = f"dog-image-index-outside-tiny-clip-{MAJOR}", f"dog-image-index-tiny-clip-{MAJOR}"
TEXT = "a black and white terrier on a beach"
asked = Outside("tiny-clip")
out = best(DogRepository(es, OUT).search_by_image(query_vector=asked.encode(TEXT)))
for name, builder in (
        ("text_embedding", {"text_embedding": {"model_id": "tiny-clip", "model_text": TEXT}}),
        ("embedding", {"embedding": {"input": {"type": "text", "value": TEXT}}})):
    found = best(DogRepository(es, IN).search_by_image(query_vector_builder=builder))
    check(f"words by {name}", found["_source"] == out["_source"] and
          abs(found["_score"] - out["_score"]) < 1e-3, (found, out))
photo, words = asked.encode(LOST), asked.encode("in red")
both = [a + b for a, b in zip(photo, words)]
out = best(DogRepository(es, OUT).search_by_image(query_vector=both))
found = best(DogRepository(es, IN).search_by_image(query_vector_builder={"embedding": {"input": [
    {"type": "image", "value": data_uri(LOST)}, {"type": "text", "value": "in red"}]}}))
check("this photo and words", found["_source"] == out["_source"] and
      abs(found["_score"] - out["_score"]) < 1e-3, (found, out))
luigi = es.search(index=IN, query={"term": {"dog_id": FIRST.dog_id}})["hits"]["hits"][0]["_id"]
alike = best(DogRepository(es, IN).search_by_image(query_vector_builder={"lookup": {
    "index": IN, "id": luigi, "path": "image_embedding"}}))
check("more like this document", alike["_id"] == luigi and alike["_score"] > 99.9, alike)

# ---- the picture in a field of its own, embedded by the index's default pipeline
PIPELINE, PIPED = f"dog-images-{MAJOR}", f"dog-image-index-pipeline-{MAJOR}"
es.ingest.put_pipeline(id=PIPELINE, processors=[
    {"inference": {"model_id": "eye", "input_output": [
        {"input_field": "photo", "output_field": "image_embedding"}]}},
    {"remove": {"field": "photo"}}])
Util.delete_index(es, PIPED)
es.indices.create(index=PIPED, mappings=Util.mapping(512), settings={"default_pipeline": PIPELINE})
es.bulk(operations=[line for d in DOGS for line in (
    {"index": {"_index": PIPED}},
    {"dog_id": d.dog_id, "image_path": str(d.image_path), "photo": data_uri(d.image_path)})],
    refresh=True)
found = best(DogRepository(es, PIPED).search_by_image(query_vector_builder={"embedding": {
    "inference_id": "eye", "input": data_uri(LOST)}}))
check("a pipeline embeds", found["_source"]["dog_id"].lower() == "luigi", found)
try:
    seen = DogRepository(es, IN).search_by_image(query_vector_builder={"embedding": {
        "inference_id": "eye", "input": data_uri(LOST)}})
except BadRequestError as refused:
    seen = str(refused.body)
check("another model's question is refused", "tiny-clip" in str(seen) and "eye" in str(seen), seen)
for index in (PIPED, *(f"dog-image-index-{way}{model}-{MAJOR}" for way in ("", "outside-")
                       for model in ("eye", "tiny-clip"))):
    es.indices.delete(index=index)
es.ingest.delete_pipeline(id=PIPELINE)
sys.exit(1 if failures else 0)
