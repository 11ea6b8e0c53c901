// npm's "openai" against hy serve.
import OpenAI from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
import { z } from 'zod'
import { check, equal, finish, running, test, until } from '../harness.mjs'
import { names, say, scripts, start, tool } from './cast.mjs'

const s = await start(), client = new OpenAI({ baseURL: `${s.url}/v1`, apiKey: 'hy', maxRetries: 0 })
const collect = async stream => { const all = []; for await (const part of stream) all.push(part); return all }
const chat = (content, more = {}) => client.chat.completions.create({ model: 'plain', messages: say(content), ...more })

await test('openai: chat, streamed and not', async () => {
  const whole = await chat('x')
  equal([whole.choices[0].message.content, whole.choices[0].finish_reason], [scripts.default, 'stop'])
  const parts = await collect(await chat('x', { stream: true, stream_options: { include_usage: true } }))
  equal(parts.map(p => p.choices[0]?.delta.content ?? '').join(''), scripts.default)
  equal(parts.at(-1).usage, whole.usage)
})

await test('openai: by the variables that the server prints', async () => {
  const [, name, value] = /(OPENAI_BASE_URL)=(\S+)/.exec(s.out)
  process.env[name] = value
  process.env.OPENAI_API_KEY = 'hy'
  equal((await new OpenAI().models.retrieve('plain')).id, 'plain')
})

await test('openai: the stream helper', async () => {
  const runner = client.chat.completions.stream({ model: 'plain', messages: say('x') }), deltas = []
  runner.on('content', d => deltas.push(d))
  equal([(await runner.finalContent()), deltas.join('')], [scripts.default, scripts.default])
})

await test('openai: completions', async () => {
  equal((await client.completions.create({ model: 'plain', prompt: 'x', max_tokens: 50 })).choices[0].text, scripts.default)
  equal((await collect(await client.completions.create({ model: 'plain', prompt: 'x', stream: true }))).map(p => p.choices[0].text).join(''), scripts.default)
})

await test('openai: tools, from the call to the answer', async () => {
  const [c] = (await chat('sum', { tools: [tool('add')] })).choices[0].message.tool_calls
  equal([c.type, c.function.name, JSON.parse(c.function.arguments)], ['function', 'add', { a: 2, b: 40 }])
  const add = { type: 'function', function: { ...tool('add').function, parse: JSON.parse, function: ({ a, b }) => String(a + b) } }
  for (const stream of [false, true]) equal(await client.chat.completions.runTools({ model: 'plain', messages: say('sum'), tools: [add], stream }).finalContent(), scripts[42], `stream ${stream}`)
})

await test('openai: a JSON schema', async () => {
  const City = z.object({ city: z.string().max(6), days: z.number().int().min(0).max(9) })
  const r = await client.chat.completions.parse({ model: 'tiny', messages: say('x'), seed: 1, max_tokens: 300, response_format: zodResponseFormat(City, 'city') })
  const v = r.choices[0].message.parsed
  check(typeof v.city === 'string' && Number.isInteger(v.days), JSON.stringify(v))
})

await test('openai: reasoning', async () => {
  const m = (await chat('think', { model: 'thinker', reasoning_effort: 'low' })).choices[0].message
  equal([m.reasoning, m.content], ['Hm, two and two.', 'It is 4.'])
})

await test('openai: embeddings', async () => {
  const usual = await client.embeddings.create({ model: 'tiny', input: ['a', 'b b'] }), floats = await client.embeddings.create({ model: 'tiny', input: ['a', 'b b'], encoding_format: 'float' })
  equal(usual.data.map(d => d.embedding.length), [256, 256])
  check(usual.data[1].embedding.every((x, i) => Math.abs(x - floats.data[1].embedding[i]) < 1e-6), 'base64 and float agree')
})

await test('openai: list and retrieve', async () => {
  equal((await collect(client.models.list())).map(m => m.id), names)
  equal((await client.models.retrieve('library/plain')).id, 'library/plain')
})

await test('openai: errors', async () => {
  const none = await chat('x', { model: 'none' }).catch(e => e), empty = await client.chat.completions.create({ model: 'plain', messages: [] }).catch(e => e)
  equal([none instanceof OpenAI.NotFoundError, none.type], [true, 'not_found_error'])
  equal([empty instanceof OpenAI.BadRequestError, empty.message], [true, "400 [] is too short - 'messages'"])
})

await test('openai: cancel', async () => {
  const stream = await chat('x', { model: 'endless', stream: true, temperature: 0, max_tokens: 1e9 })
  let n = 0
  for await (const part of stream) if (part && ++n === 3) stream.controller.abort()
  await until('it stops', async () => await running(s) === 0)
  const control = new AbortController(), whole = client.chat.completions.create({ model: 'endless', messages: say('x'), temperature: 0, max_tokens: 1e9 }, { signal: control.signal }).catch(e => e)
  await until('it runs', async () => await running(s) === 1)
  control.abort()
  check(await whole instanceof OpenAI.APIUserAbortError, 'aborted')
  await until('it stops', async () => await running(s) === 0)
})

await finish()
