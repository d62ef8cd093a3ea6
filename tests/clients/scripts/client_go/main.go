// The tutorial's calls with the official Go client.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esapi"
)

const index = "dog-image-index-go"

var names = []string{"Luigi", "Buddy", "Bella", "Charlie"}
var failures = 0

func vector(i int, shift float64) []float64 {
	v := make([]float64, 512)
	for j := range v {
		v[j] = math.Sin(float64(i)*37.7+float64(j)*(0.1+0.01*float64(i))) + shift*math.Cos(float64(j))
	}
	return v
}

func check(name string, passed bool, seen interface{}) {
	if passed {
		fmt.Println("ok", name)
		return
	}
	failures++
	fmt.Printf("not ok %s: %v\n", name, seen)
}

func must(response *esapi.Response, err error) (int, map[string]interface{}) {
	if err != nil {
		fmt.Println("not ok", err)
		os.Exit(1)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	body := map[string]interface{}{}
	_ = json.Unmarshal(text, &body)
	return response.StatusCode, body
}

func encode(value interface{}) *bytes.Reader {
	text, _ := json.Marshal(value)
	return bytes.NewReader(text)
}

func main() {
	es, err := elasticsearch.NewClient(elasticsearch.Config{Addresses: []string{os.Getenv("VIZSLA_URL")}})
	if err != nil {
		fmt.Println("not ok", err)
		os.Exit(1)
	}
	_, info := must(es.Info())
	check("info", info["tagline"] == "You Know, for Search", info)
	must(es.Indices.Delete([]string{index}, es.Indices.Delete.WithIgnoreUnavailable(true)))
	mapping := `{"mappings":{"properties":{"dog_id":{"type":"keyword"},
		"image_embedding":{"type":"dense_vector","dims":512,"index":true,"similarity":"cosine"}}}}`
	status, body := must(es.Indices.Create(index, es.Indices.Create.WithBody(strings.NewReader(mapping))))
	check("create", status == 200, body)
	status, body = must(es.Indices.Create(index, es.Indices.Create.WithBody(strings.NewReader(mapping))))
	check("create again is refused", status == 400, body)
	status, body = must(es.Index(index, encode(map[string]interface{}{"dog_id": "Luigi", "image_embedding": vector(0, 0)}),
		es.Index.WithDocumentID("0"), es.Index.WithRefresh("true")))
	check("index", status == 201 && body["result"] == "created", body)
	var lines bytes.Buffer
	for i := 1; i < 4; i++ {
		doc, _ := json.Marshal(map[string]interface{}{"dog_id": names[i], "image_embedding": vector(i, 0)})
		fmt.Fprintf(&lines, "{\"index\":{\"_id\":\"%d\"}}\n%s\n", i, doc)
	}
	_, body = must(es.Bulk(&lines, es.Bulk.WithIndex(index), es.Bulk.WithRefresh("wait_for")))
	check("bulk", body["errors"] == false, body)
	_, body = must(es.Search(es.Search.WithIndex(index), es.Search.WithBody(encode(map[string]interface{}{
		"knn": map[string]interface{}{"field": "image_embedding", "query_vector": vector(0, 0.1), "k": 3,
			"num_candidates": 10, "boost": 1},
		"_source": []string{"dog_id"}, "size": 1}))))
	text, _ := json.Marshal(body)
	check("knn", strings.Contains(string(text), `"_source":{"dog_id":"Luigi"}`), string(text))
	status, body = must(es.Delete(index, "3"))
	check("delete", status == 200 && body["result"] == "deleted", body)
	status, _ = must(es.Get(index, "3"))
	check("gone", status == 404, status)
	status, body = must(es.Indices.Delete([]string{index}))
	check("delete index", status == 200, body)
	if failures > 0 {
		os.Exit(1)
	}
}
