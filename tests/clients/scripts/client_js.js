// The tutorial's calls with the official JavaScript client, major 8 or 9.
const { Client, errors } = require('@elastic/elasticsearch')

const fs = require('fs')
const path = require('path')

// The package does not export its package.json.
const manifest = path.join(__dirname, 'node_modules/@elastic/elasticsearch/package.json')
const major = JSON.parse(fs.readFileSync(manifest)).version.split('.')[0]
const index = `dog-image-index-js${major}`
const names = ['Luigi', 'Buddy', 'Bella', 'Charlie', 'Bigu']
let failures = 0

function vector (i, shift = 0) {
  return Array.from({ length: 512 }, (_, j) =>
    Math.sin(i * 37.7 + j * (0.1 + 0.01 * i)) + shift * Math.cos(j))
}

function check (name, passed, seen) {
  if (!passed) failures++
  console.log(passed ? `ok ${name}` : `not ok ${name}: ${JSON.stringify(seen)}`)
}

async function main () {
  const client = new Client({ node: process.env.VIZSLA_URL })
  const info = await client.info()
  check('info', info.tagline === 'You Know, for Search', info)
  await client.indices.delete({ index, ignore_unavailable: true }, { ignore: [404] })
  const body = {
    index,
    mappings: {
      properties: {
        dog_id: { type: 'keyword' },
        breed: { type: 'keyword' },
        image_embedding: { type: 'dense_vector', dims: 512, index: true, similarity: 'cosine' }
      }
    }
  }
  await client.indices.create(body, { ignore: [400] })
  const again = await client.indices.create(body, { ignore: [400] })
  check('create again is ignored', again.status === 400, again)
  check('exists', await client.indices.exists({ index }))
  check('does not exist', !(await client.indices.exists({ index: 'no-such-index' })))
  const made = await client.index({
    index, id: '0', refresh: true,
    document: { dog_id: 'Luigi', breed: 'terrier', image_embedding: vector(0) }
  })
  check('index', made.result === 'created', made)
  const bulk = await client.bulk({
    refresh: 'wait_for',
    operations: names.slice(1).flatMap((name, i) => [
      { index: { _index: index, _id: String(i + 1) } },
      { dog_id: name, breed: 'other', image_embedding: vector(i + 1) }])
  })
  check('bulk', !bulk.errors && bulk.items.length === 4, bulk)
  const helped = await client.helpers.bulk({
    datasource: names.map((name, i) => ({ dog_id: name, image_embedding: vector(i) })),
    onDocument: (doc) => ({ index: { _index: index, _id: `helper-${doc.dog_id}` } }),
    refreshOnCompletion: true
  })
  check('bulk helper', helped.successful === 5 && helped.failed === 0, helped)
  const found = await client.search({
    index,
    knn: { field: 'image_embedding', query_vector: vector(0, 0.1), k: 5, num_candidates: 50, boost: 1 },
    _source: ['dog_id'],
    size: 1
  })
  check('knn', found.hits.hits.length === 1 && found.hits.hits[0]._source.dog_id === 'Luigi', found)
  const count = await client.count({ index })
  check('count', count.count === 10, count)
  const documents = await client.helpers.search({ index, query: { match_all: {} }, size: 20, _source: ['dog_id'] })
  check('search helper', documents.length === 10, documents)
  const scrolled = []
  for await (const part of client.helpers.scrollSearch({ index, size: 3, query: { match_all: {} } })) {
    scrolled.push(...part.body.hits.hits)
    if (scrolled.length > 20) break
  }
  check('scroll helper', scrolled.length === 10, scrolled.length)
  const removed = await client.delete({ index, id: '4' })
  check('delete', removed.result === 'deleted', removed)
  try {
    await client.get({ index, id: '4' })
    check('get of a deleted one throws', false)
  } catch (error) {
    check('get of a deleted one throws', error instanceof errors.ResponseError && error.statusCode === 404, error)
  }
  const packed = new Client({ node: process.env.VIZSLA_URL, compression: true })
  const got = await packed.get({ index, id: '0' })
  check('gzip', got._source.image_embedding.length === 512, got.found)
  const gone = await client.indices.delete({ index })
  check('delete index', gone.acknowledged, gone)
  process.exit(failures ? 1 : 0)
}

main().catch((error) => {
  console.log(`not ok ${error.stack}`)
  process.exit(1)
})
