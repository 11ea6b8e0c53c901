// Speed of hy beside llama.cpp: the same files and threads, in turn, so that what else the machine
// does hits both. Medians over the rounds; the ratio is hy / llama.cpp.
//
//   HY=build/release/hy node bench.mjs [--rounds N] [--threads N] [-p N] [-n N] MODEL...
import {spawnSync} from "node:child_process";
import os from "node:os";
import path from "node:path";
import {bench, openModel, openPeer, peerInfo} from "./llama.mjs";

const HY = process.env.HY ?? "build/release/hy";
const options = {"--rounds": 3, "--threads": os.availableParallelism(), "-p": 512, "-n": 64};
const files = [];
for (let i = 2; i < process.argv.length; i++) {
    if (process.argv[i] in options)
        options[process.argv[i]] = Number(process.argv[++i]);
    else
        files.push(process.argv[i]);
}
const {"--rounds": rounds, "--threads": threads, "-p": nPrompt, "-n": nGen} = options;

function hyBench(file) {
    const args = ["bench", file, "-p", nPrompt, "-n", nGen, "-r", 1, "--threads", threads, "--json"];
    const r = spawnSync(HY, args.map(String), {stdio: ["ignore", "pipe", "inherit"]});
    if (r.status !== 0)
        throw new Error(`${HY} ${args.join(" ")}: exit status ${r.status ?? r.signal}`);
    return JSON.parse(r.stdout);
}

// Flash attention on is llama.cpp's faster setting for these shapes.
async function peerBench(peer, file) {
    const model = await openModel(peer, file);
    try {
        return await bench(peer, model, {nPrompt, nGen, reps: 1, threads, flash: true});
    } finally {
        await model.dispose();
    }
}

const median = (a) => [...a].sort((x, y) => x - y)[a.length >> 1];
const cell = (v, width = 9) => v.toFixed(v < 10 ? 2 : 1).padStart(width);

const peer = await openPeer();
const info = peerInfo(peer);
console.log(`${os.cpus()[0].model}, ${threads} threads, prompt of ${nPrompt}, ${nGen} generated, ${rounds} rounds`);
console.log(`llama.cpp ${info.llama_cpp} (${info.package}, ${info.cpu_build} build, flash attention)\n`);
if (os.loadavg()[0] > 0.5)
    console.error(`bench: the machine is busy (load ${os.loadavg()[0].toFixed(1)}): the figures say little`);
console.log("| model | prompt tok/s: hy | llama.cpp | ratio | generation tok/s: hy | llama.cpp | ratio |");
console.log("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
let behind = 0;
for (const file of files) {
    const hy = [], theirs = [];
    for (let r = 0; r < rounds; r++) {
        hy.push(hyBench(file));
        theirs.push(await peerBench(peer, file));
    }
    const of = (list, key) => median(list.map((x) => x[key]));
    const cells = [];
    for (const key of ["prompt_tok_s", "gen_tok_s"]) {
        const a = of(hy, key), b = of(theirs, key);
        cells.push(cell(a), cell(b), cell(a / b, 5));
        behind += a < b ? 1 : 0;
    }
    console.log(`| ${path.basename(file, ".gguf")} | ${cells.join(" | ")} |`);
}
console.log(behind ? `\n${behind} of ${files.length * 2} figures are under 1.0` : "\nall ratios are at least 1.0");
process.exit(0);
