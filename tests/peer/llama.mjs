// llama.cpp through node-llama-cpp, as a second opinion on the same file: raw logits, greedy
// continuation, tokens and speed. The package's public API rounds logits to probabilities, so this
// talks to its addon: with a greedy sampler, sampleToken() hands back the float32 logits untouched.
//
//   llama.mjs info
//   llama.mjs logits   MODEL --tokens 1,2,3 [--out FILE.f32] [--threads N] [--kv f16|f32] [--flash]
//   llama.mjs greedy   MODEL --tokens 1,2,3 [-n N]     ids of the greedy continuation
//   llama.mjs tokenize MODEL [--special] < TEXT        ids of the text, no BOS or EOS added
//   llama.mjs bench    MODEL [-p N] [-n N] [-r N] [--threads N] [--flash]
import fs from "node:fs";
import path from "node:path";
import {fileURLToPath, pathToFileURL} from "node:url";

const GGML_F32 = 0;
const GGML_F16 = 1;
const HERE = path.dirname(fileURLToPath(import.meta.url));

export async function openPeer({log = false} = {}) {
    process.env.NODE_LLAMA_CPP_SKIP_DOWNLOAD = "true";
    const {getLlama, LlamaLogLevel} = await import("node-llama-cpp");
    const llama = await getLlama({
        gpu: false, build: "never", skipDownload: true, progressLogs: false,
        logLevel: log ? LlamaLogLevel.debug : LlamaLogLevel.error,
        logger: (level, text) => process.stderr.write(`llama.cpp ${level}: ${text}\n`)
    });
    return {api: llama._bindings, llama};
}

// What stands behind the numbers: the versions, and the ggml-cpu build chosen for this machine.
export function peerInfo({llama}) {
    const pkg = path.join(HERE, "node_modules/node-llama-cpp/package.json");
    const cpu = fs.readFileSync("/proc/self/maps", "utf8").match(/libggml-cpu-(\w+)\.so/);
    return {
        package: "node-llama-cpp " + JSON.parse(fs.readFileSync(pkg, "utf8")).version,
        llama_cpp: llama.llamaCppRelease.release,
        cpu_build: cpu ? cpu[1] : "unknown",
        features: llama.systemInfo
    };
}

export async function openModel({api}, file, {mmap = true, vocabOnly = false} = {}) {
    if (!fs.existsSync(file))
        throw new Error(`${file}: no such file`);
    const model = new api.AddonModel(path.resolve(file), {
        addonExports: api, gpuLayers: 0, vocabOnly, useMmap: mmap, useMlock: false, checkTensors: false
    });
    if (!await model.init())
        throw new Error(`${file}: llama.cpp cannot load it`);
    return model;
}

export async function openContext({api}, model, {nCtx, nBatch, threads = 2, kv = "f16", flash = false}) {
    const type = kv === "f32" ? GGML_F32 : GGML_F16;
    const ctx = new api.AddonContext(model, {
        contextSize: nCtx, batchSize: nBatch, sequences: 1, threads, flashAttention: flash,
        kvCacheKeyType: type, kvCacheValueType: type, swaFullCache: false
    });
    if (!await ctx.init())
        throw new Error("llama.cpp cannot make a context");
    return ctx;
}

function greedySampler({api}, model) {
    const sampler = new api.AddonSampler(model);
    sampler.applyConfig({temperature: 0});
    return sampler;
}

// One batch of tokens at positions pos..., with logits for the rows named in `rows`.
async function decode(ctx, tokens, pos, rows) {
    ctx.initBatch(tokens.length);
    const at = ctx.addToBatch(0, pos, Uint32Array.from(tokens), Uint32Array.from(rows));
    await ctx.decodeBatch();
    return at;
}

async function logitsRow(ctx, sampler, at) {
    const [, , , pairs] = await ctx.sampleToken(at, sampler, false, false, true);
    const row = new Float32Array(pairs.length / 2);
    for (let i = 0; i < pairs.length; i += 2)
        row[pairs[i]] = pairs[i + 1];
    return row;
}

const roundUp = (n, to) => Math.ceil(n / to) * to;

async function withContext(peer, model, opts, body) {
    const ctx = await openContext(peer, model, opts);
    const sampler = greedySampler(peer, model);
    try {
        return await body(ctx, sampler);
    } finally {
        sampler.dispose();
        await ctx.dispose();
    }
}

// Rows of n_vocab float32 logits, one per token.
export function logits(peer, model, tokens, opts = {}) {
    const n = tokens.length;
    const sizes = {nCtx: roundUp(n + 1, 256), nBatch: n};
    return withContext(peer, model, {...sizes, ...opts}, async (ctx, sampler) => {
        const rows = [];
        for (const at of await decode(ctx, tokens, 0, tokens.keys()))
            rows.push(await logitsRow(ctx, sampler, at));
        return rows;
    });
}

// The n most likely next tokens in turn; ends early with an end-of-generation token.
export function greedy(peer, model, tokens, n, opts = {}) {
    const sizes = {nCtx: roundUp(tokens.length + n + 1, 256), nBatch: tokens.length};
    return withContext(peer, model, {...sizes, ...opts}, async (ctx, sampler) => {
        const out = [];
        let batch = tokens, pos = 0;
        while (out.length < n && !(out.length && model.isEogToken(out.at(-1)))) {
            const [at] = await decode(ctx, batch, pos, [batch.length - 1]);
            pos += batch.length;
            batch = [argmax(await logitsRow(ctx, sampler, at))];
            out.push(batch[0]);
        }
        return out;
    });
}

// Whether another engine's greedy text could be llama.cpp's, when their logits differ a little: looks
// for n tokens, each within `slack` of the best there, that fits(tokens, done) accepts all along.
// Gives {ties}, how many of them are not the best themselves, or null.
export function explainGreedy(peer, model, tokens, n, fits, slack, opts = {}) {
    const sizes = {nCtx: roundUp(tokens.length + n + 1, 256), nBatch: tokens.length};
    let budget = n * 8;
    return withContext(peer, model, {...sizes, ...opts}, async (ctx, sampler) => {
        const follow = async (chosen, batch, pos, ties) => {
            if (chosen.length === n || (chosen.length && model.isEogToken(chosen.at(-1))))
                return fits(chosen, true) ? {ties} : null;
            if (budget-- <= 0)
                return null;
            ctx.removeTokenCellsFromSequence(0, pos, -1);
            const [at] = await decode(ctx, batch, pos, [batch.length - 1]);
            const row = await logitsRow(ctx, sampler, at);
            const best = argmax(row);
            const near = [...row.keys()].filter((t) => row[t] >= row[best] - slack);
            near.sort((s, t) => row[t] - row[s]);
            for (const t of near) {
                if (!fits([...chosen, t], false))
                    continue;
                const found = await follow([...chosen, t], [t], pos + batch.length, ties + (t === best ? 0 : 1));
                if (found)
                    return found;
            }
            return null;
        };
        return follow([], tokens, 0, 0);
    });
}

const argmax = (row) => row.reduce((best, v, i) => v > row[best] ? i : best, 0);

const seconds = (from) => Number(process.hrtime.bigint() - from) / 1e9;
const median = (a) => [...a].sort((x, y) => x - y)[a.length >> 1];

// Time of one decodeBatch() call, which is llama_decode() and llama_synchronize() on a worker
// thread: neither sampling nor the copying of logits into JavaScript is counted.
async function timedDecode(ctx, tokens, pos) {
    ctx.initBatch(tokens.length);
    ctx.addToBatch(0, pos, Uint32Array.from(tokens), Uint32Array.of(tokens.length - 1));
    const from = process.hrtime.bigint();
    await ctx.decodeBatch();
    return seconds(from);
}

const someTokens = (n) => Array.from({length: n}, (_, i) => 3 + (i * 37) % 200);

// Prompt and generation speed, both after a warm-up, median of `reps`. As in llama-bench, the
// tokens generated are not sampled ones: what is timed is the evaluation alone.
export function bench(peer, model, {nPrompt = 512, nGen = 64, reps = 3, ...opts} = {}) {
    const sizes = {nCtx: roundUp(Math.max(nPrompt, nGen + 16) + 1, 256), nBatch: Math.max(nPrompt, 1)};
    return withContext(peer, model, {...sizes, ...opts}, async (ctx) => {
        const restart = () => ctx.removeTokenCellsFromSequence(0, 0, -1);
        await timedDecode(ctx, someTokens(8), 0);
        const prompt = [], gen = [];
        for (let r = 0; r < reps; r++) {
            if (nPrompt) {
                restart();
                prompt.push(nPrompt / await timedDecode(ctx, someTokens(nPrompt), 0));
            }
            restart();
            await timedDecode(ctx, someTokens(8), 0);
            let took = 0;
            for (let i = 0; i < nGen; i++)
                took += await timedDecode(ctx, [3 + (i * 37) % 200], 8 + i);
            if (nGen)
                gen.push(nGen / took);
        }
        return {
            prompt_tok_s: median(prompt), gen_tok_s: median(gen),
            prompt_best: Math.max(...prompt), gen_best: Math.max(...gen)
        };
    });
}

function parseArgs(argv) {
    const args = {command: argv[0], threads: 2, kv: "f16", n: 0, p: 512, r: 3, flash: false, mmap: true};
    const number = {"-n": "n", "-p": "p", "-r": "r", "--threads": "threads"};
    for (let i = 1; i < argv.length; i++) {
        const a = argv[i];
        if (number[a])
            args[number[a]] = Number(argv[++i]);
        else if (a === "--tokens")
            args.tokens = argv[++i].split(",").filter(Boolean).map(Number);
        else if (a === "--out" || a === "--kv")
            args[a.slice(2)] = argv[++i];
        else if (a === "--flash" || a === "--special" || a === "--log")
            args[a.slice(2)] = true;
        else if (a === "--no-mmap")
            args.mmap = false;
        else if (!a.startsWith("-") && !args.model)
            args.model = a;
        else
            throw new Error(`${a}: unknown argument; the usage stands at the top of llama.mjs`);
    }
    return args;
}

const write = (text) => fs.writeSync(1, text);

async function main(argv) {
    const args = parseArgs(argv);
    const peer = await openPeer({log: args.log});
    const opts = {threads: args.threads, kv: args.kv, flash: args.flash};
    if (args.command === "info")
        return write(JSON.stringify(peerInfo(peer), null, 1) + "\n");
    if (!args.model)
        throw new Error("a model file is needed");
    const vocabOnly = args.command === "tokenize";
    const model = await openModel(peer, args.model, {vocabOnly, mmap: args.mmap});
    if (args.command === "tokenize") {
        write([...model.tokenize(fs.readFileSync(0, "utf8"), !!args.special)].join(" ") + "\n");
    } else if (args.command === "logits") {
        const rows = await logits(peer, model, args.tokens, opts);
        if (args.out)
            fs.writeFileSync(args.out, Buffer.concat(rows.map((r) => Buffer.from(r.buffer))));
        else
            write(JSON.stringify(rows.map((r) => [...r])) + "\n");
    } else if (args.command === "greedy") {
        write((await greedy(peer, model, args.tokens, args.n || 32, opts)).join(",") + "\n");
    } else if (args.command === "bench") {
        const sizes = {nPrompt: args.p, nGen: args.n || 64, reps: args.r};
        const speed = await bench(peer, model, {...sizes, ...opts});
        write(JSON.stringify({...speed, ...opts, mmap: args.mmap, ...peerInfo(peer)}) + "\n");
    } else {
        throw new Error(`${args.command}: unknown command`);
    }
    await model.dispose();
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
    main(process.argv.slice(2)).then(() => process.exit(0), (error) => {
        process.stderr.write(`llama.mjs: ${error.message}\n`);
        process.exit(1);
    });
}
