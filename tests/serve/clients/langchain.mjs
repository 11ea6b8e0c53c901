// npm's "@langchain/ollama" against hy serve.
import { HumanMessage, ToolMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { ChatOllama, Ollama, OllamaEmbeddings } from '@langchain/ollama'
import { z } from 'zod'
import { check, equal, finish, running, test, until } from '../harness.mjs'
import { scripts, start } from './cast.mjs'

const s = await start(), chat = (more = {}) => new ChatOllama({ baseUrl: s.url, model: 'plain', maxRetries: 0, ...more })
const collect = async stream => { const all = []; for await (const part of stream) all.push(part); return all }

await test('langchain: chat, streamed and not', async () => {
  const m = await chat().invoke('x')
  equal([m.content, m.usage_metadata.output_tokens > 0], [scripts.default, true])
  const parts = await collect(await chat().stream('x'))
  equal(parts.map(p => p.content).join(''), scripts.default)
})

await test('langchain: generate, and a model that is looked up first', async () => {
  equal(await new Ollama({ baseUrl: s.url, model: 'plain' }).invoke('x'), scripts.default)
  equal((await chat({ checkOrPullModel: true }).invoke('x')).content, scripts.default)
})

await test('langchain: tools, from the call to the answer', async () => {
  const add = tool(({ a, b }) => String(a + b), { name: 'add', description: 'adds', schema: z.object({ a: z.number(), b: z.number() }) })
  const model = chat().bindTools([add]), messages = [new HumanMessage('sum')]
  const first = await model.invoke(messages)
  equal(first.tool_calls.map(c => [c.name, c.args]), [['add', { a: 2, b: 40 }]])
  const result = await add.invoke(first.tool_calls[0])
  check(result instanceof ToolMessage, 'a result')
  equal((await model.invoke([...messages, first, result])).content, scripts[42])
  const parts = await collect(await model.stream(messages))
  equal(parts.flatMap(p => p.tool_calls ?? []).map(c => c.name), ['add'])
})

await test('langchain: a JSON schema', async () => {
  const City = z.object({ city: z.string().max(6), days: z.number().int().min(0).max(9) })
  const v = await chat({ model: 'tiny', numPredict: 300, seed: 1 }).withStructuredOutput(City, { method: 'jsonSchema' }).invoke('x')
  check(typeof v.city === 'string' && Number.isInteger(v.days), JSON.stringify(v))
})

await test('langchain: thinking', async () => {
  const m = await chat({ model: 'thinker', think: true }).invoke('think')
  equal([m.content, m.additional_kwargs.reasoning_content], ['It is 4.', 'Hm, two and two.'])
})

await test('langchain: embeddings', async () => {
  const e = new OllamaEmbeddings({ baseUrl: s.url, model: 'tiny' })
  equal((await e.embedDocuments(['a', 'b b'])).map(v => v.length), [256, 256])
  equal((await e.embedQuery('a')).length, 256)
})

await test('langchain: errors', async () => {
  const e = await chat({ model: 'none' }).invoke('x').catch(x => x)
  check(/model 'none' not found/.test(e.message), e.message)
})

await test('langchain: cancel', async () => {
  const control = new AbortController(), stream = await chat({ model: 'endless', temperature: 0, numPredict: 1e9 }).stream('x', { signal: control.signal })
  let n = 0
  await (async () => { for await (const part of stream) if (part && ++n === 3) control.abort() })().catch(() => {})
  await until('it stops', async () => await running(s) === 0)
})

await finish()
