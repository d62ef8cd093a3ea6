# The tutorial's calls with Debian's elasticsearch-ruby.
require 'elasticsearch'

INDEX = 'dog-image-index-ruby'.freeze
NAMES = %w[Luigi Buddy Bella Charlie].freeze
$failures = 0

def vector(i, shift = 0)
  (0...512).map { |j| Math.sin(i * 37.7 + j * (0.1 + 0.01 * i)) + shift * Math.cos(j) }
end

def check(name, passed, seen = nil)
  $failures += 1 unless passed
  puts passed ? "ok #{name}" : "not ok #{name}: #{seen.inspect}"
end

es = Elasticsearch::Client.new(url: ENV['VIZSLA_URL'])
check('info', es.info['tagline'] == 'You Know, for Search')
es.indices.delete(index: INDEX, ignore: [404])
body = { mappings: { properties: {
  dog_id: { type: 'keyword' },
  image_embedding: { type: 'dense_vector', dims: 512, index: true, similarity: 'cosine' }
} } }
es.indices.create(index: INDEX, body: body)
begin
  es.indices.create(index: INDEX, body: body)
  check('create again is refused', false)
rescue Elasticsearch::Transport::Transport::Errors::BadRequest
  check('create again is refused', true)
end
check('exists', es.indices.exists(index: INDEX))
made = es.index(index: INDEX, id: '0', refresh: true,
                body: { dog_id: 'Luigi', image_embedding: vector(0) })
check('index', made['result'] == 'created', made)
bulk = es.bulk(refresh: true, body: (1..3).map do |i|
  { index: { _index: INDEX, _id: i.to_s, data: { dog_id: NAMES[i], image_embedding: vector(i) } } }
end)
check('bulk', !bulk['errors'] && bulk['items'].size == 3, bulk)
found = es.search(index: INDEX, body: {
  knn: { field: 'image_embedding', query_vector: vector(0, 0.1), k: 3, num_candidates: 10, boost: 1 },
  _source: ['dog_id'], size: 1
})
check('knn', found['hits']['hits'].map { |h| h['_source']['dog_id'] } == ['Luigi'], found)
check('count', es.count(index: INDEX)['count'] == 4)
check('delete', es.delete(index: INDEX, id: '3')['result'] == 'deleted')
check('gone', !es.exists(index: INDEX, id: '3'))
check('delete index', es.indices.delete(index: INDEX)['acknowledged'])
exit($failures.zero? ? 0 : 1)
