"""The words of the stories: who, where, what. All are plain ASCII and written for this project."""


def _list(text):
    return [w.strip() for w in text.replace("\n", ",").split(",") if w.strip()]


# Bodies decide how one moves and what one has.
BODIES = {
    "walk": dict(went="went|walked|trotted", go="walk", hurried="hurried|ran|raced", hurry="run", hand="paw"),
    "hop": dict(went="went|hopped", go="hop", hurried="hurried|hopped quickly|bounded", hurry="hop", hand="paw"),
    "fly": dict(went="flew|went", go="fly", hurried="flew quickly|hurried|darted", hurry="fly", hand="wing"),
    "swim": dict(went="swam|went", go="swim", hurried="swam quickly|hurried|darted", hurry="swim", hand="fin"),
    "person": dict(went="went|walked", go="walk", hurried="hurried|ran|rushed", hurry="run", hand="hand"),
    "roll": dict(went="rolled|went", go="roll", hurried="rolled quickly|hurried", hurry="roll", hand="wheel"),
    "crawl": dict(went="crept|went", go="crawl", hurried="hurried|crept quickly", hurry="crawl", hand="foot"),
}

_forest = ["in the forest", "at the edge of the forest", "under an old oak tree", "in a hollow tree", "in a green valley",
           "behind the old mill", "in a den under the roots of a pine", "on the far side of the hill", "in a quiet wood"]
_farm = ["on a small farm", "in a red barn", "on a farm behind the hill", "in a sunny meadow", "near an old stone wall",
         "in the yard of a farm", "beside a field of corn"]
_water = ["by the river", "near a quiet pond", "beside a clear lake", "on the bank of a stream", "among the reeds",
          "at the edge of a marsh"]
_sea = ["in the deep blue sea", "near a coral reef", "in a bay full of seaweed", "under the waves", "in the warm sea"]
_sky = ["in a tall pine tree", "in a nest above the river", "in an old church tower", "on a high cliff", "in an apple tree",
        "under the roof of a barn", "at the top of a birch tree"]
_town = ["in a small village", "in a narrow house by the harbour", "in a town between two hills", "at the end of a long street",
         "in a cottage near the woods", "in a house with a blue door", "above the bakery", "on the edge of town",
         "in a village by the sea", "in a little house on a hill"]
_snow = ["in the snowy north", "on a big sheet of ice", "near a frozen lake", "in the cold white hills"]
_wild = ["near a wide river in the jungle", "on the grassy plain", "in the warm jungle", "beside a water hole", "in a land of tall grass"]
_magic = ["in a cave on the mountain", "in a crooked tower", "behind a waterfall", "on a misty island", "in a castle above the clouds",
          "in an enchanted wood", "at the end of the rainbow road"]
_house = ["in a small house", "in the kitchen of an old house", "behind the kitchen wall", "in a warm attic", "under the stairs",
          "in a shop that sold old books"]

# kind: (body, homes, food)
KINDS = {}


def _kinds(names, body, homes, foods):
    for n in _list(names):
        KINDS[n] = (body, homes, _list(foods))


_kinds("fox, wolf, badger, bear, deer, hedgehog, moose, raccoon, weasel, boar, skunk, lynx", "walk", _forest, "berries, mushrooms, nuts, honey")
_kinds("squirrel, chipmunk, rabbit, hare", "hop", _forest, "nuts, acorns, carrots, clover")
_kinds("mouse, rat, mole, vole, hamster, dormouse", "walk", _forest + _house, "cheese, seeds, crumbs, grain")
_kinds("cat, kitten, dog, puppy", "walk", _house + _town, "milk, sausages, fish, warm bread")
_kinds("cow, horse, pony, donkey, sheep, lamb, goat, pig, piglet, ox, calf, mule", "walk", _farm, "apples, hay, carrots, oats")
_kinds("hen, rooster, goose, duckling, chick, turkey", "walk", _farm, "corn, seeds, worms, grain")
_kinds("duck, swan, heron, pelican", "fly", _water, "bread, seeds, fish")
_kinds("frog, toad", "hop", _water, "flies, beetles, worms")
_kinds("otter, beaver, turtle, newt, crocodile", "swim", _water, "fish, berries, roots")
_kinds("owl, crow, raven, robin, sparrow, blackbird, woodpecker, swallow, pigeon, magpie, wren, eagle, hawk, stork, "
       "nightingale, dove, finch, seagull, parrot, bat", "fly", _sky, "seeds, berries, worms, cherries")
_kinds("bee, butterfly, moth, firefly, ladybug, dragonfly", "fly", ["in a garden", "in a sunny meadow", "among the roses", "near a quiet pond"],
       "nectar, honey, pollen")
_kinds("ant, snail, spider, beetle, caterpillar, worm, cricket, grasshopper", "crawl",
       ["in a garden", "under a flat stone", "among the roses", "in the tall grass", "under a green leaf"], "leaves, crumbs, seeds")
_kinds("fish, whale, dolphin, crab, octopus, seahorse, shark, starfish, squid, salmon, jellyfish, lobster, eel", "swim", _sea, "seaweed, shrimp, plankton")
_kinds("seal, penguin, walrus, polar bear, reindeer, husky, arctic fox, snow owl", "walk", _snow, "fish, berries, moss")
_kinds("lion, tiger, elephant, giraffe, zebra, monkey, hippo, rhino, camel, panda, koala, sloth, gorilla, leopard, "
       "cheetah, ostrich, flamingo, lizard, snake, chameleon, meerkat, antelope, buffalo", "walk", _wild, "mangoes, bananas, leaves, figs")
_kinds("kangaroo", "hop", _wild, "grass, leaves, figs")
_kinds("dragon, unicorn, griffin, troll, giant, gnome, dwarf, elf, goblin, phoenix, ogre, pixie", "walk", _magic,
       "honey cakes, mushrooms, pepper soup, plums")
_kinds("fairy, ghost, genie", "fly", _magic, "moonlight tea, honey cakes, plums")
_kinds("mermaid", "swim", _sea, "seaweed soup, sea cakes")
_kinds("girl, boy, farmer, baker, fisherman, sailor, shepherd, carpenter, tailor, miller, gardener, teacher, doctor, painter, "
       "musician, old woman, old man, grandmother, grandfather, blacksmith, clockmaker, lighthouse keeper, postman, cook, "
       "beekeeper, woodcutter, shoemaker, librarian, inventor, astronomer, captain, weaver, potter, nurse, student, merchant, "
       "bookseller, juggler, hunter, fiddler, toymaker, chimney sweep", "person", _town, "bread, soup, cheese, apple pie, pancakes")
_kinds("king, queen, prince, princess, knight, wizard, witch, jester, pirate, explorer, minstrel, squire, duke", "person",
       _magic[:2] + ["in a castle on a hill", "in a stone castle by the sea", "in a palace with a hundred windows"],
       "roast apples, honey cakes, soup, plum pie")
_kinds("robot, snowman, scarecrow, doll, teddy bear, toy soldier, puppet, astronaut", "person", _town + ["in a workshop full of tools"],
       "pancakes, apple pie, warm soup")
_kinds("train, truck, tractor, bus, car, bicycle", "roll", ["in a town between two hills", "in a big shed", "near the station", "at the end of a long street"],
       "oil, a good polish")

PEOPLE = [k for k, v in KINDS.items() if v[0] == "person"]
SHE_KINDS = set(_list("girl, old woman, grandmother, queen, princess, witch, mermaid, hen, cow, doll"))
HE_KINDS = set(_list("boy, old man, grandfather, king, prince, fisherman, rooster, wizard, postman, snowman, toy soldier, duke"))
ANIMALS = [k for k, v in KINDS.items() if v[0] != "person" and v[0] != "roll" and v[1] is not _magic and k != "mermaid"]
FRIENDS = [k for k in KINDS if KINDS[k][0] != "roll"]

HE_NAMES = _list("""Rusty, Pip, Tom, Oliver, Max, Leo, Finn, Hugo, Otto, Bruno, Felix, Jasper, Milo, Theo, Barnaby, Ned, Toby, Sam,
Jack, Ben, Oscar, Rufus, Basil, Percy, Gus, Henry, Walter, Albert, Arlo, Bram, Casper, Dexter, Edgar, Fergus, Gilbert, Harold, Igor,
Jonas, Kit, Linus, Monty, Nico, Odin, Pablo, Quentin, Ralph, Silas, Timothy, Victor, Wilbur""")
SHE_NAMES = _list("""Lily, Mia, Clara, Ruby, Hazel, Willow, Daisy, Rosie, Nora, Ivy, Luna, Emma, Ada, Bella, Poppy, Flora, Greta, Ida,
June, Mabel, Nell, Olive, Pearl, Stella, Tilly, Wren, Zoe, Anna, Beatrix, Cora, Dora, Elsie, Fern, Gwen, Hattie, Iris, Juno, Kira,
Lotte, Maya, Nina, Opal, Petra, Rosa, Sally, Tess, Una, Vera, Winnie, Yara""")

# Things that can be owned, carried, lost and given.
THINGS = _list("""lantern, kite, key, ball, drum, flute, bell, umbrella, hat, scarf, button, basket, blanket, mirror, compass, map,
book, ring, whistle, teapot, cup, spoon, violin, marble, ribbon, feather, shell, coin, candle, clock, watch, telescope, pearl, crown,
wagon, puzzle, music box, paintbrush, pencil, notebook, letter, necklace, bracelet, mitten, boot, shoe, cloak, backpack, suitcase, jar,
bottle, box, pillow, quilt, broom, bucket, ladder, rope, sled, toy boat, paper boat, teddy, spinning top, yo-yo, balloon, magnet,
magnifying glass, pocket knife, fishing rod, horn, guitar, harp, trumpet, ukulele, accordion, medal, flag, stamp, postcard, photograph,
lamp, stool, kettle, pan, thimble, needle, pin, brooch, locket, snow globe, wind chime, weather vane, hourglass, globe, chess board,
domino, card, dice, doll house, rocking horse, scooter, skateboard, helmet, glove, sock, apron, cushion, cookie jar, sugar bowl,
pepper mill, walnut shell, pine cone, acorn, pebble, crystal, jewel, emerald, ruby stone, tin soldier, pocket watch""")
THING_ADJ = _list("""red, blue, green, yellow, golden, silver, little, old, shiny, wooden, tiny, bright, striped, round, purple, copper,
orange, white, black, favourite""")
PLACES = _list("""the forest, the meadow, the river, the old bridge, the mill, the market, the beach, the lake, the hill, the garden,
the orchard, the cave, the harbour, the village square, the waterfall, the mountain, the barn, the pond, the library, the lighthouse,
the tower, the windmill, the island, the well, the field of sunflowers, the pine wood, the marsh, the quarry, the ruins of the castle,
the school, the bakery, the railway station""")
TRAITS = {  # a trait and what shows it
    "kind": "[{he} always had a good word for everyone|{he} never passed anyone who needed help]",
    "curious": "[{he} asked a hundred questions a day|{he} wanted to know what was behind every hill]",
    "shy": "[{he} spoke so softly that few could hear {him}|{he} often hid when strangers came]",
    "brave": "[{he} was never the last to try something new|even thunder did not make {him} tremble]",
    "clever": "[{he} could find the answer to almost any riddle|{he} always had a plan]",
    "proud": "[{he} liked to be the best at everything|{he} did not like to ask for help]",
    "patient": "[{he} could wait all day without a sigh|{he} never hurried]",
    "cheerful": "[{he} sang from morning till night|{he} smiled even when it rained]",
    "clumsy": "[{he} tripped over {his} own feet every day|things fell over wherever {he} went]",
    "lonely": "[{he} had nobody to talk to|{he} often wished for a friend]",
    "lazy": "[{he} liked nothing better than a long nap|{he} put off every task until tomorrow]",
    "grumpy": "[{he} grumbled about the sun and {he} grumbled about the rain|hardly anything could make {him} smile]",
    "stubborn": "[{he} never changed {his} mind|once {he} wanted something, nothing could stop {him}]",
    "gentle": "[{he} never raised {his} voice|even the smallest creatures trusted {him}]",
    "dreamy": "[{he} spent hours watching the clouds|{he} often forgot what {he} was doing]",
    "careful": "[{he} looked twice before every step|{he} never broke anything]",
    "greedy": "[{he} always wanted more than {he} had|{he} never shared a crumb]",
    "honest": "[{he} had never told a lie|everyone trusted {his} word]",
    "messy": "[{he} could never find {his} own things|{his} home was always upside down]",
    "quiet": "[{he} liked to listen more than to talk|{he} noticed things that others missed]",
}
LOOKS = _list("little, young, small, old, tall, round, fluffy, tiny, big, thin, friendly, scruffy, sleepy, bright-eyed")
SEASONS = _list("spring, summer, autumn, winter")
WEATHER = _list("a bright morning, a windy afternoon, a rainy day, a cold morning, a warm evening, a misty morning, a golden autumn day, "
                "a quiet Sunday, a hot summer day, the first day of spring, a snowy morning, a starry night")
