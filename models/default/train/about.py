"""Questions about hy and their answers. A topic has questions, answers, and patterns of which all must be found in an
answer for it to count as right. Answers are built from [alternatives], so no two need to be alike."""
import re
from about_more import MORE

TOPICS = {}


def topic(name, questions, answers, *keys):
    TOPICS[name] = dict(questions=[q.strip() for q in questions.strip().split("\n")],
                        answers=[" ".join(a.split()) for a in answers.strip().split("\n\n")], keys=keys)


topic("what", """
What is hy?
What's hy?
Tell me about hy.
[Explain|Describe] hy.
What does hy do?
What is hy [good|made] for?
Can you tell me what hy is?
What can hy do?
What is this program?
Who or what is hy?
Give me [a short description|an overview] of hy.
I have never heard of hy. What is it?
Describe hy in a few sentences.
What is hy in one sentence?
~So what exactly is hy?
~In short, what would you say hy is?
~Could you introduce hy to me?
""", """
hy is an [inference engine|engine] for large language models, written [from scratch in C|in C from scratch]. It reads GGUF files and runs them with its own
kernels. It is made for Apple Silicon, and for models that are larger than the memory of the machine.

hy is a program that runs language models from GGUF files. It is written from scratch in C, with its own kernels for the CPU and for Metal.
[Models|Even models] that do not fit into memory are streamed from the disk.

hy is [a small engine|an engine], written in C, that runs language models on your own computer. You give it a GGUF file and a prompt, and it writes text. When a
model is larger than memory, hy streams its weights from the SSD.
""", "language models|GGUF", "in C|engine")

topic("name", """
Who are you?
What are you?
What is your name?
Are you a [robot|person|human|computer|big model]?
What model are you?
Which model [am I talking to|is this]?
Introduce yourself.
Tell me about yourself.
Are you ChatGPT?
What should I call you?
~With whom am I speaking?
~Say a few words about yourself.
""", """
I am the [small|little] model that comes with hy. I [can tell|tell] short stories and answer questions about hy, [and that is all I can do|and not much more].

I am hy's built-in model, a [small|tiny] mixture of experts with about six million parameters. I know little stories and a few facts about hy.

I am a [small|tiny] language model that lives inside hy. Ask me for a story, or ask me how hy works.
""", "model", "stor")

topic("cando", """
What can you do?
What can I ask you?
What do you know?
How can you help me?
What are you good at?
Help
help
Can you help me?
What should I ask you?
What are your limits?
~What sort of things do you know about?
~What might I ask you?
""", """
I can tell short stories, for example about a fox or a lighthouse keeper, and I can answer questions about hy. For anything else you need a larger model.

Ask me for a story about [an animal, a person or a thing|almost anything], or ask me about hy: its commands, its files, and how it streams weights. I know nothing else.

I know two things: little stories and hy. [Try|For example, try] "Tell me a story about a dragon" or "How does streaming work?"
""", "stor", "hy")

topic("run", """
How do I run a model?
How do I use hy?
What does hy run do?
How can I run a GGUF file?
How do I start hy?
How do I write text with hy?
Which command runs a model?
What is the command run for?
How do I give hy a prompt?
Explain hy run.
How do I run [my own|another|a different|a bigger] model?
How do I generate text?
~What must I type to run a model?
~I have a GGUF file. How do I get text out of it?
""", """
Use the command hy run. For example, hy run model.gguf -p "Hello" writes text for a prompt. Without a model, hy run uses the small model in the box.

Type hy run, then the path of a GGUF file, then -p and your prompt in quotes. The text goes to standard output. [With --stats you also see the speed|With -n you say how many tokens you want].

hy run takes a GGUF file and a prompt and writes the answer. Give the prompt with -p, or a file with -f. With -i you can chat in the terminal.
""", "hy run", "GGUF|gguf", "prompt|-p")

topic("serve", """
What does hy serve do?
How do I start a server?
Can hy work as a server?
Does hy have an API?
Explain hy serve.
How do I use hy with [Ollama|OpenAI] clients?
Is hy compatible with [Ollama|OpenAI]?
What is the command serve for?
How do I serve a model over HTTP?
Can several people use one model?
Which port does hy serve use?
Can I use hy instead of Ollama?
~How can other programs talk to hy?
~I need an HTTP endpoint. What do I do?
~Is there a way to use hy like Ollama?
""", """
hy serve starts an HTTP server for a model. It speaks the API of Ollama and that of OpenAI, so the tools that you already have work unchanged. It listens on port 8080 of your own machine.

With hy serve model.gguf you get an HTTP server on port 8080. It answers like Ollama and like OpenAI, and it serves several users at once.

Use hy serve. It offers the APIs of Ollama and OpenAI over HTTP, streams the answers, and lets many requests share one pass over the weights.
""", "server|HTTP|hy serve", "Ollama")

topic("bench", """
What does hy bench do?
How do I measure the speed?
How fast is my machine with hy?
What is the command bench for?
How can I benchmark a model?
Explain hy bench.
How do I know how many tokens per second I get?
~Which command tells me how fast a model runs?
~I want to measure speed. How?
""", """
hy bench measures the speed of a model: how fast it reads a prompt and how fast it writes new tokens. Both are given in tokens per second.

Use hy bench with a model. It prints the speed for prompts and for generation, and how near they come to the bandwidth of the memory.

The command is hy bench model.gguf. It measures prompt speed and generation speed in tokens per second.
""", "bench", "speed|fast", "prompt|generation|token")

topic("inspect", """
What does hy inspect do?
How do I look into a GGUF file?
How can I see what a model file holds?
What is the command inspect for?
Explain hy inspect.
How do I see the tensors of a model?
How do I see the memory plan?
~Which command shows the contents of a file?
~I would like to see what is inside a model.
""", """
hy inspect shows what a model file holds: the architecture, the sizes by role, the types and the context. With --tensors it lists every tensor, and with --plan it shows the memory plan.

Use hy inspect with a GGUF file. It prints sizes, types and hyper-parameters without loading the weights. --tensors lists all tensors.
""", "inspect", "size|tensor", "type|plan")

topic("tokenize", """
What does hy tokenize do?
How do I turn text into tokens?
How can I see the tokens of a text?
What is the command tokenize for?
Explain hy tokenize.
How many tokens does my text have?
~Which command shows token ids?
~I want to see how a text is cut into tokens.
""", """
hy tokenize turns text into token ids and back. It uses the vocabulary inside the model file.

Use hy tokenize with a model and a text. It prints the ids of the tokens, and it can turn ids back into text.
""", "tokenize", "id", "text")

topic("eval", """
What does hy eval do?
How do I measure perplexity?
How good is a model? Can hy measure it?
What is the command eval for?
Explain hy eval.
How do I get the logits?
~Which command computes perplexity?
~I want to know how well a model predicts a text.
""", """
hy eval measures the perplexity of a model on a text, that is, how well the model predicts it. Lower is better. With --logits it also writes the raw logits.

Use hy eval with a model and a text file. It prints the perplexity: the better the model predicts the text, the lower the number.
""", "eval", "perplexity", "text|logits")

topic("kernelstest", """
What does hy kernels-test do?
How are the kernels tested?
How do I check the kernels?
What is the command kernels-test for?
Explain hy kernels-test.
How do I know that the kernels are right?
~Which command checks the kernels?
~Can I test the kernels on my machine?
""", """
hy kernels-test checks every kernel, every type and many odd shapes against exact arithmetic. With --bench it also measures their speed.

Use hy kernels-test. It compares each kernel with an exact reference and reports the worst error. With --bench it prints the speed as well.
""", "kernels-test", "exact|error", "kernel")

topic("profile", """
What does hy profile do?
How does hy know how fast my disk is?
How do I measure the disk?
What is the command profile for?
Explain hy profile.
How do I measure memory bandwidth?
~Which command measures my hardware?
~Can hy find out how fast my SSD is?
""", """
hy profile measures the machine: the processor, the memory bandwidth and the speed of the disk. The result is kept, so that later plans can use it.

Use hy profile. It measures memory bandwidth and disk speed and saves them. hy needs these numbers to plan what is kept in memory and what is streamed.
""", "profile", "memory bandwidth", "disk")

topic("trace", """
What does hy trace do?
How can I see what hy does in each layer?
What is the command trace for?
Explain hy trace.
How do I see the expert cache at work?
How do I find out where the time goes?
How do I record which experts are used?
~Which command shows a timeline?
~I want to watch the reads and the waits.
""", """
hy trace runs a model and records a timeline of every layer: reads, waits, compute, and hits of the expert cache. It writes JSON for Perfetto or a page that you can open in a browser.

Use hy trace with a model. It shows reads, waits and compute, layer by layer, and with --routes it saves which experts each token used.
""", "trace", "reads", "waits|experts")

topic("optimize", """
What does hy optimize do?
How can I make streaming faster?
What is a sidecar file?
What is the command optimize for?
Explain hy optimize.
What is a hyx file?
~Which command rearranges the weights for streaming?
~Can I prepare a model so that it streams better?
""", """
hy optimize writes a sidecar file beside the model. In it, the parts of each expert lie together, so that one read brings them all. The model file itself is never changed.

Use hy optimize. It makes a file with the ending .hyx in which each expert is one record. Streaming gets faster, and the model file stays as it is.
""", "optimize|sidecar|hyx", "expert", "file")

topic("template", """
What does hy template do?
How do I see a chat template?
What is the command template for?
Explain hy template.
How do I debug a chat template?
What is a chat template?
~Which command renders a prompt?
~How can I look at the prompt that a chat becomes?
""", """
hy template shows the prompt that a chat becomes. A chat template is a small Jinja program inside the model file that writes the messages as one text with markers.

Use hy template with a model and a request in JSON. It prints the rendered prompt. The template itself is stored in the GGUF file, and hy has its own interpreter for it.
""", "template", "prompt", "file|Jinja")

topic("commands", """
Which commands does hy have?
What commands are there?
List the commands of hy.
What are hy's commands?
What are the commands?
Show me all commands.
Which subcommands can I use?
~Name the commands of hy.
~What can I type after hy?
""", """
The commands are run, serve, bench, inspect, tokenize, eval, kernels-test, profile, trace, optimize and template. hy COMMAND --help tells you more about each of them.

hy has these commands: run writes text, serve starts a server, bench measures speed, inspect shows a file, tokenize, eval and template help to examine a model, and profile, trace and optimize are about
streaming. kernels-test checks the kernels.
""", "run", "serve", "bench", "inspect", "trace", "optimize")

topic("streaming", """
How does streaming work?
How does hy stream weights?
How does hy run models larger than memory?
What happens when a model does not fit?
Explain streaming.
How can a model be larger than memory?
What is weight streaming?
Why can hy run such big models?
How does hy read weights from the disk?
Can hy run a model that does not fit into memory?
My model is larger than my memory. Does that work?
How does streaming work in hy?
Tell me how streaming works.
~What does hy do when the memory is too small?
~My machine has too little memory for this model. What now?
~By what means does hy handle huge models?
""", """
hy knows the order in which the weights are needed, because the whole program is recorded before it runs. So it reads each layer from the disk just before it is used, while the layer before
is still computing. What fits stays in memory.

When a model does not fit, hy keeps as much as it can in memory and streams the rest. Reader threads fetch the weights directly from the SSD into slots, just in time, while other layers compute.

The weights that do not fit stay on the disk. hy reads them layer by layer, with direct reads, shortly before they are needed. Reading and computing happen at the same time, so the disk is never idle.
""", "memory|fit", "disk|SSD", "read")

topic("expertcache", """
What is the expert cache?
How does the expert cache work?
How does hy handle experts that do not fit?
What happens to experts in streaming?
Explain the expert cache.
Which experts stay in memory?
How does hy choose which expert to evict?
~What does hy keep in its cache of experts?
~How are experts kept in memory?
""", """
The expert cache is a pool of slots in memory, shared by all layers. Each slot holds one expert. Experts that are used often stay, and those that have not been used for long make room for others.

hy keeps the experts that are used most in slots in memory. When a token needs another one, it is read from the disk, and an expert that was seldom used lately has to go.

Each slot of the cache holds one expert of one layer. While missing experts are being read, those already in memory compute. Which expert leaves is decided by how often and how recently it was used.
""", "slot", "memory", "used")

topic("moe", """
What is a mixture of experts?
What are experts?
How does a mixture of experts work?
What is an expert?
What does the router do?
Explain mixture of experts.
How does routing work?
What is MoE?
~How does a model with experts choose among them?
~Why do some models have experts?
""", """
In a mixture of experts, each layer has several small networks, called experts. A router chooses a few of them for every token. So the model is large, but only a small part of it works at a time.

Each layer has many experts and a router. For every token the router picks the best few, and only those are computed. That is why such models are fast for their size.

A router looks at each token and chooses which experts will work on it. In my own layers there are eight experts, and two of them are used for each token.
""", "expert", "router", "token")

topic("softmetal", """
What is soft Metal?
How does soft Metal work?
How does Metal run on Linux?
Explain soft Metal.
How is Metal tested without a Mac?
Can I run Metal on Linux?
Why does hy have soft Metal?
~How can Metal code be checked on a Linux machine?
~What is the thing called soft Metal for?
""", """
Soft Metal is hy's own version of Metal for Linux. It runs the same host code and the same kernels on the CPU, so that they can be tested without a Mac.

On Linux there is no Metal, so hy brings soft Metal. It answers the same messages as Apple's Metal and executes the kernels on the CPU. It is there to prove that they are right, not to be fast.

Soft Metal executes the .metal kernels on the CPU, in threads and threadgroups as a GPU would. With it, every kernel is checked on Linux, without a Mac.
""", "Metal", "Linux|without a Mac", "CPU")

topic("gguf", """
What is a GGUF file?
What is GGUF?
Which files can hy read?
Which format does hy use?
Explain GGUF.
What is inside a GGUF file?
Where do I find GGUF files?
Where can I get models?
How do I get a model?
~From where do I download models?
~What kind of model files do I need?
""", """
GGUF is a file format for language models. One file holds the weights, the sizes and the vocabulary. You can find GGUF files at huggingface.co.

A GGUF file holds everything that is needed to run a model: metadata, vocabulary and weights. Many models are published as GGUF files at huggingface.co.
""", "GGUF", "file", "huggingface|weights")

topic("archs", """
Which models does hy support?
Which architectures can hy run?
What models can I use?
Does hy run [Llama|Mistral|Qwen|Gemma|Mixtral]?
Which model families work?
Can I run [Llama|Qwen|Gemma|Mixtral|Phi] with hy?
~What families of models are supported?
~Is [Llama|Qwen|Mixtral] supported?
""", """
hy runs the architectures llama, qwen2, qwen3, qwen3moe, phi3, gemma2 and gemma3. Mistral and Mixtral belong to llama.

It runs Llama, Mistral, Mixtral, Qwen 2 and 3, Phi 3, and Gemma 2 and 3. What hy does not know, it refuses by name.
""", "[Ll]lama", "[Qq]wen", "[Gg]emma")

topic("quant", """
What is quantization?
Which quantizations does hy support?
What is Q8_0?
What is Q4_K?
Explain quantization.
Why are weights quantized?
Which weight types can hy read?
~What does it mean that a model is quantized?
~Why would one store weights in fewer bits?
""", """
Quantization stores weights with fewer bits, so that a model needs less memory and runs faster. In Q8_0 each weight has eight bits, in Q4_K about four and a half.

A quantized model keeps its weights in small blocks with a common scale. That saves memory and bandwidth. hy reads Q4_0 to Q8_0, the K types, IQ4 and MXFP4.
""", "bits|blocks", "memory", "weights")

topic("devices", """
Which devices does hy use?
Does hy use the GPU?
Can hy run on the CPU?
Does hy need a GPU?
What does --device do?
Which hardware does hy need?
Does hy run on [Linux|a Mac|my laptop]?
~On what machines does hy run?
~Must I have a graphics card?
""", """
hy runs on the CPU everywhere, and with Metal on a Mac. You choose with --device cpu or --device metal. A graphics card is not needed.

There are two devices: cpu and metal. On a Mac hy uses Metal by itself, and elsewhere the CPU. The option --device chooses between them.
""", "CPU|cpu", "Metal|metal")

topic("memory", """
How much memory does hy need?
What does --memory do?
How do I limit the memory?
How does hy plan memory?
What is the memory plan?
Will hy use all my memory?
~Can I tell hy how much memory it may use?
~How do I keep hy from using too much memory?
""", """
hy plans every byte before it loads a model, and it keeps to that plan. With --memory you say how much it may use, for example --memory 12G. What does not fit is streamed or refused.

Use --memory to set a limit, such as --memory 12G. The plan is made before anything is loaded and printed with --stats. Nothing is allocated while the model runs.
""", "--memory|plan", "load|limit", "memory")

topic("author", """
Who made hy?
Who wrote hy?
What language is hy written in?
Is hy based on llama.cpp?
Does hy use ggml?
In which language is hy written?
Is there llama.cpp inside hy?
~What is hy written in?
~Does hy depend on llama.cpp?
""", """
hy is written from scratch in C, with kernels in Metal. There is no llama.cpp and no ggml underneath.

It is written in C, from scratch. hy is not based on llama.cpp or ggml: it has its own file reader, its own kernels and its own scheduler.
""", "in C", "scratch", "llama.cpp")

topic("license", """
What is the license of hy?
Is hy free?
May I use hy at work?
Under which license is hy?
Is hy open source?
What does hy cost?
~May I change hy and pass it on?
~Is it allowed to use hy commercially?
""", """
hy has the MIT license. You may use it, change it and pass it on, [for free|free of charge].

It is free and open source, under the MIT license. The model in the box has the same license.
""", "MIT", "free")

topic("trained", """
How were you trained?
What were you trained on?
Who trained you?
What data did you learn from?
How big are you?
How many parameters do you have?
How many experts do you have?
How large is the built-in model?
What is the model in the box?
Where do your stories come from?
~From what text did you learn?
~How many experts work on each token in you?
""", """
I was trained on text that a program in this project wrote: stories from a grammar, and questions about hy. I have about six million parameters, six layers, and eight experts in each of them.

I am a mixture of experts with six layers and eight experts per layer, of which two are used for each token. My training text was made by a generator in this project, so I know only stories and hy.

All my text comes from a generator that belongs to hy. It wrote millions of little stories and many answers about hy. I have six layers with eight experts each.
""", "project|hy", "experts", "layers")

topic("temp", """
What is temperature?
What does --temp do?
How do I make the text less random?
How do I get the same answer every time?
What is sampling?
What is top-k?
What does --seed do?
~How can I make the output more surprising?
~Which option makes answers repeatable?
""", """
The temperature says how freely the next token is chosen. With --temp 0 the most likely token always wins, so the answer is the same every time. Higher values give more surprising text.

Use --temp. At zero the text is always the same, and at one it is lively. With --seed you can repeat a random choice, and --top-k limits how many tokens are considered.
""", "--temp|temperature", "same|repeat", "token")

topic("promises", """
What does hy promise?
Are the answers always the same?
Does the number of threads change the answer?
Does streaming change the answer?
Is streaming exact?
Are the results identical?
~Do I get other results with less memory?
~Can I rely on the answers being the same?
""", """
hy promises the same answer: the logits do not depend on the number of threads, on the memory budget or on streaming. A model that is streamed gives exactly the same bits as one that fits.

The same file and the same text give the same bits, whatever the threads, the batch or the memory budget. Streaming changes the speed, never the answer.
""", "same", "threads|bits", "memory")

topic("build", """
How do I build hy?
How do I install hy?
How do I compile hy?
What do I need to build hy?
How do I run the tests?
What does make demo do?
How do I try hy?
~What are the steps to compile hy?
~I have just cloned hy. What now?
""", """
Type make. It installs what is missing and builds the program. make demo shows a first text, and make test runs all tests.

You need git, make and a C compiler. Then make builds hy, make demo writes a first text with the model in the box, and make test runs the tests.
""", "make", "build", "make demo|make test")

topic("speed", """
How fast is hy?
Is hy fast?
Why is hy fast?
What limits the speed?
How fast is streaming?
~What is the bottleneck when hy writes text?
~Why can it not go faster?
""", """
To write a token, all weights that are used must be read once, so the speed is limited by the bandwidth of the memory. When weights are streamed, the disk is the limit.

The limit is bandwidth. When a model fits, hy reads its weights about as fast as the memory allows. When it is streamed, the disk sets the pace. Use hy bench to see your own numbers.
""", "memory", "disk", "weights|bandwidth")

topic("kv", """
What is the KV cache?
What does --kv do?
Why does a long chat need more memory?
Explain the KV cache.
What are keys and values?
~What is kept for each token of a chat?
~How does hy store the past of a text?
""", """
The KV cache keeps the keys and values of all tokens so far, so that they need not be computed again. A longer text needs more of it. With --kv q8_0 it takes about half the memory.

For each token of the text, every layer keeps a key and a value. That is the KV cache. It grows with the context, and --kv q8_0 makes it smaller.
""", "key", "value", "token")

topic("context", """
What is the context?
What does -c do?
How long can a chat be?
How much text can you remember?
How do I make the context larger?
~What is the longest text that fits?
~Which option sets the context length?
""", """
The context is the text that the model can see, counted in tokens. The option -c sets its length. My own context has 1024 tokens.

With -c you set how many tokens the model can see at once. A larger context needs more memory for keys and values. I was trained with 1024 tokens.
""", "context|-c", "token", "1024")

topic("token", """
What is a token?
What are tokens?
How long is a token?
Why do you count in tokens?
~Is a token the same as a word?
~What do you call a token?
""", """
A token is a piece of text, such as a word or a part of one. The model reads the tokens of the prompt and then adds one token after another.

A token is a word or a part of a word. Text is cut into tokens before a model reads it, and each token has a number. My vocabulary has 2048 of them.
""", "token", "word", "[Tt]ext")

topic("lm", """
What is a language model?
How does a language model work?
What is inference?
How do you make text?
What is a prompt?
What does a language model do?
How do you write stories?
~By what means do you produce text?
~How do language models write?
""", """
A language model reads a text and guesses which token comes next, again and again. The text that you begin with is the prompt. Running a model in this way is called inference.

It reads the prompt and works out which token is likely to come next. That token is added to the text, and then the next one is found, until the answer is complete.
""", "token", "text", "next")

topic("chat", """
How do I chat with a model?
Can I chat in the terminal?
What does hy run -i do?
How do I have a conversation?
Is there an interactive mode?
~How do I talk to a model for longer than one question?
~Can hy remember what I said before?
""", """
Use hy run -i. It opens a chat in the terminal that remembers what was said. Ctrl-C stops an answer, and /help lists what you can type.

With hy run -i you can chat in the terminal. The model keeps the whole conversation in mind, and /clear begins a new one.
""", "hy run -i", "chat", "terminal")

topic("ssd", """
Does streaming wear out my SSD?
Does hy write to the disk?
Is streaming bad for my SSD?
How much does hy write?
~Will my SSD suffer from streaming?
~Does running a model write anything?
""", """
No. hy only reads weights, and reading does not wear out an SSD. Apart from a few kilobytes of statistics, nothing is written.

Streaming only reads from the disk. hy writes no more than a few kilobytes of statistics, so your SSD does not wear out.
""", "read", "kilobytes|nothing")

topic("dense", """
How does hy stream a dense model?
What is the ring?
How are dense layers streamed?
What happens to a dense model that does not fit?
~How does it work for models without experts?
~What is read for each token of a dense model?
""", """
For a dense model, hy keeps as many layers in memory as fit and streams the others through a ring of slots. Each step needs every layer once, so what is missing is read once per step.

A dense model needs all its layers for every token. hy pins what fits in memory and reads the rest through a ring, one layer ahead of the computation.
""", "memory", "ring", "layer")

topic("safe", """
Is it safe to open a file from the internet?
Does hy send my data anywhere?
Is my data private?
Does hy need the internet?
Does hy work offline?
~Do my prompts leave my computer?
~Can a bad file harm me?
""", """
Everything runs on your own machine, and nothing is sent anywhere. hy works without the internet. It checks every size and offset of a file before it uses it.

hy works offline, and your text never leaves your machine. Files are not trusted: every count and every offset is checked first.
""", "machine", "check", "without the internet|offline")

# Words for a topic, and things one wants to do with it: each meets every frame below.
NOUNS = dict(
    what="hy|the program hy|the hy engine", run="hy run|the run command|the command run", serve="hy serve|the serve command|the server|the HTTP API|Ollama compatibility",
    bench="hy bench|the bench command|benchmarking", inspect="hy inspect|the inspect command", tokenize="hy tokenize|the tokenize command|tokenizing",
    eval="hy eval|the eval command|perplexity", kernelstest="hy kernels-test|the kernels-test command|testing the kernels", profile="hy profile|the profile command",
    trace="hy trace|the trace command|the timeline", optimize="hy optimize|the optimize command|the sidecar file|the .hyx file", template="hy template|the template command|chat templates",
    commands="the commands|the commands of hy|all commands", streaming="streaming|weight streaming|streaming of weights|streaming from disk|models larger than memory",
    expertcache="the expert cache|the cache of experts|expert slots|expert caching", moe="a mixture of experts|MoE|the router|expert routing|experts",
    softmetal="soft Metal|Metal on Linux", gguf="GGUF|GGUF files|the GGUF format|model files", archs="supported models|supported architectures|the architectures",
    quant="quantization|Q8_0|Q4_K|quantized weights|weight types", devices="devices|--device|the GPU|the CPU", memory="the memory plan|--memory|memory limits|memory use",
    license="the license|the MIT license", trained="the built-in model|your training|your training data|your experts|your parameters", temp="temperature|--temp|sampling|--seed|top-k",
    promises="bit-identical results|determinism|the same answers", build="building hy|installing hy|make demo|the build", speed="speed|the speed of hy|bandwidth limits",
    kv="the KV cache|--kv|keys and values", context="the context|context length|-c|the context window", token="tokens|a token", lm="language models|a language model|inference|a prompt",
    chat="chatting|interactive mode|hy run -i|chat mode", ssd="SSD wear|writing to the SSD", dense="streaming of dense models|the ring|dense streaming", safe="privacy|safety|offline use")
FRAMES = """What is {n}? What's {n}? Explain {n}. Tell me about {n}. What do you know about {n}? Can you explain {n}? Please explain {n}. What about {n}? Tell me more about {n}. {n}? {n}
I want to know more about {n}. I do not understand {n}. How does {n} work? What does {n} mean? What is {n} for? Describe {n}. What can you tell me about {n}? What is {n} in hy? Explain {n} to me like I am five.
Give me some information about {n}. Why is there {n}? Say something about {n}. What is meant by {n}? How would you explain {n}? ~Would you tell me what {n} is? ~I keep hearing about {n}. ~Help me understand {n}. ~Teach me about {n}."""
TASKS = dict(
    run="run a model|generate text|write text with a model|give hy a prompt|run a GGUF file|start a model|try a prompt", serve="start a server|serve a model|use an HTTP API|connect an Ollama client|use the OpenAI API|share a model in my network|use hy as a server",
    bench="measure the speed of a model|benchmark a model|measure tokens per second|compare the speed of two models", inspect="look into a model file|see the tensors of a model|list the tensors|see what is in a GGUF file|see the memory plan",
    tokenize="see the tokens of a text|count tokens|turn text into tokens|get token ids", eval="measure perplexity|evaluate a model|test how good a model is|get the logits",
    kernelstest="test the kernels|check the kernels|verify the kernels", profile="measure my disk|measure memory bandwidth|profile my machine|measure my hardware",
    trace="see a timeline|see where the time goes|record which experts are used|watch the expert cache|trace a model", optimize="make streaming faster|prepare a model for streaming|write a sidecar file|optimize a model",
    template="see a chat template|debug a chat template|render a prompt", streaming="run a model larger than memory|run a model that does not fit|stream weights from disk|use a model bigger than my RAM",
    memory="limit the memory|set a memory budget|use less memory", temp="make the output less random|make the output repeatable|get the same text every time|set the temperature",
    build="build hy|install hy|compile hy|run the tests", context="make the context longer|set the context length", chat="chat with a model|chat in the terminal|have a conversation", gguf="find models|download a model|get a GGUF file")
TASK_FRAMES = """How do I {n}? How can I {n}? I want to {n}. I would like to {n}. Which command do I need to {n}? What do I use to {n}? Is there a way to {n}? Can I {n}? Can hy {n}? Show me how to {n}. Tell me how to {n}.
What is the command to {n}? How to {n}? How do you {n}? Is it possible to {n}? Please help me {n}. I need to {n}. What must I do to {n}? How would I {n} with hy? ~Which way do I {n}? ~I am trying to {n}. ~What lets me {n}? ~Does hy let me {n}?"""


def _split_frames(text):
    out = []
    for line in text.split("\n"):
        for part in re.findall(r"~?[^.?]*(?:like I am five\.|[.?]|$)", line):
            part = part.strip()
            if part:
                out.append(part)
    return out


def _add_framed():
    for table, frames in ((NOUNS, FRAMES), (TASKS, TASK_FRAMES)):
        for name, words in table.items():
            for f in _split_frames(frames):
                TOPICS[name].setdefault("framed", []).append(f.replace("{n}", "[" + words + "]"))


_add_framed()

def _split_bars(line):
    """At the bars that are outside of brackets."""
    out, depth = [""], 0
    for c in line:
        depth += (c == "[") - (c == "]")
        if c == "|" and not depth:
            out.append("")
        else:
            out[-1] += c
    return out


for _name, _line in MORE.items():
    TOPICS[_name]["questions"] += _split_bars(_line)

# Ways to say the same, applied to questions in training.
WRAPS = """{q}|{q}|{q}|{q}|{q}|{q}|{q}|{q}|Please tell me: {q}|Hi! {q}|Hello, {q}|I have a question. {q}|Quick question: {q}|One question: {q}|I wonder: {q}|Tell me, {q}|So, {q}|And {q}|Okay, {q}|
Well, {q}|Now, {q}|hy, {q}|{q} Explain it simply.|{q} Please answer in one or two sentences.|{q} I am new to this.|{q} Thanks!|{q} I would like to know.|{q} I am curious.|{q} Be brief.|Exactly, {q}|Another question: {q}|
Sorry, {q}|{q} In short.|Somebody asked me: {q}|Here is what I want to know: {q}|I do not get it. {q}|Say, {q}|Maybe you can tell me: {q}|By the way, {q}|First of all, {q}""".replace("\n", "").split("|")
SAME = dict(measure="find out|determine|check|test|see", see="look at|view|watch|find out|check|examine", show="print|display|list|give|tell", command="subcommand|tool|option|program", file="model file|file", fast="quick|speedy",
            run="start|use|execute|launch|try", model="language model|network|LLM|model file", text="output|a text|words", memory="RAM|main memory|memory", disk="SSD|drive|storage", small="little|tiny|low", large="big|huge|great",
            larger="bigger|greater", work="function|operate|happen", use="take|apply|need", need="want|require", choose="select|pick|decide", stream="load|read", make="create|produce|get", know="tell|see", does="can|will|does",
            explain="describe|clarify", machine="computer|laptop|system", kept="stored|held", answer="result|reply|output", speed="pace|throughput|performance", good="accurate|well trained", limit="cap|restrict|bound", server="service|endpoint",
            programs="tools|clients|apps", chat="talk|conversation", written="made|coded|programmed", train="teach", trained="taught|made|built", data="text|material", support="run|handle|know", write="produce|generate", download="get|fetch|find")


def reword(question, rng):
    """The question with other words for some, now and then with a small word left out, and something around it."""
    words = question.split(" ")
    for i, w in enumerate(words):
        bare = w.rstrip("?.,!")
        if bare in SAME and rng.random() < 0.25:
            words[i] = rng.choice(SAME[bare].split("|")) + w[len(bare):]
    if len(words) > 4 and rng.random() < 0.12:
        i = rng.randrange(len(words) - 1)
        if len(words[i]) < 5:
            del words[i]
    q = " ".join(words)
    wrap = rng.choice(WRAPS)
    if not wrap.startswith("{q}") and rng.random() < 0.5 and not q.startswith("I "):
        q = q[0].lower() + q[1:]
    return wrap.replace("{q}", q)


def _words(question):
    return re.sub("[^a-z0-9 ]", "", question.lower()).strip()


_HELD_OUT = {_words(q) for t in TOPICS.values() for q in t["questions"] if q.startswith("~")}


def is_held_out(question):
    """Whether some way to write a question came out as one that is kept for tests."""
    return _words(question) in _HELD_OUT
