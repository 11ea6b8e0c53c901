"""Story shapes of everyday life. A shape is a list of paragraphs, a paragraph a list of beats, a beat a list of
templates of which one is told; slots are the cast of stories.py. Between them the facts stay the same."""

SHAPES = {}

SHAPES["lost"] = dict(
    themes=["losing something", "looking for a lost {thing}", "a lost {thing}", "not giving up"],
    whos=["who lost {his} {thing}", "who loses {his} {thing}", "who is looking for {his} {thing}", "~who cannot find {his} {thing}"],
    beats=[[
        ["{He} had {a thing} that {he} [loved|treasured] more than anything [else|in the world].",
         "Of all the things that {he} owned, {he} loved {his} {thing} best.",
         "{His} dearest treasure was {a thing}, a gift from {his} [grandmother|grandfather|mother|uncle].",
         "~Nothing was dearer to {him} than {his} {thing}."],
    ], [
        ["One {season} morning the {thing} was gone.", "But on {weather}, {he} could not find {his} {thing} [anywhere|at all].",
         "One day {he} [woke up|came home] and saw that {his} {thing} was missing.", "~Then, on {weather}, the {thing} was not in its place."],
        ["{Hero} looked under the bed and behind the door, but it was not there.", "{He} searched [every corner|high and low], but [found nothing|found only dust].",
         "{He} turned everything upside down, but there was no {thing}.", "\"Where can it be?\" {he} [cried|asked|wondered]."],
        ["{He} {went} to {place1} and looked there, but found only [a few leaves|an old button|a feather|some muddy tracks].",
         "First {he} searched near {place1}. Then {he} searched near {place2}. There was no {thing}.",
         "{He} remembered that {he} had been at {place1} the day before, so {he} {hurried} there. It was empty."],
        ["On the way {he} met {a f_kind} named {friend}.", "There {he} met {friend} the {f_kind}.", "Just then {friend} the {f_kind} came by.",
         "~That was when {a f_kind} called {friend} came along."],
        ["\"Why do you look so [sad|worried]?\" asked {friend}. \"I have lost my {thing},\" said {hero}.",
         "\"Have you seen my {thing}?\" asked {hero}. \"No,\" said {friend}, \"but I will help you look.\"",
         "\"I lost my {thing},\" said {hero}, and a tear ran down {his} [face|cheek]. \"Then we will look together,\" said {friend}."],
    ], [
        ["Together they {went2} to {place2}.", "They looked near {place2} until the sun was low.", "Side by side they searched all the way to {place2}.",
         "Two pairs of eyes see more than one, so they searched again, all the way to {place2}."],
        ["Suddenly {friend} [called|shouted], \"Look! What is that?\" There, [under a bush|between two stones|in the tall grass|behind a log], lay the {thing}.",
         "Then {hero} saw something [shine|move] [in the grass|between two stones|under a bush]. It was the {thing}!",
         "And there it was: the {thing} lay [under a bush|beside the path|in a heap of leaves], [safe and sound|a little dusty but not broken]."],
        ["{Hero} [laughed|danced] with joy. \"Thank you, {friend}!\" {he} said.", "\"You found it!\" cried {hero}, and {he} hugged {his} new friend.",
         "{Hero} held the {thing} close and thanked {friend} again and again."],
        ["From that day on, {hero} [always kept the {thing} in a safe place|took good care of the {thing}].",
         "[That evening|Later] they shared {food}, and {hero} thought that a good friend was worth more than any {thing}.",
         "{Hero} had found {his} {thing}, and [a friend as well|something even better: a friend].",
         "~{He} went home with {his} {thing}, and with a new friend at {his} side."],
    ]])

SHAPES["fear"] = dict(
    themes=["being afraid", "being brave", "courage", "overcoming fear", "~finding courage"],
    whos=["who is afraid of {fear}", "who was afraid of {fear}", "who was scared of {fear}", "who learns to be brave", "~who fears {fear}"],
    beats=[[
        ["{Hero} [was not afraid of much|was brave in most things], but there was one thing that {he} feared: {fear}.",
         "But {hero} had a secret: {he} was [very|terribly] afraid of {fear}.", "There was only one problem. {He} was afraid of {fear}.",
         "~More than anything, {hero} feared {fear}."],
        ["When the others [laughed|teased {him}], {he} looked at the ground.", "{He} never told anyone about it.",
         "{He} hid [under a blanket|in a corner] whenever {he} could, and {his} heart beat fast.", "Just to think of it made {him} shake from head to toe."],
    ], [
        ["One {season} night, {he} heard a [small|faint] cry for help.", "Then, on {weather}, somebody called for help.", "One day there was a cry: \"Help! Please help me!\"",
         "~On {weather} a thin voice called out."],
        ["It was {friend} the {f_kind}, {hero}'s [best|dearest|oldest] friend, who [was stuck|had fallen and could not get up] near {place1}.",
         "{Friend} the {f_kind}, {his} [best friend|neighbour], was [trapped|stuck] near {place1}."],
        ["To get there, {hero} had to face {fear}.", "But between them was the very thing that {he} feared: {fear}.", "{Hero} knew what that meant: {fear}, and no way around it."],
        ["{His} knees [shook|trembled]. \"I cannot do it,\" {he} whispered. Then {he} heard {friend} cry again.",
         "{He} wanted to [run|turn] away. But {he} thought of {friend}, who was all alone.", "{He} stood still for a long moment. \"{Friend} needs me,\" {he} said at last."],
        ["{He} took a deep breath, counted to three and {went} on.", "{He} closed {his} eyes, took one step, and then another.",
         "[Slowly|Step by step], {he} {went} on, and sang a little song to keep {his} courage up."],
    ], [
        ["It was not half as bad as {he} had thought.", "With every step {he} felt a little [stronger|braver].", "To {his} surprise, nothing bad happened."],
        ["{He} reached {friend} and [pulled {f_him} free|helped {f_him} up|brought {f_him} home safely].", "Soon {he} was at {friend}'s side and [helped {f_him} up|set {f_him} free]."],
        ["\"You came!\" said {friend}. \"But I thought you were afraid of {fear}.\" \"I was,\" said {hero}. \"[I still am, a little|But you are my friend].\"",
         "\"You are the bravest {kind} I know,\" said {friend}.", "\"Were you not afraid?\" asked {friend}. \"Very,\" said {hero}, \"but I came [anyway|all the same].\""],
        ["After that, {hero} was never quite so afraid of {fear} again.", "That night {hero} slept well, and [{fear} did not seem so terrible any more|{he} was proud of {himself}].",
         "{Hero} had learned that being brave does not mean having no fear. It means going on [anyway|all the same].",
         "~Since that day {hero} knows that courage is fear that keeps walking."],
    ]])

SHAPES["newfriend"] = dict(
    themes=["friendship", "making a new friend", "two friends", "being lonely", "~an unlikely friendship"],
    whos=["who has no friends", "who was lonely", "who makes a new friend", "who wanted a friend", "~who longs for a friend"],
    beats=[[
        ["{He} lived [all] alone and had nobody to [play|talk] with.", "{He} was often lonely, for [there was nobody else around|{his} neighbours had all moved away].",
         "Every evening {he} [watched the stars|ate {food}] alone and wished for a friend.", "~No one ever came to visit {him}."],
    ], [
        ["On {weather}, {he} {went} to {place1}.", "One day {he} {went} past {place1}.", "One {season} day {he} decided to visit {place1}."],
        ["There sat {a f_kind} {he} had never seen before.", "Behind a bush {he} found {a f_kind} who was [crying|shivering|sighing].",
         "In the middle of the path sat {a f_kind} with a sad face.", "~A strange {f_kind} was sitting there, quite alone."],
        ["\"Who are you?\" asked {hero}. \"My name is {friend},\" said the {f_kind}. \"I am new here, and I do not know anybody.\"",
         "\"Hello,\" said {hero} [shyly|softly]. \"I am {hero}. What is your name?\" \"{Friend},\" said the {f_kind} and smiled a little.",
         "\"Are you lost?\" asked {hero}. \"No,\" said the {f_kind}. \"I am {friend}. I am only [lonely|tired and hungry].\""],
        ["{Hero} [did not know what to say|thought for a moment]. Then {he} shared {his} {food} with {friend}.", "{Hero} gave {friend} half of {his} {food}.",
         "\"I am lonely too,\" said {hero}. \"Would you like some {food}?\""],
    ], [
        ["They talked until [the moon came up|it was dark|the stars came out].", "They [played|laughed and talked] all afternoon.", "It turned out that both of them liked [songs|puzzles|rainy days|old stories|looking at clouds]."],
        ["{Friend} showed {hero} how to {skill}, and {hero} showed {friend} the best places near {place2}.", "The next day they [met again|went to {place2} together], and the day after that as well.",
         "{Friend} knew a hundred stories, and {hero} knew every path to {place2}."],
        ["\"I am glad that I met you,\" said {friend}. \"So am I,\" said {hero}.", "\"Will you come again tomorrow?\" asked {hero}. \"Of course,\" said {friend}. \"That is what friends do.\"",
         "\"We are very different,\" said {friend}. \"Yes,\" said {hero}, \"and that is what makes it fun.\""],
        ["From then on, {hero} was never lonely again.", "And so {hero} and {friend} became the best of friends.", "They have been friends ever since.",
         "{Hero} went to sleep with a smile, because now {he} had a friend.", "~After that day nobody ever saw the one without the other."],
    ]])

SHAPES["share"] = dict(
    themes=["sharing", "being kind", "kindness", "being greedy", "~learning to share"],
    whos=["who does not want to share", "who learns to share", "who would not share {his} {food}", "~who keeps everything for {himself}"],
    beats=[[
        ["One day {he} found [a huge pile|a whole basket|a big sack] of {food} near {place1}.", "In {season}, {hero} gathered [a huge pile|three baskets] of {food} near {place1}.",
         "On {weather}, {he} came home with more {food} than {he} could ever eat.", "~Luck was kind to {him}: near {place1} {he} found {food}, more than enough for ten."],
        ["\"This is all mine,\" {he} said, and {he} hid it [behind a stone|under some leaves|in a dark corner].", "{He} decided to keep it all for {himself}.",
         "\"I will not share it with anyone,\" {he} thought."],
    ], [
        ["Soon {friend} the {f_kind} came by. \"I am so hungry,\" {f_he} said. \"Do you have something to eat?\"",
         "Then {friend}, {a f_kind} from {place2}, knocked at the door. \"Could you spare a little food?\" {f_he} asked.",
         "That evening {a f_kind} named {friend} came along, tired and hungry."],
        ["\"No,\" said {hero}. \"I have nothing.\" {Friend} [sighed|nodded] and {f_went} away.", "{Hero} shook {his} head. \"There is nothing here,\" {he} said. So {friend} {f_went} away, [hungry|sad and hungry]."],
        ["{Hero} ate and ate, but the {food} did not taste as good as {he} had hoped.", "That night {hero} could not sleep. {He} kept thinking of {friend}'s sad eyes.",
         "{Hero} ate alone. It was very quiet, and {he} did not enjoy a single bite."],
        ["The next day it [rained hard|snowed], and {hero} slipped and hurt {his} {hand}.", "The next morning {hero} fell into a deep ditch near {place1} and could not get out."],
        ["{Friend} heard {him} call and came at once to help. \"Why do you help me?\" asked {hero}. \"Because you need help,\" said {friend}.",
         "Who came to help? It was {friend}. {F_he} did not say one angry word."],
    ], [
        ["{Hero} was ashamed. \"I told you a lie,\" {he} said. \"I have plenty of {food}. Please come and eat with me.\"",
         "{Hero} looked at the ground. \"I am sorry,\" {he} said. \"I was greedy. Half of my {food} is yours.\""],
        ["They sat down together and ate until they were full.", "They invited everyone from {place2}, and it was a wonderful feast.", "They ate and laughed, and there was still plenty left."],
        ["The {food} had never tasted so good.", "{Hero} learned that food tastes best when it is shared.", "From that day on, {hero} always set out one more plate.",
         "And {hero} never ate alone again.", "~Since then there has always been a second plate on {hero}'s table."],
    ]])

SHAPES["skill"] = dict(
    themes=["learning something new", "practice", "trying again", "learning to {skill}", "~patience and practice"],
    whos=["who wants to learn to {skill}", "who cannot {skill}", "who learns to {skill}", "who wanted to {skill}", "~who dreams of learning to {skill}"],
    beats=[[
        ["More than anything, {hero} wanted to learn to {skill}.", "{Hero} had one big wish: {he} wanted to {skill}.", "There was one thing that {hero} could not do: {he} could not {skill}.",
         "~All {hero} wished for was to be able to {skill}."],
        ["All {his} friends could do it, and {he} felt left out.", "Every day {he} watched the others and [sighed|dreamed].", "\"It is too hard for you,\" said the others."],
    ], [
        ["On {weather}, {he} tried for the first time. It went badly.", "{He} tried once, and {he} tried twice. It did not work.", "The first time {he} tried, everything went wrong, and some of the others laughed."],
        ["\"I will never learn it,\" {he} said, and {he} sat down near {place1}.", "{He} {went} to {place1} and hid there, because {he} wanted to cry.", "Sadly {he} {went} home past {place1}."],
        ["There {he} met {friend}, {a f_kind} who had seen many winters.", "{Friend}, {a f_kind} who lived there, had watched it all.", "Old {friend} the {f_kind} came and sat beside {him}."],
        ["\"Nobody can do it the first time,\" said {friend}. \"I will show you. Just try a little every day.\"",
         "\"Do you know how often I failed?\" asked {friend}. \"A hundred times. Come, we will practise together.\"",
         "\"The secret is simple,\" said {friend}. \"Try again, and then try once more.\""],
        ["So {hero} practised every morning, [in sun and in rain|before the others were awake].", "Day after day {hero} practised. Some days went well and some did not.", "{He} practised in {season}, and {he} practised when it rained. {Friend} was always there to help."],
    ], [
        ["Then, one day, it worked!", "And one morning {he} could do it, as if it had always been easy.", "[After many weeks|At last], {hero} could {skill}."],
        ["\"Look at me!\" {he} [called|shouted]. {Friend} clapped and cheered.", "Everyone came to {place2} to watch, and nobody laughed any more.", "\"I knew that you could do it,\" said {friend}."],
        ["When the others asked for the secret, {hero} said, \"Try again, and then try once more.\"", "{Hero} was proud, and {he} [began to teach the little ones|thanked {friend} with all {his} heart].",
         "And if you pass {place1} today, you may still see {him} practise.", "{He} had learned to {skill}, and also that nobody should give up too soon.",
         "~Now {hero} teaches it to others, and {he} begins each lesson with a smile."],
    ]])

SHAPES["truth"] = dict(
    themes=["telling the truth", "honesty", "a lie", "saying sorry", "~owning up to a mistake"],
    whos=["who broke {a thing}", "who told a lie", "who learns to tell the truth", "~who breaks {a thing} and hides it"],
    beats=[[
        ["One day {hero} was playing near {place1}, by the house of {friend} the {f_kind}, and did not look where {he} was going.", "On {weather}, {hero} visited {friend} the {f_kind} and was left alone for a while."],
        ["Crash! {Friend}'s {thing} fell down and broke.", "{He} bumped into {friend}'s {thing}. It fell and broke in two.", "Before {he} knew it, {friend}'s {thing} was lying on the ground, broken."],
        ["{Hero} looked around. Nobody had seen it.", "{His} heart beat fast. What would {friend} say?", "\"Oh no,\" whispered {hero}. \"{Friend} loves that {thing}.\""],
        ["Quickly {he} hid the pieces [under a bush|behind a log|under some leaves].", "{He} pushed the pieces under a heap of leaves and {hurried} home."],
    ], [
        ["When {friend} the {f_kind} came, {f_he} asked, \"Do you know where my {thing} is?\" \"No,\" said {hero}.", "Soon {friend} the {f_kind} began to search. \"Have you seen my {thing}?\" {f_he} asked. {Hero} shook {his} head."],
        ["{Friend} searched all day, and {f_his} face grew sadder and sadder.", "\"Perhaps the [wind|crow|river] took it,\" said {hero}, and that was a second lie."],
        ["That night {hero} could not sleep. The lie felt like a stone in {his} stomach.", "All night {hero} lay awake. Even {his} {food} had not tasted good."],
        ["In the morning {he} {went} to {friend}'s door. \"I broke your {thing},\" {he} said. \"I hid it, and I told you a lie. I am sorry.\"",
         "At sunrise {he} took the broken pieces to {friend}. \"It was me,\" {he} said. \"I am very sorry.\"", "~At dawn {he} stood before {friend} and said, \"I must tell you the truth.\" And {he} did."],
    ], [
        ["{Friend} was silent for a moment. \"I am sad about the {thing},\" {f_he} said, \"but I am glad that you told me the truth.\"",
         "{Friend} looked at the pieces, and then at {hero}. \"That took courage,\" {f_he} said. \"A {thing} can be mended.\""],
        ["They got some glue and mended it together.", "All morning they worked on it, and in the end the {thing} was almost as good as new."],
        ["There was still a small crack in it, and it reminded {hero} to tell the truth.", "{Hero} felt as light as a feather.", "From that day on, {hero} always told the truth, even when it was hard.",
         "And {friend} trusted {hero} more than ever.", "~The crack stayed, and so did the friendship."],
    ]])

SHAPES["gift"] = dict(
    themes=["a birthday", "a gift", "making a present", "a birthday present", "~the best present"],
    whos=["who makes a gift", "who has no money for a present", "who wants to give {his} friend a present", "~who forgot a birthday present"],
    beats=[[
        ["It was almost the birthday of {friend} the {f_kind}, {hero}'s [best|dearest] friend.", "Tomorrow was a special day: the birthday of {friend} the {f_kind}."],
        ["{Hero} wanted to give {f_him} something [special|wonderful], but {he} had [no money|only one small coin].", "Everyone had a present but {hero}. {He} had not a single coin.",
         "But {hero} had no present, and the shops near {place1} were much too dear."],
    ], [
        ["First {he} {went} to {place1} and looked for something pretty, but {he} found only [stones|dry leaves|mud].", "{He} {went} to {place1} to think.", "All day {he} thought and thought, near {place1} and near {place2}."],
        ["Then {he} had an idea. \"I will make {a plain},\" {he} said.", "Suddenly {he} smiled. {He} could make {a plain}!", "\"If I cannot buy a present, I can make one,\" {he} thought. \"I will make {a plain}.\""],
        ["{He} gathered [wood and string|paper and paint|reeds and ribbons] and worked all night long.", "{He} worked until the stars went out, and {he} hurt {his} {hand} twice.", "It was hard work, and the {plain} came out a little crooked."],
    ], [
        ["At the party there were many [fine|expensive] presents. {Hero} [blushed|looked at the ground] and gave {friend} the {plain}.",
         "The next day {friend} opened {f_his} presents one by one. Last of all came the {plain}."],
        ["\"It is crooked,\" said {hero} [softly|quietly]. \"I made it myself.\"", "Everyone was quiet. \"Did you make this?\" asked {friend}. {Hero} nodded."],
        ["{Friend} smiled [from ear to ear|the biggest smile of all]. \"This is the best present of all,\" {f_he} said, \"because you made it for me.\"",
         "\"You made this for me?\" said {friend}. \"Then it is worth more than gold.\"", "~{Friend} hugged it tight. \"Nobody else has one like this,\" {f_he} said."],
        ["The {plain} still has the best place in {friend}'s home.", "Then they all ate {food} and danced until late.", "{Hero} went home happy, for {he} had learned that a gift from the heart costs nothing.",
         "And {hero} was the happiest guest of the evening."],
    ]])

SHAPES["garden"] = dict(
    themes=["a garden", "patience", "a seed", "growing something", "waiting", "~a tiny seed"],
    whos=["who plants a seed", "who has a garden", "who could not wait", "~who grows {plant}"],
    beats=[[
        ["In spring, {friend} the {f_kind} gave {him} a [tiny|small brown] seed.", "One spring morning {he} found a [tiny|strange] seed near {place1}.", "On the first day of spring {he} planted a single seed."],
        ["\"What will it be?\" asked {hero}. \"Wait and see,\" said {friend} the {f_kind}.", "\"Give it water and time,\" said {friend} the {f_kind}, who lived next door."],
    ], [
        ["{He} put it into the earth and gave it water every day.", "Every morning {he} watered it and said good morning to it."],
        ["A week went by, and nothing happened. Two weeks went by, and nothing happened.", "But day after day there was nothing but brown earth."],
        ["\"It is taking too long,\" said {hero}, and {he} wanted to dig it up. \"Wait,\" said {friend}. \"Good things need time.\"",
         "{Hero} was cross. \"Perhaps the seed is asleep,\" {he} said. \"Perhaps it is busy,\" said {friend}. \"Do not dig it up.\""],
        ["So {hero} waited. {He} waited in the sun, and {he} waited in the rain.", "{Hero} sat down beside it and told it stories."],
        ["Then, one morning, there was a green [tip|leaf].", "And one day a small green leaf looked out of the earth."],
    ], [
        ["It grew and grew, all through the summer.", "By summer it was as tall as the fence."],
        ["In autumn, there stood {plant}, the [finest|most beautiful] that anyone had ever seen.", "It was {plant}! Everyone from {place2} came to look at it."],
        ["\"It was worth the wait,\" said {hero}.", "\"You see,\" said {friend}, \"it was busy all the time.\"", "{Hero} was so proud that {he} danced around it."],
        ["{He} kept one seed from it, and gave it to a little one who could not wait.", "{He} shared it with everyone, and kept a handful of seeds for the next spring.",
         "Now whenever something takes a long time, {hero} thinks of {his} seed and smiles.", "~The next spring {he} planted ten more."],
    ]])

SHAPES["sick"] = dict(
    themes=["helping a friend", "a sick friend", "caring for others", "~looking after somebody"],
    whos=["who helps a sick friend", "whose friend is ill", "who takes care of {his} friend", "~who looks after a friend with a cold"],
    beats=[[
        ["One {season} day, {his} best friend, {friend} the {f_kind}, did not come to play.", "{His} best friend was {friend} the {f_kind}, and they met every day. But one day {friend} did not come."],
        ["{Hero} {hurried} to {f_his} home and found {f_him} in bed with a bad cold.", "\"I am ill,\" said {friend} with a weak voice. \"My head hurts, and I am cold.\""],
    ], [
        ["\"I will make you soup,\" said {hero}, \"but I need [a red mushroom|wild mint|three golden leaves] from {place1}.\"",
         "\"Only tea from the blue flower can help,\" said the old {helper}. \"It grows near {place1}.\""],
        ["So {hero} set out at once, although it was [cold and windy|raining hard|getting dark].", "Without waiting, {hero} {went} out into the [rain|cold|wind]."],
        ["{He} {went} past {place2}, where the path was steep.", "Near {place2} the wind almost blew {him} over, but {he} did not turn back.", "It was a long way, past {place2} and over a narrow bridge."],
        ["At last {he} found what {he} needed and {hurried} back.", "There it was! {He} picked it carefully and {hurried} home."],
    ], [
        ["{He} cooked all evening, and the whole house smelled [good|wonderful].", "{He} sat at {friend}'s bed all night and told {f_him} stories."],
        ["{Friend} drank it all and fell asleep with a smile.", "By morning {friend} felt better. \"How can I thank you?\" {f_he} asked.", "The next day {friend} could sit up and laugh again."],
        ["\"You would do the same for me,\" said {hero}.", "\"Just get well,\" said {hero}. \"It is no fun to play alone.\""],
        ["A week later they were playing near {place1} again, as if nothing had happened.", "And when {hero} caught a cold the next winter, guess who brought the soup? It was {friend}.", "~When spring came, they picked a whole basket of flowers, just in case."],
    ]])
