"""Trains a model on the corpus and writes it.

    python3 train.py OUT_FOLDER [--model stories|stories-dense] [--steps N] [--rows N] [--batch N] [--seed N]

OUT_FOLDER gets MODEL.pt, MODEL.loss.csv and MODEL.routing.json; tokenizer.json is made when it is missing. Rows of
n_ctx + 1 tokens are made by all cores before training and kept in memory. Made for one GPU; runs on a CPU as well.
"""
import argparse
import json
import math
import multiprocessing
import os
import random
import time

import numpy
import torch

import corpus
from bpe import END, Tokenizer
from model import CONFIGS, Model

ROWS_PER_TASK = 500


def make_rows(task):
    """Rows of whole documents, the last one cut off. Most begin with END, as BOS would."""
    first, seed, n_tok, path, new = task
    tok, rng = Tokenizer.load(path), random.Random("rows/%d/%d" % (seed, first))
    rows, number = numpy.zeros((ROWS_PER_TASK, n_tok), numpy.int16), first * 40
    for row in rows:
        ids = [END] if rng.random() < 0.8 else []
        while len(ids) < n_tok:
            ids += tok.encode_parts(corpus.document(number, seed, new)) + [END]
            number += 1
        row[:] = ids[:n_tok]
    assert number < (first + ROWS_PER_TASK) * 40
    return rows


def load_rows(n_row, seed, n_tok, path, new=False):
    tasks = [(i, seed, n_tok, path, new) for i in range(0, n_row, ROWS_PER_TASK)]
    with multiprocessing.Pool() as pool:
        return torch.from_numpy(numpy.concatenate(pool.map(make_rows, tasks, 1)))


def lr_at(step, steps, peak):
    warm = min(300, steps // 10 + 1)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm))))


def make_optimizer(model, cuda):
    decay = [p for p in model.parameters() if p.dim() == 2]
    other = [p for p in model.parameters() if p.dim() != 2]
    return torch.optim.AdamW([dict(params=decay, weight_decay=0.1), dict(params=other, weight_decay=0.0)], lr=1e-3, betas=(0.9, 0.95), fused=cuda)


@torch.no_grad()
def evaluate(forward, rows, device, batch):
    total = 0.0
    for i in range(0, len(rows) - batch + 1, batch):
        part = rows[i:i + batch].to(device).long()
        total += forward(part[:, :-1], part[:, 1:])[0].item() * batch
    return total / (len(rows) // batch * batch)


def train(model, rows, held, a, device, log):
    cuda = device == "cuda"
    forward = torch.compile(model) if cuda else model
    opt, rng = make_optimizer(model, cuda), torch.Generator().manual_seed(a.seed)
    rows, order, t0, recent = rows.to(device), None, time.time(), []
    for step in range(a.steps):
        at = step * a.batch % (len(rows) - a.batch + 1)
        if order is None or at < a.batch:
            order = torch.randperm(len(rows), generator=rng)
        part = rows[order[at:at + a.batch].to(device)].long()
        for group in opt.param_groups:
            group["lr"] = lr_at(step, a.steps, a.lr)
        with torch.autocast(device, torch.bfloat16, enabled=cuda):
            loss, balance = forward(part[:, :-1], part[:, 1:])
        (loss + 0.02 * balance).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        recent.append(loss.detach())
        if (step + 1) % a.every == 0 or step + 1 == a.steps:
            with torch.autocast(device, torch.bfloat16, enabled=cuda):
                held_loss = evaluate(forward, held, device, min(a.batch, len(held)))
            line = (step + 1, (step + 1) * a.batch * (rows.shape[1] - 1), torch.stack(recent).mean().item(), held_loss, balance.item(), time.time() - t0)
            log.write("%d,%d,%.4f,%.4f,%.4f,%.0f\n" % line)
            log.flush()
            print("step %d, %d tokens, loss %.4f, held out %.4f, balance %.4f, %.0f s" % line, flush=True)
            recent = []


@torch.no_grad()
def routing_report(model, rows, device):
    """How evenly the experts of each layer are used, and how much a choice depends on the token."""
    ids, seen = rows.to(device).long(), []
    hooks = [l.ffn.register_forward_pre_hook(lambda ffn, x: seen.append(ffn.routing(x[0])[::2])) for l in model.layers]
    model(ids)
    for h in hooks:
        h.remove()
    report = []
    for logits, chosen in seen:
        n = model.c.n_expert
        onehot = torch.zeros(*chosen.shape[:2], n, device=device).scatter(-1, chosen, 1.0)
        load = onehot.mean((0, 1)) / model.c.n_expert_used
        probs = logits.softmax(-1)
        by_token = torch.zeros(model.c.n_vocab, n, device=device).index_add(0, ids.flatten(), onehot.flatten(0, 1))
        weight = by_token.sum(1) / by_token.sum()
        share = by_token / by_token.sum(1, keepdim=True).clamp(min=1)
        entropy = lambda p: -(p * p.clamp(min=1e-12).log2()).sum(-1)
        report.append(dict(load=[round(v, 4) for v in load.tolist()], load_entropy_bits=round(entropy(load).item(), 3),
                           router_entropy_bits=round(entropy(probs).mean().item(), 3),
                           entropy_given_token_bits=round((weight * entropy(share)).sum().item(), 3)))
    return report


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out")
    p.add_argument("--model", default="stories", choices=CONFIGS)
    p.add_argument("--steps", type=int, default=6000)
    p.add_argument("--rows", type=int, default=400000)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--every", type=int, default=100)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    torch.manual_seed(a.seed)
    torch.set_float32_matmul_precision("high")
    device, c = "cuda" if torch.cuda.is_available() else "cpu", CONFIGS[a.model]
    path = os.path.join(a.out, "tokenizer.json")
    t0 = time.time()
    kept = os.path.join(a.out, "rows-%d.npy" % a.rows)
    if not os.path.exists(kept):
        numpy.save(kept, load_rows(a.rows, a.seed, c.n_ctx + 1, path).numpy())
    rows = torch.from_numpy(numpy.load(kept))
    held = load_rows(ROWS_PER_TASK, a.seed, c.n_ctx + 1, path, new=True)[:256]
    print("%d rows, %.0f M tokens, %.0f s" % (len(rows), rows.numel() / 1e6, time.time() - t0), flush=True)
    model = Model(c).to(device)
    print("%.3f M parameters" % (sum(q.numel() for q in model.parameters()) / 1e6), flush=True)
    with open(os.path.join(a.out, a.model + ".loss.csv"), "w") as log:
        log.write("step,tokens,loss,held_out_loss,balance,seconds\n")
        train(model, rows, held, a, device, log)
    torch.save({k: v.cpu() for k, v in model.state_dict().items()}, os.path.join(a.out, a.model + ".pt"))
    if c.n_expert:
        with open(os.path.join(a.out, a.model + ".routing.json"), "w") as f:
            json.dump(routing_report(model, held[:64, :-1], device), f, indent=1)


if __name__ == "__main__":
    main()
