// compare.mjs FABULA REFERENCE: GGUF exports as llama.cpp reads them, against fabula itself. Both programs are built by
// CMake. llama.cpp comes as the npm package node-llama-cpp; FABULA_LLAMA_CPP names the node_modules folder that it is
// installed in (`npm install node-llama-cpp --ignore-scripts`: nothing is compiled or fetched besides). Exit status 77:
// it is not there.
import {spawnSync} from "node:child_process";
import {existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from "node:fs";
import {tmpdir} from "node:os";
import {join} from "node:path";
import process from "node:process";
import {pathToFileURL} from "node:url";

const skipped = 77;
const told = 1e-2;  // above this margin it is printed how often likeliest tokens differ, whatever is asked of a type
const [fabula, reference] = process.argv.slice(2);

function skip(why) {
    console.log(`skipped: ${why}`);
    process.exit(skipped);
}

const modules = process.env.FABULA_LLAMA_CPP;
if (modules === undefined || modules === "")
    skip("FABULA_LLAMA_CPP names no node_modules folder with node-llama-cpp in it");
const entry = join(modules, "node-llama-cpp", "dist", "index.js");
if (!existsSync(entry)) skip(`${entry} is not there`);
let llama, LlamaLogLevel;
try {
    const library = await import(pathToFileURL(entry).href);
    LlamaLogLevel = library.LlamaLogLevel;
    llama = await library.getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error});
} catch (error) {
    skip(`node-llama-cpp does not start: ${error.message}`);
}

const folder = mkdtempSync(join(tmpdir(), "fabula_llama_cpp_"));
process.on("exit", () => rmSync(folder, {recursive: true, force: true}));
const at = (name) => join(folder, name);

function run(program, args) {
    const {status, stdout, stderr, error} = spawnSync(program, args, {encoding: "utf8"});
    if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${error ?? stderr}`);
    return stdout;
}

let failures = 0;
function expect(ok, what) {
    if (ok) return;
    failures += 1;
    console.log(`FAILED: ${what}`);
}

/// The largest difference of a log-probability, and how often the likeliest token is another although the reference's
/// is likelier than its second by more than `margin`.
async function compareNumbers(model, {ids, vocabulary}, rows, margin) {
    const context = await model.createContext({
        contextSize: ids.length + 8, batchSize: ids.length, flashAttention: false,
        experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32"
    });
    const outputs = await context.getSequence().controlledEvaluate(
        ids.map((id) => [id, {generateNext: {logits: true}}]));
    const found = {positions: ids.length, certain: 0, others: 0, told: 0, difference: 0};
    outputs.forEach((output, t) => {
        const logits = output.next.logits;
        const [top, most] = logits.entries().next().value;
        let sum = 0;
        for (const logit of logits.values()) sum += Math.exp(logit - most);
        const expected = rows.subarray(t * vocabulary, (t + 1) * vocabulary);
        let best = -1, second = -Infinity;
        for (let v = 0; v < vocabulary; ++v) {
            if (best < 0 || expected[v] > expected[best]) {
                if (best >= 0) second = expected[best];
                best = v;
            } else if (expected[v] > second) {
                second = expected[v];
            }
            const difference = Math.abs(logits.get(v) - most - Math.log(sum) - expected[v]);
            found.difference = Math.max(found.difference, difference);
        }
        const lead = expected[best] - second;
        if (lead > told && top !== best) found.told += 1;
        if (lead <= margin) return;
        found.certain += 1;
        found.others += top === best ? 0 : 1;
    });
    await context.dispose();
    return found;
}

function compareTokens(model, tokens) {
    const others = tokens.filter(([text, ids]) => model.tokenize(text, false).join() !== ids.join());
    for (const [text, ids] of others.slice(0, 3))
        console.log(`  ${JSON.stringify(text)}: ${ids.join()} is ${model.tokenize(text, false).join()}`);
    return others.length;
}

/// One export of a run, against what fabula makes of the same file read back.
async function compare(name, run_folder, dtype, text, margin) {
    const file = at(`${name}-${dtype}.gguf`), back = at(`${name}-${dtype}`), out = at(`${name}-${dtype}-reference`);
    run(fabula, ["export", run_folder, "--format", "gguf", "--dtype", dtype, "--out", file]);
    run(fabula, ["import", file, "--out", back]);
    run(reference, [back, text, out]);
    const expected = JSON.parse(readFileSync(join(out, "reference.json"), "utf8"));
    const bytes = readFileSync(join(out, "log_probs.f32"));
    const rows = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const model = await llama.loadModel({modelPath: file});
    const numbers = await compareNumbers(model, expected, rows, margin);
    const tokens = compareTokens(model, expected.tokens);
    await model.dispose();
    console.log(`${name} ${dtype}: ${statSync(file).size} bytes; log p within ${numbers.difference.toExponential(1)}; ` +
        `${numbers.others} of ${numbers.certain} likeliest tokens differ where the margin exceeds ${margin}, ` +
        `${numbers.told} where it exceeds ${told} (${numbers.positions} positions); ` +
        `${tokens} of ${expected.tokens.length} texts have other tokens`);
    expect(numbers.certain > numbers.positions / 2, `${name} ${dtype}: hardly any position has a likeliest token`);
    expect(numbers.others === 0, `${name} ${dtype}: another likeliest token`);
    expect(tokens === 0, `${name} ${dtype}: texts have other tokens`);
    // The reference multiplies by what is stored; llama.cpp rounds the other factor too, to the weights' type.
    const allowed = {f32: 1e-2, f16: 2e-2, bf16: 0.2, q8_0: 0.5}[dtype];
    expect(numbers.difference < allowed, `${name} ${dtype}: log p is off by more than ${allowed}`);
}

function train(name, config, tokenizer) {
    writeFileSync(at(`${name}.json`), JSON.stringify(config));
    run(fabula, ["train", at(`${name}.json`), "--data", at("stories.txt"), "--valid", at("valid.txt"), "--tokenizer",
        tokenizer, "--out", at(`${name}-run`)]);
}

const training = {
    batch_size: 8, sequence_length: 48, steps: 60, learning_rate: 4e-3, warmup_steps: 5, eval_every: 60, eval_batches: 2,
    save_every: 60, log_every: 60
};
const gpt2 = {model_type: "gpt2", n_positions: 64, n_embd: 64, n_layer: 2, n_head: 4};
const llamaBody = {
    model_type: "llama", max_position_embeddings: 64, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2,
    num_attention_heads: 4, num_key_value_heads: 2, tie_word_embeddings: true
};
const runs = {
    gpt2: {...gpt2, head: {kind: "full"}},
    gpt2_bias: {...gpt2, n_embd: 96, n_head: 3, head: {kind: "fused", bias: true}},
    llama: {...llamaBody, head: {kind: "full"}},
    llama_bias: {...llamaBody, head: {kind: "full", bias: true}}
};

run(fabula, ["corpus", "--seed", "3", "--stories", "200", "--out", at("stories.txt")]);
run(fabula, ["corpus", "--seed", "4", "--stories", "10", "--out", at("valid.txt")]);
run(fabula, ["tokenizer", "train", at("stories.txt"), "--vocab-size", "400", "--out", at("tokenizer.json")]);
for (const [name, config] of Object.entries(runs)) {
    train(name, {...config, train: training}, at("tokenizer.json"));
    for (const dtype of ["f32", "f16", "bf16", "q8_0"])
        await compare(name, at(`${name}-run`), dtype, at("valid.txt"), dtype === "f32" || dtype === "f16" ? 1e-2 : 5e-2);
}
const data = process.env.FABULA_DATA ?? "data";
const [vocab, merges] = ["gpt2_vocab.json", "gpt2_merges.txt"].map((name) => join(data, "tokenizers", name));
if (existsSync(vocab)) {
    // A real vocabulary's merges; the numbers of so short a training say little.
    run(fabula, ["tokenizer", "import", "--vocab", vocab, "--merges", merges, "--out", at("gpt2-tokenizer.json")]);
    const config = {...gpt2, n_layer: 1, head: {kind: "full"}, train: {...training, steps: 8, eval_every: 8, save_every: 8}};
    train("gpt2_vocabulary", config, at("gpt2-tokenizer.json"));
    await compare("gpt2_vocabulary", at("gpt2_vocabulary-run"), "f16", at("valid.txt"), 1e-2);
} else {
    console.log(`GPT-2's vocabulary is left out: ${vocab} is not there (FABULA_DATA names the folder)`);
}
if (existsSync(join(data, "weights", "stories260K.bin"))) {
    const [weights, pieces] = ["stories260K.bin", "tok512.bin"].map((name) => join(data, "weights", name));
    run(fabula, ["import", weights, "--tokenizer", pieces, "--out", at("stories260K-folder")]);
    writeFileSync(at("story.txt"), "Once upon a time, there was a little girl named Lily. She loved to play outside in " +
        "the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.\n");
    await compare("stories260K", at("stories260K-folder"), "f32", at("story.txt"), 1e-2);
    await compare("stories260K", at("stories260K-folder"), "f16", at("story.txt"), 1e-2);
    await compare("stories260K", at("stories260K-folder"), "q8_0", at("story.txt"), 5e-2);
} else {
    console.log(`stories260K is left out: ${data} has no weights/stories260K.bin (FABULA_DATA names the folder)`);
}
await llama.dispose();
process.exit(failures === 0 ? 0 : 1);
