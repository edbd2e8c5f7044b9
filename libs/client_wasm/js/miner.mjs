// Questions to a miner by fetch(), as docs/protocol.md has them. The miner must let this page's origin ask (`miner --browser-origin`).
import { BrainlockError, utf8 } from "./module.mjs";

const kPassing = new Set(["stale", "from_the_future", "access_unknown", "starting", "queue_full", "shutting_down", "nonce_memory_full",
  "rate_limited", "quota_exceeded", "wrong_offset", "cancelled", "internal", "timed_out", "out_of_resources"]);
const kPause = 500, kProgressPause = 300;
const kMaxJson = 65536, kMostPart = 16 << 20, kLeastPart = 64 << 10;
const kPatience = 60;   // seconds without progress until an upload is given up
const nothing = new Uint8Array(0);

/// Resolves after so many ms, or rejects when the signal says so.
const pause = (ms, signal) => new Promise((resolve, reject) => {
  const stop = () => { clearTimeout(timer); reject(signal.reason); };
  const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); resolve(); }, ms);
  signal?.addEventListener("abort", stop, { once: true });
});

/// A body of at most `limit` bytes.
async function read_body(response, limit) {
  const reader = response.body?.getReader(), parts = [];
  let size = 0;
  for (let part; reader && !(part = await reader.read()).done;) {
    size += part.value.length;
    if (size > limit) {
      await reader.cancel().catch(() => {});
      throw new BrainlockError("too_large", `the answer has more than ${limit} bytes`);
    }
    parts.push(part.value);
  }
  const body = new Uint8Array(size);
  let at = 0;
  for (const part of parts) { body.set(part, at); at += part.length; }
  return body;
}

function json_of(body) {
  try {
    const value = JSON.parse(new TextDecoder().decode(body));
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return value;
  } catch { /* said below */ }
  throw new BrainlockError("malformed", "the miner's answer is not the JSON that was expected");
}
const is_count = value => Number.isSafeInteger(value) && value >= 0;

export class Miner {
  #base;
  #hotkey;
  #identity;

  constructor(module, url, hotkey, identity) {
    const base = new URL(url);
    if (!["http:", "https:"].includes(base.protocol) || base.pathname !== "/" || base.search || base.hash || base.username) {
      throw new BrainlockError("invalid_argument", `${url}: expected http://HOST:PORT or https://HOST:PORT`);
    }
    module.call("brainlock_address_check", undefined, [utf8(hotkey)]);
    this.#base = base.origin;
    this.#hotkey = hotkey;
    this.#identity = identity;
  }

  async status({ signal } = {}) {
    return json_of(await this.#ask("GET", "/v1/status", nothing, { limit: kMaxJson, signal }));
  }

  /// Sends a key file from where the miner has it. Goes on after breaks, as long as there is progress within a minute.
  async uploadKeys(keys, { onProgress, signal } = {}) {
    const status = await this.status({ signal });
    const offered = Array.isArray(status.tasks) && status.tasks.some(task => task?.package === keys.packageHash);
    if (!offered) throw new BrainlockError("not_found", `the miner does not serve package ${keys.packageHash}; ask another one`);
    const most = Math.min(kMostPart, Math.max(kLeastPart, is_count(status.key_part_bytes) ? status.key_part_bytes : 0));
    const place = `/v1/packages/${keys.packageHash}/keys/${keys.id}`, total = keys.blob.size;
    let had = -1, last_progress = Date.now();
    for (;;) {
      try {
        let state = this.#key_state(await this.#ask("GET", place, nothing, { limit: kMaxJson, signal }), total);
        for (;;) {
          if (state.received_bytes > had) { had = state.received_bytes; last_progress = Date.now(); }
          onProgress?.({ phase: "uploading_keys", done: state.received_bytes, total });
          if (state.complete) return;
          if (state.received_bytes === total) throw new BrainlockError("unavailable", "the miner has all bytes of the keys and does not take them");
          const part = new Uint8Array(await keys.blob.slice(state.received_bytes, state.received_bytes + most).arrayBuffer());
          const said = await this.#ask("PUT", `${place}/${state.received_bytes}/${total}`, part, { limit: kMaxJson, signal });
          state = this.#key_state(said, total);
          if (!state.complete && state.received_bytes <= had) throw new BrainlockError("unavailable", "the miner takes no more bytes of the keys");
        }
      } catch (error) {
        if (!error.passing || Date.now() - last_progress > kPatience * 1000) throw error;
        await pause(kPause, signal);
      }
    }
  }

  /// Asks about one input that the miner never sees.
  async ask(key, keys, values, { range = "refuse", timeout = 120, onProgress, signal } = {}) {
    onProgress?.({ phase: "encrypting", done: 0, total: 0 });
    const began = performance.now();
    const question = key.encrypt(values, { range });
    const asked = performance.now();
    const answer = await this.#infer(key.packageInfo, keys, question, { timeout, onProgress, signal });
    const answered = performance.now();
    onProgress?.({ phase: "decrypting", done: 0, total: 0 });
    const outputs = range === "unchecked" ? { outputs: key.decrypt(answer) } : key.decryptAndCompare(values, answer);
    const seconds = { encrypt: (asked - began) / 1e3, response: (answered - asked) / 1e3, decrypt: (performance.now() - answered) / 1e3 };
    return { ...outputs, seconds, questionBytes: question.length, answerBytes: answer.length };
  }

  async #infer(info, keys, question, { timeout, onProgress, signal }) {
    if (keys.packageHash !== info.hash) throw new BrainlockError("mismatch", "these evaluation keys belong to another package");
    const until = Date.now() + timeout * 1000;
    for (;;) {
      const ended = new AbortController();
      const timer = setTimeout(() => ended.abort(new BrainlockError("timeout", `no answer within ${timeout} s`)), Math.max(0, until - Date.now()));
      const stop = () => ended.abort(signal.reason);
      if (signal?.aborted) stop();
      signal?.addEventListener("abort", stop, { once: true });
      try {
        const began = uuid => { if (onProgress) this.#watch(uuid, ended.signal, onProgress); };
        return await this.#ask("POST", `/v1/packages/${info.hash}/infer/${keys.id}`, question, { limit: info.answerBytes, signal: ended.signal, began });
      } catch (error) {
        if (!error.passing || Date.now() + kPause >= until) throw error;
        await pause(kPause, ended.signal);
      } finally {
        clearTimeout(timer);
        signal?.removeEventListener("abort", stop);
        ended.abort();   // who watches, too
      }
    }
  }

  /// Tells how far a request is, until `ended`. What goes wrong here is no matter: the request itself will say.
  async #watch(uuid, ended, onProgress) {
    try {
      while (!ended.aborted) {
        await pause(kProgressPause, ended);
        const said = json_of(await this.#ask("GET", `/v1/requests/${uuid}`, nothing, { limit: kMaxJson, signal: ended }));
        if (!ended.aborted && typeof said.fraction === "number") {
          onProgress({ phase: "waiting", done: said.fraction, total: 1, state: said.state, ahead: said.ahead, layer: said.layer });
        }
      }
    } catch { /* see above */ }
  }

  #key_state(body, total) {
    const state = json_of(body);
    if (!is_count(state.received_bytes) || state.received_bytes > total || typeof state.complete !== "boolean") {
      throw new BrainlockError("malformed", "the miner's state of the keys makes no sense");
    }
    return state;
  }

  /// One signed request and its proved answer. Errors with `passing` may be gone when it is signed anew.
  async #ask(method, target, body, { limit, signal, began }) {
    const request = this.#identity.sign(this.#hotkey, method, target, body);
    try {
      const options = {
        method, headers: [...request.headers, ["content-type", "application/octet-stream"]], signal,
        cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
      };
      if (method !== "GET") options.body = body;
      let response, answer;
      try {
        const sent = fetch(this.#base + target, options);
        began?.(request.uuid);
        response = await sent;
        answer = await read_body(response, response.status === 200 ? limit : kMaxJson);
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (error instanceof BrainlockError) throw error;
        throw new BrainlockError("unavailable", `${this.#base} was not reached, or does not let this page ask (${error.message})`, { passing: true });
      }
      if (response.status !== 200) {
        // A refusal may come before the miner knows whom it is talking to, so it need not be signed.
        let said = {};
        try { said = json_of(answer); } catch { /* somebody else's, then */ }
        const refusal = typeof said.error === "string" ? said.error : "unknown";
        const code = refusal === "unknown_key" || refusal === "unknown_package" ? "not_found" : "unavailable";
        throw new BrainlockError(code, `the miner refuses: HTTP ${response.status} ${refusal}: ${said.message ?? ""}`, { refusal, passing: kPassing.has(refusal) });
      }
      request.check(response.status, [...response.headers], answer);
      return answer;
    } finally {
      request.close();
    }
  }
}
