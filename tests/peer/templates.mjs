// The prompts that hy makes of chat templates, against @huggingface/jinja: every template of the data folder and every
// one inside a vocabulary file, over a matrix of conversations. Equal to the byte, or both refuse.
//
//   HY=build/release/hy HY_DATA=../shared/data [HY_TEMPLATES=quick] node templates.mjs
//
// Where @huggingface/jinja itself differs from Python's Jinja2, Python's is what models are trained on: `deviates` names
// these cases with their reason, and what hy gives there is compared by test_jinja.c with Python's own answers.
import {spawnSync} from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import {Template} from "@huggingface/jinja";

const HY = process.env.HY ?? "build/release/hy";
const DATA = process.env.HY_DATA ?? "../shared/data";

const system = {role: "system", content: "You are a helpful bot.\nBe brief. "};
const user = (content) => ({role: "user", content});
const assistant = (content, more) => ({role: "assistant", content, ...more});
const call = (args, id = "abcdef123") => ({id, type: "function", function: {name: "get_weather", arguments: args}});
const result = (content, id = "abcdef123") => ({role: "tool", content, tool_call_id: id, name: "get_weather"});

const conversations = {
    "one turn": [user("Hi")],
    "system": [system, user("Hi")],
    "unicode": [system, user("Grüße, 日本 😀 <b>&'\"\\ \n\n tail ")],
    "several turns": [user("a"), assistant("b"), user("c"), assistant("d "), user("e")],
    "several turns, system": [system, user("a"), assistant("b"), user("c")],
    "reasoning in the text": [user("a"), assistant("<think>\nhm hm\n</think>\n\nyes"), user("b")],
    "reasoning, assistant last": [user("a"), assistant("<think>x</think>yes")],
    "reasoning beside the text": [
        user("a"), assistant("yes", {reasoning_content: "because"}), user("b"), assistant("ok", {reasoning_content: "r2"})
    ],
    "tool call": [
        system, user("w?"), assistant("", {tool_calls: [call({location: "Paris", unit: "celsius", list: [1, null, true]})]}),
        result('{"t": 20}'), assistant("20"), user("thx")
    ],
    "tool result last": [user("w?"), assistant("", {tool_calls: [call({location: 'Pä"ris'})]}), result("20")],
    "two calls": [
        user("w?"), assistant("let me", {tool_calls: [call({location: "Paris"}), call({location: "Rom"}, "abcdef124")]}),
        result("20"), result("21", "abcdef124")
    ],
    "long id": [user("w?"), assistant("", {tool_calls: [call({a: 1}, "call_12345678")]}), result("20", "call_12345678")],
    "parts": [user([{type: "text", text: "Hi"}, {type: "text", text: " there"}])],
    "out of order": [assistant("first"), user("x"), user("y")],
    "empty text": [user("")],
    "system alone": [system],
    "developer": [{role: "developer", content: "dev text"}, user("q")]
};

const tool = (name) => ({
    type: "function",
    function: {
        name, description: 'The weather, für "alle"',
        parameters: {
            type: "object",
            properties: {
                location: {type: "string", description: 'City, e.g. "Paris"'},
                unit: {type: "string", enum: ["celsius", "fahrenheit"], default: "celsius"},
                days: {type: "array", items: {type: "integer"}},
                maybe: {type: ["string", "null"], nullable: true}
            },
            required: ["location"]
        }
    }
});
const plainTool = {
    type: "function",
    function: {
        name: "add", description: "Adds two numbers.",
        parameters: {
            type: "object", required: ["a", "b"],
            properties: {a: {type: "integer", description: "one"}, b: {type: "number", description: " other "}}
        }
    }
};
const toolSets = {"no tools": null, "tools": [tool("get_weather"), tool("find")], "a plain tool": [plainTool]};
const quick = process.env.HY_TEMPLATES === "quick"; // every conversation once or twice
const thinking = quick ? {"": {}} : {
    "": {},
    "thinking off": {enable_thinking: false, thinking: false},
    "thinking on": {enable_thinking: true, thinking: true}
};

const deviates = [
    {
        what: /^parts/, why: "JavaScript adds a list to a string as JSON; Python refuses",
        when: (want, got) => "text" in want && /can only add a string to a string, not 'list'/.test(got.error)
    },
    {
        what: /^parts/, why: "it has no trim for lists; Python trims what str() makes of one",
        when: (want, got) => /Unknown ArrayValue filter: trim/.test(want.error) && "text" in got
    }
];

// tokenizer.chat_template of a GGUF file: the key, type 8 (string), a 64-bit length, the text.
function templateOf(file) {
    const bytes = fs.readFileSync(file), key = "tokenizer.chat_template";
    const at = bytes.indexOf(key + "\x08\0\0\0", 0, "latin1");
    if (at < 0)
        return null;
    const from = at + key.length + 12;
    return bytes.toString("utf8", from, from + Number(bytes.readBigUInt64LE(from - 8)));
}

const files = (folder, end) => {
    const dir = path.join(DATA, folder);
    return fs.existsSync(dir) ? fs.readdirSync(dir).filter((f) => f.endsWith(end)).sort().map((f) => path.join(dir, f)) : [];
};
const sources = [
    ...files("templates", ".jinja").map((file) => [file, fs.readFileSync(file, "utf8")]),
    ...files("vocab", ".gguf").map((file) => [file, templateOf(file)]).filter(([, text]) => text !== null)
];

function theirs(template, variables) {
    try {
        return {text: template.render(variables)};
    } catch (e) {
        return {error: String(e.message ?? e)};
    }
}

function ours(file, variables) {
    const input = JSON.stringify({...variables, now: Date.now() / 1000});
    const r = spawnSync(HY, ["template", file], {input, encoding: "utf8", maxBuffer: 1 << 26});
    if (r.status === 0)
        return {text: r.stdout};
    if (r.status === 1 && /^hy: line \d+, column \d+: /m.test(r.stderr))
        return {error: r.stderr.trim()};
    return {broken: `exit status ${r.status ?? r.signal}: ${r.stderr.trim()}`};
}

function* matrix() {
    for (const [conversation, messages] of Object.entries(conversations))
        for (const [toolsName, tools] of Object.entries(toolSets))
            for (const [thinkName, more] of Object.entries(thinking))
                for (const add_generation_prompt of quick ? [true] : [true, false])
                    yield {
                        name: [conversation, toolsName, thinkName, add_generation_prompt ? "prompt" : ""].filter(Boolean).join(", "),
                        variables: {messages, tools, documents: null, add_generation_prompt, bos_token: "<s>", eos_token: "</s>", ...more}
                    };
}

let failed = 0;
for (const [file, source] of sources) {
    const template = new Template(source), name = path.basename(file);
    let n = 0, refused = 0, wrong = 0, known = 0;
    for (const {name: what, variables} of matrix()) {
        const want = theirs(template, variables), got = ours(file, variables);
        n++;
        refused += want.error && got.error ? 1 : 0;
        if (got.text === want.text && !got.broken)
            continue;
        if (deviates.some((d) => d.what.test(what) && d.when(want, got))) {
            known++;
            continue;
        }
        if (++wrong <= 2)
            console.log(`${name}, ${what}\n  want ${JSON.stringify(want)}\n  got  ${JSON.stringify(got)}`);
    }
    console.log(`${wrong ? "FAIL" : "ok"} ${name}: ${n} prompts, ${refused} refused by both, ${known} where Python is followed, ${wrong} differ`);
    failed += wrong;
}
if (!sources.length)
    console.log("skip templates: no templates in the data folder");
process.exit(!sources.length ? 77 : failed ? 1 : 0);
