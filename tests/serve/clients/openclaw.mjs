// OpenClaw, headless, against hy serve: one model turn, and an agent's turn with a tool call. A scripted model plays the clever one:
// it reads the file it is asked about, and answers with what it finds.
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { check, dir, equal, finish, get, serve, test } from '../harness.mjs'
import { scripted } from '../script.mjs'

const openclaw = new URL('../openclaw/node_modules/openclaw/openclaw.mjs', import.meta.url).pathname
const scripts = {
  default: 'Hello there, world!',
  read: '<tool_call>\n{"name": "read", "arguments": {"path": "note.txt"}}\n</tool_call>',
  found: 'It says 4711.',
  lost: 'Nothing was found.',
}
// OpenClaw's own prompt is long, and it adds messages of its own behind ours; the stand-in looks for results of tools.
const template = `{% for t in tools or [] %}{{ t.function.name }}
{% endfor %}{%- for m in messages[-2:] %}{{ m.role }}: {{ m.content[:500] }}{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}{% endfor -%}
{%- set results = messages | selectattr("role", "equalto", "tool") | list -%}
{%- if results %}{{ "<|say found|>" if "4711" in results[-1].content else "<|say lost|>" }}{% elif tools %}<|say read|>{% else %}assistant>{% endif %}`
const s = await serve([scripted(join(dir, 'clever.gguf'), scripts, { template, nCtx: 16384 }), '-c', '16384'])
const home = join(dir, 'home'), work = join(dir, 'work')
mkdirSync(home)
mkdirSync(work)
writeFileSync(join(work, 'note.txt'), 'The code is 4711.\n')

// What a command prints. Each has a folder for its state; they share the configuration.
function run(...args) {
  const env = { PATH: process.env.PATH, HOME: home, OPENCLAW_CONFIG_PATH: join(dir, 'openclaw.json'), OPENCLAW_STATE_DIR: join(home, args[0]) }
  mkdirSync(env.OPENCLAW_STATE_DIR)
  const p = spawn(process.execPath, [openclaw, ...args], { cwd: work, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 150e3 })
  const out = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) p[name].on('data', d => { out[name] += d })
  return new Promise(resolve => p.on('close', code => resolve({ code, ...out })))
}
const parsed = ({ code, stdout, stderr }) => { try { return JSON.parse(stdout) } catch { throw new Error(`exit ${code}: ${stdout} ${stderr}`) } }

await test('openclaw: the command of the README', async () => {
  const command = /^openclaw (config set \S+) '(.*)' (--strict-json)$/m.exec(readFileSync('README.md', 'utf8'))
  check(command, 'the README has it')
  const r = await run(...command[1].split(' '), command[2].replace('http://127.0.0.1:8080', s.url), command[3])
  equal(r.code, 0, r.stderr)
})

const turn = run('infer', 'model', 'run', '--local', '--prompt', 'hello', '--model', 'ollama/clever', '--json')
const agent = run('agent', 'exec', 'What does note.txt say?', '--cwd', work, '--timeout', '100', '--model', 'ollama/clever', '--json')

await test('openclaw: infer model run', async () => {
  const r = parsed(await turn)
  equal([r.ok, r.provider, r.model, r.outputs?.map(o => o.text)], [true, 'ollama', 'clever', [scripts.default]], JSON.stringify(r))
})

await test('openclaw: agent exec with a tool call', async () => {
  const r = parsed(await agent)
  equal([r.ok, r.final, r.assistantTurns], [true, scripts.found, 2], JSON.stringify(r))
  equal([r.toolSummary?.calls, r.toolSummary?.tools], [1, ['read']], JSON.stringify(r))
  check((await get(s, '/')).status === 200, 'the server lives')
})

await finish()
