"""How good the model is, measured through hy itself, on questions that training never used.

    python3 evaluate.py HY MODEL.gguf [--stories N] [--questions N] [--seed N] [--temp T] [--show]

Stories: unseen combinations of hero and shape, asked for in known ways and in unseen ones; a story counts when it ended by
itself, holds what the question named, and the checker of the grammar finds nothing. Answers: unseen ways to ask about
each topic; an answer counts when it holds all the topic's facts. Others: refusals of what is none of its business, and
questions about a story that was just told.
"""
import argparse
import random
import re
import subprocess

import about
import chat
import checker
import corpus
import stories


def ask(a, turns, n=420):
    """The answer to the last of the turns, which alternate between user and assistant; None when it did not end."""
    text = "".join("<|im_start|>%s\n%s<|im_end|>\n" % (("user", "assistant")[i % 2], t) for i, t in enumerate(turns)) + "<|im_start|>assistant\n"
    command = [a.hy, "run", a.model, "--raw", "-f", "/dev/stdin", "-n", str(n), "--temp", str(a.temp), "--seed", str(a.seed), "--threads", "1"]
    out = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout.strip()
    return out if out.endswith((".", "!", "?", '"')) else None


def named(question, s):
    """What of the cast the question names."""
    slots = ["hero", "kind", "thing", "fear", "skill", "building", "goal", "villain", "plain"] + (["place"] if "place" in s else [])
    words = {s[k] for k in slots if re.search(r"\b%s\b" % re.escape(s[k]), question)}
    return {w for w in words if not any(w != v and w in v for v in words)}


def judge_story(question, story, s):
    if story is None:
        return "it does not end"
    missing = [w for w in named(question, s) if w not in story]
    if missing:
        return "not about " + ", ".join(missing)
    return checker.check(story)


def run_stories(a, rng):
    """Apart: how stories are asked for in training, about what training never told, and ways to ask that are new too."""
    for unseen in (False, True):
        wrong = []
        for _ in range(a.stories):
            _, _, s = stories.make_story(rng, new=True)
            question = stories.ask_for(s, rng, unseen)
            story = ask(a, [question])
            w = judge_story(question, story, s)
            wrong += [w] if w else []
            if w and a.show:
                print("    %s -> %s" % (question, w))
        off = sum(w.startswith("not about") for w in wrong)
        print("stories asked for in %s ways: %d, on topic %.1f %%, on topic and consistent %.1f %%" %
              ("unseen" if unseen else "known", a.stories, 100 - 100 * off / a.stories, 100 - 100 * len(wrong) / a.stories))


def run_answers(a, rng):
    right = 0
    for i in range(a.questions):
        question, _, name = corpus.hy_question(rng, True, corpus.ABOUT_HY[i % len(corpus.ABOUT_HY)])
        answer = ask(a, [question], 150) or ""
        ok = all(re.search(k, answer) for k in about.TOPICS[name]["keys"])
        right += ok
        if not ok and a.show:
            print("    %s (%s) -> %s" % (question, name, answer))
    print("answers about hy: %d, right %.1f %%" % (a.questions, 100 * right / a.questions))


def run_others(a, rng):
    n, refused, right = a.questions // 3, 0, 0
    for _ in range(n):
        question = chat.outside(rng, True)[0]
        answer = ask(a, [question], 150) or ""
        ok = bool(re.search(r"do not know|cannot help|beyond me|know only|only know", answer))
        refused += ok
        if not ok and a.show:
            print("    %s -> %s" % (question, answer))
    print("other questions: %d, refused %.1f %%" % (n, 100 * refused / n))
    for _ in range(n):
        question, story, s = stories.make_story(rng, new=True)
        follow, want = chat.follow_up(s, story, rng)
        answer = ask(a, [question, story, follow], 60) or ""
        facts = [w for w in (s[k] for k in ("hero", "friend", "kind", "f_kind", "thing", "fear", "skill", "goal", "building", "secret", "plant", "home", "food")) if w in want]
        ok = all(w in answer for w in facts)
        right += ok
        if not ok and a.show:
            print("    %s: %s, not %s" % (follow, want, answer))
    print("questions about a story just told: %d, right %.1f %%" % (n, 100 * right / n))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("hy")
    p.add_argument("model")
    p.add_argument("--stories", type=int, default=100)
    p.add_argument("--questions", type=int, default=195)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--temp", type=float, default=0)
    p.add_argument("--show", action="store_true")
    a = p.parse_args()
    for run in (run_stories, run_answers, run_others):
        run(a, random.Random("evaluate/%d" % a.seed))


if __name__ == "__main__":
    main()
