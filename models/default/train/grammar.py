"""Templates: "[one|another] {slot}" with choices that nest, slots from a dict, and articles.

    {name}     the slot's text          {Name}    with a capital
    {a name}   with "a" or "an" before  {A name}  likewise
    [x|y|]     one of these, each as likely as the others

Slots are filled with finished text; a template is parsed once and kept. A template whose text begins with "~" is held
out: corpora for training never use it, tests use nothing else where they can (see pick).
"""
import re

_cache = {}
_token = re.compile(r"[\[\]|]|\{[^}]*\}|[^\[\]|{}]+")
_an_not = ("uni", "use", "one", "ukulele")


def article(text):
    vowel = text[0].lower() in "aeiou" and not text.lower().startswith(_an_not)
    return "an " + text if vowel else "a " + text


def cap(text):
    return text[:1].upper() + text[1:]


def _parse(tokens, at, inside):
    """A list of alternatives, each a list of str, ("slot", name) or nested alternatives."""
    alternatives, now = [], []
    while at < len(tokens):
        t = tokens[at]
        at += 1
        if t == "[":
            inner, at = _parse(tokens, at, True)
            now.append(inner)
        elif t == "|" and inside:
            alternatives.append(now)
            now = []
        elif t == "]" and inside:
            alternatives.append(now)
            return alternatives, at
        elif t[0] == "{":
            now.append(("slot", t[1:-1]))
        else:
            now.append(t)
    if inside:
        raise ValueError("a bracket is not closed: " + "".join(tokens))
    return [now], at


def _slot(name, slots):
    if name[:2] in ("a ", "A "):
        text = article(slots[name[2:]])
        return cap(text) if name[0] == "A" else text
    if name in slots:
        return slots[name]
    return cap(slots[name[0].lower() + name[1:]])


def _expand(parts, slots, rng, out):
    for p in parts:
        if isinstance(p, str):
            out.append(p)
        elif isinstance(p, tuple):
            out.append(_slot(p[1], slots))
        else:
            _expand(p[int(rng.random() * len(p))], slots, rng, out)


def expand(template, slots, rng):
    tree = _cache.get(template)
    if tree is None:
        tree = _cache[template] = _parse(_token.findall(template), 0, False)[0][0]
    out = []
    _expand(tree, slots, rng, out)
    return "".join(out)


def pick(templates, rng, held_out=False):
    """One of the templates: for training one that is not held out, for tests one that is, if there are any."""
    usable = [t for t in templates if t.startswith("~") == held_out]
    usable = usable or [t for t in templates if not t.startswith("~")]
    return usable[int(rng.random() * len(usable))].lstrip("~")


def count(template):
    """How many texts a template stands for, slots aside."""
    def of(parts):
        n = 1
        for p in parts:
            if isinstance(p, list):
                n *= sum(of(q) for q in p)
        return n
    return of(_parse(_token.findall(template.lstrip("~")), 0, False)[0][0])
