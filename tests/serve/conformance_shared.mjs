// The conformance reference of the HTTP API, section 2: shared rules. A test for each rule, named by its number.
import { join } from 'node:path'
import { check, dir, equal, finish, get, model, post, serve, stream, test } from './harness.mjs'
import { scripted } from './script.mjs'

const scripts = {
  default: 'Hello there, world!',
  think: '<think>\nHm, two and two.\n</think>\n\nIt is 4.',
  kept: 'System first, and the last.',
  utf8: 'Größe: 10 µm',
  nul: 'One\0two',
  split: 'Odd: fünf äöü',
}
const tiny = model('tiny')
const plain = scripted(join(dir, 'plain.gguf'), scripts)
const thinker = scripted(join(dir, 'thinker.gguf'), scripts, { thinks: true, whole: ['<think>', '</think>'] })
const goesOn = scripted(join(dir, 'on.gguf'), { default: 'never' }, { template: '{% for m in messages %}{{ m.content }}{% endfor %}.' }) // what follows a full stop has no end
const s = await serve([tiny, plain, thinker, goesOn, '--parallel', '2'])
const say = content => [{ role: 'user', content }]
const generate = (more = {}, options = {}) => post(s, '/api/generate', { model: 'tiny', prompt: 'Once', stream: false, ...more, options: { num_predict: 12, temperature: 0, ...options } })
const chat = (content, more = {}) => post(s, '/api/chat', { model: 'plain', messages: say(content), stream: false, ...more })
const greedy = (await generate()).json.response

await test('2.1 names of models', async () => {
  for (const name of ['tiny', 'tiny:latest', 'TINY', 'Tiny:LATEST', 'library/tiny', 'registry.ollama.ai/library/tiny:latest']) {
    const one = (await generate({ model: name })).json, lines = (await stream(s, '/api/chat', { model: name, messages: say('x'), options: { num_predict: 2 } })).lines
    equal([one.model, one.response], [name, greedy])
    check(lines.every(l => l.model === name), `the model is echoed as ${name}`)
    equal((await post(s, '/api/embed', { model: name, input: 'x' })).json.model, name)
    equal((await post(s, '/api/show', { model: name })).status, 200)
  }
  for (const name of ['tiny:other', 'other/tiny', 'example.com/library/tiny', 'tin', 'tiny2', '_x.y-z']) equal((await generate({ model: name })).status, 404, name)
  for (const name of ['ti ny', '-tiny', '.tiny', 'tiny:', ':latest', 'a.b/tiny', 'tiny/', '/tiny', 'tiny:a:b', 'tïny', 'x'.repeat(81), 'tiny\n', '../tiny']) equal((await generate({ model: name })).status, 400, name)
  equal((await generate({ model: 'x'.repeat(80) })).status, 404)
  equal((await get(s, '/api/tags')).json.models.map(m => m.name), ['tiny:latest', 'plain:latest', 'thinker:latest', 'on:latest'])
})

await test('2.2 leniency: unknown fields, null, roles, 10.0, name, parts, string arguments, one stop', async () => {
  const same = [
    { unknown: { deep: [1] } }, { system: null, template: null, context: null, images: null, format: null, think: null, keep_alive: null, raw: null, suffix: null, logprobs: null, top_logprobs: null, truncate: null, shift: null },
    { options: { num_predict: 12.0, temperature: 0, mystery: 'x', top_k: null, stop: null, seed: null } }]
  for (const more of same) equal((await post(s, '/api/generate', { model: 'tiny', prompt: 'Once', stream: false, options: { num_predict: 12, temperature: 0 }, ...more })).json.response, greedy, JSON.stringify(more))
  equal((await post(s, '/api/generate', '{"model":"tiny","prompt":"Once","stream":false,"options":{"num_predict":12.0,"temperature":0,"num_ctx":512.0}}')).json.eval_count, 12)
  equal((await post(s, '/api/generate', '{"model":"tiny","prompt":"Once","stream":false,"unknown":[18446744073709551615,-1e999,"\\ud83d 1e999 \\" 18446744073709551615"],"options":{"num_predict":12,"temperature":0,"zzz":1e999}}')).json.response, greedy, 'numbers of any size')
  equal((await post(s, '/api/generate', '{"model":"tiny","prompt":"Once","stream":null,"options":{"num_predict":2}}')).type, 'application/x-ndjson')
  for (const role of ['USER', 'User', 'wizard']) equal((await post(s, '/api/chat', { model: 'plain', messages: [{ role, content: 'utf8', unknown: 1 }], stream: false })).json.message.content, scripts.utf8, role)
  for (const path of ['/api/show', '/api/pull']) equal((await post(s, path, { name: 'tiny', stream: false })).status, 200, path)
  for (const path of ['/api/push', '/api/create']) equal((await post(s, path, { name: 'tiny' })).status, 501, path)
  equal((await chat([{ type: 'text', text: 'ut' }, { type: 'text', text: 'f8' }])).json.message.content, scripts.utf8)
  equal((await chat([])).status, 200)
  equal((await chat(null)).status, 200)
  const call = { role: 'assistant', content: '', tool_calls: [{ function: { name: 'f', arguments: '{"a":1}' } }] }
  equal((await post(s, '/api/chat', { model: 'plain', messages: [call, ...say('utf8')], stream: false })).json.message.content, scripts.utf8)
  equal((await chat('x', { options: { stop: ', w' } })).json.message.content, 'Hello there')
})

await test('2.3 timestamps', async () => {
  const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/
  const lines = (await stream(s, '/api/generate', { model: 'tiny', prompt: 'x', options: { num_predict: 3 } })).lines
  const all = [...lines.map(l => l.created_at), (await get(s, '/api/tags')).json.models[0].modified_at, (await post(s, '/api/show', { model: 'tiny' })).json.modified_at, (await get(s, '/api/ps')).json.models[0].expires_at]
  for (const t of all) check(form.test(t) && Number.isFinite(Date.parse(t)), t)
  check(Math.abs(Date.parse(lines[0].created_at) - Date.now()) < 60e3, 'now')
})

await test('2.4 stream: true under /api, false under /v1', async () => {
  const few = { options: { num_predict: 3 } }
  equal((await post(s, '/api/generate', { model: 'tiny', prompt: 'x', ...few })).type, 'application/x-ndjson')
  equal((await post(s, '/api/chat', { model: 'tiny', messages: say('x'), ...few })).type, 'application/x-ndjson')
  equal((await post(s, '/api/pull', { model: 'tiny' })).type, 'application/x-ndjson')
  check(/json/.test((await post(s, '/v1/chat/completions', { model: 'tiny', messages: say('x'), max_tokens: 3 })).type), 'chat/completions')
  check(/json/.test((await post(s, '/v1/completions', { model: 'tiny', prompt: 'x', max_tokens: 3 })).type), 'completions')
  const whole = (await generate()).json
  equal([whole.done, whole.eval_count, whole.response], [true, 12, greedy])
  equal((await stream(s, '/api/generate', { model: 'tiny', prompt: 'Once', options: { num_predict: 12, temperature: 0 } })).lines.map(l => l.response).join(''), greedy)
})

await test('2.5 options: meanings', async () => {
  const text = async (options, more) => (await generate(more, options)).json.response
  equal([(await generate()).json.done_reason, (await generate()).json.eval_count], ['length', 12])
  equal(await text({}), greedy, 'greedy is deterministic')
  for (const o of [{ top_k: 1 }, { top_p: 1e-6 }, { min_p: 1 }]) equal(await text({ temperature: 2, seed: 5, ...o }), greedy, JSON.stringify(o))
  const hot = { temperature: 2, top_k: 0, top_p: 1, seed: 5 }
  equal(await text(hot), await text(hot), 'a seed repeats the text')
  check(new Set([await text(hot), await text({ ...hot, seed: 6 }), await text({ ...hot, seed: 7 })]).size > 1, 'other seeds give other texts')
  check(new Set([await text({ ...hot, seed: -1 }), await text({ ...hot, seed: -1 }), await text({ ...hot, seed: -1 })]).size > 1, '-1 is random')
  equal(await text({ ...hot, typical_p: 1, min_p: 0 }), await text(hot), 'what is off changes nothing')
  equal(await text({ ...hot, repeat_penalty: 50, repeat_last_n: 0 }), await text(hot), 'repeat_last_n 0 is off')
  const kinds = async o => new Set((await generate({ logprobs: true }, { num_predict: 80, ...o })).json.logprobs.map(e => e.token)).size
  const usual = await kinds({})
  check(usual < 60, `a greedy text repeats itself: ${usual} of 80 tokens differ`)
  for (const o of [{ repeat_penalty: 100 }, { repeat_penalty: 100, repeat_last_n: -1 }, { presence_penalty: 90 }, { frequency_penalty: 90 }]) check(await kinds(o) > usual, JSON.stringify(o))
  equal((await generate({}, { num_ctx: 1e9 })).status, 200, 'num_ctx is clamped from above')
  const least = await generate({ raw: true, prompt: 'one two three four five six seven' }, { num_ctx: 1, num_predict: 1 })
  equal([least.status, least.json.prompt_eval_count], [200, 4], 'num_ctx is at least 4')
  equal((await generate({}, { num_keep: 2, num_batch: 1, num_gpu: 0, main_gpu: 0, num_thread: 1, use_mmap: false, draft_num_predict: 3, num_predict: 2 })).status, 200)
  const kept = (await post(s, '/api/generate', { model: 'on', prompt: 'x', stream: false, options: { num_ctx: 16, num_predict: -1, temperature: 0 } })).json
  equal(kept.done_reason, 'length', 'a text without end is bounded')
})

await test('2.5 a seed repeats the text, alone and beside 31 others', async () => {
  const t = await serve([tiny, '--parallel', '32']), seeds = Array.from({ length: 32 }, (_, i) => i), alone = []
  const ask = async seed => (await post(t, '/api/generate', { model: 'tiny', prompt: 'word '.repeat(seed % 7 + 1), stream: false, options: { seed, temperature: 1.3, num_predict: 24 } })).json.response
  for (const seed of seeds) alone.push(await ask(seed))
  equal(await Promise.all(seeds.map(ask)), alone)
  await t.stop()
})

await test('2.5 options: types', async () => {
  for (const [key, value, type] of [['temperature', 'hot', 'float32'], ['top_p', true, 'float32'], ['num_predict', '5', 'integer'], ['seed', 1.5, 'integer'], ['top_k', [], 'integer'], ['use_mmap', 1, 'boolean'], ['num_gpu', 'x', 'integer'], ['stop', 5, 'array']]) {
    const r = await generate({}, { [key]: value })
    check([400, 500].includes(r.status), `${key}: ${r.status}`)
    equal(r.json.error, `option "${key}" must be of type ${type}`)
  }
})

await test('2.6 stop strings: over token borders, held back, not output', async () => {
  for (const [stop, want] of [['there', 'Hello '], [', w', 'Hello there'], ['lo there, wor', 'Hel'], ['!', 'Hello there, world'], ['H', '']]) {
    const r = await stream(s, '/api/chat', { model: 'plain', messages: say('x'), options: { stop: ['never', stop] } })
    equal([r.lines.map(l => l.message.content).join(''), r.lines.at(-1).done_reason], [want, 'stop'], stop)
    equal((await chat('x', { options: { stop: [stop] } })).json.message.content, want, stop)
  }
  for (const stop of ['worlds', 'world!!', 'xHello', 'there\0', '\0']) equal((await chat('x', { options: { stop: [stop] } })).json.message.content, scripts.default, `${stop} does not come`)
  equal((await chat('nul', { options: { stop: ['\0x', '\0t'] } })).json.message.content, 'One', 'a NUL is a character')
  check(!/<\|/.test((await chat('x')).text), 'no marker')
  const t = await serve([1, 4].map(type => scripted(join(dir, `end${type}.gguf`), scripts, { ends: ['END', type] })))
  for (const name of ['end1', 'end4']) equal((await post(t, '/api/chat', { model: name, messages: say('x'), stream: false })).json.message.content, scripts.default, 'an end token that is not marked as a control token')
  await t.stop()
})

await test('2.7 keep_alive', async () => {
  const until = async keep => {
    equal((await post(s, '/api/generate', { model: 'tiny', prompt: '', keep_alive: keep })).status, 200, String(keep))
    const m = (await get(s, '/api/ps')).json.models.find(x => x.name === 'tiny:latest')
    return m && (Date.parse(m.expires_at) - Date.now()) / 1000
  }
  for (const [keep, seconds] of [[60, 60], [90.0, 90], ['10m', 600], ['1h30m', 5400], ['2h', 7200], ['1.5m', 90]]) check(Math.abs(await until(keep) - seconds) < 20, `${keep}`)
  for (const keep of [-1, '-1s', '-5m', -0.5]) check(await until(keep) > 1e9, `${keep} is for ever`)
  await generate({ keep_alive: '7m' })
  check(Math.abs(await until(null) - 300) < 20, '5m where nothing is said')
  for (const keep of ['soon', '5', '', '10 m', true, {}, []]) equal((await post(s, '/api/generate', { model: 'tiny', prompt: '', keep_alive: keep })).status, 400, JSON.stringify(keep))
  for (const path of ['/api/chat', '/api/embed', '/api/embeddings']) equal((await post(s, path, { model: 'tiny', keep_alive: 'soon' })).status, 400, path)
  await post(s, '/api/embed', { model: 'tiny', input: 'x', keep_alive: '3h' })
  check(Date.parse((await get(s, '/api/ps')).json.models.find(x => x.name === 'tiny:latest').expires_at) > Date.now() + 10e6, 'embed moves it, too')
  for (const keep of [0, '0', '0s']) equal((await post(s, '/api/generate', { model: 'tiny', keep_alive: keep })).json.done_reason, 'unload', `${keep}`)
  equal((await generate({ keep_alive: '300ms' })).status, 200)
})

await test('2.8 think', async () => {
  const ask = more => post(s, '/api/chat', { model: 'thinker', messages: say('think'), stream: false, ...more })
  for (const think of [undefined, null, true, 'low', 'medium', 'high', 'max']) {
    const r = (await ask({ think })).json
    equal(r.message, { role: 'assistant', content: 'It is 4.', thinking: 'Hm, two and two.' }, `think ${think}`)
    check(r.eval_count > 10, 'eval_count counts both')
  }
  const g = (await stream(s, '/api/generate', { model: 'thinker', prompt: 'think' })).lines
  equal([g.map(l => l.thinking ?? '').join(''), g.map(l => l.response).join('')], ['Hm, two and two.', 'It is 4.'])
  const off = scripted(join(dir, 'off.gguf'), { default: 'mute', a: 'first<|on|>thinks', b: 'other<|off|>answers' },
    { whole: ['<|on|>', '<|off|>', '<think>', '</think>'], template: '{% for m in messages %}{{ m.content }}{% endfor %}<think></think>{{ "<|off|>" if enable_thinking is defined and not enable_thinking else "<|on|>" }}' })
  const t = await serve([off])
  for (const [think, want] of [[false, 'answers'], [true, 'thinks'], [undefined, 'thinks']]) equal((await post(t, '/api/chat', { model: 'off', messages: say('x'), think, stream: false })).json.message.content, want, `the template is asked with ${think}`)
  await t.stop()
  const channels = scripted(join(dir, 'channels.gguf'), { default: '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.' },
    { template: '{% if false %}<|channel|><|message|>{% endif %}{% for m in messages %}{{ m.content }}{% endfor %}>' })
  const u = await serve([channels])
  const { thinking, content } = (await post(u, '/api/chat', { model: 'channels', messages: say('x'), stream: false })).json.message
  equal([thinking, content], ['Hm.', 'Yes.'], 'channels, of a model without tools, too')
  await u.stop()
  for (const think of ['deep', '', 1, {}]) {
    const r = await ask({ think })
    equal(r.status, 400, `think ${JSON.stringify(think)}`)
    check(r.json.error.includes('think'), r.json.error)
  }
  for (const think of [true, 'high']) {
    const r = await chat('x', { model: 'PLAIN', think })
    equal([r.status, r.json.error], [400, '"PLAIN" does not support thinking'])
  }
  equal((await chat('x', { think: false })).json.message, { role: 'assistant', content: scripts.default })
})

const shapes = [
  [{ type: 'object', properties: { a: { type: 'integer' }, b: { enum: ['x', 'y'] }, c: { const: 5 } }, required: ['a', 'b', 'c'], additionalProperties: false }, v => Number.isInteger(v.a) && 'xy'.includes(v.b) && v.c === 5 && Object.keys(v).length === 3],
  [{ type: 'array', items: { type: 'boolean' }, minItems: 2, maxItems: 3 }, v => Array.isArray(v) && v.length >= 2 && v.length <= 3 && v.every(x => typeof x === 'boolean')],
  [{ anyOf: [{ type: 'null' }, { type: 'object', properties: { n: { $ref: '#/$defs/small' } }, required: ['n'], additionalProperties: false }], $defs: { small: { type: 'integer', minimum: 1, maximum: 9 } } }, v => v === null || (v.n >= 1 && v.n <= 9)],
  [{ type: 'object', properties: { p: { type: 'object', properties: { q: { type: 'array', items: { type: 'object', properties: { r: { type: 'string', maxLength: 3 } }, required: ['r'], additionalProperties: false }, minItems: 1, maxItems: 2 } }, required: ['q'], additionalProperties: false } }, required: ['p'], additionalProperties: false }, v => v.p.q.every(x => typeof x.r === 'string' && x.r.length <= 3)],
]

await test('2.9 format: json, schemas, and what is neither', async () => {
  for (const [schema, ok] of shapes)
    for (const seed of [1, 2]) {
      const r = (await generate({ format: schema }, { temperature: 1, seed, num_predict: 300 })).json
      check(r.done_reason === 'length' || ok(JSON.parse(r.response)), `${JSON.stringify(schema)}: ${JSON.stringify(r)}`)
    }
  for (const seed of [1, 2, 3]) {
    const r = (await generate({ format: 'json' }, { temperature: 1, seed, num_predict: 400 })).json
    if (r.done_reason === 'stop') check(JSON.parse(r.response).constructor === Object, r.response)
    else check(r.response.trimStart().startsWith('{'), r.response)
  }
  equal((await generate({ format: shapes[0][0] }, { num_predict: 3 })).json.done_reason, 'length')
  for (const format of [null, '']) equal((await generate({ format })).json.response, greedy, JSON.stringify(format))
  for (const format of ['xml', 5, [], true, { type: 'nonsense' }]) {
    const r = await generate({ format })
    check([400, 500].includes(r.status) && /^invalid format: .*; expected "json" or a valid JSON Schema object$/.test(r.json.error), `${JSON.stringify(format)}: ${r.text}`)
  }
  const t = (await post(s, '/api/chat', { model: 'thinker', messages: say('think'), stream: false, format: shapes[0][0], options: { num_predict: 300, seed: 1 } })).json
  equal(t.message.thinking, 'Hm, two and two.')
  equal(t.done_reason, 'stop', t.message.content)
  check(shapes[0][1](JSON.parse(t.message.content)), t.message.content)
})

await test('2.10 long prompts: truncate and shift', async () => {
  const system = { role: 'system', content: 'Always here.' }
  const many = [system, ...Array.from({ length: 60 }, (_, i) => ({ role: i % 2 ? 'assistant' : 'user', content: `message number ${i} with some words` })), ...say('kept')]
  const ask = (messages, options, more) => post(s, '/api/chat', { model: 'plain', messages, stream: false, options, ...more })
  const r = (await ask(many, { num_ctx: 512 })).json
  equal(r.message.content, scripts.kept, 'the last message stays')
  check(r.prompt_eval_count > 400 && r.prompt_eval_count <= 512, `${r.prompt_eval_count} tokens`)
  const no = await ask(many, { num_ctx: 512 }, { truncate: false })
  equal(no.status, 400)
  check(/^prompt too long; exceeded max context length \(\d+ > 512 tokens\)$/.test(no.json.error), no.json.error)
  const o = await post(s, '/v1/chat/completions', { model: 'plain', messages: many, truncate: false, options: { num_ctx: 512 } })
  check(o.status === 400 && /^prompt too long; exceeded max context length/.test(o.json.error.message), o.text)
  const one = (await generate({ raw: true, prompt: 'word '.repeat(600) }, { num_ctx: 128, num_predict: 2 })).json
  equal([one.prompt_eval_count, one.eval_count], [128, 2])
  const text = Array.from({ length: 300 }, (_, i) => `word${i}`).join(' '), tokens = async options => (await generate({ prompt: text }, { num_predict: 1, ...options })).json.context.slice(0, -1)
  const all = await tokens({}), some = await tokens({ num_ctx: 128, num_keep: 9 })
  equal(some, [...all.slice(0, 9), ...all.slice(9 - 128)], 'what follows the first num_keep tokens is lost')
  const on = more => post(s, '/api/generate', { model: 'on', prompt: 'x', stream: false, options: { num_ctx: 64, num_predict: 200, temperature: 0 }, ...more })
  const shifted = (await on({})).json, stopped = (await on({ shift: false })).json
  equal(shifted.done_reason, 'length')
  equal(shifted.eval_count, 200, 'it goes on')
  equal(stopped.done_reason, 'length')
  check(stopped.eval_count < 64, `${stopped.eval_count} tokens`)
})

await test('2.10 system messages are kept', async () => {
  const t = await serve([scripted(join(dir, 'roles.gguf'), { default: 'no', 'system system user': 'both stay' }, { template: `{% for m in messages %}{{ m.role + ": " + m.content + "\n" }}{% endfor %}{{ "<|say " + (messages | map(attribute='role') | join(' ')) + "|>" }}` })])
  const words = 'many words here '.repeat(8)
  const messages = [{ role: 'system', content: 'a' }, ...Array.from({ length: 20 }, (_, i) => ({ role: i % 2 ? 'assistant' : 'user', content: words })), { role: 'system', content: 'b' }, ...say(words)]
  equal((await post(t, '/api/chat', { model: 'roles', messages, stream: false, options: { num_ctx: 200 } })).json.message.content, 'both stay')
  await t.stop()
})

const metrics = ['total_duration', 'load_duration', 'prompt_eval_count', 'prompt_eval_duration', 'eval_count', 'eval_duration']
await test('2.11 final metrics', async () => {
  const body = { model: 'tiny', prompt: 'Once more', options: { num_predict: 5 } }
  for (let i = 0; i < 2; i++) { // the second time the prompt is cached
    const lines = (await stream(s, '/api/generate', body)).lines, last = lines.pop()
    for (const k of metrics) {
      check(Number.isInteger(last[k]) && last[k] > 0, `${k} is ${last[k]}`)
      check(lines.every(l => !(k in l)), `${k} is in the last chunk only`)
    }
    check(last.total_duration >= last.prompt_eval_duration + last.eval_duration - 1e6, JSON.stringify(last))
    equal(last.eval_count, 5)
    if (i) equal(last.prompt_eval_count, (await post(s, '/api/generate', { ...body, stream: false })).json.prompt_eval_count)
  }
  const whole = (await chat('x')).json
  for (const k of metrics) check(whole[k] > 0, `${k} is ${whole[k]}`)
})

await test('2.12 done_reason', async () => {
  const lines = (await stream(s, '/api/chat', { model: 'plain', messages: say('x') })).lines
  check(lines.slice(0, -1).every(l => l.done === false && !('done_reason' in l)), 'only with done')
  equal(lines.at(-1).done_reason, 'stop')
  equal((await generate()).json.done_reason, 'length')
  equal((await post(s, '/api/chat', { model: 'plain', messages: [] })).json.done_reason, 'load')
  equal((await post(s, '/api/chat', { model: 'plain', messages: [], keep_alive: 0 })).json.done_reason, 'unload')
})

// With tools, texts that may begin a call are held back, too.
await test('2.13 logprobs are of the text that is given out, and come with it', async () => {
  const size = text => Buffer.byteLength(text), entries = lines => lines.flatMap(l => l.logprobs ?? [])
  for (const tools of [[], [{ type: 'function', function: { name: 'f', parameters: {} } }]]) for (const [model, word] of [['plain', 'x'], ['plain', 'split'], ['thinker', 'think']]) {
    const ask = { model, messages: say(word), logprobs: true, tools }, { logprobs: all, message: { content } } = (await post(s, '/api/chat', { ...ask, stream: false })).json
    const written = scripts[word] ?? scripts.default, start = size(written) - size(content)
    equal(Buffer.from(all.flatMap(e => e.bytes)).toString(), written)
    const upTo = text => { // the entries of tokens that begin before its end
      let at = 0
      return all.filter(e => (at += e.bytes.length) - e.bytes.length < start + size(text))
    }
    for (let i = 0; i < content.length; i++) {
      const stop = content.slice(i, i + 3), options = { stop: [stop] }, want = upTo(content.slice(0, content.indexOf(stop))), what = `${model} ${tools.length} '${stop}'`
      equal((await post(s, '/api/chat', { ...ask, stream: false, options })).json.logprobs ?? [], want, what)
      const { lines } = await stream(s, '/api/chat', { ...ask, options })
      equal(entries(lines), want, `streamed ${what}`)
      if (model === 'plain') for (let n = 1; n < lines.length; n++) equal(entries(lines.slice(0, n)).length, upTo(lines.slice(0, n).map(l => l.message.content).join('')).length, `${n} of ${what}`)
    }
  }
})

await test('2.13 logprobs', async () => {
  const body = { model: 'tiny', prompt: 'Once', options: { num_predict: 6, temperature: 0 }, logprobs: true, top_logprobs: 3 }
  const whole = (await post(s, '/api/generate', { ...body, stream: false })).json, lines = (await stream(s, '/api/generate', body)).lines
  const streamed = lines.flatMap(l => l.logprobs ?? [])
  equal([whole.logprobs.length, streamed.length], [6, 6])
  equal(streamed.map(e => e.token), whole.logprobs.map(e => e.token))
  for (const e of whole.logprobs) {
    check(typeof e.token === 'string' && e.logprob <= 0 && Buffer.from(e.bytes).toString() === e.token, JSON.stringify(e))
    equal(e.top_logprobs.length, 3)
    equal([e.top_logprobs[0].token, e.top_logprobs[0].logprob], [e.token, e.logprob], 'greedy takes the first')
    check(e.top_logprobs.every((t, i) => i === 0 || t.logprob <= e.top_logprobs[i - 1].logprob), 'sorted')
  }
  equal(whole.logprobs.map(e => e.token).join(''), whole.response)
  check((await post(s, '/api/generate', { ...body, top_logprobs: 0, stream: false })).json.logprobs.every(e => !('top_logprobs' in e)), 'only when asked for')
  check(!('logprobs' in (await generate()).json), 'only when asked for')
  const c = (await chat('x', { logprobs: true, top_logprobs: 20 })).json
  check(c.logprobs.every(e => e.top_logprobs.length === 20), '20 are possible')
  for (const n of [-1, 21]) {
    const r = await generate({ logprobs: true, top_logprobs: n })
    equal([r.status, r.json.error], [400, 'top_logprobs must be between 0 and 20'])
  }
})

await finish()
