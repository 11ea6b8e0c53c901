// npm's "ai" with "ollama-ai-provider-v2" against hy serve.
import { Output, embed, embedMany, generateText, stepCountIs, streamText, tool } from 'ai'
import { createOllama } from 'ollama-ai-provider-v2'
import { z } from 'zod'
import { check, equal, finish, running, test, until } from '../harness.mjs'
import { scripts, start } from './cast.mjs'

const s = await start(), ollama = createOllama({ baseURL: `${s.url}/api` })
const ask = (prompt, more = {}) => ({ model: ollama('plain'), prompt, maxRetries: 0, ...more })

await test('ai: text, streamed and not', async () => {
  const r = await generateText(ask('x'))
  equal([r.text, r.finishReason, r.usage.outputTokens > 0], [scripts.default, 'stop', true])
  const parts = []
  for await (const part of streamText(ask('x')).textStream) parts.push(part)
  equal(parts.join(''), scripts.default)
})

await test('ai: tools, from the call to the answer, streamed and not', async () => {
  const tools = { add: tool({ description: 'adds', inputSchema: z.object({ a: z.number(), b: z.number() }), execute: ({ a, b }) => a + b }) }
  const r = await generateText(ask('sum', { tools, stopWhen: stepCountIs(3) }))
  equal([r.steps[0].toolCalls.map(c => [c.toolName, c.input]), r.text], [[['add', { a: 2, b: 40 }]], scripts[42]])
  const streamed = streamText(ask('sum', { tools, stopWhen: stepCountIs(3) }))
  equal([await streamed.text, (await streamed.steps).length], [scripts[42], 2])
})

await test('ai: a JSON schema', async () => {
  const schema = z.object({ city: z.string().max(6), days: z.number().int().min(0).max(9) })
  const v = (await generateText(ask('x', { model: ollama('tiny'), maxOutputTokens: 300, output: Output.object({ schema }) }))).output
  check(typeof v.city === 'string' && Number.isInteger(v.days), JSON.stringify(v))
})

await test('ai: thinking', async () => {
  const r = await generateText(ask('think', { model: ollama('thinker'), providerOptions: { ollama: { think: true } } }))
  equal([r.reasoningText, r.text], ['Hm, two and two.', 'It is 4.'])
})

await test('ai: embeddings', async () => {
  const model = ollama.textEmbeddingModel('tiny')
  equal((await embed({ model, value: 'a' })).embedding.length, 256)
  equal((await embedMany({ model, values: ['a', 'b b'] })).embeddings.map(e => e.length), [256, 256])
})

await test('ai: errors', async () => {
  const e = await generateText(ask('x', { model: ollama('none') })).catch(x => x)
  equal([e.statusCode, /not found/.test(e.message + e.responseBody)], [404, true])
})

await test('ai: cancel', async () => {
  const control = new AbortController(), r = streamText(ask('x', { model: ollama('endless'), temperature: 0, maxOutputTokens: 1e9, abortSignal: control.signal }))
  let n = 0
  for await (const part of r.textStream) if (part && ++n === 3) control.abort()
  await until('it stops', async () => await running(s) === 0)
})

await finish()
