// hy against llama.cpp on the same files: logits, greedy text, tokens. One process for all models.
//
//   HY=build/release/hy GEN=build/release/hy-genmodel node parity.mjs [FILTER...]
//
// A case is a generated tiny model (architecture x type, and variants of the architecture). Its
// logits over a prompt longer than its window agree when their normalised mean squared error,
// sum((a-b)^2) / sum((b-mean(b))^2), is under the limit; the greedy texts agree when they are equal, or
// would be had llama.cpp, where its best tokens lie within the error of the logits, chosen another one
// of them (a tie; 8-bit rounding of activations makes some of them in random models).
import {spawnSync} from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import {explainGreedy, greedy, logits, openModel, openPeer, peerInfo} from "./llama.mjs";

const HY = process.env.HY ?? "build/release/hy";
const GEN = process.env.GEN ?? "build/release/hy-genmodel";
const DATA = process.env.HY_DATA ?? "../shared/data";
const QUICK = process.env.HY_PARITY === "quick";
const FILTERS = process.argv.slice(2);
const TMP = fs.mkdtempSync(path.join(os.tmpdir(), "hy-parity-"));

const TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K",
    "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"];
const ARCHS = ["llama", "mixtral", "qwen2", "qwen3", "qwen3moe", "phi3", "gemma2", "gemma3"];
const N_PROMPT = 80;
const N_GREEDY = 24;

// What else an architecture may come with; each is run once, in F32, where errors show best.
const VARIANTS = [
    ["llama", "rope linear", ["--rope-scaling", "linear"]],
    ["llama", "rope yarn", ["--rope-scaling", "yarn"]],
    ["llama", "rope llama3", ["--rope-scaling", "llama3"]],
    ["llama", "tied", ["--tied", "1"]],
    ["llama", "BPE vocabulary", ["--vocab", "bpe"]],
    ["llama", "one KV head", ["--n-head-kv", "1"]],
    ["llama", "no grouping", ["--n-head-kv", "4"]],
    ["llama", "head_dim 128", ["--head-dim", "128"]],
    ["llama", "ragged sizes", ["--n-embd", "160", "--n-ff", "352", "--head-dim", "40", "--n-vocab", "501"]],
    ["llama", "split in 3", ["--split", "3"]],
    ["mixtral", "all experts", ["--experts", "4", "--experts-used", "4"]],
    ["qwen2", "rope yarn", ["--rope-scaling", "yarn"]],
    ["qwen2", "untied", ["--tied", "0"]],
    ["qwen3", "untied", ["--tied", "0"]],
    ["qwen3", "rope yarn", ["--rope-scaling", "yarn"]],
    ["qwen3moe", "1 of 8 experts", ["--experts", "8", "--experts-used", "1"]],
    // The original context is a quarter, 256 (llama.cpp's contexts are multiples of that).
    ["phi3", "longrope, long", ["--rope-scaling", "longrope", "--n-ctx", "1024"], {nCtx: 512}],
    ["phi3", "longrope, short", ["--rope-scaling", "longrope", "--n-ctx", "1024"], {nCtx: 256}],
    ["phi3", "partial rope", ["--n-rot", "48"]],
    ["gemma2", "window 1", ["--window", "1"]],
    ["gemma2", "window 64", ["--window", "64"]],
    ["gemma2", "head_dim 128", ["--head-dim", "128"]],
    ["gemma3", "window 64", ["--window", "64"]],
    ["gemma3", "rope linear", ["--rope-scaling", "linear"]]
];

function makeCases() {
    const cases = [];
    const typesOf = (arch) => QUICK ? ["F32", "Q4_K"] : arch === "llama" ? TYPES : ["F32", "F16", "Q8_0", "Q4_K", "Q6_K"];
    for (const arch of ARCHS)
        for (const type of typesOf(arch))
            cases.push({name: `${arch} ${type}`, args: ["--arch", arch, "--type", type], type});
    for (const [arch, what, args, opts] of VARIANTS)
        cases.push({name: `${arch} F32, ${what}`, args: ["--arch", arch, "--type", "F32", ...args], type: "F32", ...opts});
    for (const arch of ["mixtral", "qwen3moe"])
        for (const type of QUICK ? [] : ["MXFP4", "Q5_0", "IQ4_XS"])
            cases.push({name: `${arch} ${type}`, args: ["--arch", arch, "--type", type], type});
    const stories = path.join(DATA, "stories260K.gguf");
    cases.push({name: "stories260K F32", file: stories, type: "F32", skip: !fs.existsSync(stories) && `no ${stories}`});
    for (const name of ["stories", "stories-dense"])
        cases.push({name: `models/default/${name} Q8_0`, file: `models/default/${name}.gguf`, type: "Q8_0",
            experts: name === "stories", text: "tests/data/held-out.txt"}); // a trained router is sure of itself on text, not on noise
    return cases.filter((c) => FILTERS.every((f) => c.name.includes(f)));
}

const limitOf = (type) => type === "F32" || type === "F16" ? 1e-5 : 1e-3;

function run(program, args, input = "") {
    const r = spawnSync(program, args, {input, timeout: 120000, maxBuffer: 1 << 28});
    if (r.error)
        throw new Error(`${program} ${args.join(" ")}: ${r.error.message}`);
    if (r.status !== 0)
        throw new Error(`${program} ${args.join(" ")}: exit status ${r.status ?? r.signal}: ` +
            r.stderr.toString().trim().split("\n").slice(-3).join(" | "));
    return r.stdout;
}

function hyLogits(file, tokens, extra) {
    const out = path.join(TMP, "logits.f32");
    run(HY, ["eval", file, "--tokens", tokens.join(","), "--logits", out, "--threads", "2", ...extra]);
    const bytes = fs.readFileSync(out);
    const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const n = all.length / tokens.length;
    return tokens.map((_, i) => all.subarray(i * n, (i + 1) * n));
}

// In a mixture of experts a token whose experts lie within rounding may go to another one, and its row
// then tells nothing: with 8-bit activations one row in twenty may be such an outlier, and is named.
function compare(ours, theirs, mayReroute) {
    const rows = theirs.map((b, i) => {
        const a = ours[i];
        if (a.length !== b.length)
            throw new Error(`${a.length} logits a token where llama.cpp has ${b.length}`);
        const mean = b.reduce((x, y) => x + y, 0) / b.length;
        let error = 0, power = 0;
        for (let j = 0; j < b.length; j++) {
            error += (a[j] - b[j]) ** 2;
            power += (b[j] - mean) ** 2;
        }
        return {error, power, nmse: error / power, rms: Math.sqrt(error / b.length)};
    }).sort((x, y) => x.nmse - y.nmse);
    const slack = 6 * rows.at(-1).rms;
    const median = rows[rows.length >> 1].nmse;
    let rerouted = 0;
    while (mayReroute && rerouted < rows.length / 20 && rows.at(-1).nmse > 10 * median) {
        rows.pop();
        rerouted++;
    }
    const sum = (key) => rows.reduce((s, r) => s + r[key], 0);
    return {nmse: sum("error") / sum("power"), worst: rows.at(-1).nmse, slack, rerouted};
}

// Bytes that are no UTF-8 appear as one or several replacement characters: not what is tested here.
const plain = (text) => text.replace(/\uFFFD+/g, "\uFFFD").replace(/^ +/, "").trimEnd();

async function compareGreedy(peer, model, file, opts, slack, extra) {
    const prompt = "Once upon a time there was one";
    const ids = [...model.tokenize(prompt, false)];
    if (model.shouldPrependBosToken())
        ids.unshift(model.tokenBos());
    const ours = plain(run(HY, ["run", file, "--raw", "-p", prompt, "--temp", "0", "-n", String(N_GREEDY),
        "--threads", "2", ...extra]).toString());
    const textOf = (tokens) => {
        const shown = tokens.filter((t) => !model.isEogToken(t));
        return plain(model.detokenize(Uint32Array.from(shown), false));
    };
    const fits = (tokens, done) =>
        done ? textOf(tokens) === ours : ours.startsWith(textOf(tokens).replace(/\uFFFD$/, ""));
    const found = await explainGreedy(peer, model, ids, N_GREEDY, fits, slack, opts);
    if (found)
        return {ok: true, note: "text equal" + (found.ties ? `, ${found.ties} ties` : "")};
    const theirs = textOf(await greedy(peer, model, ids, N_GREEDY, opts));
    return {ok: false, note: `text ${JSON.stringify(ours)}, llama.cpp's ${JSON.stringify(theirs)}`};
}

const textTokens = (file, text, n) =>
    run(HY, ["tokenize", file, "--special"], fs.readFileSync(text)).toString().trim().split(" ").map(Number).slice(0, n);
const promptTokens = (n) => Array.from({length: n}, (_, i) => i === 0 ? 1 : 3 + (i * 53 + (i >> 2) * 17) % 380);

async function runCase(peer, c) {
    let file = c.file;
    if (!file) {
        for (const old of fs.readdirSync(TMP))
            fs.rmSync(path.join(TMP, old));
        run(GEN, [...c.args, "-o", path.join(TMP, "model.gguf")]);
        file = path.join(TMP, fs.readdirSync(TMP).sort()[0]); // of a split model, the first part
    }
    const model = await openModel(peer, file);
    try {
        const tokens = c.text ? textTokens(file, c.text, N_PROMPT) : promptTokens(N_PROMPT);
        const opts = {threads: 1, ...(c.nCtx ? {nCtx: c.nCtx} : {})};
        const extra = c.nCtx ? ["-c", String(c.nCtx)] : [];
        const theirs = await logits(peer, model, tokens, opts);
        const mayReroute = (c.experts || /^(mixtral|qwen3moe)/.test(c.name)) && limitOf(c.type) > 1e-5;
        const {nmse, worst, slack, rerouted} = compare(hyLogits(file, tokens, extra), theirs, mayReroute);
        const text = await compareGreedy(peer, model, file, opts, slack, extra);
        const good = nmse < limitOf(c.type) && text.ok;
        const numbers = `nmse ${nmse.toExponential(1)} (worst row ${worst.toExponential(1)}, limit ${limitOf(c.type)})`;
        const routed = rerouted ? `, but for ${rerouted} rerouted tokens` : "";
        console.log(`${good ? "ok  " : "FAIL"} ${c.name.padEnd(28)} ${numbers}${routed}; ${text.note}`);
        return good;
    } finally {
        await model.dispose();
    }
}

async function main() {
    const peer = await openPeer();
    const info = peerInfo(peer);
    console.log(`llama.cpp ${info.llama_cpp} (${info.package}, ${info.cpu_build})`);
    let failed = 0;
    for (const c of makeCases()) {
        if (c.skip) {
            console.log(`skip ${c.name}: ${c.skip}`);
            continue;
        }
        try {
            failed += await runCase(peer, c) ? 0 : 1;
        } catch (error) {
            console.log(`FAIL ${c.name.padEnd(28)} ${error.message}`);
            failed++;
        }
    }
    return failed;
}

main().then((failed) => {
    fs.rmSync(TMP, {recursive: true, force: true});
    process.exit(failed ? 1 : 0);
}, (error) => {
    console.log(`FAIL parity: ${error.message}`);
    process.exit(1);
});
