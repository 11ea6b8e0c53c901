"""The model in PyTorch: llama as hy and llama.cpp run it, with a mixture of experts (Mixtral) or a plain FFN.

RoPE turns adjacent pairs, so weights go to GGUF as they are. In training all experts of a layer are computed as one wide
FFN whose hidden units are scaled by the router's weights, zero for experts that were not chosen: the same function as
running the chosen ones, and at this size the fastest way on a GPU.
"""
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    n_vocab: int = 2048
    n_ctx: int = 1024
    n_layer: int = 6
    n_embd: int = 256
    n_head: int = 8
    n_head_kv: int = 4
    n_ff: int = 128  # of one expert, or of the dense FFN
    n_expert: int = 8  # 0: dense
    n_expert_used: int = 2
    rope_base: float = 10000.0
    rms_eps: float = 1e-5


CONFIGS = {"stories": Config(), "stories-dense": Config(n_layer=4, n_ff=320, n_expert=0, n_expert_used=0)}


def rope_table(c):
    head_dim = c.n_embd // c.n_head
    freq = c.rope_base ** (-torch.arange(0, head_dim, 2).float() / head_dim)
    angle = torch.arange(c.n_ctx).float()[:, None] * freq
    return angle.cos(), angle.sin()  # (n_ctx, head_dim / 2)


def rope(x, cos, sin):  # (batch, head, token, head_dim)
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2).type_as(x)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.head_dim = c, c.n_embd // c.n_head
        self.q = nn.Linear(c.n_embd, c.n_embd, bias=False)
        self.k = nn.Linear(c.n_embd, c.n_head_kv * self.head_dim, bias=False)
        self.v = nn.Linear(c.n_embd, c.n_head_kv * self.head_dim, bias=False)
        self.out = nn.Linear(c.n_embd, c.n_embd, bias=False)

    def forward(self, x, cos, sin):
        q, k, v = (f(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for f in (self.q, self.k, self.v))
        group = self.c.n_head // self.c.n_head_kv
        k, v = rope(k, cos, sin).repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        y = F.scaled_dot_product_attention(rope(q, cos, sin), k, v, is_causal=True)
        return self.out(y.transpose(1, 2).flatten(-2))


class FFN(nn.Module):
    """down(silu(gate x) * up x), dense or by experts. Returns also what the loss of balance needs."""

    def __init__(self, c):
        super().__init__()
        self.c = c
        wide = c.n_ff * max(c.n_expert, 1)
        self.gate = nn.Linear(c.n_embd, wide, bias=False)
        self.up = nn.Linear(c.n_embd, wide, bias=False)
        self.down = nn.Linear(wide, c.n_embd, bias=False)
        self.route = nn.Linear(c.n_embd, c.n_expert, bias=False) if c.n_expert else None

    def routing(self, x):
        """Router logits, the chosen experts' weights (0 for the others), and which were chosen."""
        logits = F.linear(x.float(), self.route.weight.float())  # (..., n_expert)
        best, ids = logits.topk(self.c.n_expert_used, -1)
        weights = torch.zeros_like(logits).scatter(-1, ids, best.softmax(-1))
        return logits, weights, ids

    def forward(self, x):
        h = F.silu(self.gate(x)) * self.up(x)
        if self.route is None:
            return self.down(h), x.new_zeros(())
        with torch.autocast("cuda", enabled=False):
            logits, weights, _ = self.routing(x)
        h = h.unflatten(-1, (self.c.n_expert, -1)) * weights.unsqueeze(-1).type_as(h)
        load = (weights > 0).float().mean((0, 1)) / self.c.n_expert_used
        balance = self.c.n_expert * (load * logits.softmax(-1).mean((0, 1))).sum() + 1e-3 * logits.logsumexp(-1).square().mean()
        return self.down(h.flatten(-2)), balance


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embd = nn.Embedding(c.n_vocab, c.n_embd)
        self.layers = nn.ModuleList(nn.ModuleDict(dict(attn_norm=nn.RMSNorm(c.n_embd, c.rms_eps), attn=Attention(c), ffn_norm=nn.RMSNorm(c.n_embd, c.rms_eps),
                                                       ffn=FFN(c))) for _ in range(c.n_layer))
        self.norm = nn.RMSNorm(c.n_embd, c.rms_eps)
        cos, sin = rope_table(c)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02 / (2 * c.n_layer) ** 0.5 if name.endswith(("out.weight", "down.weight")) else 0.02)

    def forward(self, ids, targets=None):
        x = self.embd(ids)
        cos, sin = self.cos[:ids.shape[1]], self.sin[:ids.shape[1]]
        balance = x.new_zeros((), dtype=torch.float32)
        for l in self.layers:
            x = x + l.attn(l.attn_norm(x), cos, sin)
            f, b = l.ffn(l.ffn_norm(x))
            x, balance = x + f, balance + b
        logits = F.linear(self.norm(x), self.embd.weight)
        if targets is None:
            return logits
        loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=-1)
        return loss, balance / self.c.n_layer
