// js/miner.mjs against miners that nobody should meet: ones that lose what they had, refuse without end, break off, say nonsense. Signatures are left out here:
// what is asked, how often, and when it ends is what counts. With signatures and a real miner: client_test.mjs.
// Usage: node miner_test.mjs CLIENT_FOLDER
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const [, , client_folder] = process.argv;
const { Miner } = await import(pathToFileURL(join(client_folder, "miner.mjs")));
const { BrainlockError } = await import(pathToFileURL(join(client_folder, "module.mjs")));

const module = { call: () => 1 };
let signed = 0;
const identity = { sign: () => ({ uuid: `uuid-${++signed}`, headers: [], check() {}, close() {} }) };
const info = { hash: "p", answerBytes: 1000 };
const key = { packageInfo: info, encrypt: () => new Uint8Array(100), decrypt: answer => answer, decryptAndCompare: (_, answer) => ({ outputs: answer }) };
const keys = { id: "k", packageHash: "p", blob: new Blob([new Uint8Array(300_000)]) };

/// A miner whose answers `act(method, path, body_bytes)` gives: [status, object or bytes], or null for none at all.
async function with_miner(act, use) {
  const asked = [];
  const server = createServer((request, response) => {
    let size = 0;
    request.on("data", part => { size += part.length; });
    request.on("end", () => {
      const answer = request.url === "/v1/status" ? [200, { tasks: [{ package: "p" }], key_part_bytes: 100_000 }] : act(request.method, request.url, size);
      if (request.url !== "/v1/status") asked.push({ method: request.method, path: request.url, size, at: Date.now() });
      if (answer === null) return;
      if (answer === "break") return response.destroy();
      const [status, body] = answer;
      response.writeHead(status).end(body instanceof Uint8Array ? body : JSON.stringify(body));
    });
  }).listen(0, "127.0.0.1");
  await new Promise(done => server.once("listening", done));
  try {
    await use(new Miner(module, `http://127.0.0.1:${server.address().port}`, "5", identity), asked);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
const refusal = (status, error, message = "text") => [status, { error, message }];
const code_of = async act => {
  try { await act(); } catch (error) {
    assert.ok(error instanceof BrainlockError, error.stack);
    return error.code;
  }
  return "nothing";
};
process.on("unhandledRejection", error => { console.error("unhandled", error); process.exit(1); });

test("an upload goes on with a miner that lost what it had", async () => {
  let received = 0, lost = false;
  await with_miner((method, path, size) => {
    if (method === "PUT") {
      const offset = Number(path.split("/").at(-2));
      if (offset === 200_000 && !lost) { lost = true; received = 0; return refusal(409, "wrong_offset"); }
      received = offset + size;
    }
    return [200, { received_bytes: received, complete: received === 300_000 }];
  }, async (miner, asked) => {
    const reports = [];
    await miner.uploadKeys(keys, { onProgress: report => reports.push(report.done) });
    assert.deepEqual(asked.filter(each => each.method === "PUT").map(each => each.path.split("/").at(-2)), ["0", "100000", "200000", "0", "100000", "200000"]);
    assert.equal(reports.at(-1), 300_000);
  });
});

test("an upload that gets nowhere ends, after four tries and growing pauses", async () => {
  for (const answer of [refusal(500, "internal"), "break", [200, { received_bytes: 0, complete: false }], [200, { received_bytes: -1, complete: false }], [200, "nonsense"]]) {
    await with_miner(method => (method === "PUT" ? answer : [200, { received_bytes: 0, complete: false }]), async (miner, asked) => {
      assert.ok(["unavailable", "malformed"].includes(await code_of(() => miner.uploadKeys(keys))), answer);
      const parts = asked.filter(each => each.method === "PUT");
      assert.ok(parts.length >= 1 && parts.length <= 4, `${parts.length} parts`);
      if (parts.length === 4) assert.ok(parts[3].at - parts[2].at > 1.5 * (parts[1].at - parts[0].at), "pauses grow");
    });
  }
});

test("a question that is refused for now is asked again, and a clock that is wrong is not", async () => {
  let refused = 0;
  await with_miner(() => (++refused <= 2 ? refusal(503, "queue_full") : [200, new Uint8Array(1000)]), async (miner, asked) => {
    const answer = await miner.ask(key, keys, []);
    assert.equal(answer.answerBytes, 1000);
    assert.equal(asked.length, 3);
  });
  for (const [status, name] of [[401, "stale"], [401, "from_the_future"], [403, "no_permit"], [504, "timed_out"], [500, "internal"]]) {
    await with_miner(() => refusal(status, name), async (miner, asked) => {
      assert.equal(await code_of(() => miner.ask(key, keys, [])), "unavailable", name);
      assert.equal(asked.length, 1, name);
    });
  }
});

test("an answer that breaks off is not computed again", async () => {
  await with_miner(() => "break", async (miner, asked) => {
    assert.equal(await code_of(() => miner.ask(key, keys, [])), "unavailable");
    assert.equal(asked.length, 1);
  });
});

test("waiting ends when it should", async () => {
  await with_miner(() => null, async miner => {
    const began = Date.now();
    assert.equal(await code_of(() => miner.ask(key, keys, [], { timeout: 0.3 })), "timeout");
    for (const reason of [undefined, null, "why", new Error("mine")]) {
      const stop = new AbortController();
      setTimeout(() => stop.abort(reason), 50);
      assert.equal(await code_of(() => miner.uploadKeys(keys, { signal: stop.signal })), "cancelled");
    }
    assert.equal(await code_of(() => miner.ask(key, keys, [], { signal: AbortSignal.abort() })), "cancelled");
    assert.ok(Date.now() - began < 5000);
    for (const timeout of [NaN, 0, -1, "soon"]) assert.equal(await code_of(() => miner.ask(key, keys, [], { timeout })), "invalid_argument", String(timeout));
  });
  await with_miner(() => [200, new Uint8Array(10)], async miner => {
    assert.equal((await miner.ask(key, keys, [], { timeout: Infinity })).answerBytes, 10, "as long as it takes");
  });
});

test("bodies are read as far as they may reach", async () => {
  await with_miner(() => [200, new Uint8Array(1001)], async miner => assert.equal(await code_of(() => miner.ask(key, keys, [])), "too_large"));
  await with_miner(() => [500, new Uint8Array(100_000)], async miner => assert.equal(await code_of(() => miner.ask(key, keys, [])), "too_large"));
  await with_miner(() => [500, { error: { toString: 1 }, message: { toString: 1 } }], async miner => assert.equal(await code_of(() => miner.ask(key, keys, [])), "unavailable"));
  await with_miner(() => [404, { error: "unknown_key", message: "" }], async miner => assert.equal(await code_of(() => miner.ask(key, keys, [])), "not_found"));
});

test("progress is what makes sense", async () => {
  const says = [{ state: "done", fraction: 1 }, { state: "running", fraction: 1e999 }, { state: "running", fraction: "0.5" }, [1], { state: "running", fraction: 0.5, layer: 7, ahead: -1 }];
  let polls = 0, answer;
  await with_miner((method, path) => {
    if (path.startsWith("/v1/requests/")) return [200, says[Math.min(polls++, says.length - 1)]];
    return null;
  }, async miner => {
    const reports = [], stop = new AbortController();
    answer = miner.ask(key, keys, [], { signal: stop.signal, onProgress: report => { reports.push(report); if (report.phase === "waiting" && report.done === 0.5 && polls >= says.length) stop.abort(); } });
    assert.equal(await code_of(() => answer), "cancelled");
    assert.ok(reports.every(report => report.phase !== "waiting" || report.done === 0.5), JSON.stringify(reports));
    assert.deepEqual(reports.at(-1), { phase: "waiting", done: 0.5, total: 1, state: "running", ahead: 0, layer: "" });
  });
});
