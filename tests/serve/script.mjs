// Models that say what a test wrote down: real GGUF files, run by the real engine.
//
// A model of one layer whose attention and FFN are zero: the logits depend on the last token alone. Embeddings are unit vectors, and the
// output matrix maps each token to the one that is to follow, so that the model is a chain of tokens. Every piece of a script is
// a token of its own. The template ends the prompt with "<|say NAME|>", NAME being the last message's text: if a script has that
// name it is a token, and the script follows; else the script "default" does.
import { writeFileSync } from 'node:fs'

const U32 = 4, F32 = 6, BOOL = 7, STR = 8, ARR = 9

class Writer {
  parts = []
  length = 0
  push(b) { this.parts.push(b); this.length += b.length }
  u32(v) { const b = Buffer.alloc(4); b.writeUInt32LE(v); this.push(b) }
  u64(v) { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(v)); this.push(b) }
  f32(v) { const b = Buffer.alloc(4); b.writeFloatLE(v); this.push(b) }
  str(s) { const b = Buffer.from(s); this.u64(b.length); this.push(b) }
  value(type, v) {
    if (type === U32) this.u32(v)
    else if (type === F32) this.f32(v)
    else if (type === BOOL) this.push(Buffer.from([v ? 1 : 0]))
    else this.str(v)
  }
  kv(key, type, v) { this.str(key); this.u32(type); this.value(type, v) }
  array(key, type, all) { this.str(key); this.u32(ARR); this.u32(type); this.u64(all.length); for (const v of all) this.value(type, v) }
}

// How byte-level vocabularies write bytes: printable ones as themselves, others from U+0100 on.
const byteChars = (() => {
  const plain = b => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174
  let next = 256
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(plain(b) ? b : next++))
})()
const textOf = bytes => Array.from(bytes, b => byteChars[b]).join('')

// A script's text in pieces that no token has yet.
function cut(text, used) {
  const bytes = Buffer.from(text), pieces = []
  for (let at = 0; at < bytes.length;) {
    let n = 2
    while (at + n < bytes.length && used.has(textOf(bytes.subarray(at, at + n)))) n++
    if (bytes.length - at - n < 2) n = bytes.length - at
    let piece = textOf(bytes.subarray(at, at + n))
    while (used.has(piece) && pieces.length) piece = pieces.pop() + piece
    if (used.has(piece)) throw new Error(`'${text}' repeats what another script says`)
    used.add(piece)
    pieces.push(piece)
    at += n
  }
  return pieces
}

// The same with what is one token in one piece.
function pieces(text, whole, used) {
  const at = whole.map(w => [text.indexOf(w), w]).filter(([i]) => i >= 0).sort((a, b) => a[0] - b[0])[0]
  if (!at) return text ? cut(text, used) : []
  const [i, w] = at
  return [...(i ? cut(text.slice(0, i), used) : []), w, ...pieces(text.slice(i + w.length), whole, used)]
}

const chatml = `{%- if tools %}<|im_start|>system
# Tools, called as <tool_call>{"name": ..., "arguments": {...}}</tool_call>
{% for t in tools %}{{ t | tojson }}
{% endfor %}<|im_end|>
{% endif %}{%- for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}<|im_end|>
{% endfor %}{%- if add_generation_prompt %}<|im_start|>assistant
`
const thinking = `{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}`
const say = '{{ "<|say " + messages[-1].content + "|>" }}{%- endif %}'

// Writes a model to path. scripts: {name: text}; thinks: its template knows <think>; whole: texts that are one token
// wherever they stand; ends: the token that ends the text, and its type.
export function scripted(path, scripts, { thinks = false, nCtx = 1024, template, whole = [], ends = ['<|im_end|>', 3] } = {}) {
  const tokens = Array.from({ length: 256 }, (_, b) => byteChars[b]), types = tokens.map(() => 1)
  const used = new Set(tokens), next = new Map(), ids = new Map()
  const add = (text, type) => { ids.set(text, tokens.length); tokens.push(text); types.push(type); used.add(text); return tokens.length - 1 }
  const end = add(...ends)
  if (!ids.has('<|im_end|>')) add('<|im_end|>', 3)
  add('<|im_start|>', 3)
  for (const text of whole) add(text, 4)
  const follow = (from, to, what) => {
    if (next.has(from) && next.get(from) !== to) throw new Error(`two things follow ${tokens[from]}: one is ${what}`)
    next.set(from, to)
  }
  for (const [name, text] of Object.entries(scripts)) {
    let last = name === 'default' ? '>'.charCodeAt(0) : add(`<|say ${name}|>`, 3)
    for (const piece of pieces(text, whole, used)) {
      const id = ids.get(piece) ?? add(piece, 1)
      follow(last, id, piece)
      last = id
    }
    follow(last, end, 'the end')
  }

  const nVocab = tokens.length, n = Math.ceil(nVocab / 32) * 32, nFf = 32
  const w = new Writer(), tensors = [
    ['token_embd.weight', [n, nVocab], (out) => { for (let t = 0; t < nVocab; t++) out[t * n + t] = 1 }],
    ['output.weight', [n, nVocab], (out) => { for (const [t, to] of next) out[to * n + t] = 20 }],
    ['output_norm.weight', [n], (out) => out.fill(1)],
    ['blk.0.attn_norm.weight', [n], (out) => out.fill(1)],
    ['blk.0.ffn_norm.weight', [n], (out) => out.fill(1)],
    ['blk.0.attn_q.weight', [n, 32]], ['blk.0.attn_k.weight', [n, 32]], ['blk.0.attn_v.weight', [n, 32]], ['blk.0.attn_output.weight', [32, n]],
    ['blk.0.ffn_gate.weight', [n, nFf]], ['blk.0.ffn_up.weight', [n, nFf]], ['blk.0.ffn_down.weight', [nFf, n]],
  ]
  const meta = [
    ['general.architecture', STR, 'llama'], ['general.name', STR, 'scripted'], ['general.file_type', U32, 0],
    ['llama.context_length', U32, nCtx], ['llama.embedding_length', U32, n], ['llama.block_count', U32, 1], ['llama.feed_forward_length', U32, nFf],
    ['llama.attention.head_count', U32, 1], ['llama.attention.head_count_kv', U32, 1], ['llama.attention.key_length', U32, 32],
    ['llama.attention.value_length', U32, 32], ['llama.attention.layer_norm_rms_epsilon', F32, 1e-5], ['llama.rope.dimension_count', U32, 32],
    ['llama.vocab_size', U32, nVocab], ['tokenizer.ggml.model', STR, 'gpt2'], ['tokenizer.ggml.pre', STR, 'qwen2'],
    ['tokenizer.ggml.eos_token_id', U32, end], ['tokenizer.ggml.add_bos_token', BOOL, false],
    ['tokenizer.chat_template', STR, template ?? chatml + (thinks ? thinking : '') + say],
  ]
  w.push(Buffer.from('GGUF'))
  w.u32(3)
  w.u64(tensors.length)
  w.u64(meta.length + 3)
  for (const [k, t, v] of meta) w.kv(k, t, v)
  w.array('tokenizer.ggml.tokens', STR, tokens)
  w.array('tokenizer.ggml.token_type', U32, types)
  w.array('tokenizer.ggml.merges', STR, [])
  let offset = 0
  for (const [name, dims] of tensors) {
    w.str(name)
    w.u32(dims.length)
    for (const d of dims) w.u64(d)
    w.u32(0) // F32
    w.u64(offset)
    offset += Math.ceil(dims.reduce((a, b) => a * b) * 4 / 32) * 32
  }
  w.push(Buffer.alloc((32 - w.length % 32) % 32))
  for (const [, dims, fill] of tensors) {
    const data = new Float32Array(Math.ceil(dims.reduce((a, b) => a * b) / 8) * 8)
    fill?.(data)
    w.push(Buffer.from(data.buffer))
  }
  writeFileSync(path, Buffer.concat(w.parts))
  return path
}
