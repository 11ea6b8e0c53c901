"""Byte-level byte-pair encoding: training and encoding, as the GGUF tokenizer "gpt2" with the pre-tokenizer "gpt-2" does it.

    python3 bpe.py OUT.json [N_DOCUMENTS]     trains on documents of the corpus

Tokens are 3 specials, the 256 bytes, and merges up to N_VOCAB. Text is ASCII in training, so the regular expression of
the pre-tokenizer needs no Unicode classes here.
"""
import json
import re
import sys
from collections import Counter, defaultdict

N_VOCAB = 2048
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
END, IM_START, IM_END = 0, 1, 2
WORD = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+")


def byte_chars():
    """The printable character that stands for each byte in a vocabulary."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    chars, n = {b: chr(b) for b in plain}, 0
    for b in range(256):
        if b not in chars:
            chars[b] = chr(256 + n)
            n += 1
    return [chars[b] for b in range(256)]


CHARS = byte_chars()


def train(counts, n_vocab=N_VOCAB):
    """The merges, best first, from a count of words (bytes written as characters)."""
    words = [[list(w), n] for w, n in sorted(counts.items())]
    pairs, where = Counter(), defaultdict(set)
    for i, (w, n) in enumerate(words):
        for p in zip(w, w[1:]):
            pairs[p] += n
            where[p].add(i)
    merges = []
    while len(merges) < n_vocab - 256 - len(SPECIALS):
        best = max(pairs, key=lambda p: (pairs[p], p))
        if pairs[best] < 1:
            break
        merges.append(best)
        for i in sorted(where.pop(best)):
            w, n = words[i]
            for p in zip(w, w[1:]):
                pairs[p] -= n
            at, joined = 0, []
            while at < len(w):
                if at + 1 < len(w) and (w[at], w[at + 1]) == best:
                    joined.append(w[at] + w[at + 1])
                    at += 2
                else:
                    joined.append(w[at])
                    at += 1
            words[i][0] = joined
            for p in zip(joined, joined[1:]):
                pairs[p] += n
                where[p].add(i)
        del pairs[best]
    return merges


class Tokenizer:
    def __init__(self, merges):
        self.merges = [tuple(m) for m in merges]
        self.rank = {m: i for i, m in enumerate(self.merges)}
        self.tokens = SPECIALS + CHARS + [a + b for a, b in self.merges]
        self.id = {t: i for i, t in enumerate(self.tokens)}
        self.cache = {}

    @staticmethod
    def load(path):
        with open(path, encoding="utf-8") as f:
            return Tokenizer(json.load(f))

    def _word(self, word):
        parts = [CHARS[b] for b in word.encode()]
        while len(parts) > 1:
            ranks = [self.rank.get(p, 1 << 30) for p in zip(parts, parts[1:])]
            best = min(ranks)
            if best == 1 << 30:
                break
            i = ranks.index(best)
            parts[i:i + 2] = [parts[i] + parts[i + 1]]
        return [self.id[p] for p in parts]

    def encode(self, text):
        out = []
        for word in WORD.findall(text):
            ids = self.cache.get(word)
            if ids is None:
                ids = self.cache[word] = self._word(word)
            out += ids
        return out

    def encode_parts(self, parts):
        out = []
        for p in parts:
            out += [p] if isinstance(p, int) else self.encode(p)
        return out

    def decode(self, ids):
        back = {c: b for b, c in enumerate(CHARS)}
        return b"".join(self.tokens[i].encode() if i < len(SPECIALS) else bytes(back[c] for c in self.tokens[i]) for i in ids).decode("utf-8", "replace")


def main():
    import corpus
    counts = Counter()
    for i in range(int(sys.argv[2]) if len(sys.argv) > 2 else 30000):
        for part in corpus.document(i, seed=7):
            if isinstance(part, str):
                counts.update(WORD.findall(part))
    counts = {"".join(CHARS[b] for b in w.encode()): n for w, n in counts.items()}
    merges = train(counts)
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        json.dump(merges, f, ensure_ascii=True, separators=(",", ":"))
        f.write("\n")
    print("%d distinct words, %d tokens" % (len(counts), len(Tokenizer(merges).tokens)))


if __name__ == "__main__":
    main()
