// hy serve, end to end on a tiny random model: every endpoint, streaming and not, the rules that clients lean on.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { check, dir, equal, finish, get, model, post, quick, raw, request, running, serve, sleep, state, stream, test, until } from './harness.mjs'
import { scripted } from './script.mjs'

const tiny = model('tiny')
const endless = scripted(join(dir, 'endless.gguf'), { default: 'never' }, { template: '{% for m in messages %}{{ m.content }}{% endfor %}.' }) // nothing follows a full stop
const s = await serve([tiny, '--threads', '2']), e = await serve([endless])
const short = { num_predict: 6, temperature: 0 }
const long = { num_predict: 1e9, temperature: 0 } // of the model that has no end

await test('root, version, 404, 405', async () => {
  const root = await get(s, '/')
  equal([root.status, root.type, root.text], [200, 'text/plain; charset=utf-8', 'Ollama is running'])
  check(/^\d+\.\d+\.\d+$/.test((await get(s, '/api/version')).json.version), 'a dotted version')
  const none = await get(s, '/v1/responses')
  equal([none.status, none.text], [404, '404 page not found'])
  const wrong = await get(s, '/api/chat')
  equal([wrong.status, wrong.headers.allow], [405, 'POST'])
})

await test('tags, show, models and ps', async () => {
  const m = (await get(s, '/api/tags')).json.models[0]
  equal([m.name, m.model, m.details.family, m.details.quantization_level], ['tiny:latest', 'tiny:latest', 'qwen3', 'Q8_0'])
  check(/^[0-9a-f]{64}$/.test(m.digest), 'a digest')
  const show = (await post(s, '/api/show', { name: 'TINY' })).json
  equal(show.model_info['qwen3.context_length'], 2048)
  equal(show.model_info['tokenizer.ggml.tokens'], [])
  check((await post(s, '/api/show', { model: 'tiny', verbose: true })).json.model_info['tokenizer.ggml.tokens'].length > 300, 'verbose shows the tokens')
  equal((await get(s, '/v1/models/library%2Ftiny')).json.id, 'library/tiny')
  equal((await get(s, '/v1/models/other')).json.error.type, 'not_found_error')
  await post(s, '/api/generate', { model: 'tiny' })
  equal((await get(s, '/api/ps')).json.models.map(x => [x.name, x.context_length, x.size_vram]), [['tiny:latest', 2048, 0]])
})

await test('generate: stream and object agree, and carry metrics', async () => {
  const body = { model: 'tiny', prompt: 'Once upon', options: short }
  const streamed = await stream(s, '/api/generate', body)
  equal(streamed.type, 'application/x-ndjson')
  const last = streamed.lines.at(-1), whole = (await post(s, '/api/generate', { ...body, stream: false })).json
  equal(streamed.lines.map(l => l.response).join(''), whole.response, 'the text')
  equal(streamed.lines.filter(l => l.done).length, 1)
  equal([last.done_reason, last.eval_count, whole.done_reason, whole.eval_count], ['length', 6, 'length', 6])
  for (const k of ['total_duration', 'load_duration', 'prompt_eval_count', 'prompt_eval_duration', 'eval_duration']) check(last[k] > 0 && whole[k] > 0, k)
  equal(last.context, whole.context)
  const on = (await post(s, '/api/generate', { model: 'tiny', prompt: ' and', context: whole.context, stream: false, options: short })).json
  equal(on.context.slice(0, whole.context.length), whole.context)
})

await test('raw, seeds, logprobs', async () => {
  const body = { model: 'tiny', prompt: 'abc', raw: true, stream: false, options: { num_predict: 8, seed: 7 } }
  const a = (await post(s, '/api/generate', body)).json, b = (await post(s, '/api/generate', body)).json
  equal(a.response, b.response)
  check(!('context' in a), 'no context in raw mode')
  const l = (await post(s, '/api/generate', { ...body, logprobs: true, top_logprobs: 3 })).json.logprobs
  equal([l.length, l[0].top_logprobs.length], [8, 3])
  check(l.every(x => x.logprob <= 0 && Array.isArray(x.bytes)), 'entries')
  equal((await post(s, '/api/generate', { ...body, top_logprobs: 21 })).status, 400)
  equal((await post(s, '/api/generate', { ...body, system: 'x' })).json.error, 'raw mode does not support template, system, or context')
})

await test('stop strings cut the text wherever they come to lie', async () => {
  const body = { model: 'tiny', prompt: 'xyz', stream: false, options: { num_predict: 40, temperature: 0 } }
  const text = (await post(s, '/api/generate', body)).json.response
  for (const [from, len] of [[3, 1], [5, 4], [8, 7], [12, 2]]) {
    const stop = text.slice(from, from + len), want = text.slice(0, text.indexOf(stop))
    const r = await stream(s, '/api/generate', { ...body, stream: true, options: { ...body.options, stop: [stop, 'never comes'] } })
    equal(r.lines.map(l => l.response).join(''), want, `text before '${stop}'`)
    equal(r.lines.at(-1).done_reason, 'stop')
  }
})

await test('chat and its OpenAI form', async () => {
  const messages = [{ role: 'System', content: 'Be brief.' }, { role: 'user', content: [{ type: 'text', text: 'Hi' }] }]
  const r = await stream(s, '/api/chat', { model: 'Tiny', messages, options: short })
  equal(r.lines.at(-1).message, { role: 'assistant', content: '' })
  check(r.lines.every(l => l.model === 'Tiny' && typeof l.message.content === 'string'), 'the model as requested, content a string')
  const o = await stream(s, '/v1/chat/completions', { model: 'tiny', messages, stream: true, stream_options: { include_usage: true }, max_tokens: 6, temperature: 0 })
  equal(o.type, 'text/event-stream')
  equal(o.lines.at(-1), '[DONE]')
  equal(o.lines[0].choices[0].delta.role, 'assistant')
  equal(o.lines.at(-3).choices[0], { index: 0, delta: {}, finish_reason: 'length' })
  equal([o.lines.at(-2).choices, o.lines.at(-2).usage.completion_tokens], [[], 6])
  equal(new Set(o.lines.slice(0, -1).map(l => l.id)).size, 1)
  const whole = (await post(s, '/v1/chat/completions', { model: 'tiny', messages, max_completion_tokens: 6, temperature: 0 })).json
  equal(o.lines.slice(0, -1).map(l => l.choices[0]?.delta?.content ?? '').join(''), whole.choices[0].message.content)
  equal((await post(s, '/v1/chat/completions', { model: 'tiny', messages: [] })).json.error.message, "[] is too short - 'messages'")
  equal((await post(s, '/v1/completions', { model: 'tiny', prompt: 'x', max_tokens: 2 })).json.object, 'text_completion')
})

await test('embeddings are of unit length in all forms', async () => {
  const length = v => Math.sqrt(v.reduce((n, x) => n + x * x, 0))
  const e = (await post(s, '/api/embed', { model: 'tiny', input: ['one', 'two two'] })).json
  equal(e.embeddings.map(v => v.length), [256, 256])
  check(e.embeddings.every(v => Math.abs(length(v) - 1) < 1e-4) && e.prompt_eval_count > 0, 'unit length')
  const d = (await post(s, '/api/embed', { model: 'tiny', input: 'one', dimensions: 8 })).json.embeddings[0]
  check(d.length === 8 && Math.abs(length(d) - 1) < 1e-4, 'dimensions')
  const b = (await post(s, '/v1/embeddings', { model: 'tiny', input: 'one', encoding_format: 'base64' })).json.data[0].embedding
  const floats = new Float32Array(new Uint8Array(Buffer.from(b, 'base64')).buffer)
  check(e.embeddings[0].every((x, i) => Math.abs(x - floats[i]) < 1e-6), 'base64 holds the same vector')
  equal((await post(s, '/api/embed', { model: 'tiny' })).json.embeddings, [])
  equal((await post(s, '/api/embeddings', { model: 'tiny', prompt: '' })).json, { embedding: [] })
  equal((await post(s, '/api/embed', { model: 'tiny', input: [1] })).json.error, 'invalid input type')
})

await test('the error table', async () => {
  const table = [
    ['/api/generate', '', 400, 'missing request body'],
    ['/api/generate', '{', 400, /JSON/],
    ['/api/generate', {}, 400, 'model is required'],
    ['/api/chat', { model: '' }, 400, 'model is required'],
    ['/api/chat', { model: 'a b' }, 400, 'invalid model name'],
    ['/api/chat', { model: 'Other', messages: [] }, 404, "model 'Other' not found"],
    ['/api/embed', { model: 'Other', input: 'x' }, 404, 'model "Other" not found, try pulling it first'],
    ['/api/generate', { model: 'tiny', prompt: 1 }, 400, /prompt/],
    ['/api/generate', { model: 'tiny', prompt: 'x', options: { temperature: 'hot' } }, 400, 'option "temperature" must be of type float32'],
    ['/api/generate', { model: 'tiny', prompt: 'x', keep_alive: '5' }, 400, /duration/],
    ['/api/generate', { model: 'tiny', prompt: 'x', think: 'deep' }, 400, /think/],
    ['/api/generate', { model: 'tiny', prompt: 'x', format: 'xml' }, 400, 'invalid format: "xml"; expected "json" or a valid JSON Schema object'],
    ['/api/generate', { model: 'tiny', prompt: 'x', suffix: 'y' }, 400, /does not support insert/],
    ['/api/generate', { model: 'tiny', prompt: 'x', template: '{{ .Prompt }}' }, 400, 'template override is not supported'],
    ['/api/generate', { model: 'tiny', prompt: 'x', images: ['???'] }, 400, /illegal base64/],
    ['/api/generate', { model: 'tiny', prompt: 'x', images: ['aGk='] }, 400, /images are not supported/],
    ['/api/create', { model: 'x' }, 501, /not supported/],
    ['/api/push', { model: 'x' }, 501, /not supported/],
    ['/api/copy', { source: 'x', destination: 'y' }, 404, 'model "x" not found'],
  ]
  for (const [path, body, status, text] of table) {
    const r = await post(s, path, body)
    equal(r.status, status, `${path} ${JSON.stringify(body)}: status`)
    check(text instanceof RegExp ? text.test(r.json.error) : r.json.error === text, `${path}: '${r.json.error}'`)
    equal(r.type, 'application/json; charset=utf-8')
  }
})

await test('leniency: null, 10.0, odd fields, cut characters', async () => {
  const r = await post(s, '/api/generate', '{"model":"tiny","prompt":"a\\ud83d","zzz":{"a":[1]},"system":null,"stream":false,"options":{"num_predict":2.0,"stop":"qq","foo":1}}')
  equal([r.status, r.json.eval_count], [200, 2])
  equal((await post(s, '/api/generate', Buffer.from('{"model":"tiny","prompt":"a\xff","stream":false,"options":{"num_predict":1}}', 'latin1'))).status, 200)
})

await test('management of a fixed model', async () => {
  equal((await stream(s, '/api/pull', { model: 'tiny' })).lines, [{ status: 'pulling manifest' }, { status: 'success' }])
  equal((await stream(s, '/api/pull', { name: 'other' })).lines[1].error, 'pull model manifest: file does not exist')
  equal((await post(s, '/api/pull', { model: 'other', stream: false })).status, 500)
  equal((await request(s, 'DELETE', '/api/delete', { model: 'tiny' })).status, 501)
  equal((await request(s, 'DELETE', '/api/delete', { model: 'other' })).status, 404)
  equal((await request(s, 'HEAD', `/api/blobs/sha256:${'a'.repeat(64)}`)).status, 404)
  equal((await request(s, 'HEAD', '/api/blobs/sha256:a')).status, 400)
})

await test('load, unload and keep_alive', async () => {
  equal((await post(s, '/api/generate', { model: 'tiny', keep_alive: '1h' })).json.done_reason, 'load')
  const at = Date.parse((await get(s, '/api/ps')).json.models[0].expires_at)
  check(Math.abs(at - Date.now() - 3600e3) < 60e3, 'an hour')
  await post(s, '/api/chat', { model: 'tiny', messages: [], keep_alive: -1 })
  check(Date.parse((await get(s, '/api/ps')).json.models[0].expires_at) > Date.now() + 1e12, 'forever')
  equal((await post(s, '/api/generate', { model: 'tiny', keep_alive: 0 })).json.done_reason, 'unload')
  equal((await get(s, '/api/ps')).json, { models: [] })
  equal((await post(s, '/api/generate', { model: 'tiny', prompt: 'x', stream: false, keep_alive: '300ms', options: short })).status, 200)
  await until('it is unloaded', async () => (await get(s, '/api/ps')).json.models.length === 0)
})

await test('a model that is in use is unloaded when its last user has gone', async () => {
  const c = await raw(e), data = JSON.stringify({ model: 'endless', prompt: 'x', options: long })
  c.socket.write(`POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${data.length}\r\n\r\n${data}`)
  await until('it runs', async () => await running(e) === 1)
  equal((await post(e, '/api/generate', { model: 'endless', keep_alive: 0 })).json.done_reason, 'unload')
  equal((await get(e, '/api/ps')).json.models.length, 1, 'it goes on')
  c.socket.destroy()
  await until('it is unloaded', async () => (await get(e, '/api/ps')).json.models.length === 0)
})

await test('a sidecar that is not used is told', async () => {
  const file = model('big', { 'n-layer': 24, 'n-ctx': 512, 'n-embd': 512, 'n-ff': 2048 })
  writeFileSync(file.replace('.gguf', '.hyx'), 'no sidecar')
  const k = await serve([file, '--memory', '60M', '-c', '512'])
  await until('it says so', () => /the sidecar '.*big.hyx' is not used/.test(k.err))
  await k.stop()
})

await test('Host and Origin', async () => {
  equal((await get(s, '/api/tags', { Host: 'evil.example' })).status, 403)
  equal((await get(s, '/api/tags', { Host: 'box.local:80' })).status, 200)
  equal((await get(s, '/api/tags', { Host: '[::1]:1' })).status, 200)
  const foreign = await post(s, '/api/generate', { model: 'tiny' }, { Origin: 'http://evil.example' })
  equal([foreign.status, foreign.text], [403, ''])
  const near = await get(s, '/api/tags', { Origin: 'http://localhost:3000' })
  equal([near.headers['access-control-allow-origin'], near.headers.vary], ['http://localhost:3000', 'Origin'])
  equal((await get(s, '/api/tags', { Origin: s.url, Host: s.url.slice(7) })).headers['access-control-allow-origin'], undefined)
  const pre = await request(s, 'OPTIONS', '/api/chat', undefined, { Origin: 'app://x', 'Access-Control-Request-Headers': 'x-stainless-os' })
  equal([pre.status, pre.headers['access-control-max-age'], pre.headers['access-control-allow-headers']], [204, '43200', 'x-stainless-os'])
})

await test('a client that goes stops its generation', async () => {
  for (const [path, body] of [
    ['/api/generate', { model: 'endless', prompt: 'x', options: long }],
    ['/api/generate', { model: 'endless', prompt: 'x', stream: false, options: long }],
    ['/v1/chat/completions', { model: 'endless', messages: [{ role: 'user', content: 'x' }], stream: true, max_tokens: 1e9, temperature: 0 }],
  ]) {
    const c = await raw(e), data = JSON.stringify(body)
    c.socket.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${data.length}\r\n\r\n${data}`)
    await until('it runs', async () => await running(e) === 1)
    await sleep(50)
    check(await running(e) === 1, 'it is still running')
    c.socket.destroy()
    await until('it stops', async () => await running(e) === 0)
  }
})

await test('one that waits in the queue goes, too', async () => {
  const open = async () => {
    const c = await raw(e), data = JSON.stringify({ model: 'endless', prompt: 'x', options: long })
    c.socket.write(`POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${data.length}\r\n\r\n${data}`)
    return c
  }
  const a = await open()
  await until('one runs', async () => await running(e) === 1)
  const b = await open()
  await until('one waits', async () => (await state(e)).models[0].waiting === 1)
  await quick('/api/tags', () => get(e, '/api/tags')) // what generates nothing is answered meanwhile
  b.socket.destroy()
  await until('it leaves the queue', async () => (await state(e)).models[0].waiting === 0)
  a.socket.destroy()
  await until('all stops', async () => await running(e) === 0)
})

await test('metrics and the page', async () => {
  const m = await get(s, '/metrics')
  check(/^hy_generated_tokens_total \d+$/m.test(m.text) && /^# TYPE hy_kv_blocks gauge$/m.test(m.text), 'metrics')
  const count = async () => Number(/^hy_generated_tokens_total (\d+)$/m.exec((await get(s, '/metrics')).text)[1]), before = await count()
  equal((await post(s, '/api/generate', { model: 'tiny', keep_alive: 0 })).json.done_reason, 'unload')
  check(before > 0 && await count() === before, 'a counter does not fall when a model is unloaded')
  check((await get(s, '/hy')).text.includes('<!doctype html>'), 'the page')
})

await test('SIGTERM lets a stream end', async () => {
  const c = await raw(e), data = JSON.stringify({ model: 'endless', prompt: 'x', options: { num_predict: 3000, temperature: 0 } })
  c.socket.write(`POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${data.length}\r\n\r\n${data}`)
  await until('it begins', () => c.text.includes('"response"'))
  e.proc.kill('SIGTERM')
  await c.ended
  check(c.text.includes('"done":true'), 'the last line')
  equal(await e.ended, 0)
})

await test('an API key guards everything but the root', async () => {
  const k = await serve([tiny, '--api-key', 'secret'])
  equal((await get(k, '/')).status, 200)
  for (const path of ['/api/tags', '/api/version', '/hy', '/metrics', '/v1/models', '/nothing']) equal((await get(k, path)).status, 401, path)
  equal((await get(k, '/api/tags', { Authorization: 'Bearer secret' })).status, 200)
  equal((await get(k, '/api/tags', { Authorization: 'Bearer secreT' })).status, 401)
  equal((await get(k, '/hy', { Authorization: `Basic ${Buffer.from('me:secret').toString('base64')}` })).status, 200)
  await k.stop()
})

await test('OLLAMA_ORIGINS, OLLAMA_KEEP_ALIVE', async () => {
  const k = await serve([endless], { OLLAMA_ORIGINS: 'https://*.example.com', OLLAMA_KEEP_ALIVE: '2h' })
  equal((await get(k, '/', { Origin: 'https://a.example.com' })).status, 200)
  equal((await get(k, '/', { Origin: 'https://example.org' })).status, 403)
  check(Date.parse((await get(k, '/api/ps')).json.models[0].expires_at) > Date.now() + 7000e3, 'two hours')
  await k.stop()
})

await test('several models take turns when they do not fit together', async () => {
  const other = model('other', { seed: 2 }), both = await serve([tiny, other])
  await post(both, '/api/generate', { model: 'other' })
  const loaded = (await get(both, '/api/ps')).json.models
  equal(loaded.length, 2)
  await both.stop()
  const k = await serve([`one:1b=${tiny}`, other, '--memory', String(Math.round(0.75 * (loaded[0].size + loaded[1].size)))])
  equal((await get(k, '/api/tags')).json.models.map(m => m.name), ['one:1b', 'other:latest'])
  const ask = name => post(k, '/api/generate', { model: name, prompt: 'x', stream: false, options: short })
  const all = await Promise.all(['one:1b', 'other', 'one:1b', 'other'].map(ask))
  equal(all.map(r => r.status), [200, 200, 200, 200])
  equal(all[0].json.response, all[2].json.response)
  equal((await get(k, '/api/ps')).json.models.length, 1)
  let n = 0 // of those who make room and of the clock that unloads, either may come first
  for (let i = 0; i < 30; i++) Promise.all(['one:1b', 'other'].map(name => post(k, '/api/generate', { model: name, prompt: 'x', keep_alive: 0, options: short }))).then(() => n++)
  await until('all are answered', () => n === 30)
  await k.stop()
})

await finish()
