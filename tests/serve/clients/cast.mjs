// What the tests of clients share: a server with models that say what a test needs. say(NAME) makes "plain" and "thinker" say a
// script; a user whose last words are none gets the default.
import { join } from 'node:path'
import { dir, model, serve } from '../harness.mjs'
import { scripted } from '../script.mjs'

const call = (name, args) => `<tool_call>\n${JSON.stringify({ name, arguments: args })}\n</tool_call>`
export const scripts = {
  default: 'Hello there, world!',
  sum: `Let me add. ${call('add', { a: 2, b: 40 })}`,
  42: 'The sum: 42.',
  both: call('add', { a: 1, b: 1 }) + call('greet', { who: 'Ada' }),
  think: '<think>\nHm, two and two.\n</think>\n\nIt is 4.',
  json: '{"city":"Paris","days":3}',
}
export const schema = { type: 'object', properties: { city: { type: 'string', maxLength: 6 }, days: { type: 'integer', minimum: 0, maximum: 9 } }, required: ['city', 'days'], additionalProperties: false }
export const numbers = { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } }, required: ['a', 'b'] }
export const tool = (name, parameters = numbers) => ({ type: 'function', function: { name, description: `What ${name} does.`, parameters } })

// "endless" never stops by itself: nothing follows its template's full stop.
export const start = () => serve([model('tiny'), '--parallel', '2',
  scripted(join(dir, 'plain.gguf'), scripts),
  scripted(join(dir, 'thinker.gguf'), scripts, { thinks: true, whole: ['<think>', '</think>'] }),
  scripted(join(dir, 'endless.gguf'), { default: 'never' }, { template: '{% for m in messages %}{{ m.content }}{% endfor %}.' })])
export const names = ['tiny:latest', 'plain:latest', 'thinker:latest', 'endless:latest']
export const say = content => [{ role: 'user', content }]
