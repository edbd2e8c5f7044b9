// What a page waits for: medians in ms, on one thread of Node.js (Chromium's engine).
// Usage: node client_bench.mjs CLIENT_FOLDER PACKAGE [REPEATS]      after ./dev wasm: build/wasm/site/brainlock-client
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [, , client_folder, folder, repeats = "5"] = process.argv;
if (!folder) {
  console.error("usage: node client_bench.mjs CLIENT_FOLDER PACKAGE [REPEATS]");
  process.exit(2);
}
const { load } = await import(pathToFileURL(resolve(client_folder, "brainlock_client.mjs")));
const median = values => [...values].sort((a, b) => a - b)[values.length >> 1];
const rows = new Map();
async function timed(name, act) {
  const began = performance.now(), result = await act(), took = performance.now() - began;
  rows.set(name, [...(rows.get(name) ?? []), took]);
  return result;
}

const plan = readFileSync(join(folder, "plan.bin")), onnx = readFileSync(join(folder, "model.onnx"));
for (let i = 0; i < Number(repeats); ++i) {
  const brainlock = await timed("load the module", () => load());
  const model = await timed("open the package", () => brainlock.openPackage(plan, onnx)), { info } = model;
  const input = () => Float32Array.from({ length: info.inputCount }, () => Math.random());
  const key = await timed("secret key", () => model.makeKey());
  await timed(`evaluation keys (${(info.evaluationKeyBytes / 1e6).toFixed(0)} MB)`, () => key.makeEvaluationKeys());
  await timed("judge an input, the first", () => model.checkInput(input()));
  await timed("judge an input", () => model.checkInput(input()));
  await timed("encrypt", () => key.encrypt(input(), { range: "unchecked" }));
  const identity = brainlock.makeIdentity(), body = new Uint8Array(info.questionBytes);
  await timed("sign a question", () => identity.sign(identity.address, "POST", "/v1/packages/p/infer/k", body).close());
}
console.log(`${folder}, medians of ${repeats}`);
for (const [name, values] of rows) console.log(`${name.padEnd(32)}${median(values).toFixed(1).padStart(9)} ms`);
