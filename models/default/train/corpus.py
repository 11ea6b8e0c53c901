"""Documents for training and for tests. Every document is made from its number and a seed alone.

    python3 corpus.py [--held-out] [--seed N] N     prints N documents as text

A document is a list of parts: text, or a special token as an int (see bpe.py). Held-out documents use combinations of
character and shape, and ways to ask, that no document for training uses.
"""
import random
import sys

import about
import chat
import stories
from bpe import END, IM_END, IM_START
from grammar import cap, expand, pick

SYSTEM = ["You are a helpful assistant.", "You are a storyteller.", "Answer briefly.", "You are hy's built-in model.", "Be kind.", "You are an assistant that tells stories.",
          "You are a friendly assistant. Answer in a few sentences.", "Help the user."]
ABOUT_HY = list(about.TOPICS)


def _sloppy(text, rng):
    """As people type: without a capital, without a mark at the end, now and then with a slip."""
    if rng.random() < 0.25:
        text = text[0].lower() + text[1:]
    if rng.random() < 0.2:
        text = text.rstrip(".?!")
    if rng.random() < 0.03 and len(text) > 8:
        i = rng.randrange(1, len(text) - 1)
        text = text[:i] + text[i + 1:]
    if rng.random() < 0.03:
        text = text + " "
    return text


def hy_question(rng, new=False, name=None):
    name = name or ABOUT_HY[int(rng.random() * len(ABOUT_HY))]
    t = about.TOPICS[name]
    framed = "framed" in t and rng.random() < 0.5
    question = cap(expand(pick(t["framed" if framed else "questions"], rng, new), {}, rng))
    if question.startswith("Hy "):
        question = "h" + question[1:]
    if not new:
        question = about.reword(question, rng)
        if about.is_held_out(question):
            return hy_question(rng, new, name)
    if rng.random() < 0.04:
        question = question.replace(" hy", " Hy", 1)
    return question, expand(pick(t["answers"], rng), {}, rng), name


def _turn(parts, role, text):
    parts += [IM_START, role + "\n" + text, IM_END, "\n"]


def _exchange(parts, question, answer, rng):
    _turn(parts, "user", _sloppy(question, rng))
    _turn(parts, "assistant", answer)


def _story_chat(parts, rng, new):
    """A story, and often what comes after it: questions about it, thanks, another story."""
    question, story, s = (stories.make_any_story if rng.random() < 0.06 else stories.make_story)(rng, new)
    _exchange(parts, question, story, rng)
    r = rng.random()
    if r < 0.30:
        for _ in range(rng.choice([1, 1, 2, 3])):
            _exchange(parts, *chat.follow_up(s, story, rng), rng)
    elif r < 0.38:
        question, story, _ = stories.make_any_story(rng, new)
        _exchange(parts, pick(chat.AGAIN, rng, new), story, rng)
    elif r < 0.45:
        _exchange(parts, pick(chat.THANKS, rng, new), expand(pick(chat.WELCOME, rng), {}, rng).strip(), rng)


def _talk(parts, rng, new):
    for _ in range(rng.choice([1, 1, 2, 3, 4, 5, 6])):
        r = rng.random()
        make = hy_question if r < 0.66 else chat.outside if r < 0.90 else chat.small_talk
        question, answer, _ = make(rng, new)
        _exchange(parts, question, answer.strip(), rng)
    if rng.random() < 0.12:
        question, story, _ = stories.make_story(rng, new)
        _exchange(parts, question, story, rng)


def plain(rng, new=False, n=None):
    """Stories as a book would have them."""
    n = n or rng.choice([1, 1, 2, 3])
    return "\n\n* * *\n\n".join(stories.make_story(rng, new)[1] for _ in range(n)) + "\n"


def document(number, seed=1, new=False):
    rng = random.Random("%d/%d/%d" % (seed, number, new))
    r = rng.random()
    if r < 0.10:
        return [plain(rng, new)]
    parts = []
    if rng.random() < 0.12:
        _turn(parts, "system", pick(SYSTEM, rng))
    if r < 0.54:
        _story_chat(parts, rng, new)
    else:
        _talk(parts, rng, new)
    return parts


def as_text(parts):
    names = {END: "<|endoftext|>", IM_START: "<|im_start|>", IM_END: "<|im_end|>"}
    return "".join(p if isinstance(p, str) else names[p] for p in parts)


def main():
    args = sys.argv[1:]
    seed = int(args[args.index("--seed") + 1]) if "--seed" in args else 1
    for i in range(int(args[-1])):
        print(as_text(document(i, seed, "--held-out" in args)), end="<|endoftext|>\n")


if __name__ == "__main__":
    main()
