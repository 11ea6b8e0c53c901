// The conformance reference of the HTTP API, sections 3 (service), 5 (embeddings), 7 (errors) and 8 (model management). Tests are
// named by section and, within it, in the reference's order.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { check, dir, equal, finish, get, model, post, request, serve, stream, test } from './harness.mjs'
import { scripted } from './script.mjs'

// Makes an embedding model of a model by metadata, whose length keeps the data aligned: a number and a text.
function embedding(path) {
  const key = name => Buffer.concat([Buffer.from([name.length, 0, 0, 0, 0, 0, 0, 0]), Buffer.from(name)])
  const number = Buffer.concat([key('llama.pooling_type'), Buffer.from([4, 0, 0, 0, 1, 0, 0, 0])]), name = key('general.note')
  const n = 64 - (number.length + name.length + 12) % 32, text = Buffer.concat([name, Buffer.from([8, 0, 0, 0]), key('x'.repeat(n))])
  const file = readFileSync(path)
  file.writeBigUInt64LE(file.readBigUInt64LE(16) + 2n, 16)
  writeFileSync(path, Buffer.concat([file.subarray(0, 24), number, text, file.subarray(24)]))
  return path
}

const tiny = model('tiny')
const fim = ['<|fim_prefix|>', '<|fim_suffix|>', '<|fim_middle|>']
const plain = scripted(join(dir, 'plain.gguf'), { default: 'Hello there, world!' })
const thinker = scripted(join(dir, 'thinker.gguf'), { default: 'Hello there, world!' }, { thinks: true, whole: ['<think>', '</think>', ...fim] })
const embedder = embedding(scripted(join(dir, 'embedder.gguf'), { default: 'mute' }))
const s = await serve([tiny, plain, thinker, embedder])
const near = (a, b) => Math.abs(a - b) < 1e-4
const length = v => Math.sqrt(v.reduce((n, x) => n + x * x, 0))

await test('3.1 GET, HEAD /', async () => {
  const r = await get(s, '/'), h = await request(s, 'HEAD', '/')
  equal([r.status, r.text, h.status, h.text], [200, 'Ollama is running', 200, ''])
})

await test('3.2 GET, HEAD /api/version', async () => {
  const { version } = (await get(s, '/api/version')).json
  check(/^\d+\.\d+\.\d+(-[\w.-]+)?$/.test(version), version)
  const [a, b, c] = version.split('-')[0].split('.').map(Number), n = a * 1e6 + b * 1e3 + c
  check(n >= 6004, `${version} is too old`)
  check(n < 13004, `${version} promises /v1/responses`)
  equal((await request(s, 'HEAD', '/api/version')).status, 200)
})

function checkDetails(d) {
  for (const [key, type] of [['parent_model', 'string'], ['format', 'string'], ['family', 'string'], ['parameter_size', 'string'], ['quantization_level', 'string'], ['context_length', 'number'], ['embedding_length', 'number']]) equal(typeof d[key], type, key)
  check(Array.isArray(d.families) && d.families.includes(d.family), 'families')
  check(/^\d+(\.\d|\.\d\d)?[KMBT]?$/.test(d.parameter_size), d.parameter_size)
}

await test('3.3 GET, HEAD /api/tags', async () => {
  const { models } = (await get(s, '/api/tags')).json
  equal(models.map(m => m.name), ['tiny:latest', 'plain:latest', 'thinker:latest', 'embedder:latest'])
  for (const m of models) {
    equal([m.model, typeof m.size, typeof m.modified_at, 'expires_at' in m], [m.name, 'number', 'string', false])
    check(/^[0-9a-f]{64}$/.test(m.digest), m.digest)
    checkDetails(m.details)
  }
  equal(new Set(models.map(m => m.digest)).size, 4)
  const d = models[0].details
  equal([d.format, d.family, d.quantization_level, d.context_length, d.embedding_length], ['gguf', 'qwen3', 'Q8_0', 2048, 256])
  equal((await request(s, 'HEAD', '/api/tags')).status, 200)
  const again = await serve([tiny])
  equal((await get(again, '/api/tags')).json.models[0].digest, models[0].digest, 'the digest of a later start')
  await again.stop()
})

await test('3.4 GET /api/ps', async () => {
  await post(s, '/api/generate', { model: 'tiny', keep_alive: -1 })
  const m = (await get(s, '/api/ps')).json.models.find(x => x.name === 'tiny:latest')
  for (const key of ['name', 'model', 'digest', 'details', 'expires_at', 'size', 'size_vram', 'context_length']) check(key in m, key)
  checkDetails(m.details)
  equal([m.size > 0, m.size_vram, m.context_length], [true, 0, 2048])
  check(Date.parse(m.expires_at) > Date.now() + 200 * 365 * 86400e3, m.expires_at)
  for (const x of ['tiny', 'plain', 'thinker', 'embedder']) await post(s, '/api/generate', { model: x, keep_alive: 0 })
  equal((await get(s, '/api/ps')).json, { models: [] })
})

await test('3.5 POST /api/show', async () => {
  const r = (await post(s, '/api/show', { model: 'tiny', verbose: false })).json
  checkDetails(r.details)
  check(/^FROM tiny:latest$/m.test(r.modelfile) && typeof r.template === 'string' && r.template.includes('{'), 'modelfile and template')
  check(r.parameters === undefined || r.parameters === '' || r.parameters.split('\n').every(l => /^\S{1,30} *(?<=^.{30}) \S+/.test(l)), r.parameters)
  const i = r.model_info
  equal([i['general.architecture'], i['qwen3.context_length'], i['qwen3.embedding_length'], i['tokenizer.ggml.model'], i['tokenizer.ggml.tokens']], ['qwen3', 2048, 256, 'gpt2', []])
  equal([typeof i['general.parameter_count'], typeof i['qwen3.attention.layer_norm_rms_epsilon']], ['number', 'number'])
  check(!('general.name' in i) && !('tokenizer.chat_template' in i), 'name and template are left out')
  check(Object.values(i).every(v => !Array.isArray(v) || v.length <= 5), 'long arrays are empty')
  const v = (await post(s, '/api/show', { model: 'tiny', verbose: true })).json
  check(v.model_info['tokenizer.ggml.tokens'].length > 300, 'verbose')
  check(v.tensors.every(t => typeof t.name === 'string' && typeof t.type === 'string' && Array.isArray(t.shape)), 'tensors')
  equal((await post(s, '/api/show', { model: 'library/tiny' }, { 'User-Agent': 'GitHubCopilotChat/1.0' })).json.model_info['general.basename'], 'library/tiny')
  check((await post(s, '/api/show', { model: 'plain' })).json.template.includes('<|im_start|>'), "the model's own template")
  const small = await serve([tiny, '-c', '512'])
  equal((await post(small, '/api/show', { model: 'tiny' })).json.model_info['qwen3.context_length'], 512, 'what is granted')
  await small.stop()
})

await test('3.6 capabilities', async () => {
  const of = async name => (await post(s, '/api/show', { model: name })).json.capabilities
  equal(await of('tiny'), ['completion'])
  equal(await of('plain'), ['completion', 'tools'])
  equal(await of('thinker'), ['completion', 'tools', 'thinking', 'insert'])
  equal(await of('embedder'), ['embedding'])
  equal((await get(s, '/api/tags')).json.models.map(m => m.capabilities), [await of('tiny'), await of('plain'), await of('thinker'), await of('embedder')])
})

const texts = ['one', 'two two', 'three three three']
await test('5.1 POST /api/embed', async () => {
  for (const name of ['tiny', 'embedder']) {
    const r = (await post(s, '/api/embed', { model: name, input: texts })).json
    equal([r.model, r.embeddings.length], [name, 3])
    for (const v of r.embeddings) check(near(length(v), 1), `length ${length(v)}`)
    for (const key of ['total_duration', 'load_duration', 'prompt_eval_count']) check(Number.isInteger(r[key]) && r[key] > 0, key)
    let sum = 0
    for (const [i, input] of texts.entries()) {
      const one = (await post(s, '/api/embed', { model: name, input })).json
      check(one.embeddings[0].every((x, k) => near(x, r.embeddings[i][k])), 'in the order of the inputs')
      sum += one.prompt_eval_count
    }
    equal(r.prompt_eval_count, sum)
  }
  const whole = (await post(s, '/api/embed', { model: 'tiny', input: 'one' })).json.embeddings[0]
  const cut = (await post(s, '/api/embed', { model: 'tiny', input: 'one', dimensions: 16 })).json.embeddings[0], scale = length(whole.slice(0, 16))
  check(cut.length === 16 && cut.every((x, i) => near(x, whole[i] / scale)), 'cut, and normalised again')
  for (const input of [undefined, '', null]) {
    const r = await post(s, '/api/embed', { model: 'tiny', input })
    equal([r.status, r.json.embeddings], [200, []])
    for (const key of ['total_duration', 'load_duration', 'prompt_eval_count']) equal(typeof r.json[key], 'number', key)
  }
  for (const input of [[1], ['a', null], { a: 1 }, 5, true]) {
    const r = await post(s, '/api/embed', { model: 'tiny', input })
    equal([r.status, r.json.error], [400, 'invalid input type'], JSON.stringify(input))
  }
  const long = 'word '.repeat(3000)
  equal((await post(s, '/api/embed', { model: 'tiny', input: long })).json.prompt_eval_count, 2048)
  const no = await post(s, '/api/embed', { model: 'tiny', input: long, truncate: false })
  equal([no.status, no.json.error], [400, 'the input length exceeds the context length'])
})

await test('5.2 POST /api/embeddings', async () => {
  const r = (await post(s, '/api/embeddings', { model: 'tiny', prompt: 'one' })).json, unit = (await post(s, '/api/embed', { model: 'tiny', input: 'one' })).json.embeddings[0]
  const n = length(r.embedding)
  equal(Object.keys(r), ['embedding'])
  check(r.embedding.every((x, i) => near(x / n, unit[i])), 'the same direction')
  for (const prompt of ['', undefined]) equal((await post(s, '/api/embeddings', { model: 'tiny', prompt })).json, { embedding: [] })
})

await test('5.3 the three endpoints agree on which models embed', async () => {
  for (const name of ['tiny', 'plain', 'embedder']) {
    const all = [await post(s, '/api/embed', { model: name, input: 'x' }), await post(s, '/api/embeddings', { model: name, prompt: 'x' }), await post(s, '/v1/embeddings', { model: name, input: 'x' })]
    check(new Set(all.map(r => r.status)).size === 1 && [200, 501].includes(all[0].status), `${name}: ${all.map(r => r.status)}`)
  }
})

const posts = ['/api/generate', '/api/chat', '/api/embed', '/api/embeddings', '/api/show', '/api/pull', '/api/push', '/api/create', '/api/copy', '/v1/chat/completions', '/v1/completions', '/v1/embeddings']
const text = r => r.json.error.message ?? r.json.error
await test('7.1 empty body', async () => {
  for (const path of posts)
    for (const body of ['', ' \n']) {
      const r = await post(s, path, body)
      equal([r.status, text(r)], [400, 'missing request body'], path)
    }
  equal([(await request(s, 'DELETE', '/api/delete')).status, (await request(s, 'DELETE', '/api/delete')).json], [400, { error: 'missing request body' }])
})

await test('7.2 malformed JSON, wrong field types', async () => {
  for (const path of posts)
    for (const body of ['{', '[]', '"x"', '{"model":5}', '{"model":"tiny",}', '{"model":["tiny"]}']) {
      const r = await post(s, path, body)
      equal([r.status, typeof text(r)], [400, 'string'], `${path} ${body}`)
    }
  for (const [path, body] of [['/api/generate', { prompt: 5 }], ['/api/generate', { prompt: 'x', stream: 'yes' }], ['/api/generate', { prompt: 'x', options: 5 }], ['/api/generate', { prompt: 'x', raw: 1 }], ['/api/generate', { prompt: 'x', context: 'x' }],
    ['/api/chat', { messages: 'x' }], ['/api/chat', { messages: ['x'] }], ['/api/chat', { messages: [{ role: 5, content: 'x' }] }], ['/api/chat', { messages: [{ role: 'user', content: 5 }] }], ['/api/chat', { messages: [], tools: {} }], ['/api/show', { verbose: 1 }],
    ['/v1/chat/completions', { messages: [{ role: 'user', content: 'x' }], max_tokens: 'many' }], ['/v1/chat/completions', { messages: [{ role: 'user', content: 'x' }], stream: 1 }]])
    equal((await post(s, path, { model: 'tiny', ...body })).status, 400, `${path} ${JSON.stringify(body)}`)
})

await test('7.3 no model', async () => {
  for (const path of posts.filter(p => p !== '/api/copy'))
    for (const body of [{}, { model: '' }, { model: null }]) {
      const r = await post(s, path, { ...body, messages: [{ role: 'user', content: 'x' }], input: 'x', prompt: 'x' })
      equal([r.status, text(r)], [400, 'model is required'], path)
    }
})

await test('7.4 a name with illegal characters', async () => {
  for (const path of posts.filter(p => p !== '/api/copy' && p !== '/api/push' && p !== '/api/create')) {
    const r = await post(s, path, { model: 'ti ny!', messages: [{ role: 'user', content: 'x' }], input: 'x', prompt: 'x' })
    equal([r.status, text(r)], [400, 'invalid model name'], path)
  }
})

await test('7.5 an unknown model', async () => {
  const body = { model: 'Other:7b', messages: [{ role: 'user', content: 'x' }], input: 'x', prompt: 'x' }
  for (const path of ['/api/generate', '/api/chat', '/api/show', '/v1/chat/completions', '/v1/completions']) {
    const r = await post(s, path, body)
    equal([r.status, text(r)], [404, "model 'Other:7b' not found"], path)
  }
  for (const path of ['/api/embed', '/api/embeddings', '/v1/embeddings']) {
    const r = await post(s, path, body)
    equal([r.status, text(r)], [404, 'model "Other:7b" not found, try pulling it first'], path)
  }
  const d = await request(s, 'DELETE', '/api/delete', { model: 'Other:7b' })
  equal([d.status, d.json.error], [404, "model 'Other:7b' not found"])
})

await test('7.6 an embedding-only model', async () => {
  const c = await post(s, '/api/chat', { model: 'Embedder', messages: [{ role: 'user', content: 'x' }] }), g = await post(s, '/api/generate', { model: 'Embedder', prompt: 'x' })
  equal([c.status, c.json.error], [400, '"Embedder" does not support chat'])
  equal([g.status, g.json.error], [400, '"Embedder" does not support generate'])
})

await test('7.7 capabilities that are missing', async () => {
  const tool = { type: 'function', function: { name: 'f', description: '', parameters: {} } }, messages = [{ role: 'user', content: 'x' }]
  for (const [path, body, what] of [['/api/chat', { messages, tools: [tool] }, 'tools'], ['/api/generate', { prompt: 'x', suffix: 'y' }, 'insert'], ['/api/chat', { messages, think: true }, 'thinking'], ['/api/generate', { prompt: 'x', think: 'low' }, 'thinking'],
    ['/v1/chat/completions', { messages, tools: [tool] }, 'tools'], ['/v1/completions', { prompt: 'x', suffix: 'y' }, 'insert']]) {
    const r = await post(s, path, { model: 'tiny', ...body })
    check(r.status === 400 && text(r).includes(`does not support ${what}`), `${path}: ${r.status} ${r.text}`)
  }
})

await test('8.1 POST /api/pull, a served model', async () => {
  const r = await stream(s, '/api/pull', { model: 'tiny' })
  equal([r.status, r.lines], [200, [{ status: 'pulling manifest' }, { status: 'success' }]])
  equal((await post(s, '/api/pull', { name: 'tiny', stream: false })).json, { status: 'success' })
})

await test('8.2 POST /api/pull, any other', async () => {
  const error = 'pull model manifest: file does not exist', r = await stream(s, '/api/pull', { model: 'other' })
  equal([r.status, r.lines], [200, [{ status: 'pulling manifest' }, { error }]])
  const whole = await post(s, '/api/pull', { model: 'other', stream: false })
  equal([whole.status, whole.json], [500, { error }])
})

await test('8.3 push, create, blobs', async () => {
  const digest = 'a'.repeat(64)
  for (const [path, body] of [['/api/push', { model: 'tiny' }], ['/api/create', { model: 'new', from: 'tiny' }], [`/api/blobs/sha256:${digest}`, 'bytes']]) {
    const r = await post(s, path, body)
    check(r.status === 501 && r.json.error.endsWith(' is not supported: this server serves one fixed model'), `${path}: ${r.status} ${r.text}`)
  }
})

await test('8.4 POST /api/copy', async () => {
  const no = await post(s, '/api/copy', { source: 'X', destination: 'y' }), yes = await post(s, '/api/copy', { source: 'tiny', destination: 'y' })
  equal([no.status, no.json], [404, { error: 'model "X" not found' }])
  check((yes.status === 200 && yes.text === '') || yes.status === 501, `${yes.status} ${yes.text}`)
})

await test('8.5 DELETE /api/delete', async () => {
  for (const body of [{ model: 'other' }, { name: 'other' }]) equal((await request(s, 'DELETE', '/api/delete', body)).status, 404)
  for (const body of [{ model: 'tiny' }, { name: 'tiny' }]) equal((await request(s, 'DELETE', '/api/delete', body)).status, 501)
  check(existsSync(tiny), 'the file is there')
  equal((await post(s, '/api/show', { model: 'tiny' })).status, 200)
})

await test('8.6 HEAD /api/blobs', async () => {
  equal((await request(s, 'HEAD', `/api/blobs/sha256:${'0'.repeat(64)}`)).status, 404)
  for (const digest of ['sha256:12', `md5:${'0'.repeat(64)}`, `sha256:${'g'.repeat(64)}`, 'x']) equal((await request(s, 'HEAD', `/api/blobs/${digest}`)).status, 400, digest)
})

await test('8.7 POST /api/me', async () => {
  const r = await post(s, '/api/me')
  check(r.status === 404 || (r.status === 401 && r.json.error === 'unauthorized' && typeof r.json.signin_url === 'string'), `${r.status} ${r.text}`)
})

await test('8.8 GET /api/status', async () => {
  const r = await get(s, '/api/status')
  if (r.status !== 404) equal([r.status, r.json], [200, { cloud: { disabled: true, source: 'env' } }])
})

await test('8.9 what is not served', async () => {
  for (const path of ['/v1/responses', '/v1/messages', '/v1/audio/speech', '/v1/audio/transcriptions', '/api/experimental/web_search']) equal((await post(s, path, { model: 'tiny' })).status, 404, path)
})

await finish()
