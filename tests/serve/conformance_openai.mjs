// The conformance reference of the HTTP API, section 6: OpenAI's endpoints. Tests are numbered in the reference's order.
import { join } from 'node:path'
import { check, dir, equal, finish, get, model, post, serve, stream, test } from './harness.mjs'
import { scripted } from './script.mjs'

const call = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'
const scripts = { default: 'Hello there, world!', sum: `Well. ${call}`, think: '<think>\nHm, two and two.\n</think>\n\nIt is 4.', utf8: 'Größe: 10 µm' }
const witness = '{% for m in messages %}[{{ m.role }}|{{ m.content }}|{{ m.reasoning_content or m.thinking }}{% for c in m.tool_calls or [] %}|{{ c.function.name }} {{ c.function.arguments | tojson }}{% endfor %}]{% endfor %}{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{{ "<|say " + (messages | map(attribute="role") | join(" ")) + "|>" }}'
const s = await serve([model('tiny'), '--parallel', '2',
  scripted(join(dir, 'plain.gguf'), scripts),
  scripted(join(dir, 'thinker.gguf'), scripts, { thinks: true, whole: ['<think>', '</think>'] }),
  scripted(join(dir, 'on.gguf'), { default: 'never' }, { template: '{% for m in messages %}{{ m.content }}{% endfor %}.' }), // what follows a full stop has no end
  scripted(join(dir, 'witness.gguf'), { default: 'none of these', 'system user': 'as a system message', 'user assistant tool': 'after the result.' }, { template: witness })])
const say = content => [{ role: 'user', content }]
const chat = (content, more = {}) => post(s, '/v1/chat/completions', { model: 'plain', messages: typeof content === 'string' ? say(content) : content, ...more })
const said = async (content, more) => (await chat(content, more)).json.choices[0].message.content
const tools = ['add', 'mul'].map(name => ({ type: 'function', function: { name, description: 'd', parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } } } }))

await test('6.1 errors', async () => {
  for (const [path, body, status, type] of [['/v1/chat/completions', { model: 'plain', messages: [] }, 400, 'invalid_request_error'], ['/v1/chat/completions', { model: 'none', messages: say('x') }, 404, 'not_found_error'], ['/v1/completions', '{', 400, 'invalid_request_error'],
    ['/v1/embeddings', { model: 'none', input: 'x' }, 404, 'not_found_error'], ['/v1/chat/completions', '', 400, 'invalid_request_error']]) {
    const r = await post(s, path, body)
    equal([r.status, Object.keys(r.json), r.json.error.type], [status, ['error'], type])
    equal(Object.keys(r.json.error).sort(), ['code', 'message', 'param', 'type'])
    equal([typeof r.json.error.message, r.json.error.param, r.json.error.code], ['string', null, null])
  }
})

await test('6.2 models', async () => {
  const r = (await get(s, '/v1/models')).json
  equal([r.object, r.data.map(m => m.id)], ['list', ['tiny:latest', 'plain:latest', 'thinker:latest', 'on:latest', 'witness:latest']])
  for (const m of r.data) equal([m.object, Number.isInteger(m.created), m.owned_by], ['model', true, 'library'])
  for (const [path, id] of [['tiny', 'tiny'], ['tiny:latest', 'tiny:latest'], ['tiny%3Alatest', 'tiny:latest'], ['library%2FTINY', 'library/TINY'], ['library/tiny', 'library/tiny']]) {
    const m = (await get(s, `/v1/models/${path}`)).json
    equal([m.id, m.object, m.owned_by], [id, 'model', 'library'])
  }
  const none = await get(s, '/v1/models/none')
  equal([none.status, none.json.error.type], [404, 'not_found_error'])
})

await test('6.3 messages: none, parts, null, developer, names of types', async () => {
  for (const messages of [[], undefined, null]) {
    const r = await post(s, '/v1/chat/completions', { model: 'plain', messages })
    equal([r.status, r.json.error.message], [400, "[] is too short - 'messages'"])
  }
  equal(await said([{ role: 'user', content: [{ type: 'text', text: 'ut' }, { type: 'text', text: 'f8' }] }]), scripts.utf8)
  equal(await said([{ role: 'developer', content: 'a' }, ...say('b')], { model: 'witness' }), 'as a system message')
  for (const content of [5, { a: 1 }, true, [{ type: 'audio' }]]) {
    const r = await chat([{ role: 'user', content }])
    check(r.status === 400 && /^invalid message content type: /.test(r.json.error.message), r.text)
  }
  for (const url of ['http://example.com/a.png', 'data:image/png;base64,aGk=']) equal((await chat([{ role: 'user', content: [{ type: 'text', text: 'x' }, { type: 'image_url', image_url: { url } }] }])).status, 400, url)
})

await test('6.4 calls and results of the history, reasoning', async () => {
  const history = args => [...say('x'), { role: 'assistant', content: null, reasoning: 'because', tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'add', arguments: args } }] }, { role: 'tool', tool_call_id: 'call_1', content: '3' }]
  const base = (await chat(history('{}'), { model: 'witness' })).json
  equal(base.choices[0].message.content, 'after the result.')
  const silent = history('{}')
  delete silent[1].reasoning
  check((await chat(silent, { model: 'witness' })).json.usage.prompt_tokens < base.usage.prompt_tokens, 'the template has the reasoning')
  const bad = await chat(history('{"a":'))
  equal([bad.status, bad.json.error.message], [400, 'invalid tool call arguments'])
})

await test('6.5 max_tokens, max_completion_tokens', async () => {
  for (const key of ['max_tokens', 'max_completion_tokens']) {
    const r = (await chat('x', { model: 'on', [key]: 7, temperature: 0 })).json
    equal([r.usage.completion_tokens, r.choices[0].finish_reason], [7, 'length'], key)
  }
})

await test('6.6 sampling: defaults of 1.0, seed, penalties', async () => {
  const ask = async more => said('x', { model: 'tiny', max_tokens: 20, ...more })
  const native = async options => (await post(s, '/api/chat', { model: 'tiny', messages: say('x'), stream: false, options: { num_predict: 20, seed: 3, ...options } })).json.message.content
  equal(await ask({ seed: 3 }), await native({ temperature: 1, top_p: 1 }), 'temperature and top_p are 1.0')
  equal(await ask({ seed: 3, temperature: 0.5, top_p: 0.7 }), await native({ temperature: 0.5, top_p: 0.7 }))
  equal(await ask({ temperature: 0 }), await ask({ temperature: 0 }))
  const long = { temperature: 0, max_tokens: 80 }
  for (const more of [{ frequency_penalty: 2 }, { presence_penalty: 2 }])
    equal(await ask({ ...long, ...more }), await native({ temperature: 0, num_predict: 80, ...more }), JSON.stringify(more))
  equal(await ask({ seed: 3, options: { num_ctx: 256, top_k: 1 } }), await native({ temperature: 0 }), 'options are honoured')
})

await test('6.7 stop', async () => {
  equal(await said('x', { stop: ', w' }), 'Hello there')
  equal(await said('x', { stop: ['never', 'there'] }), 'Hello ')
  equal((await chat('x', { stop: ', w' })).json.choices[0].finish_reason, 'stop')
})

const schema = { type: 'object', properties: { n: { type: 'integer', minimum: 0, maximum: 9 }, kind: { enum: ['a', 'b'] } }, required: ['n', 'kind'], additionalProperties: false }
await test('6.8 response_format', async () => {
  equal(await said('x', { response_format: { type: 'text' } }), scripts.default)
  for (const seed of [1, 2]) {
    const v = JSON.parse(await said('x', { model: 'tiny', seed, max_tokens: 300, response_format: { type: 'json_schema', json_schema: { name: 's', strict: true, schema } } }))
    equal(Object.keys(v), ['n', 'kind'])
    const r = (await chat('x', { model: 'tiny', seed, max_tokens: 300, response_format: { type: 'json_object' } })).json.choices[0]
    if (r.finish_reason === 'stop') check(JSON.parse(r.message.content).constructor === Object, r.message.content)
    else check(r.message.content.trimStart().startsWith('{'), r.message.content)
  }
})

await test('6.9 tools, tool_choice', async () => {
  for (const tool_choice of [undefined, 'auto', 'required', { type: 'function', function: { name: 'add' } }]) {
    const c = (await chat('sum', { tools, tool_choice })).json.choices[0]
    equal([c.finish_reason, c.message.content, c.message.tool_calls.length], ['tool_calls', 'Well.', 1])
    const [t] = c.message.tool_calls
    check(/^call_[a-z0-9]{8}$/.test(t.id), t.id)
    equal([t.index, t.type, t.function.name, typeof t.function.arguments, JSON.parse(t.function.arguments)], [0, 'function', 'add', 'string', { a: 1, b: 2 }])
  }
  const none = (await chat('sum', { tools, tool_choice: 'none' })).json
  equal([none.choices[0].message.content, none.choices[0].finish_reason], [scripts.sum, 'stop'])
  check(none.usage.prompt_tokens < (await chat('sum', { tools })).json.usage.prompt_tokens, 'none hides the tools')
})

await test('6.10 reasoning_effort', async () => {
  for (const more of [{}, { reasoning_effort: 'minimal' }, { reasoning_effort: 'low' }, { reasoning_effort: 'medium' }, { reasoning_effort: 'high' }, { reasoning_effort: 'max' }, { reasoning_effort: 'xhigh' }, { reasoning_effort: 'ultra' }, { reasoning: { effort: 'high' } }]) {
    const m = (await chat('think', { model: 'thinker', ...more })).json.choices[0].message
    equal([m.content, m.reasoning], ['It is 4.', 'Hm, two and two.'], JSON.stringify(more))
  }
  const on = (await chat('x', { model: 'thinker' })).json.usage.prompt_tokens, off = (await chat('x', { model: 'thinker', reasoning_effort: 'none' })).json.usage.prompt_tokens
  check(off > on, 'none: the template closes the thought')
  for (const more of [{ reasoning_effort: 'huge' }, { reasoning: { effort: 'huge' } }]) equal((await chat('x', { model: 'thinker', ...more })).status, 400)
  check([200, 400].includes((await chat('x', { reasoning_effort: 'high' })).status), 'without the capability')
})

await test('6.11 logprobs', async () => {
  const r = (await chat('x', { model: 'tiny', max_tokens: 4, temperature: 0, logprobs: true, top_logprobs: 2 })).json.choices[0]
  equal([r.logprobs.content.length, r.logprobs.content[0].top_logprobs.length], [4, 2])
  equal(r.logprobs.content.map(e => e.token).join(''), r.message.content)
  const lines = (await stream(s, '/v1/chat/completions', { model: 'tiny', messages: say('x'), stream: true, max_tokens: 4, temperature: 0, logprobs: true })).lines
  equal(lines.slice(0, -1).flatMap(l => l.choices[0]?.logprobs?.content ?? []).map(e => e.token), r.logprobs.content.map(e => e.token))
  equal((await chat('x', { logprobs: true, top_logprobs: 21 })).status, 400)
})

await test('6.12 what is ignored', async () => {
  equal(await said('x', { n: 3, user: 'me', store: true, metadata: { a: 'b' }, logit_bias: { 1: 100 }, parallel_tool_calls: false, service_tier: 'auto', unknown: [1] }), scripts.default)
})

await test('6.13 the reply', async () => {
  const r = (await chat('x')).json
  equal(Object.keys(r), ['id', 'object', 'created', 'model', 'system_fingerprint', 'choices', 'usage'])
  check(/^chatcmpl-\d+$/.test(r.id) && Number.isInteger(r.created) && Math.abs(r.created - Date.now() / 1000) < 60, `${r.id} ${r.created}`)
  equal([r.object, r.model, r.system_fingerprint], ['chat.completion', 'plain', 'fp_ollama'])
  equal(r.choices, [{ index: 0, message: { role: 'assistant', content: scripts.default }, finish_reason: 'stop' }])
  equal(r.usage.total_tokens, r.usage.prompt_tokens + r.usage.completion_tokens)
  check(r.usage.prompt_tokens > 0 && r.usage.completion_tokens > 0, 'usage')
  equal((await chat('think', { model: 'thinker' })).json.choices[0].message, { role: 'assistant', content: 'It is 4.', reasoning: 'Hm, two and two.' })
})

await test('6.14 SSE', async () => {
  for (const include_usage of [false, true]) {
    const r = await stream(s, '/v1/chat/completions', { model: 'thinker', messages: say('think'), stream: true, stream_options: { include_usage } })
    check(r.text.endsWith('data: [DONE]\n\n') && r.text.split('\n\n').slice(0, -1).every(e => e.startsWith('data: ') && !e.includes('\n')), 'the form of events')
    equal(r.lines.pop(), '[DONE]')
    const usage = include_usage ? r.lines.pop() : null, last = r.lines.at(-1)
    equal([new Set(r.lines.map(l => l.id)).size, new Set(r.lines.map(l => l.created)).size], [1, 1])
    check(r.lines.every(l => l.object === 'chat.completion.chunk' && l.model === 'thinker' && l.system_fingerprint === 'fp_ollama' && !l.usage), 'every chunk')
    equal(r.lines[0].choices[0].delta.role, 'assistant')
    check(r.lines.slice(0, -1).every(l => l.choices[0].finish_reason === null), 'null until the end')
    equal(last.choices[0], { index: 0, delta: {}, finish_reason: 'stop' })
    const joined = key => r.lines.map(l => l.choices[0].delta[key] ?? '').join('')
    equal([joined('content'), joined('reasoning')], ['It is 4.', 'Hm, two and two.'])
    if (usage) {
      equal([usage.choices, usage.id], [[], last.id])
      equal(usage.usage.total_tokens, usage.usage.prompt_tokens + usage.usage.completion_tokens)
    }
  }
  const t = (await stream(s, '/v1/chat/completions', { model: 'plain', messages: say('sum'), tools, stream: true })).lines.slice(0, -1)
  const calls = t.flatMap(l => l.choices[0].delta.tool_calls ?? [])
  equal(calls.map(c => [c.index, c.type, c.function.name, JSON.parse(c.function.arguments)]), [[0, 'function', 'add', { a: 1, b: 2 }]])
  equal(t.at(-1).choices[0], { index: 0, delta: {}, finish_reason: 'tool_calls' })
})

await test('6.15 completions', async () => {
  const r = (await post(s, '/v1/completions', { model: 'plain', prompt: 'x', max_tokens: 50 })).json
  check(/^cmpl-\d+$/.test(r.id), r.id)
  equal([r.object, r.model, r.system_fingerprint, r.choices], ['text_completion', 'plain', 'fp_ollama', [{ index: 0, text: scripts.default, finish_reason: 'stop' }]])
  check(r.usage.total_tokens > 2, 'usage')
  const lines = (await stream(s, '/v1/completions', { model: 'plain', prompt: 'x', stream: true, stream_options: { include_usage: true } })).lines
  equal(lines.pop(), '[DONE]')
  const usage = lines.pop()
  equal([usage.choices, usage.usage.total_tokens > 2], [[], true])
  equal([lines.map(l => l.choices[0].text).join(''), lines.at(-1).choices[0].finish_reason, lines[0].object], [scripts.default, 'stop', 'text_completion'])
  for (const body of [{}, { prompt: null }, { suffix: 'x' }, { prompt: ['a', 'b'] }, { prompt: 5 }, { prompt: [1, 2] }, { prompt: 'x', stop: 5 }, { prompt: 'x', stop: [5] }]) equal((await post(s, '/v1/completions', { model: 'plain', ...body })).status, 400, JSON.stringify(body))
  for (const stop of [', w', [', w']]) equal((await post(s, '/v1/completions', { model: 'plain', prompt: 'x', stop })).json.choices[0].text, 'Hello there')
  equal((await post(s, '/v1/completions', { model: 'on', prompt: 'x', max_tokens: 3, temperature: 0 })).json.choices[0].finish_reason, 'length')
  equal((await post(s, '/v1/completions', { model: 'plain', prompt: 'x', logprobs: 2 })).status, 200)
})

await test('6.16 embeddings', async () => {
  const ask = async more => (await post(s, '/v1/embeddings', { model: 'tiny', input: 'one', ...more })).json
  const r = await ask({ input: ['one', 'two'] }), [a, b] = r.data
  equal([r.object, r.model, a.object, a.index, b.index, a.embedding.length], ['list', 'tiny', 'embedding', 0, 1, 256])
  equal(r.usage.prompt_tokens, r.usage.total_tokens)
  const unit = (await post(s, '/api/embed', { model: 'tiny', input: ['one', 'two'] })).json.embeddings
  check(a.embedding.every((x, i) => Math.abs(x - unit[0][i]) < 1e-5) && b.embedding.every((x, i) => Math.abs(x - unit[1][i]) < 1e-5), 'as /api/embed')
  const bytes = Buffer.from((await ask({ encoding_format: 'base64' })).data[0].embedding, 'base64')
  check(unit[0].every((x, i) => Math.abs(x - bytes.readFloatLE(4 * i)) < 1e-6) && bytes.length === 1024, 'base64')
  equal((await ask({ dimensions: 8 })).data[0].embedding.length, 8)
  for (const more of [{ input: null }, { input: [] }, { input: undefined }, { encoding_format: 'hex' }]) {
    const e = await post(s, '/v1/embeddings', { model: 'tiny', input: 'x', ...more })
    equal(e.status, 400, JSON.stringify(more))
    if ('input' in more) equal(e.json.error.message, 'invalid input')
  }
})

await finish()
