// The browser's client in Node.js: against the command (keys, questions and answers are the same files), against a miner, against hostile bytes.
// Usage: node --expose-gc client_test.mjs BRAINLOCK DOCTOR_TOOL CLIENT_FOLDER SOURCES
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { client, client_folder, compile, half_of, make_hotkey, make_ledger, model_of, place, plan_of, run, sources, start_miner, stop_miners } from "./world.mjs";

const { BrainlockError, load } = client;
after(stop_miners);
const brainlock = await load();
compile("package");
compile("other");
const model = brainlock.openPackage(plan_of("package"), model_of("package"));
const { info } = model;
const input = Float32Array.from({ length: info.inputCount }, (_, i) => (i % 5) / 10);
const second = Float32Array.from({ length: info.inputCount }, (_, i) => ((i + 2) % 5) / 10);
const difference = (a, b) => Math.max(...[...a].map((x, i) => Math.abs(x - b[i])));
const code_of = async act => {
  try {
    await act();
  } catch (error) {
    assert.ok(error instanceof BrainlockError, error.stack);
    assert.ok(error.message.length > 10, error.message);
    return error.code;
  }
  return "nothing";
};
/// A server of one's own: the command.
function compute(question, keys_file, name = "package") {
  writeFileSync(place("in.ct"), question);
  run(["run", place(name), "--keys", keys_file, "--in", place("in.ct"), "--out", place("out.ct"), "--overwrite"]);
  return readFileSync(place("out.ct"));
}
const bytes_of = async keys => new Uint8Array(await keys.blob.arrayBuffer());

const key = model.makeKey();
const keys = await key.makeEvaluationKeys();
writeFileSync(place("evaluation.keys"), await bytes_of(keys));

test("a package says what the command says of it", () => {
  const manifest = JSON.parse(readFileSync(join(place("package"), "manifest.json")));
  assert.equal(info.hash, manifest.hash);
  assert.equal(info.ringDegree, manifest.security.ring_degree);
  assert.equal(info.securityBits, 128);
  assert.deepEqual(info.inputShape, manifest.input.shape);
  assert.equal(info.evaluationKeyCount, manifest.keys);
  assert.equal(info.errorBound, manifest.error_bound);
});

test("its own keys, computed on by the command", () => {
  const question = key.encrypt(input);
  assert.equal(question.length, info.questionBytes);
  const answer = compute(question, place("evaluation.keys"));
  assert.equal(answer.length, info.answerBytes);
  const outputs = key.decrypt(answer), clear = model.runClear(input);
  assert.equal(outputs.length, info.outputCount);
  assert.ok(difference(outputs, clear) <= info.errorBound, `${outputs} and ${clear}`);
  assert.ok(difference(outputs, clear) > 0, "an encrypted answer is not exact to the last bit");
  const compared = key.decryptAndCompare(input, answer);
  assert.deepEqual(compared.outputs, outputs);
  assert.ok(compared.inside && compared.maxError === difference(outputs, compared.clear));
  // Another secret's view of the same bytes, and the same secret again.
  assert.deepEqual(model.openKey(key.bytes()).decrypt(answer), outputs);
});

test("progress and the name of evaluation keys", async () => {
  const reports = [];
  const made = await key.makeEvaluationKeys({ onProgress: report => reports.push(report) });
  assert.equal(made.blob.size, info.evaluationKeyBytes);
  assert.equal(reports.at(-1).done, info.evaluationKeyBytes);
  assert.ok(reports.length > info.evaluationKeyCount && reports.every((report, i) => i === 0 || report.done > reports[i - 1].done));
  assert.notEqual(made.id, keys.id, "seeds and errors are new each time");
  const stopped = new AbortController();
  const stopping = key.makeEvaluationKeys({ signal: stopped.signal, onProgress: () => stopped.abort() });
  assert.equal(await code_of(() => key.makeEvaluationKeys()), "invalid_argument", "one at a time");
  assert.equal(await code_of(() => stopping), "cancelled");
  assert.equal((await key.makeEvaluationKeys()).blob.size, info.evaluationKeyBytes, "and then again");
});

test("keys of the command, and its questions and answers", () => {
  run(["keygen", place("package"), "-o", place("keys")]);
  const theirs = model.openKey(readFileSync(join(place("keys"), "secret.key")));
  const answer = compute(theirs.encrypt(input, { range: "unchecked" }), join(place("keys"), "evaluation.keys"));
  assert.ok(difference(theirs.decrypt(answer), model.runClear(input)) <= info.errorBound);
  assert.deepEqual(Buffer.from(theirs.bytes()), readFileSync(join(place("keys"), "secret.key")));
  // And the command decrypts what this client encrypted.
  const said = JSON.parse(run(["decrypt", place("package"), "--keys", place("keys"), "--in", place("out.ct"), "--json"]));
  assert.ok(difference(said.logits, theirs.decrypt(answer)) < 1e-6, JSON.stringify(said));
  mkdirSync(place("ours"));
  writeFileSync(join(place("ours"), "secret.key"), key.bytes(), { mode: 0o600 });
  compute(key.encrypt(input), place("evaluation.keys"));
  run(["decrypt", place("package"), "--keys", place("ours"), "--in", place("out.ct")]);
});

test("the client's half alone: keys, questions and answers, and nothing that takes the model", async () => {
  const bytes = half_of("package"), half = brainlock.openClientHalf(bytes);
  assert.ok(bytes.length < plan_of("package").length / 2, `${bytes.length} bytes`);
  assert.deepEqual(half.info, { ...info, whole: false });
  assert.equal(info.whole, true);
  // A key of its own, computed on by the command.
  const own = half.makeKey(), own_keys = await own.makeEvaluationKeys();
  assert.equal(own_keys.packageHash, info.hash);
  writeFileSync(place("half.keys"), await bytes_of(own_keys));
  const answer = compute(own.encrypt(input, { range: "unchecked" }), place("half.keys")), outputs = own.decrypt(answer);
  assert.ok(difference(outputs, model.runClear(input)) <= info.errorBound, `${outputs}`);
  // Keys of the whole package are its keys, and the other way round.
  assert.deepEqual(model.openKey(own.bytes()).decrypt(answer), outputs);
  assert.ok(model.openKey(own.bytes()).decryptAndCompare(input, answer).inside);
  assert.ok(difference(half.openKey(key.bytes()).decrypt(compute(key.encrypt(input), place("evaluation.keys"))), outputs) <= 2 * info.errorBound);
  // What takes the model says so, whatever else is wrong with the input.
  for (const act of [() => half.checkInput(input), () => half.runClear(input), () => own.encrypt(input), () => own.encrypt(input, { range: "allow" }),
                     () => own.decryptAndCompare(input, answer)]) {
    assert.throws(act, error => error instanceof BrainlockError && error.code === "unsupported" && /whole package/.test(error.message));
  }
  // What needs none is looked at all the same.
  assert.equal(await code_of(() => own.encrypt(input.map(() => 1e9), { range: "unchecked" })), "out_of_range");
  assert.equal(await code_of(() => own.encrypt(input.subarray(1), { range: "unchecked" })), "invalid_argument");
  assert.equal(await code_of(() => own.encrypt(input.map(() => NaN), { range: "unchecked" })), "invalid_argument");
  assert.equal(await code_of(() => half.makeKey().decrypt(answer)), "wrong_answer", "under another key");
  assert.equal(await code_of(() => brainlock.openClientHalf(half_of("other")).openKey(key.bytes())), "mismatch");
  assert.equal(await code_of(() => brainlock.openClientHalf(bytes.subarray(0, 100))), "corrupted");
  assert.equal(await code_of(() => brainlock.openClientHalf(bytes.subarray(0, 10))), "truncated");
  assert.equal(await code_of(() => brainlock.openClientHalf(plan_of("package"))), "malformed");
  assert.equal(await code_of(() => brainlock.openPackage(bytes, model_of("package"))), "malformed");
  half.close();
  assert.equal(await code_of(() => half.makeKey()), "invalid_argument");
  assert.equal(own.encrypt(second, { range: "unchecked" }).length, info.questionBytes, "its keys go on");
});

test("questions have nothing in common", () => {
  const [a, b] = [key.encrypt(input), key.encrypt(input)];
  const header = 200, equal = a.subarray(header).reduce((sum, byte, i) => sum + (byte === b[header + i]), 0);
  assert.ok(equal < 0.02 * a.length, `${equal} of ${a.length} bytes are equal`);
});

test("what is refused, and how", async () => {
  const other = brainlock.openPackage(plan_of("other"), model_of("other"));
  const answer = compute(key.encrypt(input), place("evaluation.keys"));
  assert.equal(await code_of(() => key.encrypt(input.subarray(1))), "invalid_argument");
  assert.equal(await code_of(() => key.encrypt(input.map(() => NaN))), "invalid_argument");
  assert.equal(await code_of(() => key.encrypt("text")), "invalid_argument");
  const given_away = input.slice();
  structuredClone(given_away.buffer, { transfer: [given_away.buffer] });
  for (const act of [() => key.encrypt(given_away), () => key.decrypt(given_away), () => model.openKey(given_away.buffer)]) {
    assert.ok(["invalid_argument", "truncated"].includes(await code_of(act)), await code_of(act));
  }
  assert.equal(key.encrypt(input, null).length, info.questionBytes, "and the module goes on");
  assert.equal(await code_of(() => key.encrypt(input, { range: "perhaps" })), "invalid_argument");
  assert.equal(await code_of(() => key.encrypt(input.map(() => 1e9))), "out_of_range");
  assert.equal(await code_of(() => key.encrypt(input.map(() => 1e9), { range: "unchecked" })), "out_of_range", "its bound costs nothing to look at");
  assert.equal(await code_of(() => key.decrypt(answer.subarray(0, 1000))), "truncated");
  assert.equal(await code_of(() => key.decrypt(Buffer.concat([answer, Buffer.of(0)]))), "malformed");
  const flipped = Buffer.from(answer);
  flipped[5000] ^= 1;
  assert.equal(await code_of(() => key.decrypt(flipped)), "corrupted");
  assert.equal(await code_of(() => key.decryptAndCompare(second, answer)), "wrong_answer", "to another input");
  assert.equal(await code_of(() => model.makeKey().decrypt(answer)), "wrong_answer", "under another key");
  assert.equal(await code_of(() => other.openKey(key.bytes())), "mismatch");
  assert.equal(await code_of(() => model.openKey(new Uint8Array(10))), "truncated");
  assert.equal(await code_of(() => brainlock.openPackage(plan_of("package").subarray(0, 5000), model_of("package"))), "corrupted");
  assert.notEqual(brainlock.openPackage(plan_of("package"), model_of("other")).info.hash, info.hash, "the model is a part of the name");
  other.close();
  assert.equal(await code_of(() => other.makeKey()), "invalid_argument");
  other.close();
  assert.equal(await code_of(() => other.runClear(input)), "invalid_argument");
});

test("hostile bytes end in errors, and the module goes on", async () => {
  let seed = 1;
  const random = below => { seed = (Math.imul(seed, 1103515245) + 12345) >>> 0; return (seed >>> 8) % below; };
  const answer = compute(key.encrypt(input), place("evaluation.keys")), targets = [
    [plan_of("package"), bytes => brainlock.openPackage(bytes, new Uint8Array(0)).close()],
    [half_of("package"), bytes => brainlock.openClientHalf(bytes).close()],
    [key.bytes(), bytes => model.openKey(bytes).close()],
    [answer, bytes => key.decrypt(bytes)],
  ];
  for (const [good, act] of targets) {
    for (let i = 0; i < 60; ++i) {
      const bad = Buffer.from(good.subarray(0, random(4) === 0 ? random(good.length) : good.length));
      for (let k = 0; k <= random(4) && bad.length; ++k) bad[random(random(2) ? Math.min(200, bad.length) : bad.length)] = random(256);
      await code_of(() => act(bad));
    }
  }
  assert.deepEqual(key.decrypt(answer).length, info.outputCount);
});

test("memory is given back", () => {
  const memory = () => { globalThis.gc(); return process.memoryUsage().external; };
  const round = () => { const made = model.makeKey(); made.encrypt(input); made.close(); };
  for (let i = 0; i < 5; ++i) round();
  const before_all = memory();
  for (let i = 0; i < 60; ++i) round();
  assert.ok(memory() - before_all < 20e6, `${memory() - before_all} bytes more after 60 keys`);
});

test("the types and the worker name what there is", () => {
  const types = readFileSync(join(client_folder, "brainlock_client.d.ts"), "utf8"), worker = readFileSync(join(client_folder, "brainlock_worker.mjs"), "utf8");
  for (const kind of ["Brainlock", "Package", "Key", "Identity", "Miner"]) {
    const written = [...new RegExp(`export interface ${kind} \\{([^]*?)\\n\\}`).exec(types)[1].matchAll(/^ {2}(\w+)\(/gm)].map(match => match[1]).sort();
    const members = Object.getOwnPropertyNames(client[kind].prototype).filter(name => name !== "constructor");
    const methods = members.filter(name => Object.getOwnPropertyDescriptor(client[kind].prototype, name).value && name !== "sign").sort();   // sign() is Miner's
    const called = new RegExp(`\\[${kind}, \\{ methods: (\\[[^\\]]*\\])`).exec(worker)[1];
    assert.deepEqual(written, methods, kind);
    assert.deepEqual(JSON.parse(called).sort(), methods, kind);
  }
});

test("identities", async () => {
  const one = brainlock.makeIdentity(), two = brainlock.makeIdentity();
  assert.match(one.address, /^5[1-9A-HJ-NP-Za-km-z]{47}$/);
  assert.notEqual(one.address, two.address);
  assert.equal(brainlock.openIdentity(one.secret()).address, one.address);
  assert.equal(await code_of(() => brainlock.openIdentity(new Uint8Array(31))), "invalid_argument");
  // The development key of everybody's tools.
  const alice = brainlock.openIdentity(Buffer.from("e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a", "hex"));
  assert.equal(alice.address, "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
  assert.equal(await code_of(() => brainlock.openMiner("http://127.0.0.1:1", "5Nobody", one)), "malformed");
  for (const url of ["http://127.0.0.1:1/path", "nonsense", "ftp://127.0.0.1", "http://user@127.0.0.1", ""]) {
    assert.equal(await code_of(() => brainlock.openMiner(url, alice.address, one)), "invalid_argument", url);
  }
});

test("a miner", async context => {
  const hotkeys = Object.fromEntries(["Miner", "Validator", "Liar"].map(name => [name, make_hotkey(name)]));
  make_ledger(hotkeys.Validator, hotkeys.Miner, hotkeys.Liar);
  const [url, liar_url] = await Promise.all([start_miner("Miner", ["package"]), start_miner("Liar", ["package"], "--misbehave", "replay")]);
  const self = brainlock.makeIdentity(), miner = brainlock.openMiner(url, hotkeys.Miner, self);

  await context.test("is who it should be", async () => {
    assert.equal((await miner.status()).hotkey, hotkeys.Miner);
    const wrong = brainlock.openMiner(url, hotkeys.Liar, self);
    assert.equal(await code_of(() => wrong.status()), "unavailable", "it takes no question that is for another");
    assert.equal(await code_of(() => brainlock.openMiner(`http://127.0.0.1:1`, hotkeys.Miner, self).status()), "unavailable");
  });
  await context.test("answers", async () => {
    assert.equal(await code_of(() => miner.ask(key, keys, input)), "not_found", "it has no keys yet");
    const reports = [];
    await miner.uploadKeys(keys, { onProgress: report => reports.push(report) });
    assert.deepEqual(reports.at(-1), { phase: "uploading_keys", done: keys.blob.size, total: keys.blob.size });
    await miner.uploadKeys(keys);   // which costs nothing the second time
    const answer = await miner.ask(key, keys, input, { onProgress: report => reports.push(report) });
    assert.ok(answer.inside && answer.maxError > 0 && answer.maxError <= info.errorBound, JSON.stringify(answer));
    assert.ok(answer.seconds.response > 0 && answer.answerBytes === info.answerBytes);
    assert.ok(["encrypting", "decrypting"].every(phase => reports.some(report => report.phase === phase)));
    const fast = await miner.ask(key, keys, second, { range: "unchecked" });
    assert.ok(difference(fast.outputs, model.runClear(second)) <= info.errorBound && fast.clear === undefined);
    const stranger = brainlock.openMiner(url, hotkeys.Miner, brainlock.makeIdentity());
    assert.equal(await code_of(() => stranger.ask(key, keys, input)), "not_found", "keys belong to who sent them");
  });
  await context.test("answers who has the client's half alone", async () => {
    const half = brainlock.openClientHalf(half_of("package")), own = half.makeKey(), own_keys = await own.makeEvaluationKeys();
    await miner.uploadKeys(own_keys);
    assert.equal(await code_of(() => miner.ask(own, own_keys, input)), "unsupported", "unless it is asked not to compare");
    const answer = await miner.ask(own, own_keys, input, { range: "unchecked" });
    assert.ok(difference(answer.outputs, model.runClear(input)) <= info.errorBound && answer.clear === undefined);
  });
  await context.test("answers the document's JavaScript", async () => {
    let text = /## In a browser[\s\S]*?```js\n([\s\S]*?)```/.exec(readFileSync(join(sources, "docs/client-library.md"), "utf8"))[1];
    const swaps = [   // what a reader puts in, too
      ["./brainlock-client/brainlock_remote.mjs", pathToFileURL(join(client_folder, "brainlock_client.mjs")).href],
      ["(await fetch(url)).arrayBuffer()", `(await import("node:fs")).readFileSync(url)`],
      ["vgg9/plan.bin", join(place("package"), "plan.bin")], ["vgg9/model.onnx", join(place("package"), "model.onnx")],
      ['"34b5..."', `"${info.hash}"`], ["https://miner.example.org", url], ["5F...", hotkeys.Miner],
      ["key, keys, values)", `key, keys, [${input}])`],
    ];
    for (const [from, to] of swaps) {
      assert.ok(text.includes(from), from);
      text = text.replace(from, to);
    }
    writeFileSync(place("document.mjs"), text.replace(/console\.log\(answer.*/, "export { answer, model };"));
    const { answer, model: theirs } = await import(pathToFileURL(place("document.mjs")));
    assert.equal(theirs.info.hash, info.hash);
    assert.ok(difference(answer.outputs, model.runClear(input)) <= info.errorBound && answer.seconds.response > 0);
  });
  await context.test("is stopped, and given up", async () => {
    const stop = new AbortController();
    stop.abort();
    assert.equal(await code_of(() => miner.ask(key, keys, input, { signal: stop.signal })), "cancelled");
    assert.equal(await code_of(() => miner.uploadKeys(keys, { signal: stop.signal })), "cancelled");
    assert.equal(await code_of(() => miner.ask(key, keys, input, { timeout: 0.001 })), "timeout");
  });
  await context.test("that sends old answers is found out", async () => {
    const liar = brainlock.openMiner(liar_url, hotkeys.Liar, self);
    await liar.uploadKeys(keys);
    const codes = [];
    for (const values of [input, second, input.map(x => 0.5 - x)]) codes.push(await code_of(() => liar.ask(key, keys, values)));
    assert.ok(codes.includes("wrong_answer"), codes.join());
  });
});
