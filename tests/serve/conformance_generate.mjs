// The conformance reference of the HTTP API, section 4: generate and chat. Tests are numbered in the reference's order.
import { join } from 'node:path'
import { check, dir, equal, finish, get, model, post, serve, stream, test } from './harness.mjs'
import { scripted } from './script.mjs'

const call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 3, "deep": {"a": [1.5, null, true]}}}\n</tool_call>'
const scripts = {
  default: 'Hello there, world!',
  weather: `Let me look. ${call}`,
  twice: '<tool_call>{"name":"add","arguments":{"a":1}}</tool_call>\n<tool_call>{"name":"mul","arguments":{"b":2}}</tool_call>',
  stranger: 'As in <tool_call>{"name":"unknown_tool","arguments":{}}</tool_call> there.',
  broken: 'It begins <tool_call>{"name": "add", "argum',
  pointed: 'It is 3 < 4 and <b>bold</b>, no call.',
  think: '<think>\nHm, two and two.\n</think>\n\nIt is 4.',
}
const fim = ['<|fim_prefix|>', '<|fim_suffix|>', '<|fim_middle|>']
// Its template says what the roles are, who spoke last and what the last call was.
const witness = `{% for m in messages %}[{{ m.role }}|{{ m.name }}|{{ m.content }}{% for c in m.tool_calls or [] %}|{{ c.function.name }} {{ c.function.arguments | tojson }}{% endfor %}]{% endfor %}{% for t in tools or [] %}{{ t | tojson }}{% endfor %}
{%- if messages[-1].role == "tool" %}{{ "<|say from " + messages[-1].name + "|>" }}{% else %}{{ "<|say " + (messages | map(attribute="role") | join(" ")) + "|>" }}{% endif %}`
const orders = ['user', 'system user', 'system system user', 'user system user', 'assistant', 'user assistant', 'user user', 'assistant assistant user', 'system']
const seen = Object.fromEntries(orders.map((o, i) => [o, `order ${'abcdefghijkl'[i]}${i}!`]))
const tiny = model('tiny')
const s = await serve([tiny, '--parallel', '2',
  scripted(join(dir, 'plain.gguf'), scripts),
  scripted(join(dir, 'thinker.gguf'), scripts, { thinks: true, whole: ['<think>', '</think>'] }),
  scripted(join(dir, 'filler.gguf'), { default: 'Hello', other: 'first<|fim_middle|>between' }, { whole: fim }),
  scripted(join(dir, 'witness.gguf'), { default: 'none of these', ...seen, 'from add': 'added.', 'from mul': 'multiplied.' }, { template: witness })])
const say = content => [{ role: 'user', content }]
const generate = (more = {}, options = {}) => post(s, '/api/generate', { model: 'plain', prompt: 'x', stream: false, ...more, options: { temperature: 0, ...options } })
const chat = (messages, more = {}) => post(s, '/api/chat', { model: 'plain', messages: typeof messages === 'string' ? say(messages) : messages, stream: false, ...more })
const tool = name => ({ type: 'function', function: { name, description: 'd', parameters: { $schema: 'http://json-schema.org/draft-07/schema#', type: ['object', 'null'], additionalProperties: false, patternProperties: { '^x': { type: 'string' } }, properties: { a: { anyOf: [{ const: 1 }, { type: 'string' }] } } }, strict: true } })
const tools = ['get_weather', 'add', 'mul'].map(tool)

await test('4.1 generate: system and prompt through the chat template', async () => {
  equal((await generate({ model: 'witness' })).json.response, seen.user)
  equal((await generate({ model: 'witness', system: 'Be brief.' })).json.response, seen['system user'])
})

await test('4.2 raw', async () => {
  const r = (await generate({ prompt: 'a<|say think|>', raw: true })).json
  equal(r.response, scripts.think, 'special tokens are parsed, and the text is as it stands')
  check(!('context' in r), 'no context')
  for (const more of [{ system: 'x' }, { template: 'x' }, { context: [1, 2] }]) {
    const e = await generate({ raw: true, ...more })
    equal([e.status, e.json.error], [400, 'raw mode does not support template, system, or context'])
  }
  equal((await generate({ raw: true, system: '', template: '', prompt: 'a<|say pointed|>' })).json.response, scripts.pointed)
})

await test('4.3 suffix', async () => {
  equal((await generate({ model: 'filler', prompt: 'left', suffix: 'right' })).json.response, 'between')
  const r = await generate({ suffix: 'right' })
  check(r.status === 400 && r.json.error.includes('does not support insert'), r.text)
  equal((await generate({ suffix: '' })).status, 200)
})

await test('4.4 context', async () => {
  const body = { model: 'tiny', prompt: 'One', options: { num_predict: 5, temperature: 0 } }
  const first = (await stream(s, '/api/generate', body)).lines, { context } = first.at(-1)
  check(context.every(Number.isInteger) && first.slice(0, -1).every(l => !('context' in l)), 'in the last object')
  equal(context.length, first.at(-1).prompt_eval_count + 5, 'prompt and answer')
  const next = (await post(s, '/api/generate', { ...body, prompt: 'Two', context, stream: false })).json
  equal(next.context.slice(0, context.length), context)
  check(next.prompt_eval_count > context.length, 'put before the prompt')
  const cut = (await post(s, '/api/generate', { model: 'plain', prompt: 'x', stream: false, logprobs: true, options: { stop: ['world'] } })).json
  equal(cut.context.length, cut.prompt_eval_count + cut.logprobs.length, 'no token that a stop string has cut')
  check(cut.eval_count > cut.logprobs.length, 'there are such')
})

await test('4.5 template', async () => {
  const r = await generate({ template: '{{ .Prompt }}' })
  if (r.status !== 200) equal([r.status, r.json.error], [400, 'template override is not supported'])
  equal((await generate({ template: '' })).json.response, scripts.default)
})

await test('4.6 an empty prompt loads, or unloads', async () => {
  for (const more of [{}, { prompt: '' }, { stream: true }]) {
    const r = await post(s, '/api/generate', { model: 'plain', ...more })
    equal([r.type, r.text.trim().split('\n').length], ['application/json; charset=utf-8', 1])
    equal({ ...r.json, created_at: 0 }, { model: 'plain', created_at: 0, response: '', done: true, done_reason: 'load' })
  }
  const u = (await post(s, '/api/generate', { model: 'plain', keep_alive: 0 })).json
  equal({ ...u, created_at: 0 }, { model: 'plain', created_at: 0, response: '', done: true, done_reason: 'unload' })
  check((await get(s, '/api/ps')).json.models.every(m => m.name !== 'plain:latest'), 'it leaves ps')
  equal((await generate()).json.response, scripts.default)
})

await test('4.7 generate: the objects', async () => {
  const lines = (await stream(s, '/api/generate', { model: 'thinker', prompt: 'think' })).lines, last = lines.pop()
  for (const l of lines) {
    equal([l.model, typeof l.created_at, typeof l.response, l.done], ['thinker', 'string', 'string', false])
    check(!('thinking' in l) || l.thinking !== '', 'no empty thinking')
  }
  equal([last.response, last.done, last.done_reason, 'thinking' in last], ['', true, 'stop', false])
  const whole = (await generate({ model: 'thinker', prompt: 'think' })).json
  equal([whole.response, whole.thinking], ['It is 4.', 'Hm, two and two.'])
})

await test('4.8 chat: any order of roles', async () => {
  for (const order of orders) {
    const messages = order.split(' ').map((role, i) => ({ role, content: `text ${i}` }))
    equal((await chat(messages, { model: 'witness' })).json.message?.content, seen[order], order)
    for (const name of ['tiny', 'plain', 'thinker']) equal((await chat(messages, { model: name, options: { num_predict: 2 } })).status, 200, `${name}: ${order}`)
  }
  const calls = [{ role: 'assistant', tool_calls: [{ function: { name: 'add', arguments: {} } }, { function: { name: 'mul', arguments: {} } }] }, { role: 'tool', content: '1' }, { role: 'tool', content: '2' }]
  equal((await chat([...say('x'), ...calls, ...say('y')])).status, 200, 'a user message after tool results')
  equal((await chat([{ role: 'tool', content: 'out of nowhere' }])).status, 200)
})

await test('4.9 chat: no messages load, or unload', async () => {
  for (const more of [{}, { messages: [] }, { messages: null, stream: true }]) {
    const r = await post(s, '/api/chat', { model: 'plain', ...more })
    equal({ ...r.json, created_at: 0 }, { model: 'plain', created_at: 0, message: { role: 'assistant', content: '' }, done: true, done_reason: 'load' })
  }
  equal((await post(s, '/api/chat', { model: 'plain', keep_alive: 0 })).json.done_reason, 'unload')
})

await test('4.10 chat: the objects', async () => {
  for (const [name, content] of [['plain', 'x'], ['thinker', 'think']]) {
    const lines = (await stream(s, '/api/chat', { model: name, messages: say(content) })).lines
    for (const l of lines) {
      equal([l.message.role, typeof l.message.content], ['assistant', 'string'])
      check(!('thinking' in l.message) || l.message.thinking !== '', 'no empty thinking')
    }
    equal(lines.at(-1).message, { role: 'assistant', content: '' })
  }
})

await test('4.11 tools: any schema, none, and a model without', async () => {
  equal((await chat('x', { tools })).json.message.content, scripts.default)
  const none = (await chat('x')).json.prompt_eval_count
  check((await chat('x', { tools })).json.prompt_eval_count > none + 100, 'the template shows them')
  equal((await chat('x', { tools: [] })).json.prompt_eval_count, none, 'an empty array is none')
  equal((await chat('x', { model: 'tiny', tools: [], options: { num_predict: 1 } })).status, 200)
  const r = await chat('x', { model: 'tiny', tools })
  check(r.status === 400 && r.json.error.includes('does not support tools'), r.text)
})

await test('4.12 a call is sent whole and once', async () => {
  const whole = (await chat('weather', { tools })).json
  equal([whole.message.tool_calls.length, whole.done_reason], [1, 'stop'])
  const lines = (await stream(s, '/api/chat', { model: 'plain', messages: say('weather'), tools })).lines
  const calls = lines.flatMap(l => l.message.tool_calls ?? [])
  equal(calls.map(c => c.function), whole.message.tool_calls.map(c => c.function))
  equal(lines.at(-1).done_reason, 'stop')
})

await test('4.13 arguments, id, index', async () => {
  const [c] = (await chat('weather', { tools })).json.message.tool_calls
  equal(c.function, { index: 0, name: 'get_weather', arguments: { city: 'Paris', days: 3, deep: { a: [1.5, null, true] } } })
  const two = (await chat('twice', { tools })).json.message.tool_calls
  equal(two.map(x => [x.function.index, x.function.name, x.function.arguments]), [[0, 'add', { a: 1 }], [1, 'mul', { b: 2 }]])
  for (const x of [c, ...two]) check(/^call_[a-z0-9]{8}$/.test(x.id), x.id)
  check(two[0].id !== two[1].id, 'ids differ')
  const streamed = (await stream(s, '/api/chat', { model: 'plain', messages: say('twice'), tools })).lines.flatMap(l => l.message.tool_calls ?? [])
  equal(streamed.map(x => x.function), two.map(x => x.function))
  check(streamed[0].id !== streamed[1].id, 'ids differ')
})

await test('4.14 the text of a call is no content; text before it is streamed', async () => {
  const lines = (await stream(s, '/api/chat', { model: 'plain', messages: say('weather'), tools })).lines
  equal(lines.map(l => l.message.content).join(''), 'Let me look.')
  check(lines.findIndex(l => l.message.content) <= lines.findIndex(l => l.message.tool_calls), 'before the call')
  equal((await chat('twice', { tools })).json.message.content, '')
})

await test('4.15 what only looks like a call is content', async () => {
  for (const name of ['stranger', 'broken', 'pointed']) {
    equal((await chat(name, { tools })).json.message, { role: 'assistant', content: scripts[name] }, name)
    equal((await stream(s, '/api/chat', { model: 'plain', messages: say(name), tools })).lines.map(l => l.message.content).join(''), scripts[name])
  }
  equal((await chat('weather')).json.message, { role: 'assistant', content: scripts.weather }, 'without tools')
})

await test('4.16 a call that is cut', async () => {
  for (const num_predict of [14, 30, 40]) {
    const r = (await chat('weather', { tools, options: { num_predict } })).json
    equal([r.done_reason, r.message.tool_calls], ['length', undefined])
  }
})

await test('4.17 calls and results of the history', async () => {
  const made = (id, name) => ({ ...(id && { id }), function: { name, arguments: { a: 1 } } })
  const ask = async (calls, result) => (await chat([...say('x'), { role: 'assistant', content: '', tool_calls: calls }, { role: 'tool', content: '2', ...result }], { model: 'witness' })).json.message?.content
  equal(await ask([made('', 'add')], { tool_name: 'add' }), 'added.')
  equal(await ask([made('call_1', 'mul'), made('call_2', 'add')], { tool_call_id: 'call_2' }), 'added.')
  equal(await ask([made('call_1', 'mul'), made('call_2', 'add')], { tool_call_id: 'call_1' }), 'multiplied.')
  equal(await ask([made('call_1', 'mul')], { tool_name: 'add', tool_call_id: 'call_1' }), 'added.', 'tool_name comes first')
})

await test('4.18 images', async () => {
  for (const more of [{ images: ['???'] }, { images: ['aGk'] }]) {
    const r = await generate(more)
    check(r.status === 400 && r.json.error.includes('illegal base64'), r.text)
  }
  for (const r of [await generate({ images: ['aGk='] }), await chat([{ role: 'user', content: 'x', images: ['aGk='] }])]) check(r.status === 400 && /images? (input )?(is|are) not supported/.test(r.json.error), r.text)
  const bad = await chat([{ role: 'user', content: 'x', images: ['data:image/png;base64,aGk='] }])
  check(bad.status === 400 && bad.json.error.includes('illegal base64'), bad.text)
  equal((await generate({ images: [] })).status, 200)
  equal((await chat([{ role: 'user', content: 'x', images: [] }])).status, 200)
})

await finish()
