"""Small talk, questions that are none of this model's business, and questions about a story just told."""
from grammar import article, cap, expand, pick
from stories import PLURAL
from words import KINDS

GREETINGS = ["Hi", "Hello", "hello", "Hi!", "Hello!", "Hello there", "Good morning", "Good evening", "Hey", "hey", "Hi there!", "Good day", "hello!", "hi", "~Greetings!",
             "~Good afternoon"]
HELLO = ["Hello! [I tell little stories and answer questions about hy.|Would you like to hear a story, or do you want to know something about hy?|Ask me for a story, or ask me about hy.]",
         "Hi! [What kind of story would you like?|I can tell you a story, or something about hy.]", "[Good day|Hello there]! Shall I tell you a story?"]
HOW = ["How are you?", "how are you", "How do you do?", "How is it going?", "What's up?", "Are you well?", "How are you today?", "~How do you feel today?"]
FINE = ["I am well, thank you. [Would you like to hear a story?|Shall I tell you a story?]", "Very well, thank you! I have [a new story|many stories] to tell.",
        "I am only a small model, but I am fine. What would you like to hear?"]
THANKS = ["Thank you!", "Thanks!", "thanks", "Thank you very much.", "That was nice.", "That was a nice story.", "Great story!", "I liked that.", "Wonderful!", "Very good.", "Nice",
          "~How lovely, thank you.", "~Well told!"]
WELCOME = ["You are welcome! [Would you like another one?|Ask me again whenever you like.|]", "I am glad that you liked it. [Shall I tell you another one?|]", "With pleasure. [Do you want to hear another story?|]"]
BYES = ["Bye", "Goodbye!", "Good night", "See you later", "Bye bye!", "I have to go now.", "Good night!", "~Farewell!"]
FAREWELL = ["Goodbye! [Come back when you want to hear a story.|Sleep well.]", "Good night, and sweet dreams!", "Goodbye! It was nice to talk to you."]

# What it does not know. {s} is any of SUBJECTS.
OUTSIDE = ["What is the capital of {country}?", "Who is the president of {country}?", "Why is the sky blue?", "What is {n1} plus {n2}?", "What is {n1} times {n2}?", "How much is {n1} + {n2}?",
           "Write a program that {program}.", "Write {code} code for {sort}.", "Translate \"{word}\" into {lang}.", "What time is it?", "What is the weather like today?", "How do I cook {dish}?",
           "Give me a recipe for {dish}.", "Who won the [world cup|game|election]?", "Who wrote {work}?", "What is the meaning of life?", "Explain {science}.", "What is {science}?", "How does {science} work?",
           "How far is the {body}?", "How old is the {body}?", "Tell me a joke.", "Write a poem about {science}.", "Summarize this article for me.", "What should I eat today?", "Help me with my homework.",
           "What is the best phone?", "Can you recommend a film?", "Who was {person}?", "When was {person} born?", "What happened in {year}?", "How do I [fix|repair] my {machine}?", "Solve this equation: {n1}x = {n2}.",
           "Should I buy {stock}?", "What is the square root of {n1}?", "Write an email to my boss.", "What do you think about {science}?", "Do you like {dish}?", "Do you love me?", "Are you alive?", "How do I lose weight?",
           "What is the news today?", "What is {noun}?", "Explain {noun}.", "How does {noun} work?", "Tell me some facts about {noun}.", "What do {nouns} eat?", "How do {nouns} sleep?", "Where do {nouns} live?", "Where is {country}?", "How many people live in {country}?", "What language do they speak in {country}?", "Write an essay about {science}.", "What does \"{word}\" mean?",
           "~Is {n1} a prime number?", "~Which river flows through {country}?", "~Tell me the history of {country}.", "~How tall was {person}?", "~Draw me a picture of {dish}."]
FILL = dict(
    country="France, Japan, Peru, Kenya, Canada, Norway, Egypt, India, Chile, Poland, Spain, Mexico, Italy, Turkey, Greece, China, Brazil, Finland, Germany, England",
    n1="2, 3, 7, 12, 15, 17, 25, 48, 99, 144, 360", n2="2, 4, 5, 8, 11, 19, 23, 64, 81, 100, 512", program="sorts a list, prints numbers, reads a file, plays chess, draws a circle, adds two numbers",
    code="Python, Java, C, Rust, JavaScript", sort="quicksort, a web page, a calculator, binary search, a snake game", word="house, friend, good morning, water, thank you, apple",
    lang="French, German, Spanish, Latin, Chinese, Dutch", dish="pasta, rice, pizza, curry, an omelette, potato soup, chocolate cake", work="Hamlet, Faust, Don Quixote, the Odyssey, War and Peace",
    science="gravity, photosynthesis, quantum physics, evolution, electricity, inflation, democracy, chemistry, climate change, the internet, history, music, philosophy", body="moon, sun, earth, universe, next star",
    person="Newton, Mozart, Cleopatra, Napoleon, Einstein, Darwin, Bach, Plato, Galileo", year="1492, 1789, 1815, 1969, 2001, 1914", machine="car, bicycle, computer, washing machine, phone, radio", stock="gold, stocks, a house, a new car")
NOUNS = [k for k in KINDS if k not in PLURAL and k[-1] not in "sxyh"]
# Anything else that people say, sensible or not: it is to be the rule that such things are refused.
VERBS = """open, close, send, call, play, find, count, calculate, spell, sing, fix, sort, paint, cut, cook, bake, wash, buy, sell, order, book, rent, drive, carry, move, lift, push, pull, throw,
catch, clean, check, change, choose, compare, convert, copy, delete, download, edit, fill, fold, guess, hide, improve, join, learn, mix, name, pack, plan, plant, print, prove, rate, repair, repeat, sign,
solve, teach, turn on, turn off, visit, wake, wear, weigh, win, measure, review, rank, invite, feed, grow, remember, explain, describe, define, list, draw, translate, summarize""".replace("\n", " ").split(", ")
TOPIC_NOUNS = """weather, tax, law, price, price of bread, capital, city, country, election, war, peace, medicine, vitamin, virus, planet, galaxy, atom, molecule, number, equation, triangle, circle, sum, theorem,
language, verb, grammar, alphabet, poem, novel, film, song, actor, band, team, match, goal, football, tennis, chess, game, holiday, hotel, flight, ticket, passport, road, map, car, engine, wheel, battery, lamp,
phone, laptop, website, password, email, letter, photo, picture, colour, shirt, dress, shoe, coffee, tea, wine, water, salt, sugar, bread, cheese, egg, meat, soup, salad, dinner, breakfast, kitchen, garden, tree,
flower, grass, dog food, cat toy, horse race, bird song, fish tank, ocean, lake, desert, island, volcano, earthquake, storm, rain, snow, wind, sun, year, month, week, day, hour, minute, birthday, wedding, job, boss,
office, meeting, school, exam, homework, university, doctor, tooth, heart, brain, blood, bone, muscle, sleep, dream, love, money, bank, stock, gold, oil, gas, energy, bridge, tower, museum, king, queen, president,
parliament, religion, god, history, future, past, truth, beauty, happiness, anger, fear, joke, riddle, secret, name, address, colour of the sky, speed of light, height of the tower, length of a year""".replace("\n", " ").split(", ")
ADJECTIVES = "big, small, best, worst, largest, oldest, newest, first, last, red, green, cheap, expensive, famous, easy, hard, hot, cold, deep, high, long, short, strange, real, common, rare, healthy, dangerous".split(", ")
LOOSE = ["[What|Which|Who|Where|When] [is|was|are|will be] the {adj} {noun}[?|?| in {country}?| of all?| in the world?| today?| for me?]", "[Why|When|How|Where] [do|did|should|can|would] [I|we|you|people|they] {verb} [a|the|my|your|this|that] {noun}?",
         "[Can|Could|Will|Would|Should|Must|May] [you|I|we] {verb} [a|the|my|your|this] [|{adj} ]{noun}[?| for me?| today?| with me?]", "[|Please ]{verb} [me |us |][a|the|my|this] [|{adj} ]{noun}[.|!| for me.| now.|]",
         "[Is|Was|Are|Does|Did] [the|a|my|your|this] {noun} [|a |the ]{adj}?", "[What|How] about the {noun}?", "[I|We] [want|need|like|have|love|hate|lost|bought] [a|the|my|your] [|{adj} ]{noun}[.|!|]",
         "[How many|How much|How old|How big|How long|How far] [is|are|does|do] [the|a|my] [|{adj} ]{noun}[?| of {country}?| cost?| weigh?| take?]", "What [is|are|does|do] [the |a |]{noun} [like|mean|do|for|made of|worth]?", "{adj} {noun}", "[Do|Did|Will|Can] [the |]{noun}s [{verb}|work|help|matter|hurt]?", "[What|Which] {noun} [{verb}s|has|makes|needs|comes with] [the|a] {adj} {noun2}?", "Who [invented|discovered|made|has|wrote|painted|built] the {noun}?",
         "Tell me [how|why|when|where] to {verb} [a|the|my] {noun}.", "Give me [a|the|your] {adj} {noun}.", "What do you [think|know|say] about [the |a |]{noun}?", "[My|Your|His|Her] {noun} is {adj}."]
REFUSALS = ["I do not know that. I [only know|know only] little stories and hy.", "[Sorry|I am sorry], I cannot help with that. I tell short stories and answer questions about hy.",
            "That is beyond me: I am a small model that knows only stories and hy. For other questions, run a larger model with hy run.",
            "I am afraid I do not know. [Would you like to hear a story instead?|Ask me for a story, or ask me about hy.]"]

NOTHING = ["test", "Test", "ok", "OK", "?", "...", "yes", "no", "Why?", "asdf", "what", "Really?", "hm", "blah blah", "1 2 3", "qwerty", "Yes please", "No.", "abc", "x", "~hmm", "~la la la"]
OFFER = ["[Ask me for a story, or ask me about hy.|Would you like to hear a story, or to know something about hy?]", "I did not understand that. [Ask me for a story, or ask me about hy.|I know little stories and hy.]"]

AGAIN = ["Another one, please.", "Another one", "Tell me another story.", "One more!", "More", "Again!", "Tell me another one.", "I want another story.", "~And now a different one, please."]


def small_talk(rng, new=False):
    """(question, answer, kind)."""
    sets = ((GREETINGS, HELLO, "hello"), (HOW, FINE, "how"), (THANKS, WELCOME, "thanks"), (BYES, FAREWELL, "bye"), (NOTHING, OFFER, "nothing"))
    asks, answers, what = sets[int(rng.random() * 5)]
    return pick(asks, rng, new), expand(pick(answers, rng), {}, rng), what


def outside(rng, new=False):
    slots = {k: rng.choice(v.split(", ")) for k, v in FILL.items()}
    noun = rng.choice(NOUNS)
    loose = {"verb": rng.choice(VERBS), "noun": rng.choice(TOPIC_NOUNS if rng.random() < 0.8 else NOUNS), "noun2": rng.choice(TOPIC_NOUNS), "adj": rng.choice(ADJECTIVES), "country": slots["country"]}
    if not new and rng.random() < 0.6:
        return cap(expand(pick(LOOSE, rng), loose, rng)), expand(pick(REFUSALS, rng), {}, rng), "outside"
    slots.update(noun=article(noun), nouns=noun + "s")
    return expand(pick(OUTSIDE, rng, new), slots, rng), expand(pick(REFUSALS, rng), {}, rng), "outside"


def follow_up(s, story, rng):
    """A question about the story of these slots, and its answer; only what the story has said."""
    hero, friend, kind = s["hero"], s["friend"], s["kind"]
    q = [("[What was the {kind} called|What was the name of the {kind}|What is the {kind}'s name]?", "[The {kind} was called {hero}|The name of the {kind} was {hero}|The {kind}'s name was {hero}]."),
         ("What [kind of creature|sort of creature] was {hero}?", "{Hero} was {a kind}."), ("Who [was|is] {hero}?", "{Hero} was {a kind} who lived {home}."),
         ("Where did {hero} live?", "{Hero} lived {home}."), ("Who is the story about?", "It is about {a kind} named {hero}.")]
    if friend in story:
        q += [("Who was {friend}?", "{Friend} was {a f_kind}."), ("What [kind of creature|sort of creature] was {friend}?", "{Friend} was {a f_kind}."),
              ("What was the {f_kind} called?", "The {f_kind} was called {friend}."), ("Who did {hero} meet in the story?", "{Hero} met {friend} the {f_kind}.")]
        if kind == s["f_kind"]:
            q = q[1:4]
    shape = s["shape"]
    q += {"lost": [("What did {hero} lose?", "{Hero} lost {his} {thing}."), ("Who helped {hero}?", "{Friend} the {f_kind} helped {him}.")],
          "fear": [("What was {hero} afraid of?", "{Hero} was afraid of {fear}."), ("Who did {hero} help?", "{Hero} helped {friend} the {f_kind}.")],
          "share": [("What did {hero} [find|have]?", "{Hero} had a lot of {food}.")],
          "skill": [("What did {hero} want to learn?", "{Hero} wanted to learn to {skill}.")],
          "truth": [("What did {hero} break?", "{Hero} broke {friend}'s {thing}.")],
          "gift": [("What did {hero} make?", "{Hero} made {a plain} for {friend}.")],
          "garden": [("What grew from the seed?", "It was {plant}.")],
          "build": [("What did {hero} build?", "{Hero} built {a building}.")],
          "wish": [("What did {hero} find?", "{Hero} found {a thing}.")],
          "journey": [("What did {hero} want to see?", "{Hero} wanted to see {goal}."), ("Where did {hero} travel to?", "{Hero} travelled to {goal}.")],
          "home": [("What did {hero} take along?", "{Hero} took {his} {thing}.")], "school": [("What was the word?", "The word was \"{secret}\".")],
          "trade": [("What did {hero} want to trade?", "{Hero} wanted to trade {his} {thing}.")], "music": [("What did {hero} love?", "{Hero} loved music.")],
          "dream": [("What did {hero} bring back?", "{Hero} brought back {a thing}.")],
          "trick": [("Who did {hero} trick?", "{Hero} tricked the {villain}.")]}.get(shape, [])
    ask, answer = q[int(rng.random() * len(q))]
    return expand(ask, s, rng), expand(answer, s, rng)
