"""Stories and what one asks to get them: a cast with its places and things, a shape, and the words for both."""
import zlib
from grammar import article, cap, expand, pick
from words import (ANIMALS, BODIES, FRIENDS, HE_KINDS, HE_NAMES, KINDS, LOOKS, PEOPLE, PLACES, SEASONS, SHE_KINDS, SHE_NAMES,
                   THING_ADJ, THINGS, TRAITS, WEATHER)
import shapes_day
import shapes_far
import shapes_more

SHAPES = {**shapes_day.SHAPES, **shapes_far.SHAPES, **shapes_more.SHAPES}
FEARS = ["the dark", "thunder", "deep water", "heights", "loud noises", "being alone", "strangers", "the cold wind", "narrow caves",
         "shadows", "the old bridge", "fire", "big crowds", "the night"]
SKILLS = ["sing", "dance", "swim", "whistle", "read", "cook", "paint", "juggle", "skate", "climb", "play the flute", "draw", "tell stories",
          "count to a thousand", "write letters", "bake bread", "ride a bicycle", "sew", "play the drum", "do magic tricks", "stand on one leg"]
BUILDINGS = ["treehouse", "boat", "bridge", "windmill", "castle of sand", "raft", "snow house", "wooden hut", "tower", "flying machine",
             "merry-go-round", "bench", "birdhouse", "wall", "little theatre", "swing", "stone oven"]
PLANTS = ["a sunflower as tall as a house", "an apple tree", "a giant pumpkin", "a rose with a hundred flowers", "a cherry tree",
          "a bean that reached the clouds", "a blue flower that shone at night", "a pear tree", "a field of poppies", "an oak tree"]
GOALS = ["the sea", "the northern lights", "the great waterfall", "the city of lights", "the highest mountain", "the desert",
         "the end of the rainbow", "the silver lake", "the land of snow", "the oldest tree in the world", "the valley of flowers",
         "the edge of the world", "the singing stones"]
VILLAINS = ["wolf", "troll", "giant", "bear", "crocodile", "tiger", "ogre", "dragon", "lion"]
MODIFIERS = ["pirate", "robot", "clockwork", "snow", "sea", "desert", "mountain", "space", "wizard", "ghost", "paper", "glass", "silver", "magic", "circus",
             "river", "night", "sky", "cave", "garden", "city", "wooden", "ninja", "flying", "talking", "invisible", "singing", "dancing", "golden", "blue"]
LIVING_THINGS = """cloud, star, snowflake, raindrop, teapot, tree, river, mountain, pumpkin, mushroom, leaf, flower, rose, stone, boat, ship, sailing boat, submarine,
rocket, plane, helicopter, balloon, kite, clock, lamp, candle, book, pencil, broom, chair, piano, violin, bell, cup, spoon, button, shoe, sock, hat, umbrella,
house, castle, lighthouse, windmill, bridge, volcano, rainbow, moonbeam, shadow, echo, dinosaur, mammoth, axolotl, armadillo, porcupine, platypus, anteater,
walnut, acorn, potato, carrot, tomato, cucumber, banana, lemon, onion, pancake, muffin, cookie, sandwich, noodle, ice cream, tiger cub, alien, monster, vampire,
superhero, detective, dentist, firefighter, policeman, pilot, driver, magician, clown, dancer, singer, soldier, spy, thief, mayor, judge, mechanic, engineer,
programmer, scientist, professor, mathematician, philosopher, beggar, orphan, baby, twin, cousin, stranger, traveller, nomad, shopkeeper, washing machine,
toaster, computer, calculator, telephone, compass, snow queen, sea monster, wasp, mosquito, hummingbird, peacock, kingfisher, cuckoo, vulture, albatross,
yak, llama, alpaca, bison, hyena, jackal, wombat, opossum, ferret, mink, stoat, gecko, salamander, tadpole, shrimp, clam, oyster, guinea pig, pug,
poodle, cub, foal, fawn, gosling, stag, mare, bull, ram, ewe, tortoise, cobra, python, iguana, baboon, lemur, orangutan, chimpanzee, gnat, cicada""".replace("\n", " ").split(", ")
LIVING_HOMES = ["in a small village", "near the river", "at the edge of the forest", "on a hill", "in a town between two hills", "by the sea", "in a garden",
                "in a green valley", "on a misty island", "at the end of a long street"]
ALL_KINDS = list(KINDS)
PLURAL = {"wolf": "wolves", "mouse": "mice", "fairy": "fairies", "pony": "ponies", "sheep": "sheep", "deer": "deer", "fish": "fish", "goose": "geese", "ox": "oxen",
          "calf": "calves", "fox": "foxes", "butterfly": "butterflies", "firefly": "fireflies", "witch": "witches", "elf": "elves", "thief": "thieves", "ostrich": "ostriches",
          "finch": "finches", "bus": "buses", "hippo": "hippos", "puppy": "puppies", "husky": "huskies", "moose": "moose", "squid": "squid", "salmon": "salmon",
          "fisherman": "fishermen", "postman": "postmen", "snowman": "snowmen", "old woman": "old women", "old man": "old men", "dwarf": "dwarves", "lynx": "lynxes"}
HELPERS = ["owl", "turtle", "goat", "crow", "badger", "toad", "raven", "donkey"]  # spoken of as "the old owl"

OPENINGS = [
    "[Once upon a time|Once|Long ago|One {season}|Not so long ago|Many years ago] there was {a np} named {hero} who lived {home}.",
    "[Once upon a time|Once|Long ago|Many years ago], {a np} [named|called] {hero} lived {home}.",
    "{Home} there lived {a np} named {hero}.",
    "{Home} lived {a np} whose name was {hero}.",
    "{Hero} was {a np} who lived {home}.",
    "There was once {a np} called {hero}. {He} lived {home}.",
    "Have you heard of {hero}, the {np} who lived {home}?",
    "~In the days of our grandmothers, {a np} named {hero} lived {home}.",
]
TRAIT_LINES = ["{Hero} was [very|quite|always] {trait}: {shows}.", "{He} was {a trait} {kind}, and {shows}.", "Everyone knew that {hero} was {trait}.",
               "{Hero} was {trait}, for {shows}.", "{He} was known to be {trait}.", "~What people said first of {hero} was that {he} was {trait}."]
CLOSINGS = ["The end.", "And that is the end of the story.", "And they lived happily ever after.", "And that is how it was.", "", "", "", ""]

_HELLO = "[|||||||Hi! |Hello, |Hey, |Okay, |Now |And now |So, |Well, |Please, |hy, ]"
_STORY = "[a|a|a|a|another|one more|some] [|||||short |little |nice |small |new |funny |bedtime |long |lovely |good |sweet |fairy |sad |exciting ][story|story|story|tale|adventure]"
_ABOUT = "[about|about|about|about|about|with|featuring|on|that is about|in which we meet]"
_END = "[.|.|.||||!|, please.| please|, please!| for my daughter.| for my little brother.| before I go to sleep.| with a happy ending.| in a few sentences.| for children.| for bedtime.| now.]"
ASKS = [
    "Tell me a story about {x}.", "Tell me a story about {x}", "Write a story about {x}.", "Write a short story about {x}.", "story about {x}", "a story about {x}",
    _HELLO + "[tell|tell|tell|write|give|make up|invent|create|compose|read|think up|narrate] [|me |me |me |us |me and my sister |my son |my daughter |the children ]" + _STORY + " " + _ABOUT + " {x}" + _END,
    _HELLO + "[can|could|would|will] you [please |][tell|write|make up|invent|read|give|think of] [|me |me |us ]" + _STORY + " " + _ABOUT + " {x}[?|?|?|, please?|]",
    _HELLO + "I [want|would like|need|wish for|want to hear|would love to hear|want to read|would like to have|feel like] " + _STORY + " " + _ABOUT + " {x}" + _END,
    "[Do you know|Have you got|Do you have|Is there|Have you heard|May I have|May I hear|Got] " + _STORY + " " + _ABOUT + " {x}[?|?|, please?]",
    "[My|Our|Her|His] [son|daughter|child|sister|brother|grandchild|nephew|class|cat] [wants|likes|asks for|would like|wishes for|needs] " + _STORY + " " + _ABOUT + " {x}" + _END,
    "[Let me|Let us] [hear|have|read] " + _STORY + " " + _ABOUT + " {x}" + _END, "[Tonight|Today|This time|Next|Once more,] " + _STORY + " " + _ABOUT + " {x}" + _END,
    "[A|The] [story|tale|short story|bedtime story] [about|of|with] {x}" + _END, "[Something|Anything] [about|with] {x}" + _END, "Tell me [something|more|all] about {x} and what happened[.|]",
    "{x}", "{x}, please.", "[And|What about|And what about|Maybe|Perhaps] {x}?", "[What|Once] [happened to|was there with] {x}?", "Do something with {x}.", "Story: {x}", "Topic: {x}",
    "~Would you be so kind as to tell a story about {x}?", "~How about a story of {x}?", "~Please think up a yarn about {x}.",
    "~We want to hear about {x}.", "~Entertain me with a story about {x}.", "~I am in the mood for a tale in which {x} plays a part.",
]
ASKS_ANY = ["Tell me a story.", "tell me a story", "Tell me a [short|nice|little|bedtime|funny] story.", "Write a [short |]story.", "A story, please.", "Can you tell me a story?",
            "I want to hear a story.", "Please tell me a story.", "Do you know any stories?", "Tell me something nice.", "I cannot sleep. Tell me a story.",
            "Another story, please.", "story", "Surprise me with a story.", "~A tale, if you please.", "~Would you tell us a story?"]


def held_out(*what):
    """One in ten combinations is kept from training. Stable over runs and machines."""
    return zlib.crc32("/".join(what).encode()) % 10 == 0


def _choice(rng, seq):
    return seq[int(rng.random() * len(seq))]


def _favour(rng, seq, *key, share=0.7):
    """Mostly one of three favourites that belong to the key, the first most of all, so that the likeliest story
    about a fox is another one than that about an owl; else anything."""
    if rng.random() >= share or len(seq) < 4:
        return _choice(rng, seq)
    r, at = rng.random(), zlib.crc32("/".join(key).encode())
    return seq[(at + (0 if r < 0.6 else 7919 if r < 0.85 else 104729)) % len(seq)]


def _pronouns(s, prefix, she):
    s[prefix + "he"], s[prefix + "him"], s[prefix + "his"] = ("she", "her", "her") if she else ("he", "him", "his")
    s[prefix + "himself"] = "herself" if she else "himself"


def _gender(rng, kind):
    return kind in SHE_KINDS or (kind not in HE_KINDS and rng.random() < 0.5)


def _moves(s, rng, prefix, kind):
    body = BODIES[KINDS[kind][0]]
    for verb in ("went", "hurried"):
        s[prefix + verb] = _choice(rng, body[verb].split("|"))
    s[prefix + "go"], s[prefix + "hand"] = body["go"], body["hand"]


def _noun_phrase(rng, kind, trait):
    r = rng.random()
    if kind.startswith("old ") or kind.startswith("grand") or r < 0.25:
        return kind
    if r < 0.45 and trait:
        return trait + " " + kind
    look = _choice(rng, LOOKS)
    return kind if look == "old" and kind in ("boy", "girl", "kitten", "puppy", "lamb", "calf", "piglet", "chick", "duckling") else look + " " + kind


def _draw_kind(rng):
    r = rng.random()
    return _unusual_kind(rng) if r < 0.25 else _choice(rng, ALL_KINDS if r < 0.5 else ANIMALS if r < 0.8 else PEOPLE)


def make_cast(rng, kind, shape):
    """The slots that every shape uses."""
    s = {}
    she = _gender(rng, kind)
    f_kind = _favour(rng, FRIENDS, kind, shape, "friend")
    while f_kind == kind:
        f_kind = _choice(rng, FRIENDS)
    f_she = _gender(rng, f_kind)
    s["kind"], s["f_kind"], s["shape"] = kind, f_kind, shape
    s["hero"] = _favour(rng, SHE_NAMES if she else HE_NAMES, kind)
    s["friend"] = _favour(rng, SHE_NAMES if f_she else HE_NAMES, f_kind)
    while s["friend"] == s["hero"]:
        s["friend"] = _choice(rng, SHE_NAMES if f_she else HE_NAMES)
    _pronouns(s, "", she)
    _pronouns(s, "f_", f_she)
    _moves(s, rng, "", kind)
    _moves(s, rng, "f_", f_kind)
    s["went2"] = "went" if s["went"] != s["f_went"] else s["went"]
    _, homes, foods = KINDS[kind]
    s["home"], s["food"] = _favour(rng, homes, kind), _favour(rng, foods, kind, "food")
    s["season"], s["weather"] = _favour(rng, SEASONS, kind, shape), _favour(rng, WEATHER, kind, shape)
    s["plain"] = _favour(rng, THINGS, kind, shape)
    s["thing"] = _choice(rng, THING_ADJ) + " " + s["plain"] if rng.random() < 0.5 and " " not in s["plain"] else s["plain"]
    s["trait"] = _favour(rng, list(TRAITS), kind)
    return s


def _unusual_kind(rng):
    """Somebody for whom there is no word list: made of two words, or a thing that lives."""
    r = rng.random()
    if r < 0.6:
        kind = _choice(rng, MODIFIERS) + " " + _choice(rng, ANIMALS if rng.random() < 0.7 else PEOPLE)
        base = KINDS[kind.split(" ", 1)[1]]
    else:
        kind = _choice(rng, LIVING_THINGS)
        base = ("walk", LIVING_HOMES, ["berries", "honey cakes", "apple pie", "nuts", "warm bread"])
    KINDS.setdefault(kind, base)
    return kind


def _draw_rest(s, rng):
    """The slots of single shapes. After the request is known: it may ask for a place."""
    key = (s["kind"], s["shape"])
    places = [p for p in PLACES if p.split()[-1] not in s["home"]]
    s["place1"] = s.get("place") or _favour(rng, places, *key, "1")
    s["place2"] = _favour(rng, places, *key, "2")
    while s["place2"] == s["place1"]:
        s["place2"] = _choice(rng, places)
    for slot, words in dict(fear=FEARS, skill=SKILLS, building=BUILDINGS, plant=PLANTS, goal=GOALS, secret=shapes_more.SECRETS,
                            plain_music=shapes_more.INSTRUMENTS).items():
        s[slot] = _favour(rng, words, *key)
    s["villain"] = _favour(rng, [v for v in VILLAINS if v not in (s["kind"], s["f_kind"])], *key)
    helpers = [h for h in HELPERS if h not in (s["kind"], s["f_kind"])]
    s["helper"] = _favour(rng, helpers, *key)
    s["helper2"] = _choice(rng, [h for h in helpers if h != s["helper"]])


def _beat(s, beat, at, rng, new):
    """A template of the beat; half the time the one that this kind of hero and this shape favour."""
    if new and rng.random() < 0.3:
        return pick(beat, rng, True)
    usable = [t for t in beat if not t.startswith("~")]
    if rng.random() < 0.5:
        return usable[zlib.crc32(("%s/%s/%d" % (s["kind"], s["shape"], at)).encode()) % len(usable)]
    return _choice(rng, usable)


def tell(s, rng, new=False):
    """The story as paragraphs. new: with held-out templates here and there."""
    rest = dict(s)
    rest["np"] = _noun_phrase(rng, s["kind"], s.get("ask_trait") or None)
    rest["shows"] = expand(TRAITS[s["trait"]], s, rng)
    intro = [expand(_beat(s, OPENINGS, -1, rng, new), rest, rng)]
    if s.get("ask_trait") or rng.random() < 0.4:
        intro.append(expand(_beat(s, TRAIT_LINES, -2, rng, new), rest, rng))
    paragraphs, at = [intro], 0
    for i, beats in enumerate(SHAPES[s["shape"]]["beats"]):
        lines = []
        for b in beats:
            lines.append(expand(_beat(s, b, at, rng, new), rest, rng))
            at += 1
            if rng.random() < 0.07:
                lines.append(expand(pick(shapes_more.INTERLUDES, rng), rest, rng))
        (paragraphs[0].extend if i == 0 else paragraphs.append)(lines)
    closing = _choice(rng, CLOSINGS)
    if closing:
        paragraphs[-1].append(closing)
    return "\n\n".join(" ".join(p) for p in paragraphs)


def _subject(s, shape, rng, new):
    """What the story is asked to be about, and the slots that follow from it."""
    r = rng.random()
    k = s["kind"]
    if r < 0.26:
        x = article(k) if rng.random() < 0.93 else "the " + k
    elif r < 0.30:
        x = PLURAL.get(k, k + "s")
    elif r < 0.40:
        x = "%s [named|called] %s" % (article(k), s["hero"])
    elif r < 0.58:
        x = article(k) + " " + pick(SHAPES[shape]["whos"], rng, new)
    elif r < 0.68:
        x = "%s and %s" % (article(k), article(s["f_kind"]) if rng.random() < 0.7 else s["his"] + " friend the " + s["f_kind"])
    elif r < 0.76:
        s["ask_trait"] = s["trait"]
        x = article(s["trait"] + " " + k)
    elif r < 0.84:
        s["place"] = _choice(rng, PLACES)
        x = "%s [near|at] %s" % (article(k), s["place"])
    elif r < 0.92:
        x = pick(SHAPES[shape]["themes"], rng, new)
    elif r < 0.96 and shape in ("lost", "journey", "trade", "home"):
        x = "%s and %s %s" % (article(k), s["his"], s["thing"])
    else:
        x = s["hero"] + " the " + k
    return x


THING_SHAPES = ["lost", "wish", "truth", "gift", "journey", "dream", "trade", "home"]


def make_story(rng, new=False):
    """(question, story, slots) of a story with its request. new: combinations and templates that training never sees."""
    by_thing = rng.random() < 0.10
    while True:
        kind = _draw_kind(rng)
        shape = _favour(rng, THING_SHAPES if by_thing else list(SHAPES), kind)
        if held_out(kind, shape) == new:
            break
    s = make_cast(rng, kind, shape)
    if by_thing:
        s["plain"] = _choice(rng, THINGS)
        s["thing"] = s["plain"] if rng.random() < 0.6 or " " in s["plain"] else _choice(rng, THING_ADJ) + " " + s["plain"]
    x = article(s["thing"]) if by_thing else _subject(s, shape, rng, new)
    _draw_rest(s, rng)
    s["subject"] = expand(x, s, rng)
    return ask_for(s, rng, new and rng.random() < 0.5), tell(s, rng, new), s


def ask_for(s, rng, new=False):
    question = expand(pick(ASKS, rng, new), {"x": s["subject"]}, rng)
    return cap(question) if rng.random() < 0.8 else question


def make_any_story(rng, new=False):
    kind = _draw_kind(rng)
    s = make_cast(rng, kind, _favour(rng, list(SHAPES), kind))
    _draw_rest(s, rng)
    return expand(pick(ASKS_ANY, rng, new), s, rng), tell(s, rng, new), s
