// hy serve against clients that mean harm or are broken: an answer or an end each, and the server lives on.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { check, dir, equal, finish, get, model, post, raw, running, sanitized, serve, sleep, test, until } from './harness.mjs'
import { scripted } from './script.mjs'

const endless = scripted(join(dir, 'endless.gguf'), { default: 'never' }, { template: '{% for m in messages %}{{ m.content }}{% endfor %}.' }) // nothing follows a full stop
const s = await serve([model('tiny'), endless, '--parallel', '4'])
const alive = async () => equal((await get(s, '/')).text, 'Ollama is running')
const head = (path, length) => `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\n`
const ask = JSON.stringify({ model: 'endless', prompt: 'x', options: { num_predict: 1e9, temperature: 0 } })

// These take as long as the server's patience; they run beside the others.
const slow = (async () => {
  const line = await raw(s), body = await raw(s)
  line.socket.write('GET / HTTP/1.1\r\nHost: local')
  body.socket.write(head('/api/chat', 1000) + '{"model":')
  const t0 = Date.now(), drip = setInterval(() => { line.socket.write('h'); body.socket.write(' ') }, 1000)
  await Promise.all([line.ended, body.ended])
  clearInterval(drip)
  return Date.now() - t0
})()

await test('bytes that are no request', async () => {
  for (const bytes of ['\r\n\r\n', '\0\0\0\0\r\n\r\n', 'GET\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc', 'POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n',
    'POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n', 'GET /%00%ff%zz HTTP/1.1\r\nHost: localhost\r\n\r\n', `GET /${'a'.repeat(100000)} HTTP/1.1\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: localhost\r\n${'X-A: b\r\n'.repeat(20000)}\r\n`]) {
    const c = await raw(s)
    c.socket.end(bytes, 'latin1')
    await until(`the connection ends after ${JSON.stringify(bytes.slice(0, 30))}`, () => c.closed)
    check(!/^HTTP\/1\.1 (200|500)/.test(c.text), `refused: ${c.text.slice(0, 40)}`)
    await alive()
  }
})

await test('bodies of every shape', async () => {
  const bodies = ['[]', '1', '"x"', 'null', '{"model":"tiny"', '{"model":"tiny",}', '{"model":"tiny","prompt":"\\ud800"}x', '{"model":1e999}', `{"model":"${'a'.repeat(100000)}"}`,
    '{"model":"tiny","messages":{}}', '{"model":"tiny","messages":[1]}', '{"model":"tiny","messages":[{"role":5}]}', '{"model":"tiny","messages":[{"role":"user","content":{}}]}',
    '{"model":"tiny","messages":[{"role":"assistant","tool_calls":[{}]}]}', '{"model":"tiny","messages":[{"role":"user","images":"x"}]}', '{"model":"ti\\u0000ny","messages":[]}',
    '{"model":"tiny","prompt":"x","options":[]}', '{"model":"tiny","prompt":"x","options":{"stop":[1]}}', '{"model":"tiny","prompt":"x","context":["a"]}', '{"model":"tiny","prompt":"x","context":[99999]}',
    '{"model":"tiny","prompt":"x","format":[1]}', '{"model":"tiny","input":{"a":1}}', '{"model":"tiny","input":"x","dimensions":-1}']
  for (const path of ['/api/generate', '/api/chat', '/api/embed', '/api/show', '/v1/chat/completions', '/v1/completions', '/v1/embeddings'])
    for (const body of bodies) {
      const r = await post(s, path, body)
      check(r.status < 500, `${path} ${body.slice(0, 60)}: ${r.status} ${r.text}`)
    }
})

await test('JSON 10,000 deep', async () => {
  for (const [open, close] of [['[', ']'], ['{"a":', '}']]) {
    const r = await post(s, '/api/chat', `{"model":"tiny","messages":${open.repeat(10000)}1${close.repeat(10000)}}`)
    equal(r.status, 400)
  }
})

await test('a body of 100 MB', async () => {
  const big = Buffer.alloc(100e6, 'a')
  equal((await post(s, '/api/generate', big)).status, 413)
  const waits = await raw(s)
  waits.socket.write(`POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\nExpect: 100-continue\r\n\r\n`)
  await until('it is refused before it is sent', () => waits.text.startsWith('HTTP/1.1 413'))
  const c = await raw(s)
  c.socket.write('POST /api/generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (let i = 0; i < 100; i++) c.socket.write(`f4240\r\n${big.subarray(0, 1e6)}\r\n`)
  c.socket.write('0\r\n\r\n')
  await until('an answer', () => c.text.includes('\r\n\r\n'))
  check(c.text.startsWith('HTTP/1.1 413'), c.text.slice(0, 40))
  waits.socket.destroy()
  c.socket.destroy()
})

await test('32 MiB are taken', async () => {
  const r = await post(s, '/api/chat', `{"model":"tiny","messages":[{"role":"user","content":"x"}],"stream":false,"options":{"num_predict":1},"zzz":"${'a'.repeat(32 << 20)}"}`)
  equal(r.status, 200)
})

await test('half-closed sockets', async () => {
  const a = await raw(s)
  a.socket.end('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await a.ended
  check(a.text.includes('Ollama is running'), 'a quick answer still comes')
  const b = await raw(s)
  b.socket.end(head('/api/generate', ask.length) + ask)
  await b.ended
  await until('nothing runs', async () => await running(s) === 0)
})

await test('a client that does not read', async () => {
  const c = await raw(s)
  c.socket.pause()
  c.socket.write(head('/api/generate', ask.length) + ask)
  await until('it runs', async () => await running(s) > 0)
  const r = await post(s, '/api/generate', { model: 'tiny', prompt: 'y', stream: false, options: { num_predict: 3 } })
  equal(r.status, 200)
  c.socket.destroy()
  await until('nothing runs', async () => await running(s) === 0)
})

await test('500 connections that say nothing', async () => {
  const all = await Promise.all(Array.from({ length: 500 }, () => raw(s)))
  await alive()
  for (const c of all) c.socket.destroy()
})

const proc = `/proc/${s.proc.pid}`
const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`${proc}/status`, 'utf8'))[1])
const files = () => readdirSync(`${proc}/fd`).length

async function mixed(n) {
  const kinds = [
    () => post(s, '/api/generate', { model: 'tiny', prompt: 'x', stream: false, options: { num_predict: 2 } }),
    () => post(s, '/api/chat', { model: 'tiny', messages: [{ role: 'user', content: 'hello' }], options: { num_predict: 3 } }),
    () => post(s, '/v1/chat/completions', { model: 'tiny', messages: [{ role: 'user', content: 'hello' }], stream: true, max_tokens: 2 }),
    () => post(s, '/api/embed', { model: 'tiny', input: 'abc' }),
    () => get(s, '/api/tags'), () => post(s, '/api/show', { model: 'tiny' }), () => post(s, '/api/generate', '{"model":'), () => get(s, '/metrics'),
    async () => { const c = await raw(s); c.socket.write(head('/api/generate', ask.length) + ask); await sleep(5); c.socket.destroy() },
  ]
  let next = 0
  await Promise.all(Array.from({ length: 8 }, async () => { while (next < n) await kinds[next++ % kinds.length]() }))
}

await test('memory and descriptors return to where they were', async () => {
  if (process.platform !== 'linux' || sanitized) return
  await mixed(600)
  await until('all is over', async () => await running(s) === 0)
  await sleep(200)
  const before = [rss(), files()]
  await mixed(10000)
  await until('all is over', async () => await running(s) === 0)
  await until(`no more than ${before[0]} KB and a tenth`, () => rss() < before[0] * 1.1 + 4096)
  await until(`no more than ${before[1]} files and two`, () => files() <= before[1] + 2)
})

await test('those who dawdle are let go', async () => {
  const ms = await slow
  check(ms > 20e3 && ms < 90e3, `${ms} ms`)
  await alive()
})

await finish()
