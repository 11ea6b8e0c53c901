// npm's "ollama" against hy serve.
import { Ollama } from 'ollama'
import { check, equal, finish, running, test, until } from '../harness.mjs'
import { names, say, schema, scripts, start, tool } from './cast.mjs'

const s = await start(), client = new Ollama({ host: s.url })
const collect = async stream => { const all = []; for await (const part of stream) all.push(part); return all }

await test('ollama: chat, streamed and not', async () => {
  const whole = await client.chat({ model: 'plain', messages: say('x') })
  equal([whole.message.content, whole.done_reason, whole.eval_count > 0], [scripts.default, 'stop', true])
  const parts = await collect(await client.chat({ model: 'plain', messages: say('x'), stream: true }))
  equal([parts.map(p => p.message.content).join(''), parts.at(-1).done], [scripts.default, true])
})

await test('ollama: generate, streamed and not', async () => {
  equal((await client.generate({ model: 'plain', prompt: 'x' })).response, scripts.default)
  equal((await collect(await client.generate({ model: 'plain', prompt: 'x', stream: true }))).map(p => p.response).join(''), scripts.default)
  equal((await client.generate({ model: 'tiny', prompt: 'x', options: { num_predict: 5, seed: 1 } })).eval_count, 5)
})

await test('ollama: tools, from the call to the answer', async () => {
  const tools = [tool('add'), tool('greet')], messages = say('sum')
  const first = (await client.chat({ model: 'plain', messages, tools })).message
  equal([first.content, first.tool_calls.map(c => [c.function.name, c.function.arguments])], ['Let me add.', [['add', { a: 2, b: 40 }]]])
  messages.push(first, { role: 'tool', tool_name: 'add', content: String(2 + 40) })
  equal((await client.chat({ model: 'plain', messages, tools })).message.content, scripts[42])
  const parts = await collect(await client.chat({ model: 'plain', messages: say('both'), tools, stream: true }))
  equal(parts.flatMap(p => p.message.tool_calls ?? []).map(c => c.function.name), ['add', 'greet'])
})

await test('ollama: thinking', async () => {
  const m = (await client.chat({ model: 'thinker', messages: say('think'), think: true })).message
  equal([m.thinking, m.content], ['Hm, two and two.', 'It is 4.'])
  const parts = await collect(await client.chat({ model: 'thinker', messages: say('think'), think: 'low', stream: true }))
  equal(parts.map(p => p.message.thinking ?? '').join(''), 'Hm, two and two.')
})

await test('ollama: a JSON schema', async () => {
  const v = JSON.parse((await client.chat({ model: 'tiny', messages: say('x'), format: schema, options: { seed: 1, num_predict: 300 } })).message.content)
  check(typeof v.city === 'string' && Number.isInteger(v.days), JSON.stringify(v))
  equal(JSON.parse((await client.chat({ model: 'plain', messages: say('json'), format: 'json' })).message.content), { city: 'Paris', days: 3 })
})

await test('ollama: embeddings', async () => {
  const { embeddings } = await client.embed({ model: 'tiny', input: ['a', 'b b'] })
  equal(embeddings.map(e => e.length), [256, 256])
  equal((await client.embeddings({ model: 'tiny', prompt: 'a' })).embedding.length, 256)
})

await test('ollama: list, show, ps, version, pull', async () => {
  equal((await client.list()).models.map(m => m.name), names)
  const show = await client.show({ model: 'plain' })
  equal([show.capabilities, show.details.family, show.model_info['llama.context_length']], [['completion', 'tools'], 'llama', 1024])
  check((await client.ps()).models.some(m => m.name === 'plain:latest'), 'ps')
  check(/^\d+\.\d+/.test((await client.version()).version), 'version')
  equal((await client.pull({ model: 'plain' })).status, 'success')
})

await test('ollama: errors', async () => {
  const e = await client.chat({ model: 'none', messages: say('x') }).catch(x => x)
  equal([e.name, e.status_code, e.message], ['ResponseError', 404, "model 'none' not found"])
  const late = await client.pull({ model: 'none', stream: true }).then(collect).catch(x => x)
  equal(late.message, 'pull model manifest: file does not exist')
})

await test('ollama: cancel', async () => {
  const stream = await client.chat({ model: 'endless', messages: say('x'), stream: true, options: { num_predict: 1e9, temperature: 0 } })
  let n = 0
  const e = await (async () => { for await (const part of stream) if (part && ++n === 3) stream.abort() })().catch(x => x)
  equal(e?.name, 'AbortError')
  await until('it stops', async () => await running(s) === 0)
})

await finish()
