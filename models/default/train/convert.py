"""Writes a trained model as GGUF.

    python3 convert.py FOLDER MODEL [--type q8_0|f16] OUT.gguf     reads FOLDER/MODEL.pt and FOLDER/tokenizer.json

Matrices become Q8_0 (blocks of 32 weights with an f16 scale), the router and the norms stay F32. The output matrix is
the embedding, so the file has none. Format: version 3, little-endian, tensor data aligned to 32 bytes.
"""
import struct
import sys

import numpy
import torch

from bpe import END, IM_END, SPECIALS, Tokenizer
from model import CONFIGS

U32, I32, F32, BOOL, STR, ARR = 4, 5, 6, 7, 8, 9
TYPES = {"f32": 0, "f16": 1, "q8_0": 8}
ALIGNMENT = 32
TEMPLATE = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, v):
    if kind == STR:
        return string(v)
    if kind == ARR:
        of, items = v
        return struct.pack("<IQ", of, len(items)) + b"".join(value(of, i) for i in items)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], v)


def metadata(name, c, tok, file_type):
    kv = [("general.architecture", STR, "llama"), ("general.name", STR, "hy " + name), ("general.license", STR, "mit"), ("general.file_type", U32, file_type),
          ("llama.vocab_size", U32, c.n_vocab), ("llama.context_length", U32, c.n_ctx), ("llama.block_count", U32, c.n_layer),
          ("llama.embedding_length", U32, c.n_embd), ("llama.feed_forward_length", U32, c.n_ff), ("llama.attention.head_count", U32, c.n_head),
          ("llama.attention.head_count_kv", U32, c.n_head_kv), ("llama.attention.layer_norm_rms_epsilon", F32, c.rms_eps),
          ("llama.rope.freq_base", F32, c.rope_base), ("llama.rope.dimension_count", U32, c.n_embd // c.n_head)]
    if c.n_expert:
        kv += [("llama.expert_count", U32, c.n_expert), ("llama.expert_used_count", U32, c.n_expert_used)]
    types = [3] * len(SPECIALS) + [1] * (c.n_vocab - len(SPECIALS))  # control, normal
    return kv + [("tokenizer.ggml.model", STR, "gpt2"), ("tokenizer.ggml.pre", STR, "gpt-2"), ("tokenizer.ggml.tokens", ARR, (STR, tok.tokens)),
                 ("tokenizer.ggml.token_type", ARR, (I32, types)), ("tokenizer.ggml.merges", ARR, (STR, ["%s %s" % m for m in tok.merges])),
                 ("tokenizer.ggml.bos_token_id", U32, END), ("tokenizer.ggml.eos_token_id", U32, IM_END), ("tokenizer.ggml.padding_token_id", U32, END),
                 ("tokenizer.ggml.add_bos_token", BOOL, True), ("tokenizer.ggml.add_eos_token", BOOL, False), ("tokenizer.chat_template", STR, TEMPLATE)]


def tensors(c, w):
    """(name, matrix with rows as in the file, is it quantized)"""
    out = [("token_embd.weight", w["embd.weight"], True), ("output_norm.weight", w["norm.weight"], False)]
    for i in range(c.n_layer):
        of = lambda n: w["layers.%d.%s.weight" % (i, n)]
        named = [("attn_norm", "attn_norm", False), ("attn_q", "attn.q", True), ("attn_k", "attn.k", True), ("attn_v", "attn.v", True),
                 ("attn_output", "attn.out", True), ("ffn_norm", "ffn_norm", False)]
        out += [("blk.%d.%s.weight" % (i, n), of(m), q) for n, m, q in named]
        gate, up, down = of("ffn.gate"), of("ffn.up"), of("ffn.down")
        if not c.n_expert:
            out += [("blk.%d.ffn_%s.weight" % (i, n), m, True) for n, m in (("gate", gate), ("up", up), ("down", down))]
            continue
        split = lambda m: m.unflatten(0, (c.n_expert, c.n_ff))  # (expert, n_ff, n_embd)
        down = down.unflatten(1, (c.n_expert, c.n_ff)).permute(1, 0, 2)  # (expert, n_embd, n_ff)
        out += [("blk.%d.ffn_gate_inp.weight" % i, of("ffn.route"), False), ("blk.%d.ffn_gate_exps.weight" % i, split(gate), True),
                ("blk.%d.ffn_up_exps.weight" % i, split(up), True), ("blk.%d.ffn_down_exps.weight" % i, down, True)]
    return out


def q8_0(m):
    """Blocks of 32: a scale, then 32 signed bytes."""
    x = m.reshape(-1, 32).astype(numpy.float32)
    scale = numpy.abs(x).max(1, keepdims=True) / 127
    q = numpy.rint(numpy.divide(x, scale, out=numpy.zeros_like(x), where=scale > 0)).astype(numpy.int8)
    return numpy.concatenate([scale.astype("<f2").view(numpy.int8).reshape(-1, 2), q], 1).tobytes()


ENCODE = {"f32": lambda m: m.astype("<f4").tobytes(), "f16": lambda m: m.astype("<f2").tobytes(), "q8_0": q8_0}


def write(path, name, c, tok, weights, matrix_type):
    kv = metadata(name, c, tok, {"f16": 1, "q8_0": 7}[matrix_type])
    head = b"GGUF" + struct.pack("<I", 3)
    directory, data = b"", b""
    all_tensors = tensors(c, weights)
    for tensor_name, m, is_matrix in all_tensors:
        kind = matrix_type if is_matrix else "f32"
        dims = tuple(reversed(m.shape))
        directory += string(tensor_name) + struct.pack("<I%dQIQ" % len(dims), len(dims), *dims, TYPES[kind], len(data))
        data += ENCODE[kind](m.float().contiguous().numpy())
        data += bytes(-len(data) % ALIGNMENT)
    head += struct.pack("<QQ", len(all_tensors), len(kv))
    head += b"".join(string(k) + struct.pack("<I", t) + value(t, v) for k, t, v in kv) + directory
    with open(path, "wb") as f:
        f.write(head + bytes(-len(head) % ALIGNMENT) + data)


def main():
    folder, name, out = sys.argv[1], sys.argv[2], sys.argv[-1]
    matrix_type = sys.argv[sys.argv.index("--type") + 1] if "--type" in sys.argv else "q8_0"
    weights = torch.load("%s/%s.pt" % (folder, name), map_location="cpu")
    write(out, name, CONFIGS[name], Tokenizer.load(folder + "/tokenizer.json"), weights, matrix_type)


if __name__ == "__main__":
    main()
