// The conformance reference of the HTTP API, section 1: transport. A test for each rule, named by its number.
import { spawn } from 'node:child_process'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { check, dir, equal, finish, get, model, post, quick, raw, request, running, serve, sleep, state, stream, test, until } from './harness.mjs'
import { scripted } from './script.mjs'

const tiny = model('tiny')
const goesOn = scripted(join(dir, 'on.gguf'), { default: 'never' }, { template: '{% for m in messages %}{{ m.content }}{% endfor %}.' }) // what follows a full stop has no end
const s = await serve([tiny, goesOn])
const short = { num_predict: 6, temperature: 0 }
const endless = { num_predict: 1e9, temperature: 0 } // of the model "on"
const head = (path, length, more = '') => `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n${more}\r\n`

const count = async (server, key) => (await state(server)).models.reduce((n, m) => n + (m[key] ?? 0), 0)

// A connection on which a request was sent.
async function sent(server, path, body) {
  const c = await raw(server), data = JSON.stringify(body)
  c.socket.write(head(path, Buffer.byteLength(data)) + data)
  return c
}

// A long generation that has begun; close its socket to end it.
async function busy(server) {
  const c = await sent(server, '/api/generate', { model: 'on', prompt: 'x', stream: false, options: endless })
  await until('it runs', async () => await running(server) > 0)
  return c
}

// Clients that wait behind a long generation get signs of life after 15 s; the other tests run meanwhile.
const waits = await serve([goesOn])
const signs = (async () => {
  const first = await busy(waits)
  const all = [await sent(waits, '/api/generate', { model: 'on', prompt: 'y', options: short }), await sent(waits, '/api/chat', { model: 'on', messages: [{ role: 'user', content: 'y' }], options: short }),
    await sent(waits, '/v1/chat/completions', { model: 'on', messages: [{ role: 'user', content: 'y' }], stream: true, max_tokens: 4 })]
  const t0 = Date.now()
  while (Date.now() - t0 < 90e3 && !all.every(c => /\r\n\r\n[0-9a-f]+\r\n/.test(c.text))) await sleep(200)
  first.socket.destroy()
  for (const c of all) {
    c.waited = c.text
    await until('the answer', () => /\r\n0\r\n/.test(c.text))
    c.socket.destroy()
  }
  return all
})()

await test('1.1 keep-alive, chunked bodies, 100-continue, 32 MiB, the default address', async () => {
  const c = await raw(s), body = JSON.stringify({ model: 'tiny', prompt: 'x', stream: false, options: short })
  c.socket.write('GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until('the first answer', () => c.text.endsWith('}'))
  c.socket.write(`POST /api/generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n${body.slice(0, 5)}\r\n${(body.length - 5).toString(16)}\r\n${body.slice(5)}\r\n0\r\n\r\n`)
  await until('the second answer', () => c.text.includes('"done_reason":"length"'))
  c.text = ''
  c.socket.write(head('/api/show', 16, 'Expect: 100-continue\r\n'))
  await until('the invitation', () => c.text === 'HTTP/1.1 100 Continue\r\n\r\n')
  c.socket.write('{"model":"tiny"}')
  await until('the third answer', () => c.text.includes('"model_info"'))
  c.socket.destroy()
  equal((await post(s, '/api/show', `{"model":"tiny","zzz":"${'a'.repeat(32 << 20)}"}`)).status, 200)
  const any = await serve([tiny], { OLLAMA_HOST: '0.0.0.0:1' }), here = await serve([tiny, '--host', '127.0.0.1'], { OLLAMA_HOST: '0.0.0.0' })
  check(any.out.includes(`endpoint  http://0.0.0.0:${any.port}`), 'OLLAMA_HOST')
  check(here.out.includes(`endpoint  http://127.0.0.1:${here.port}`), '--host wins')
  await any.stop()
  await here.stop()
  const start = async host => { // it tells where it listens, or ends at once when the port is in use
    const p = spawn(process.env.HY ?? 'build/release/hy', ['serve', tiny], { env: { ...process.env, OLLAMA_HOST: host } })
    let said = '', ended = false
    for (const pipe of [p.stdout, p.stderr]) pipe.on('data', d => { said += d })
    p.on('close', () => { ended = true })
    await until('it listens or ends', () => ended || said.includes('/hy\n'))
    p.kill('SIGTERM')
    await until('it ends', () => ended)
    return said
  }
  const taken = await start(`localhost:${s.port}`), usual = await start('')
  check(taken.includes(`${s.port}`) && !taken.includes('endpoint'), `the port of OLLAMA_HOST: ${taken}`)
  check(/127\.0\.0\.1(:| port )8080/.test(usual), `the default address: ${usual}`)
})

await test('1.2 any Content-Type, Authorization, unknown headers and queries; never compressed', async () => {
  const body = { model: 'tiny', prompt: 'x', stream: false, options: short }
  for (const headers of [{ 'Content-Type': 'application/x-www-form-urlencoded' }, { 'Content-Type': 'text/plain' }, { Authorization: 'Bearer ollama' }, { Authorization: 'nonsense' }, { 'X-Unknown': 'y' }, { 'Accept-Encoding': 'gzip, br' }]) {
    const r = await post(s, '/api/generate?beta=true&x', body, headers)
    equal([r.status, r.json.done, r.headers['content-encoding']], [200, true, undefined], JSON.stringify(headers))
  }
})

await test('1.3 content types', async () => {
  const messages = [{ role: 'user', content: 'x' }], json = 'application/json; charset=utf-8'
  equal((await get(s, '/')).type, 'text/plain; charset=utf-8')
  for (const path of ['/api/version', '/api/tags', '/api/ps']) equal((await get(s, path)).type, json, path)
  for (const [path, body, type] of [
    ['/api/generate', { model: 'tiny', prompt: 'x', options: short }, 'application/x-ndjson'],
    ['/api/generate', { model: 'tiny', prompt: 'x', options: short, stream: false }, json],
    ['/api/chat', { model: 'tiny', messages, options: short }, 'application/x-ndjson'],
    ['/api/chat', { model: 'none', messages }, json],
    ['/api/pull', { model: 'tiny' }, 'application/x-ndjson'],
    ['/api/embed', { model: 'tiny', input: 'x' }, json],
    ['/v1/chat/completions', { model: 'tiny', messages, stream: true, max_tokens: 2 }, 'text/event-stream'],
  ]) equal((await post(s, path, body)).type, type, `${path} ${JSON.stringify(body)}`)
  for (const body of [{ model: 'tiny', messages, max_tokens: 2 }, { model: 'none', messages }, { model: 'none', messages, stream: true }])
    check(/^application\/json/.test((await post(s, '/v1/chat/completions', body)).type), `/v1 ${JSON.stringify(body)}`)
})

await test('1.4 unknown paths, wrong methods', async () => {
  for (const path of ['/nothing', '/api', '/api/', '/api/generat', '/v1', '/v1/', '/API/tags']) {
    const r = await get(s, path)
    equal([r.status, r.type.split(';')[0], r.text], [404, 'text/plain', '404 page not found'], path)
  }
  for (const [method, path, allow] of [['GET', '/api/chat', 'POST'], ['GET', '/api/generate', 'POST'], ['DELETE', '/api/show', 'POST'], ['POST', '/api/tags', 'GET'], ['POST', '/api/delete', 'DELETE'], ['PUT', '/', 'GET'], ['GET', '/v1/embeddings', 'POST'], ['PATCH', '/v1/models', 'GET']]) {
    const r = await request(s, method, path)
    equal([r.status, r.type.split(';')[0], r.text], [405, 'text/plain', '405 method not allowed'], `${method} ${path}`)
    check(r.headers.allow.split(', ').includes(allow), `Allow is ${r.headers.allow}`)
  }
})

// The chunks of a chunked body.
function chunksOf(text) {
  const chunks = []
  for (let at = text.indexOf('\r\n\r\n') + 4; ;) {
    const end = text.indexOf('\r\n', at), n = parseInt(text.slice(at, end), 16)
    if (!n) return chunks
    chunks.push(text.slice(end + 2, end + 2 + n))
    at = end + 2 + n + 2
  }
}

await test('1.5 NDJSON: an object a line, each flushed, whole characters, one end', async () => {
  const text = 'Größe: 10 µm, \u{1F600}\u{1F680} und 漢字 fertig'
  const t = await serve([scripted(join(dir, 'said.gguf'), { default: text })])
  const c = await sent(t, '/api/generate', { model: 'said', prompt: 'x' })
  await until('the end', () => c.text.endsWith('\r\n0\r\n\r\n'))
  c.socket.destroy()
  check(/^transfer-encoding: chunked\r$/mi.test(c.text), 'chunked')
  const chunks = chunksOf(c.text), lines = chunks.join('').split('\n')
  check(chunks.every(x => x.endsWith('\n')), 'a chunk ends with an object')
  equal(lines.pop(), '')
  const objects = lines.map(l => JSON.parse(Buffer.from(l, 'latin1').toString('utf8')))
  check(lines.every(l => l && l.length < 8e6), 'no blank line')
  equal(objects.map(o => o.done).indexOf(true), objects.length - 1)
  equal(objects.map(o => o.response).join(''), text)
  check(objects.every(o => !o.response.includes('\ufffd')), 'no broken character')
  await t.stop()
  const long = await sent(s, '/api/generate', { model: 'on', prompt: 'x', options: endless })
  await until('objects come while it runs', () => long.text.split('"done":false').length > 3)
  long.socket.destroy()
})

await test('1.6 errors before and behind the first byte', async () => {
  const messages = [{ role: 'user', content: 'x' }]
  const early = await post(s, '/api/generate', { model: 'none', prompt: 'x', stream: true })
  equal([early.status, early.type, Object.keys(early.json), typeof early.json.error], [404, 'application/json; charset=utf-8', ['error'], 'string'])
  equal(typeof (await post(s, '/v1/chat/completions', { model: 'none', messages, stream: true })).json.error, 'object')
  for (const path of ['/api/generate', '/v1/chat/completions']) { // weights stream from a file that becomes short
    const file = model('shrinks', { 'n-layer': 24, 'n-ctx': 512, 'n-embd': 512, 'n-ff': 2048 })
    const t = await serve([file, '--memory', '60M', '-c', '512'])
    check(/stay on disk/.test(t.out), t.out)
    const c = await sent(t, path, { model: 'shrinks', prompt: 'x', messages, stream: true, options: { num_predict: 4000, temperature: 1, seed: 1 } })
    await until('it begins', () => c.text.includes('\r\n\r\n') && c.text.length > 600)
    truncateSync(file, 1 << 20)
    await until('the end', () => c.text.endsWith('\r\n0\r\n\r\n'))
    c.socket.destroy()
    check(c.text.startsWith('HTTP/1.1 200'), 'the status stays')
    const all = chunksOf(c.text).join('').trimEnd().split('\n').filter(l => l), last = all.at(-1)
    if (path === '/api/generate') equal([Object.keys(JSON.parse(last)), typeof JSON.parse(last).error], [['error'], 'string'])
    else check(last.startsWith('data: ') && JSON.parse(last.slice(6)).error.type === 'api_error', last)
    check(!all.slice(0, -1).some(l => l.includes('"error"')), 'one error')
    equal((await get(t, '/')).status, 200)
    await t.stop()
  }
})

await test('7.9 engine failure: 500, and the server stays up', async () => {
  const file = model('breaks', { 'n-layer': 24, 'n-ctx': 512, 'n-embd': 512, 'n-ff': 2048 }), t = await serve([file, '--memory', '60M', '-c', '512'])
  truncateSync(file, 1 << 20)
  const a = await post(t, '/api/generate', { model: 'breaks', prompt: 'x', stream: false, options: short }), b = await post(t, '/v1/chat/completions', { model: 'breaks', messages: [{ role: 'user', content: 'x' }], stream: true })
  equal([a.status, typeof a.json.error, b.status, b.json.error.type], [500, 'string', 500, 'api_error'])
  equal((await get(t, '/api/tags')).status, 200)
  await t.stop()
  const damaged = scripted(join(dir, 'damaged.gguf'), { default: 'never' }), bytes = readFileSync(damaged)
  bytes.writeFloatLE(NaN, bytes.indexOf(Buffer.from(new Float32Array(4).fill(1).buffer))) // in a norm: nowhere else are ones side by side
  writeFileSync(damaged, bytes)
  const u = await serve([damaged])
  for (const [path, body] of [['/api/generate', { prompt: 'x', stream: false }], ['/api/embed', { input: 'x' }], ['/api/embeddings', { prompt: 'x' }], ['/v1/embeddings', { input: 'x', encoding_format: 'base64' }]]) {
    const r = await post(u, path, { model: 'damaged', ...body })
    check(r.status === 500 && /damaged/.test(r.text), `${path}: ${r.status} ${r.text}`)
  }
  await u.stop()
})

await test('1.7 a client that goes ends its work: streamed, whole, prompt, queue', async () => {
  const one = [{ role: 'user', content: 'x' }]
  for (const [path, body] of [['/api/generate', { prompt: 'x', options: endless }], ['/api/generate', { prompt: 'x', stream: false, options: endless }],
    ['/api/chat', { messages: one, options: endless }], ['/v1/chat/completions', { messages: one, stream: true, max_tokens: 1e9 }], ['/v1/completions', { prompt: 'x', max_tokens: 1e9 }]]) {
    const c = await sent(s, path, { model: 'on', ...body })
    await until('it runs', async () => await running(s) === 1)
    c.socket.destroy()
    await until(`${path} stops`, async () => await running(s) === 0)
  }
  const a = await busy(s), b = await sent(s, '/api/chat', { model: 'on', messages: one, options: endless })
  await until('one waits', async () => await count(s, 'waiting') === 1)
  b.socket.destroy()
  await until('it leaves the queue', async () => await count(s, 'waiting') === 0)
  a.socket.destroy()
  await until('all stops', async () => await running(s) === 0)
  const slow = await serve([model('slow', { 'n-ctx': 4096, 'n-embd': 512, 'n-ff': 1024, 'n-layer': 12 })])
  const p = await sent(slow, '/api/generate', { model: 'slow', prompt: 'a b c '.repeat(650), raw: true, options: endless })
  const view = async () => (await state(slow)).models[0].requests?.[0]
  let v
  await until('the prompt is being read', async () => (v = await view())?.running)
  check(v.prompt_done < v.prompt && v.generated === 0, JSON.stringify(v))
  p.socket.destroy()
  await until('reading stops', async () => await running(slow) === 0)
  await slow.stop()
  const done = async () => Number(/^hy_requests_done_total (\d+)/m.exec((await get(s, '/metrics')).text)[1])
  const many = 200000, before = await done(), e = await sent(s, '/api/embed', { model: 'tiny', input: Array(many).fill('x') })
  await until('it embeds', async () => await done() > before)
  e.socket.destroy()
  let last
  await until('embedding stops', async () => { await sleep(500); const n = last; return n === (last = await done()) })
  check(last - before < many, 'not after the last input')
  equal((await post(s, '/api/generate', { model: 'tiny', prompt: 'x', stream: false, options: short })).status, 200)
})

await test('1.8 the queue: in order, bounded; what generates nothing does not wait', async () => {
  const a = await busy(s), all = []
  for (let i = 1; i <= 3; i++) {
    all.push(await sent(s, '/api/generate', { model: 'on', prompt: 'x', options: endless }))
    await until('it waits', async () => await count(s, 'waiting') === i)
  }
  for (const path of ['/', '/api/version', '/api/tags', '/api/ps', '/v1/models', '/v1/models/tiny', '/api/show'])
    await quick(path, () => path === '/api/show' ? post(s, path, { model: 'tiny' }) : get(s, path))
  equal(await count(s, 'running'), 1, 'at a time')
  let before = a
  const speaks = c => c.text.includes('"response"')
  for (const [i, c] of all.entries()) {
    before.socket.destroy()
    await until(`number ${i + 1} of the queue has its turn`, () => speaks(c))
    equal(all.map(speaks), all.map((_, k) => k <= i), 'one after the other')
    before = c
  }
  before.socket.destroy()
  const t = await serve([goesOn], { OLLAMA_MAX_QUEUE: '1' })
  const first = await busy(t), second = await sent(t, '/api/generate', { model: 'on', prompt: 'x', options: endless })
  await until('one waits', async () => await count(t, 'waiting') === 1)
  const r = await post(t, '/api/generate', { model: 'on', prompt: 'x' })
  equal([r.status, r.json.error], [503, 'server busy, please try again.  maximum pending requests exceeded'])
  first.socket.destroy()
  second.socket.destroy()
  await t.stop()
  const two = await serve([goesOn], { OLLAMA_NUM_PARALLEL: '2' }), both = [await busy(two), await busy(two)]
  await until('two run', async () => await count(two, 'running') === 2)
  for (const c of both) c.socket.destroy()
  await two.stop()
})

await test('1.10 CORS', async () => {
  const ask = (origin, headers = {}, server = s) => get(server, '/api/tags', { Origin: origin, ...headers })
  for (const origin of ['http://localhost', 'https://localhost', 'http://localhost:3000', 'http://127.0.0.1', 'https://127.0.0.1:8', 'http://0.0.0.0', 'http://0.0.0.0:1', 'app://obsidian.md', 'file://x', 'tauri://localhost', 'vscode-webview://abc', 'vscode-file://vscode-app']) {
    const r = await ask(origin)
    equal([r.status, r.headers['access-control-allow-origin'], r.headers.vary], [200, origin, 'Origin'], origin)
  }
  for (const origin of ['http://evil.example', 'http://localhost.evil.example', 'null', 'http://127.0.0.1.example', 'ftp://localhost', 'http://localhostx:1']) {
    const r = await ask(origin)
    equal([r.status, r.text], [403, ''], origin)
  }
  const same = await ask('http://host.local:1', { Host: 'host.local:1' })
  equal([same.status, same.headers['access-control-allow-origin']], [200, undefined], 'the same origin')
  const loaded = (await get(s, '/api/ps')).json.models.length
  equal((await post(s, '/api/generate', { model: 'tiny', keep_alive: 0 }, { Origin: 'http://evil.example' })).status, 403)
  equal((await get(s, '/api/ps')).json.models.length, loaded, 'nothing is executed')
  const wanted = ['authorization', 'content-type', 'user-agent', 'accept', 'x-requested-with', 'x-stainless-os', 'x-stainless-lang', 'x-stainless-retry-count']
  const pre = await request(s, 'OPTIONS', '/v1/chat/completions', undefined, { Origin: 'http://localhost:5173', 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': wanted.join(', ') })
  const list = name => pre.headers[`access-control-allow-${name}`].split(',').map(x => x.trim())
  equal([pre.status, pre.text, pre.headers['access-control-allow-origin'], pre.headers['access-control-max-age']], [204, '', 'http://localhost:5173', '43200'])
  equal(list('methods').sort(), ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'])
  check(wanted.every(w => list('headers').map(x => x.toLowerCase()).includes(w)), 'the headers')
  equal((await request(s, 'OPTIONS', '/api/chat', undefined, { Origin: 'http://evil.example' })).status, 403)
  const t = await serve([tiny], { OLLAMA_ORIGINS: 'https://*.example.com,http://one.test' })
  for (const [origin, status] of [['https://a.example.com', 200], ['http://one.test', 200], ['http://two.test', 403], ['http://localhost:1', 200]]) equal((await ask(origin, {}, t)).status, status, origin)
  await t.stop()
  const all = await serve([tiny], { OLLAMA_ORIGINS: '*' })
  equal((await ask('http://any.test', {}, all)).headers['access-control-allow-origin'], '*')
  await all.stop()
})

await test('1.11 the Host check', async () => {
  const ask = host => get(s, '/api/tags', { Host: host })
  for (const host of ['localhost', 'localhost:11434', 'LOCALHOST', '127.0.0.1:1', '127.9.9.9', '[::1]', '[::1]:80', '0.0.0.0', '192.168.1.2:80', '10.1.2.3', '172.16.0.1', hostname(), 'a.localhost', 'box.local', 'host.docker.internal:8080'])
    equal((await ask(host)).status, 200, host)
  for (const host of ['evil.example', 'evil.example:8080', '8.8.8.8', 'localhost.evil.example', 'local', 'evillocal', 'evilinternal', 'xlocalhost', '[2001:db8::1]', '[::1].evil.example', '[::1', 'evil:1:x.local', '[::ffff:8.8.8.8]']) {
    const r = await ask(host)
    equal([r.status, r.text], [403, ''], host)
  }
})

await test('1.9 signs of life while the answer is awaited', async () => {
  const [generate, chat, openai] = await signs
  const beats = c => chunksOf(c.waited + '\r\n0\r\n').join('')
  const line = JSON.parse(beats(generate).split('\n')[0])
  equal([line.response, line.done], ['', false])
  equal([JSON.parse(beats(chat).split('\n')[0])].map(o => [o.message, o.done]), [[{ role: 'assistant', content: '' }, false]])
  check(beats(openai).startsWith(': ping\n\n'), beats(openai))
  for (const c of [generate, chat]) check(!chunksOf(c.text).join('').includes('\n\n'), 'no blank line')
})

await finish()
