"""Is a story one that the grammar could have told? Finds the templates that make it up and compares what fills their slots.

check(text) gives None when every sentence is a template's and all agree on the hero, the friend, things, places and
pronouns; else a sentence that says what is wrong.
"""
import re
import grammar
import shapes_more
import stories

NAME = r"[A-Z][a-z]+"
WORDS = r"[a-zA-Z][a-zA-Z' -]*?"
SAME = {"hero", "friend", "he", "him", "his", "himself", "f_he", "f_him", "f_his", "kind", "f_kind", "thing", "plain", "place1", "place2", "fear", "skill", "building",
        "goal", "villain", "food", "helper", "secret", "plant"}
PRONOUNS = {"he": "he|she", "him": "him|her", "his": "his|her", "himself": "himself|herself"}


def _slot_pattern(name, slots):
    bare = name[2:] if name[:2] in ("a ", "A ") else name
    key = bare[0].lower() + bare[1:]
    slots.append(key)
    group = "(?P<s%d>" % (len(slots) - 1)
    base = key[2:] if key.startswith("f_") else key
    if key in ("hero", "friend"):
        return group + NAME + ")"
    if base in PRONOUNS:
        return group + "(?i:" + PRONOUNS[base] + "))"
    return ("(?i:an?) " if bare != name else "") + group + WORDS + ")"


def _pattern(parts, slots):
    out = ""
    for p in parts:
        if isinstance(p, str):
            out += re.escape(p)
        elif isinstance(p, tuple):
            out += _slot_pattern(p[1], slots)
        else:
            out += "(?:" + "|".join(_pattern(q, slots) for q in p) + ")"
    return out


def _compile(template):
    slots = []
    tree = grammar._parse(grammar._token.findall(template.lstrip("~")), 0, False)[0][0]
    return re.compile(_pattern(tree, slots) + r"(?=\s|$)"), slots


def _trait_lines():
    for line in stories.TRAIT_LINES:
        for shows in stories.TRAITS.values() if "{shows}" in line else [""]:
            yield line.replace("{shows}", shows)


COMMON = [_compile(t) for t in [*stories.OPENINGS, *_trait_lines(), *(c for c in stories.CLOSINGS if c), *shapes_more.INTERLUDES]]
BY_SHAPE = {name: [_compile(t) for p in s["beats"] for beat in p for t in beat] for name, s in stories.SHAPES.items()}


def _plain(value):
    return value[0].lower() + value[1:]


def _parse(text, templates):
    """All slots of the story with their values, or the place where no template fits."""
    at, found = 0, []
    while at < len(text):
        best = max((m for m in ((p.match(text, at), s) for p, s in templates) if m[0]), key=lambda m: m[0].end(), default=None)
        if not best or best[0].end() == at:
            return None, at
        match, slots = best
        found += [(k, _plain(match["s%d" % i])) for i, k in enumerate(slots) if match["s%d" % i]]
        at = match.end()
        while at < len(text) and text[at].isspace():
            at += 1
    return found, at


def _disagreement(found):
    values = {}
    for k, v in found:
        if k in ("home", "np"):
            continue
        if k in SAME and values.setdefault(k, v) != v:
            return "%s is both '%s' and '%s'" % (k, values[k], v)
    if "hero" in values and "he" in values and (values["hero"] in HE) != (values["he"] == "he"):
        return "%s is '%s'" % (values["hero"], values["he"])
    return None


HE = {n.lower() if len(n) == 1 else _plain(n) for n in stories.HE_NAMES}


def check(text):
    text, furthest = text.strip(), 0
    for templates in BY_SHAPE.values():
        found, at = _parse(text, templates + COMMON)
        if found is not None:
            return _disagreement(found)
        furthest = max(furthest, at)
    return "no template fits: " + text[furthest:furthest + 80]
