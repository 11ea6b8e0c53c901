"""More story shapes, see shapes_day.py, and the small lines that any story may have between its beats."""

SHAPES = {}

SHAPES["music"] = dict(
    themes=["music", "a song", "a lost melody", "singing together", "~a tune that nobody knew"],
    whos=["who loves music", "who wants to play music", "who wrote a song", "~who hears a strange melody"],
    beats=[[
        ["{Hero} loved music more than anything else.", "All day long {hero} hummed little tunes.", "There was always a melody in {hero}'s head."],
        ["But nobody [wanted to listen|had time to listen].", "{He} played {his} {plain_music} every evening, but only the moon listened.", "{He} was too shy to sing for others."],
    ], [
        ["On {weather}, {he} heard a strange melody near {place1}.", "One evening a soft melody came over from {place1}."],
        ["{He} followed the sound, and the closer {he} came, the sadder it was.", "{He} stood still and listened. It was the saddest tune {he} had ever heard."],
        ["There sat {friend} the {f_kind}, alone, with [a broken flute|a small drum|an old fiddle].", "It was {a f_kind} named {friend} who was singing, with closed eyes."],
        ["\"That is a beautiful song,\" said {hero}. \"But it has no end.\" \"I know,\" said {friend}. \"I have forgotten it.\"", "\"Why is your song so sad?\" asked {hero}. \"Because I have to sing it alone,\" said {friend}."],
    ], [
        ["{Hero} hummed a few notes, and {friend} joined in.", "So {hero} began to sing as well, first very softly, then louder."],
        ["Note by note they found the end of the song.", "Together their voices sounded like [rain and wind|honey and bread|gold and silver]."],
        ["Windows opened, and people from {place2} came out to listen.", "One by one, everyone from {place2} came to hear it, and some began to dance."],
        ["Since then there has been music near {place1} every [evening|Sunday].", "\"A song is like bread,\" said {friend}. \"It is best when it is shared.\"", "And {hero} never had to play alone again.", "~They named the tune after the place where they had met."],
    ]])

SHAPES["snow"] = dict(
    themes=["winter", "snow", "a snowy day", "the first snow", "~a white morning"],
    whos=["who waits for the snow", "who plays in the snow", "who builds a snowman", "~who has never seen snow"],
    beats=[[
        ["It was the middle of winter, and {hero} was waiting for the first snow.", "{Hero} had never seen snow.", "Every morning {hero} looked out to see if it had snowed."],
        ["\"Will it ever come?\" {he} asked {friend} the {f_kind}.", "\"Be patient,\" said {friend} the {f_kind}. \"Snow comes when it wants to come.\""],
    ], [
        ["Then, one morning, everything was white.", "And one night, very quietly, the snow began to fall."],
        ["{Hero} ran out and caught a snowflake. It melted at once.", "{Hero} jumped into the snow with a shout of joy.", "The trees, the fences and the roofs all wore white hats."],
        ["{He} and {friend} slid down the hill near {place1}, again and again.", "Near {place1} they built a snowman with [a carrot for a nose|two buttons for eyes|an old hat on his head]."],
        ["Then they found small tracks that led to {place2}.", "On the way home they heard a tiny cry from {place2}."],
        ["There, half under the snow, sat a little {helper} that could not get out.", "A little {helper} had lost its way and was shivering with cold."],
    ], [
        ["{Hero} wrapped it in {his} scarf and carried it home.", "Gently they lifted it out and took it to a warm place."],
        ["They gave it {food} and sat by the fire until it was warm again.", "Soon it was warm, and it told them about the far north."],
        ["\"Snow is beautiful,\" said {hero}, \"but a warm room is beautiful too.\"", "\"This was the best day of the winter,\" said {friend}."],
        ["Outside the snow kept falling, soft and slow.", "In the spring the snowman melted, but the friendship did not.", "That night {hero} dreamed of white hills.", "~When the thaw came, they were sorry and glad at once."],
    ]])

SHAPES["school"] = dict(
    themes=["the first day of school", "school", "learning to read", "a new teacher", "~a classroom"],
    whos=["who goes to school", "who is new at school", "who does not like school", "~who starts school"],
    beats=[[
        ["It was {hero}'s first day at school, and {he} was nervous.", "Tomorrow school would begin, and {hero} could not eat a bite.", "{Hero} did not want to go to school at all."],
        ["\"What if nobody likes me?\" {he} asked.", "\"What if I cannot do anything right?\" {he} thought."],
    ], [
        ["The school stood near {place1}, and the teacher was an old {helper} with glasses.", "In the classroom near {place1}, the teacher, an old {helper}, wrote a word on the board."],
        ["{Hero} sat down in the last row, beside {a f_kind} named {friend}.", "The only free seat was next to {friend} the {f_kind}."],
        ["\"Can anyone read this word?\" asked the teacher. Everyone was quiet.", "First they counted, and then they read. {Hero} made three mistakes and turned red."],
        ["\"I find it hard too,\" whispered {friend}. \"Let us do it together.\"", "{Friend} pushed {f_his} book to the middle of the table. \"We can share,\" {f_he} said."],
    ], [
        ["Letter by letter they worked it out. The word was \"{secret}\".", "Together they read the whole line, and it ended with the word \"{secret}\"."],
        ["\"Very good!\" said the teacher, and {hero} smiled for the first time that day.", "The teacher nodded. \"That is how one learns,\" the old {helper} said: \"a little every day, and not alone.\""],
        ["At noon they shared {food} and talked about everything.", "In the break they played near {place2} with all the others."],
        ["\"How was it?\" everyone asked in the evening. \"I can hardly wait for tomorrow,\" said {hero}.", "The next morning {hero} was the first one at the door.", "Now {hero} reads a story every night, and the word \"{secret}\" is still {his} favourite.", "~By summer {he} could read whole books."],
    ]])

SHAPES["trade"] = dict(
    themes=["the market", "a lucky trade", "trading things", "being generous", "~a day of bargains"],
    whos=["who goes to the market", "who trades {his} {thing}", "who gives things away", "~who makes a strange bargain"],
    beats=[[
        ["One {season} morning {hero} took {his} {thing} and {went} to the market.", "{Hero} needed {food} for the winter, but all {he} had was {a thing}.", "On market day {hero} set out with {a thing} to trade."],
        ["\"With a little luck, I will get something good for it,\" {he} said.", "\"It is not much,\" {he} thought, \"but it is something.\""],
    ], [
        ["Near {place1} {he} met {friend} the {f_kind}, who was looking for {a thing}.", "On the road past {place1}, {a f_kind} named {friend} stopped {him}. \"What a fine {thing}!\" {f_he} said."],
        ["\"I would give you my [warm coat|big basket|best cheese] for it,\" said {friend}. And so they traded.", "\"I need one so badly,\" said {friend}, \"but I have only [an old hat|a bag of beans|a ball of wool].\" {Hero} gave {f_him} the {thing} all the same."],
        ["A little later {he} saw a {helper} who was cold and hungry. {Hero} gave away what {he} had, and got only a [button|feather|kind word].", "Then an old {helper} asked {him} for help, and {hero} could not say no. When {he} went on, {his} hands were almost empty."],
        ["When {he} came to the market, {he} had nothing left to trade.", "At the market everyone laughed. \"You have given it all away!\" they said."],
    ], [
        ["But on the way home, {friend} was waiting for {him}. \"You helped me when I needed it,\" {f_he} said. \"Look, this cart is for you.\"", "But when {he} got home, there stood {friend} with a full cart."],
        ["It was full of {food}, enough for the whole winter.", "In it were firewood, a soft blanket, and a lot of {food}."],
        ["And the old {helper} had come too, with all its family.", "\"What you give away comes back,\" said {friend}."],
        ["{Hero} laughed. It had been a very good day at the market.", "That night they all sat together and told stories.", "\"It was the best trade of my life,\" {hero} said later.", "~Nobody laughed at {him} after that."],
    ]])

SHAPES["home"] = dict(
    themes=["a new home", "moving house", "looking for a home", "an old house", "~finding a place to stay"],
    whos=["who needs a new home", "who moves to a new house", "who lost {his} home", "~who looks for a place to live"],
    beats=[[
        ["But one {season} night the wind took the roof away, and {hero} had no home any more.", "But when {season} came, {hero} had to leave {his} home and find a new one.", "But {his} home had become too small, so one day {he} packed {his} things."],
        ["{He} took only {his} {thing} and set out.", "With {his} {thing} on {his} back, {he} {went} out into the world."],
    ], [
        ["First {he} came to {place1}. It was pretty there, but much too noisy.", "{He} tried {place1}, but it was too cold and too wet."],
        ["Then {he} came to {place2}. It was quiet there, but much too lonely.", "{He} tried {place2}, but it was too dark."],
        ["In the evening it began to rain, and {hero} was tired and sad.", "By the end of the day {his} feet hurt, and {he} was ready to give up."],
        ["Then {he} saw a light. It came from a small, crooked house, and in the door stood {friend} the {f_kind}.", "There, behind a hedge, was a little house, and {a f_kind} named {friend} looked out of the window."],
    ], [
        ["\"Come in, you are wet,\" said {friend}. \"There is soup on the fire.\"", "\"You look tired,\" said {friend}. \"Come in and rest.\""],
        ["They ate {food}, and {hero} told the whole story.", "The house was small, but it was warm and dry."],
        ["\"I have a room that I never use,\" said {friend}. \"Would you like to stay?\"", "\"It is a big house for one,\" said {friend}, \"but just right for two.\""],
        ["{Hero} put {his} {thing} on the shelf, and it looked as if it had always been there.", "And so {hero} found a home, and {friend} found a friend.", "\"A home is not a place,\" thought {hero}. \"It is where somebody waits for you.\"", "~The house is still crooked, but it has never felt empty since."],
    ]])

SHAPES["king"] = dict(
    themes=["a king", "a test", "a wise answer", "three tasks", "~the riddle of the queen"],
    whos=["who meets the king", "who has to solve three tasks", "who answers the king's riddle", "~who is called to the palace"],
    beats=[[
        ["In those days the king of the land was looking for a new [adviser|gardener|keeper of the keys].", "One day a message came from the palace: whoever solved three tasks would get [a bag of gold|a wish|a place at the king's table]."],
        ["\"Why should I not try it?\" said {hero}, and {went} to the palace.", "Many had tried and failed. Then {hero} came to the gate."],
    ], [
        ["The first task was to bring water in a basket. {Hero} lined it with clay from {place1}, and not a drop was lost.", "The first task was to empty a pond with a spoon. {Hero} dug a small ditch, and the water ran away by itself."],
        ["The second task was to find one golden grain in a heap of sand. {Friend} the {f_kind}, a friend from {place2}, helped {him} to look.", "The second task was to make {friend} the {f_kind} laugh, who had not laughed for a year. {Hero} told {f_him} about the day when {he} fell into the soup, and {friend} laughed."],
        ["\"And now the last one,\" said the king. \"What is the most valuable thing in my kingdom?\"", "The third task was a question. \"What is worth more than all my gold?\" asked the king."],
        ["Some had said the crown. Some had said the treasure.", "{Hero} thought of {his} home and of {his} friends."],
    ], [
        ["\"A good friend,\" said {hero}.", "\"Time,\" said {hero}, \"for not even a king can buy more of it.\"", "\"Water on a hot day,\" said {hero}, \"and a warm bed on a cold night.\""],
        ["The king was silent for a while. Then he smiled. \"That is the best answer I have heard,\" he said.", "\"You are wise,\" said the king, and he bowed his head."],
        ["{Hero} got the reward and shared it with {friend}.", "\"I do not need gold,\" said {hero}, \"but I would like some {food} for everyone at {place2}.\" And so it was."],
        ["Ever since, the king has asked {hero} whenever he did not know what to do.", "Then {hero} went home again, for home was where {he} liked it best.", "And the king never again thought that small people have small ideas.", "~They say that the king still repeats that answer."],
    ]])

SHAPES["stars"] = dict(
    themes=["a fallen star", "a star", "helping a star", "the night sky", "~something that fell from the sky"],
    whos=["who finds a fallen star", "who catches a star", "who wants to touch a star", "~who helps a star to get home"],
    beats=[[
        ["One clear night {hero} saw a star fall from the sky.", "Every night {hero} counted the stars. But one night one of them was missing."],
        ["It fell behind {place1} with a soft, silver sound.", "There was a flash behind {place1}, and then it was dark again."],
    ], [
        ["{Hero} {hurried} to {place1}, and there it lay in the grass, no bigger than an apple.", "Behind {place1} {he} found it: a tiny star that glowed and shivered."],
        ["\"Please help me,\" said the star. \"I must be home before the sun comes up.\"", "\"I leaned out too far,\" said the star. \"How shall I ever get home?\""],
        ["{Hero} climbed the highest tree, but it was not high enough.", "{Hero} threw it up as high as {he} could, but it fell down again."],
        ["Then {he} thought of {friend} the {f_kind}, who lived near {place2} and knew about such things.", "\"I need help,\" said {hero}, and {he} woke {friend} the {f_kind}."],
        ["{Friend} brought {a thing} and a very long string. \"We will make a kite,\" {f_he} said.", "\"Tell it a story,\" said {friend}. \"Stars rise when they are happy.\""],
    ], [
        ["Up it went, higher and higher, until it was only a small light.", "And really, the star began to rise, first slowly and then faster and faster."],
        ["Just before sunrise it was back in its place.", "\"Thank you!\" it called, and the whole sky seemed to twinkle."],
        ["{Hero} and {friend} lay in the grass and watched the morning come.", "\"Nobody will believe us,\" said {friend}. \"It does not matter,\" said {hero}. \"We know it.\""],
        ["And when {hero} looks up at night, one star always winks at {him}.", "Where the star had lain, silver flowers grow today.", "Since that night, {hero} has never been afraid of the dark.", "~One star has been a little brighter ever since."],
    ]])

SHAPES["baby"] = dict(
    themes=["a lost child", "finding a way home", "a little one who got lost", "taking care of somebody small", "~a tiny guest"],
    whos=["who finds a lost child", "who brings a little one home", "who takes care of an egg", "~who looks after somebody small"],
    beats=[[
        ["On {weather}, {hero} heard somebody cry near {place1}.", "One {season} day something small sat in front of {hero}'s door."],
        ["It was a very small {f_kind}. \"I am {friend},\" {f_he} said, \"and I am lost.\"", "A tiny {f_kind} looked up with big eyes. \"I am {friend},\" {f_he} said. \"I cannot find my mother.\""],
    ], [
        ["\"Do not cry,\" said {hero}. \"We will find her.\"", "{Hero} knew nothing about little ones, but {he} sat down beside {f_him}."],
        ["First {he} gave {f_him} some {food}, for {f_he} was very hungry.", "{He} wiped {f_his} tears and gave {f_him} {food}."],
        ["Then they {went2} to {place2} and asked the old {helper}. \"I have seen nobody,\" the {helper} said, \"but try the other side.\"", "\"What does your mother look like?\" asked {hero}. \"She is the most beautiful {f_kind} in the world,\" said {friend}. That did not help very much."],
        ["On the way {friend} grew tired, so {hero} carried {f_him} and sang.", "They asked everyone they met, but nobody knew her.", "When it got dark, {friend} held on to {hero} and was not afraid any more."],
    ], [
        ["At last they heard a voice. \"{Friend}! {Friend}! Where are you?\"", "Then, behind the last hill, somebody was calling, \"{Friend}!\""],
        ["It was the mother, and she laughed and cried at the same time.", "\"Mother!\" cried {friend} and ran into her arms."],
        ["\"How can I thank you?\" she asked. {Hero} only smiled. \"May I visit {f_him} sometimes?\" {he} asked.", "\"You will always be welcome with us,\" she said to {hero}."],
        ["After that, {friend} came to see {hero} every week.", "{Hero} went home alone, but {he} did not feel alone.", "Years later, when {friend} was big and strong, {f_he} still called {hero} {f_his} best friend.", "~The little one grew up and never forgot it."],
    ]])

SHAPES["invent"] = dict(
    themes=["an invention", "a machine", "a clever idea", "a new machine", "~a strange apparatus"],
    whos=["who invents a machine", "who builds a strange machine", "who has a clever idea", "~who tinkers with everything"],
    beats=[[
        ["{Hero} liked to invent things. {He} had already invented [a hat that could whistle|a spoon that stirred by itself|shoes for rainy days].", "Wherever {hero} went, {he} took things apart and put them together again."],
        ["But {his} inventions [seldom worked|often exploded a little], and {friend} the {f_kind} laughed at them.", "\"What is that good for?\" asked {friend} the {f_kind} every time."],
    ], [
        ["One {season} there was no rain, and {place1} became dry and brown.", "Then came a summer without a drop of rain, and even {place2} had no water left."],
        ["Everyone carried water in buckets, and everyone was tired.", "\"What shall we do?\" asked {friend}. \"We need water.\""],
        ["{Hero} worked day and night. {He} used [a bicycle|an old clock|three umbrellas], {a thing} and a lot of string.", "{Hero} took {a thing}, two wheels and a long pipe, and {he} did not sleep for three nights."],
        ["\"That is a funny thing,\" said {friend}. \"What does it do?\" \"Wait and see,\" said {hero}.", "The first time it only coughed. The second time it fell over."],
    ], [
        ["The third time it began to hum, and then to turn, and water came up from deep in the ground.", "{Hero} pulled a lever. The machine rattled and shook, and suddenly clear water ran out."],
        ["Everyone cheered, and the little ones danced in the puddles.", "Soon everything near {place1} was green again."],
        ["\"I will never laugh at your ideas again,\" said {friend}.", "\"How did you know that it would work?\" asked {friend}. \"I did not know,\" said {hero}. \"I only hoped.\""],
        ["{Hero} is already working on the next one. It has wings.", "The machine still stands there, and it still rattles.", "From then on, everyone came to {hero} when something was broken.", "~They put up a sign with {hero}'s name on it."],
    ]])

SECRETS = ["friend", "apple", "moon", "together", "home", "rain", "star", "garden", "honey", "river", "hope", "summer"]
INSTRUMENTS = ["flute", "drum", "violin", "guitar", "harp", "trumpet", "horn", "accordion"]

# Between two beats, now and then. They add nothing to the events.
INTERLUDES = [
    "The sun [was shining|stood high in the sky|was warm and golden].", "A [soft|cool|gentle] wind [moved the leaves|smelled of rain|came from {place2}].", "Somewhere a bird was singing.",
    "It was very quiet.", "The air smelled of [flowers|grass|wet earth|fresh bread].", "Clouds sailed over the sky like [ships|sheep|big white pillows].",
    "{Hero} [smiled|sighed|thought about it for a while].", "{Hero} listened.", "\"Hm,\" said {hero}.", "For a moment nobody said anything.", "Time went by.", "{His} heart beat a little faster.",
    "In the distance a bell rang.", "Bees hummed in the [flowers|warm air].", "The shadows grew longer.", "A leaf fell down and danced in the wind.", "{He} scratched {his} head.",
    "The stones were [warm|cold] under {his} feet.", "[Drops of dew|Drops of rain] shone in the grass like [pearls|glass beads].", "Everything seemed to hold its breath.",
    "The path [was narrow|turned left and then right|went up and down].", "{He} hummed a little tune.", "\"What a day,\" thought {hero}.",
]
