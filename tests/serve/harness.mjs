// What the tests of hy serve share: generated models, a server in its own process, requests, verdicts.
// A test prints "ok NAME" or "FAIL NAME: why"; finish() ends the process with 1 when one failed.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const HY = process.env.HY ?? 'build/release/hy'
const GEN = process.env.GEN ?? 'build/release/hy-genmodel'
export const sanitized = /san|race/.test(HY) // other memory habits
export const dir = mkdtempSync(join(tmpdir(), 'hy-serve-'))
const PATIENCE_MS = sanitized ? 240e3 : 60e3 // nothing here takes a second, but a busy machine may stall for many
const servers = new Set()
let failures = 0
process.on('exit', () => { for (const s of servers) s.proc.kill('SIGKILL') }) // also after an error of the test itself

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

// A random model; options as hy-genmodel takes them, without the dashes.
export function model(name, options = {}) {
  const path = join(dir, `${name}.gguf`)
  const all = { arch: 'qwen3', type: 'Q8_0', seed: 1, 'n-ctx': 2048, ...options }
  const words = Object.entries(all).flatMap(([k, v]) => [`--${k}`, String(v)])
  const r = spawnSync(GEN, [...words, '-o', path], { encoding: 'utf8' })
  if (r.status !== 0) throw new Error(`hy-genmodel: ${r.stderr}`)
  return path
}

// Starts a server on a free port; env holds further variables. Resolves when it listens. One thread unless the test says otherwise:
// threads that wait for each other crawl on a machine whose cores have other work, too.
export function serve(args, env = {}) {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([k]) => !k.startsWith('OLLAMA_')))
  const proc = spawn(HY, ['serve', ...(args.includes('--threads') ? [] : ['--threads', '1']), ...args, '--port', '0'], { env: { ...clean, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const s = { proc, out: '', err: '', port: 0, url: '', exit: null }
  servers.add(s)
  s.ended = new Promise(resolve => proc.on('exit', (code, signal) => { s.exit = code ?? signal; resolve(s.exit) }))
  proc.on('exit', () => { if (/Sanitizer|runtime error/.test(s.err)) { failures++; console.log(`FAIL sanitizer: ${s.err}`) } })
  s.stop = async () => { proc.kill('SIGTERM'); await sleep(20); if (s.exit === null) proc.kill('SIGTERM'); const code = await s.ended; servers.delete(s); return code }
  proc.stderr.on('data', d => { s.err += d })
  return new Promise((resolve, reject) => {
    proc.on('exit', () => reject(new Error(`hy serve ended: ${s.err}`)))
    proc.stdout.on('data', d => {
      s.out += d
      const m = /endpoint {2}(http:\/\/\S+:(\d+))/.exec(s.out)
      if (!m || s.port || !s.out.includes('/hy\n')) return
      s.url = m[1]
      s.port = Number(m[2])
      resolve(s)
    })
  })
}

// One request over node's own client: {status, headers, text, json (undefined when the body is none)}.
export function request(s, method, path, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const data = body === undefined ? undefined : typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
    const req = http.request({ host: '127.0.0.1', port: s.port, method, path, agent: false, headers: data === undefined ? headers : { 'Content-Length': Buffer.byteLength(data), ...headers } }, res => {
      const parts = []
      res.on('data', d => parts.push(d))
      res.on('end', () => {
        const text = Buffer.concat(parts).toString('utf8')
        let json
        try { json = JSON.parse(text) } catch {}
        resolve({ status: res.statusCode, headers: res.headers, type: res.headers['content-type'] ?? '', text, json })
      })
      res.on('error', reject)
    })
    req.on('error', reject)
    req.end(data)
  })
}
export const get = (s, path, headers) => request(s, 'GET', path, undefined, headers)
export const post = (s, path, body, headers) => request(s, 'POST', path, body, headers)

// A streamed answer, piece by piece; call close() to go away. lines: NDJSON objects, or SSE data.
export async function stream(s, path, body) {
  const r = await post(s, path, body)
  if (r.type.startsWith('text/event-stream')) {
    const events = r.text.split('\n\n').filter(e => e && !e.startsWith(':'))
    for (const e of events) check(e.startsWith('data: '), `an event is '${e}'`)
    r.lines = events.map(e => e.slice(6)).map(e => e === '[DONE]' ? e : JSON.parse(e))
  } else {
    check(r.text.endsWith('\n') && !r.text.includes('\n\n'), 'NDJSON has one object a line')
    r.lines = r.text.trimEnd().split('\n').map(l => JSON.parse(l))
  }
  return r
}

// A connection to write bytes to; text is what has come back.
export function raw(s) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(s.port, '127.0.0.1')
    const c = { socket, text: '', closed: false }
    c.ended = new Promise(done => socket.on('close', () => { c.closed = true; done() }))
    socket.on('data', d => { c.text += d.toString('latin1') })
    socket.on('error', () => {})
    socket.on('connect', () => resolve(c))
    setTimeout(() => reject(new Error('no connection')), PATIENCE_MS).unref()
  })
}

export const state = async s => (await get(s, '/hy/state')).json
export const running = async s => (await state(s)).models.reduce((n, m) => n + (m.running ?? 0) + (m.waiting ?? 0), 0)

// Waits until the condition holds; throws when it never does. What must end by itself is proved with work that has no end of
// its own, not with a short limit.
export async function until(what, condition) {
  const end = Date.now() + PATIENCE_MS
  while (!await condition()) {
    if (Date.now() > end) throw new Error(`${what}: not within ${PATIENCE_MS} ms`)
    await sleep(10)
  }
}

// Asks until an answer comes within a second; one that always waits for something never does.
export const quick = (what, ask) => until(`${what} within a second`, async () => {
  const from = Date.now()
  equal((await ask()).status, 200, what)
  return Date.now() - from < 1000
})

export function check(ok, why) { if (!ok) throw new Error(why) }
export function equal(a, b, what = 'value') {
  const x = JSON.stringify(a), y = JSON.stringify(b)
  if (x !== y) throw new Error(`${what} is ${x}, not ${y}`)
}

export async function test(name, body) {
  try {
    await body()
    console.log(`ok ${name}`)
  } catch (e) {
    failures++
    console.log(`FAIL ${name}: ${e.message}`)
    if (process.env.HY_TEST_VERBOSE) console.log(e.stack)
  }
}

// Servers end as a user would end them, so that a leak checker has its say.
export async function finish() {
  for (const s of servers) {
    const late = setTimeout(() => s.proc.kill('SIGKILL'), PATIENCE_MS)
    await s.stop()
    clearTimeout(late)
  }
  rmSync(dir, { recursive: true, force: true })
  process.exit(failures ? 1 : 0)
}
