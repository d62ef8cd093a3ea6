module vizsla/clients

go 1.19

require github.com/elastic/go-elasticsearch/v8 v8.8.0

require github.com/elastic/elastic-transport-go/v8 v8.2.0 // indirect
