// hy serve with a model that says what is written here: tools, thinking, format, stop strings over tokens, long prompts.
import { join } from 'node:path'
import { check, dir, equal, finish, model, post, serve, stream, test } from './harness.mjs'
import { scripted } from './script.mjs'

const call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 3, "deep": {"a": [1.5, null, true]}}}\n</tool_call>'
const scripts = {
  default: 'Hello there, world!',
  weather: `Let me look. ${call}`,
  twice: '<tool_call>{"name":"add","arguments":{"a":1}}</tool_call>\n<tool_call>{"name":"mul","arguments":{"b":2}}</tool_call>',
  stranger: 'As in <tool_call>{"name":"unknown_tool","arguments":{}}</tool_call> there.',
  broken: 'It begins <tool_call>{"name": "add", "argum',
  think: '<think>\nHm, two and two.\n</think>\n\nIt is 4.',
  utf8: 'Größe: 10 µm, \u{1F600}\u{1F680} und 漢字 fertig',
}
const plain = scripted(join(dir, 'plain.gguf'), scripts)
const thinker = scripted(join(dir, 'thinker.gguf'), scripts, { thinks: true, whole: ['<think>', '</think>'] })
const s = await serve([plain, thinker, model('tiny'), '--parallel', '2'])

const tool = name => ({ type: 'function', function: { name, description: 'd', parameters: { $schema: 'x', type: ['object'], additionalProperties: false, properties: { a: { anyOf: [{ const: 1 }] } } }, strict: true } })
const tools = ['get_weather', 'add', 'mul'].map(tool)
const say = content => [{ role: 'user', content }]
const chat = (content, more = {}) => post(s, '/api/chat', { model: 'plain', messages: say(content), stream: false, ...more })

await test('a tool call is sent whole, once, beside the text before it', async () => {
  const whole = (await chat('weather', { tools })).json
  equal(whole.message.content, 'Let me look.')
  equal(whole.message.tool_calls.map(c => [c.function.index, c.function.name, c.function.arguments]), [[0, 'get_weather', { city: 'Paris', days: 3, deep: { a: [1.5, null, true] } }]])
  check(/^call_[a-z0-9]{8}$/.test(whole.message.tool_calls[0].id), 'an id')
  equal(whole.done_reason, 'stop')
  const r = await stream(s, '/api/chat', { model: 'plain', messages: say('weather'), tools })
  equal(r.lines.map(l => l.message.content).join(''), 'Let me look.')
  equal(r.lines.flatMap(l => l.message.tool_calls ?? []).map(c => c.function.arguments.city), ['Paris'])
})

await test('several calls, and texts that only look like one', async () => {
  const two = (await chat('twice', { tools })).json.message
  equal(two.tool_calls.map(c => [c.function.index, c.function.name]), [[0, 'add'], [1, 'mul']])
  check(two.tool_calls[0].id !== two.tool_calls[1].id, 'different ids')
  equal((await chat('stranger', { tools })).json.message, { role: 'assistant', content: scripts.stranger })
  equal((await chat('broken', { tools })).json.message, { role: 'assistant', content: scripts.broken })
  equal((await chat('weather')).json.message, { role: 'assistant', content: scripts.weather })
  const cut = (await chat('weather', { tools, options: { num_predict: 30 } })).json
  equal([cut.done_reason, cut.message.tool_calls], ['length', undefined])
})

await test('the history of calls and results is rendered', async () => {
  const messages = [...say('x'), { role: 'assistant', content: '', tool_calls: [{ function: { name: 'add', arguments: { a: 1 } } }] }, { role: 'tool', tool_name: 'add', content: 'utf8' }]
  equal((await post(s, '/api/chat', { model: 'plain', messages, tools, stream: false })).json.message.content, scripts.utf8)
})

await test('OpenAI: arguments are a string, finish_reason tool_calls', async () => {
  const body = { model: 'plain', messages: say('weather'), tools }
  const c = (await post(s, '/v1/chat/completions', body)).json.choices[0]
  equal([c.finish_reason, c.message.tool_calls[0].type], ['tool_calls', 'function'])
  equal(JSON.parse(c.message.tool_calls[0].function.arguments).days, 3)
  const r = await stream(s, '/v1/chat/completions', { ...body, stream: true })
  const chunks = r.lines.slice(0, -1).map(l => l.choices[0])
  equal(chunks.flatMap(x => x.delta.tool_calls ?? []).map(x => [x.index, x.function.name]), [[0, 'get_weather']])
  equal(chunks.at(-1).finish_reason, 'tool_calls')
  equal((await post(s, '/v1/chat/completions', { ...body, tool_choice: 'none' })).json.choices[0].message.content, scripts.weather)
})

await test('thinking goes to its own field', async () => {
  const ask = more => post(s, '/api/chat', { model: 'thinker', messages: say('think'), stream: false, ...more })
  equal((await ask({})).json.message, { role: 'assistant', content: 'It is 4.', thinking: 'Hm, two and two.' })
  const r = await stream(s, '/api/generate', { model: 'thinker', prompt: 'think', think: 'high' })
  equal([r.lines.map(l => l.thinking ?? '').join(''), r.lines.map(l => l.response).join('')], ['Hm, two and two.', 'It is 4.'])
  const o = await stream(s, '/v1/chat/completions', { model: 'thinker', messages: say('think'), stream: true })
  const deltas = o.lines.slice(0, -1).map(l => l.choices[0].delta)
  equal([deltas.map(d => d.reasoning ?? '').join(''), deltas.map(d => d.content ?? '').join('')], ['Hm, two and two.', 'It is 4.'])
  const no = await chat('think', { think: true })
  equal([no.status, no.json.error], [400, '"plain" does not support thinking'])
  equal((await chat('x', { think: false })).status, 200)
  equal((await post(s, '/api/chat', { model: 'tiny', messages: say('x'), tools, stream: false })).json.error, '"tiny" does not support tools')
})

await test('characters are whole in every chunk', async () => {
  const r = await stream(s, '/api/chat', { model: 'plain', messages: say('utf8') })
  check(!r.text.includes('\ufffd') && r.lines.length > 1, 'no broken character') // pieces are merged when the reader is slower
  equal(r.lines.map(l => l.message.content).join(''), scripts.utf8)
})

await test('stop strings match over token borders', async () => {
  for (const stop of ['there', ', w', 'lo there, wor', '!']) {
    const r = await stream(s, '/api/chat', { model: 'plain', messages: say('x'), options: { stop: [stop] } })
    equal(r.lines.map(l => l.message.content).join(''), scripts.default.slice(0, scripts.default.indexOf(stop)), stop)
  }
  equal((await chat('x', { options: { stop: ['worlds'] } })).json.message.content, scripts.default)
})

const shape = { type: 'object', properties: { name: { type: 'string', maxLength: 8 }, n: { type: 'integer', minimum: 0, maximum: 99 }, kind: { enum: ['a', 'b'] } }, required: ['name', 'n', 'kind'], additionalProperties: false }

await test('format: json and a schema bind what a random model writes', async () => {
  for (let seed = 0; seed < 5; seed++) {
    const options = { seed, num_predict: 400 }
    const ask = format => post(s, '/api/generate', { model: 'tiny', prompt: 'x', stream: false, format, options })
    const j = (await ask('json')).json
    check(j.done_reason === 'length' || typeof JSON.parse(j.response) === 'object', j.response)
    const o = (await ask(shape)).json, v = JSON.parse(o.response)
    equal([o.done_reason, Object.keys(v)], ['stop', ['name', 'n', 'kind']])
    check(v.n >= 0 && v.n <= 99 && ['a', 'b'].includes(v.kind) && [...v.name].length <= 8, o.response)
  }
  const open = (await post(s, '/v1/chat/completions', { model: 'tiny', messages: say('x'), max_tokens: 400, response_format: { type: 'json_schema', json_schema: { name: 'n', schema: shape } } })).json
  equal(Object.keys(JSON.parse(open.choices[0].message.content)), ['name', 'n', 'kind'])
  equal((await chat('x', { format: { type: 'nonsense' } })).status, 400)
})

await test('format binds the answer, not the thinking', async () => {
  const r = (await post(s, '/api/chat', { model: 'thinker', messages: say('think'), stream: false, format: shape, options: { num_predict: 300 } })).json
  equal(r.message.thinking, 'Hm, two and two.')
  equal(Object.keys(JSON.parse(r.message.content)), ['name', 'n', 'kind'])
})

await test('long chats lose their oldest messages, never the system message or the last', async () => {
  const system = { role: 'system', content: 'Keep me.' }
  const messages = [system, ...Array.from({ length: 60 }, (_, i) => ({ role: i % 2 ? 'assistant' : 'user', content: `message number ${i} with some words` })), ...say('utf8')]
  const r = await post(s, '/api/chat', { model: 'plain', messages, stream: false, options: { num_ctx: 512 } })
  equal([r.status, r.json.message.content], [200, scripts.utf8])
  check(r.json.prompt_eval_count <= 512 && r.json.prompt_eval_count > 300, `${r.json.prompt_eval_count} tokens`)
  const no = await post(s, '/api/chat', { model: 'plain', messages, truncate: false, options: { num_ctx: 512 } })
  equal(no.status, 400)
  check(/^prompt too long; exceeded max context length \(\d+ > 512 tokens\)$/.test(no.json.error), no.json.error)
  const one = (await chat('a'.repeat(3000), { options: { num_ctx: 256, num_predict: 3 } })).json
  equal([one.prompt_eval_count, one.eval_count], [256, 3])
})

await test('a full context shifts, or ends the text', async () => {
  const ask = async (seed, more) => (await post(s, '/api/generate', { model: 'tiny', prompt: 'x', stream: false, options: { num_ctx: 128, num_predict: 300, seed }, ...more })).json
  let seed = 0 // of a text that does not end by itself
  while ((await ask(seed)).eval_count < 300) check(++seed < 100, 'no text goes on')
  const r = await ask(seed, { shift: false })
  check(r.done_reason === 'length' && r.prompt_eval_count + r.eval_count <= 129, `${r.prompt_eval_count} + ${r.eval_count}`)
})

await finish()
