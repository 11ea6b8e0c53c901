"""Story shapes of adventures; see shapes_day.py for how they are written."""

SHAPES = {}

SHAPES["storm"] = dict(
    themes=["a storm", "a rescue", "a flood", "helping each other", "~a night of thunder"],
    whos=["who saves a friend in a storm", "who was caught in a storm", "who rescues somebody", "~who is out in a storm"],
    beats=[[
        ["One {season} night a great storm came.", "On {weather}, dark clouds came over the hills, and soon there was a storm.", "One evening the wind began to howl, and rain beat on everything."],
        ["The wind howled, and the river rose higher and higher.", "Lightning lit up the sky, and thunder rolled over {place1}.", "Trees bent like grass in the wind."],
    ], [
        ["{Hero} was safe at home when {he} heard a cry from {place1}.", "Through the noise {hero} heard somebody call from {place1}."],
        ["It was {friend} the {f_kind}. The water had trapped {f_him} on a small rock.", "{Friend} the {f_kind} was stuck near {place1}, and a fallen tree blocked the way.", "There was {friend} the {f_kind}, wet and frightened, holding on to a branch."],
        ["\"Hold on!\" shouted {hero}. \"I am coming!\"", "\"Do not be afraid!\" called {hero}. \"I will get you out.\""],
        ["{He} looked around and found a long rope.", "{He} had no boat, but {he} had {a thing} and an idea.", "{He} called the neighbours, and together they pulled with all their strength."],
        ["{He} tied one end to a tree and threw the other to {friend}.", "Little by little, {he} got closer, until {he} could reach {friend}."],
        ["\"Pull!\" cried {hero}, and at last {friend} was safe.", "With one last effort, {he} pulled {friend} to safety.", "One, two, three, and {friend} was free!"],
    ], [
        ["They sat by a warm fire and ate {food} while the storm went by.", "They dried themselves and waited for the morning together."],
        ["\"You saved me,\" said {friend}. \"I will never forget it.\"", "\"I thought that nobody would come,\" said {friend}. \"I heard you,\" said {hero}. \"Of course I came.\""],
        ["In the morning the sky was blue, and a rainbow stood over {place2}.", "When the sun came out, everyone helped to clear the paths."],
        ["Since that night, {hero} and {friend} have been like family.", "People still tell the story of that night and of brave {hero}.", "After that, no storm seemed quite so dark, because they knew that they had each other.",
         "~And when it thunders now, the two of them sit side by side and count."],
    ]])

SHAPES["wish"] = dict(
    themes=["magic", "three wishes", "a magic {thing}", "making a wish", "~a wish that went wrong"],
    whos=["who finds a magic {thing}", "who gets three wishes", "who makes a wish", "~who is given three wishes"],
    beats=[[
        ["One day {he} found {a thing} near {place1}. [It glowed softly|It was warm to the touch|It hummed a quiet tune].", "On {weather}, {hero} found {a thing} half hidden in the ground near {place1}."],
        ["When {he} [touched|lifted] it, a voice said, \"I will give you three wishes. Choose well.\"", "\"I am a magic {plain},\" it said. \"You have three wishes, and no more.\""],
    ], [
        ["First {hero} wished for a mountain of {food}.", "\"I wish for all the {food} in the world,\" said {hero}."],
        ["At once there was so much food that {he} could not find {his} own door.", "It came down like rain, and soon {he} could not eat another bite."],
        ["Then {he} wished to be [the strongest {kind}|the richest {kind}|as big as a house|the fastest {kind}] in the land.", "For {his} second wish {he} asked to be [as big as a tree|famous|invisible]."],
        ["But now {his} friends were [afraid of|too shy to talk to] {him}, and nobody came to play.", "But that was no fun at all, for {friend} the {f_kind}, {his} best friend, did not know {him} any more."],
        ["{Hero} sat down and thought for a long time.", "\"I have only one wish left,\" {he} said. \"What do I really want?\"", "A tear fell on the {thing}."],
    ], [
        ["\"I wish that everything was as it was before,\" {he} said.", "\"I wish to be just {hero} again,\" {he} said, \"with my friend beside me.\""],
        ["There was a flash of light, and everything was as before.", "The {thing} grew quiet, and the magic was gone."],
        ["{Friend} the {f_kind} came along the path. \"Where have you been?\" {f_he} asked. \"Far away,\" said {hero}, \"but now I am back.\"",
         "Outside, {friend} the {f_kind} was waiting. \"Do you want to play?\" {f_he} asked. {Hero} had never been so happy."],
        ["{He} kept the {thing}, although it was only an ordinary {plain} now.", "{He} had learned that {he} already had what {he} needed.", "And if somebody asked {him} for a wish, {he} said, \"A good friend is enough for me.\"",
         "~{He} gave the {thing} back to the earth and never missed it."],
    ]])

SHAPES["build"] = dict(
    themes=["building something", "working together", "teamwork", "building a {building}", "~many helping hands"],
    whos=["who wants to build {a building}", "who builds {a building}", "who built {a building}", "~who dreams of {a building}"],
    beats=[[
        ["One day {hero} decided to build {a building}.", "{Hero} had a big plan: {he} wanted to build {a building}.", "For a long time {he} had dreamed of {a building}."],
        ["{He} gathered wood, stones and rope near {place1}.", "{He} drew a plan in the sand and gathered everything {he} needed.", "\"I can do it all by myself,\" {he} said."],
    ], [
        ["{He} worked all day. In the evening the wind blew, and everything fell down.", "{He} worked from morning till night, but the first time it fell down with a crash.", "It was hard work for one, and nothing would stay in its place."],
        ["{He} tried again, and again it fell down.", "{Hero} was tired and sad. {He} kicked a stone."],
        ["{Friend} the {f_kind} came by. \"May I help?\" {f_he} asked.", "Then {friend} the {f_kind} came from {place2} and looked at it for a while. \"I think I know what is wrong,\" {f_he} said."],
        ["At first {hero} wanted to say no. Then {he} looked at the mess and nodded. \"Yes, please,\" {he} said.", "\"Two can do more than one,\" said {friend}. And {hero} had to agree."],
        ["{Friend} held the beams, and {hero} tied the knots.", "One of them measured, and the other one built.", "Soon others came to help as well: the old {helper} brought nails, and a {helper2} brought {food}."],
    ], [
        ["After three days, the {building} was finished.", "In the end there it stood, strong and straight: the {building}."],
        ["The wind blew, and the rain fell, but it did not fall down.", "It was even better than {hero} had dreamed."],
        ["\"I could not have done it without you,\" said {hero}.", "\"We make a good team,\" said {friend}."],
        ["They named it [Two Friends|Windy Corner|the Lucky Star|Sunny Side], and everyone was welcome there.", "That evening they sat in front of it and watched the sun go down.", "{Hero} learned that many hands make light work.",
         "~It stands there to this day, and nobody remembers that it ever fell."],
    ]])

SHAPES["race"] = dict(
    themes=["a race", "winning and losing", "a contest", "being fair", "~a fair race"],
    whos=["who wants to win a race", "who runs a race", "who takes part in a race", "~who enters a race"],
    beats=[[
        ["Every {season} there was a great race from {place1} to {place2}.", "One day there was a race from {place1} to {place2}, and everyone wanted to take part."],
        ["{Friend} the {f_kind} was the fastest of all, and {f_he} knew it. \"Nobody can beat me,\" {f_he} said.", "\"You are much too slow,\" laughed {friend} the {f_kind}. \"I will win for sure.\""],
        ["{Hero} said nothing. {He} had practised every morning.", "\"We will see,\" said {hero} quietly."],
    ], [
        ["The race began. {Friend} was soon far ahead.", "\"Ready, steady, go!\" called the old {helper}. {Friend} shot off like an arrow."],
        ["{Hero} kept on, not too fast and not too slow.", "{Hero} did not look left or right. {He} just kept going."],
        ["Then, near the end, {friend} [slipped|tripped over a root] and fell. \"My foot!\" {f_he} cried.", "But {friend} took a wrong turn and got stuck in the mud. \"Help!\" {f_he} called."],
        ["{Hero} could see the finish. {He} could have won. But {he} stopped.", "Now {hero} was in front. But {he} heard {friend} cry, and {he} turned around."],
        ["\"Lean on me,\" {he} said, and they went on together.", "{He} helped {friend} up. \"Come,\" {he} said, \"we will finish together.\""],
    ], [
        ["They crossed the line side by side, and everyone cheered.", "Others had passed them long ago, and they came in last. But nobody cheered for anyone as loudly as for those two."],
        ["\"Why did you stop?\" asked {friend}. \"A race comes every year,\" said {hero}, \"but a friend does not.\"", "\"I laughed at you,\" said {friend}. \"I am sorry.\" \"Never mind,\" said {hero}."],
        ["{Friend} never boasted again.", "The prize was [a basket of {food}|a golden cup|a wreath of flowers], and they shared it.", "They practise together now, and both have become faster.", "~The year after that they won it, side by side."],
    ]])

SHAPES["mystery"] = dict(
    themes=["a mystery", "a thief", "strange tracks", "solving a riddle", "~a puzzle in the night"],
    whos=["who solves a mystery", "who follows strange tracks", "who looks for a thief", "~who catches a thief"],
    beats=[[
        ["One morning somebody had taken all the {food} from {place1}.", "Strange things happened near {place1}. Every night something disappeared.", "\"Somebody has taken my {food}!\" cried the old {helper} on {weather}."],
        ["Everyone [was angry|blamed somebody else].", "\"It must have been a ghost,\" said some. \"It must have been a thief,\" said others."],
        ["\"I will find out,\" said {hero}.", "{Hero} did not believe in ghosts. {He} wanted to know the truth."],
    ], [
        ["{He} looked at the ground and found small tracks that led to {place2}.", "Behind {place1} {he} found a trail of crumbs.", "In the mud {he} saw a row of strange little tracks."],
        ["{He} followed them over the hill and across a stream.", "That night {he} hid behind a barrel and waited. At midnight something moved.", "Quietly {he} followed them, step by step."],
        ["At the end {he} found {a f_kind} named {friend}, thin and frightened.", "The tracks led to a tiny hole, and in it sat {friend} the {f_kind}."],
        ["\"Did you take the {food}?\" asked {hero}. {Friend} began to cry. \"Yes,\" {f_he} said. \"I was so hungry, and I was afraid to ask.\"",
         "\"Please do not be angry,\" whispered {friend}. \"I have three little ones at home, and they have nothing to eat.\""],
    ], [
        ["{Hero} thought for a while. \"Come with me,\" {he} said. \"I have an idea.\"", "{Hero} was not angry any more. \"You should have asked,\" {he} said."],
        ["{He} told everyone the truth, and {friend} said that {f_he} was sorry.", "Together they {went2} back, and {friend} said sorry to everyone."],
        ["The old {helper} gave {friend} a bowl of soup and some work to do.", "\"You can help us with the harvest,\" said the old {helper}, \"and then there will be enough for all.\""],
        ["After that, nothing was ever missing again.", "So the mystery was solved, and {place1} had a new neighbour.", "And whenever there was a riddle to solve, everyone asked {hero}.", "~Nobody near {place1} has locked a door since."],
    ]])

SHAPES["journey"] = dict(
    themes=["a journey", "an adventure", "a long trip", "travelling to {goal}", "~a long way to {goal}"],
    whos=["who wants to see {goal}", "who goes on a journey", "who travels to {goal}", "~who sets out for {goal}"],
    beats=[[
        ["{Hero} had never been far from home, but {he} dreamed of seeing {goal}.", "All {his} life {hero} had wanted to see {goal}.", "One day {hero} heard a traveller talk about {goal}, and {he} could not forget it."],
        ["So on {weather} {he} packed {a thing} and some {food} and set out.", "{He} said goodbye, took {his} {thing}, and {went} off down the road."],
    ], [
        ["On the first day {he} came to {place1}, where {he} met {friend} the {f_kind}.", "Near {place1} {he} met {a f_kind} named {friend}."],
        ["\"Where are you going?\" asked {friend}. \"To see {goal},\" said {hero}. \"May I come with you?\" asked {friend}.", "\"I want to see {goal} too,\" said {friend}, \"but I never dared to go alone.\""],
        ["From then on they travelled together.", "So they {went2} on together, and the way seemed shorter."],
        ["On the second day it rained, and they got lost near {place2}.", "At {place2} there was no bridge, so they had to build a raft.", "Near {place2} they lost the path, and it was dark and cold."],
        ["The {thing} helped them to find the way.", "\"Let us go home,\" said {friend}. \"Only one more hill,\" said {hero}.", "They shared the last of the {food} and slept under the stars."],
    ], [
        ["On the [third|seventh] day they came over a hill, and there it was: {goal}.", "And then, early one morning, they stood before {goal}."],
        ["It was more beautiful than they had ever dreamed.", "For a long time neither of them said a word.", "\"Oh,\" said {hero}. That was all that {he} could say."],
        ["They stayed until the evening, and {hero} took home [a small stone|a handful of sand|a leaf] to remember it.", "\"It was a long way,\" said {friend}. \"The way was the best part,\" said {hero}."],
        ["When {hero} came home, {he} told the story again and again.", "Now {hero} is planning the next journey, and {friend} will come along, of course.", "And at night, when {he} closed {his} eyes, {he} could still see {goal}.", "~Since then no road has seemed too long for {him}."],
    ]])

SHAPES["light"] = dict(
    themes=["the night", "a light in the dark", "the stars", "hope", "the sea", "~a lamp in the window"],
    whos=["who keeps a light burning", "who lights a lantern every night", "who helps a ship", "~who never lets the light go out"],
    beats=[[
        ["Every evening {hero} lit a lantern and hung it near {place1}.", "Each night {he} put a lamp in the window, so that nobody would lose the way."],
        ["\"Why do you do that?\" asked {friend} the {f_kind}. \"Nobody ever comes.\" \"Somebody might,\" said {hero}.", "{Friend} the {f_kind} thought that it was a waste of oil. {Hero} only smiled."],
    ], [
        ["One {season} night thick fog came in from {place2}.", "Then came a night without moon or stars."],
        ["{Friend} was out on the water in a little boat, and {f_he} could not see the shore.", "That very night {friend} lost the way near {place2}."],
        ["{F_he} called, but only the wind answered.", "It grew colder and colder, and {f_he} almost gave up hope."],
        ["Then, far away, {f_he} saw a tiny light. It was {hero}'s lantern!", "But there, in all that darkness, shone one small golden light."],
        ["{Hero} had stayed awake all night and kept the flame alive.", "The wind had blown it out three times, and three times {hero} had lit it again."],
    ], [
        ["{Friend} followed the light and came home safely.", "Little by little, {friend} found the way home."],
        ["\"You were right,\" {f_he} said. \"Somebody might need it. Tonight it was me.\"", "{F_he} hugged {hero} and could not speak for a while."],
        ["The next evening there were two lanterns near {place1}.", "Since then they have lit the lantern together every night.", "And if you ever lose your way near {place1}, look for a small golden light.", "~Now every window there has a lamp."],
    ]])

SHAPES["trick"] = dict(
    themes=["a clever trick", "being clever", "a trick", "outsmarting a bully", "~wit against strength"],
    whos=["who plays a trick", "who outsmarts {a villain}", "who is clever", "~who tricks {a villain}"],
    beats=[[
        ["One day a hungry {villain} came to {place1} and frightened everyone.", "But near {place1} lived a mean {villain} who took food from everyone who passed."],
        ["\"Give me all your {food}, or I will chase you away,\" said the {villain}.", "\"From now on, this path is mine,\" said the {villain}. \"Whoever wants to pass must pay.\""],
        ["Everyone was afraid, but {hero} had an idea.", "Nobody knew what to do. Then {hero} smiled."],
    ], [
        ["\"Great {villain},\" {he} said, \"I would gladly give you everything, but there is someone even stronger than you at {place2}.\"", "{He} bowed. \"You are strong,\" {he} said, \"but are you also clever? Answer my riddle, and you shall have it all.\""],
        ["\"Stronger than me?\" roared the {villain}. \"Where?\"", "The {villain} laughed. \"Nobody is as great as me,\" it said. \"Go on.\""],
        ["{Hero} led the {villain} to the water. \"Look in there,\" {he} said. And there, in the water, another {villain} looked back with angry eyes.",
         "\"What grows bigger when you share it?\" asked {hero}. The {villain} thought and thought, until its head hurt. \"The answer is joy,\" said {hero}."],
        ["The {villain} turned around, ran away, and was never seen there again.", "The {villain} was so ashamed that it crept away and never came back."],
    ], [
        ["\"How did you think of that?\" asked {friend} the {f_kind}.", "{Friend} the {f_kind} laughed until {f_his} sides hurt."],
        ["\"Being clever is better than being strong,\" said {hero}.", "\"I was as afraid as you were,\" said {hero}, \"but a good idea is stronger than big teeth.\""],
        ["That evening there was a feast with {food} for everyone.", "From that day on, everyone could walk to {place1} in peace.", "And they all thanked clever {hero}.", "~The path has been free ever since."],
    ]])

SHAPES["dream"] = dict(
    themes=["a dream", "the moon", "going to sleep", "flying to the moon", "~a voyage in a dream"],
    whos=["who dreams of the moon", "who cannot sleep", "who flies to the moon", "~who had a strange dream"],
    beats=[[
        ["One night {hero} could not sleep.", "One {season} night {he} lay awake and looked at the moon.", "The moon was so bright that {hero} could not close {his} eyes."],
        ["Suddenly {a f_kind} sat in the window. \"I am {friend},\" {f_he} said. \"Would you like to see the moon?\"", "A silver boat stopped at {his} window, and in it sat {friend} the {f_kind}. \"Come in,\" {f_he} said."],
    ], [
        ["{Hero} nodded, and off they went, up and up, over {place1}.", "They rose above {place1}, above {place2}, above the clouds."],
        ["The stars were [as near as apples on a tree|like little lamps|singing very softly].", "Far below, {place2} was as small as a toy."],
        ["On the moon everything was [silver and still|soft as a pillow]. They jumped as high as houses and ate {food} made of starlight.", "They slid down the hills of the moon and drank from a silver spring."],
        ["\"You may take one thing home,\" said {friend}. {Hero} chose {a thing} that lay in the dust.", "An old {helper} who lived there gave {hero} {a thing}. \"So that you will remember us,\" he said."],
        ["Then {hero} grew tired, and {friend} brought {him} back.", "On the way home {hero} fell asleep."],
    ], [
        ["In the morning {he} woke up in {his} own bed. \"It was only a dream,\" {he} thought.", "When {he} opened {his} eyes, the sun was shining. Had it all been a dream?"],
        ["But beside {him}, on the pillow, lay the {thing}.", "But what was that on the floor? It was the {thing}!"],
        ["That evening {he} left the window open.", "{Hero} smiled and told nobody, and {he} looks up at the moon every night.", "And sometimes, when the moon is full, {he} waves.", "~Who knows where {he} will go tonight?"],
    ]])
