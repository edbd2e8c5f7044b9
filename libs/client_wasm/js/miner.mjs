// Questions to a miner by fetch(), as docs/protocol.md has them. The miner must let this page's origin ask (`miner --browser-origin`).
import { BrainlockError, utf8 } from "./module.mjs";

// Refusals after which the same request, signed anew, may be taken. A clock that is wrong stays wrong, so "stale" is none of them.
const kPassing = new Set(["access_unknown", "starting", "queue_full", "shutting_down", "nonce_memory_full", "rate_limited", "quota_exceeded"]);
// Of uploads, which cost the miner little, these too.
const kPassingUploads = new Set([...kPassing, "wrong_offset", "cancelled", "internal", "timed_out", "out_of_resources", "unreachable"]);
const kRestarting = new Set(["starting", "shutting_down"]);
const kFirstPause = 500, kLongestPause = 8000, kProgressPause = 300;
const kFailures = 4;           // of an upload, without progress in between
const kRestartPatience = 60;   // seconds in which a miner that is restarted does not count as failing
const kJsonSeconds = 30, kPartSeconds = 600;
const kMaxJson = 65536, kMostPart = 16 << 20, kLeastPart = 64 << 10;
const kLongestTimer = 2 ** 31 - 1;
const nothing = new Uint8Array(0);

export const cancelled = () => new BrainlockError("cancelled", "stopped by who asked");

/// Runs `act` with a signal that fires when the caller's does, or after so many seconds.
async function within(seconds, signal, act) {
  const end = new AbortController();
  const stop = () => end.abort(cancelled());
  const timer = setTimeout(() => end.abort(new BrainlockError("timeout", `no answer within ${seconds} s`)), Math.min(1000 * seconds, kLongestTimer));
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    if (end.signal.aborted) throw end.signal.reason;
    return await act(end.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/// Resolves after so many ms, or rejects when the signal says so.
const pause = (ms, signal) => new Promise((resolve, reject) => {
  if (signal.aborted) return reject(signal.reason);
  const stop = () => { clearTimeout(timer); reject(signal.reason); };
  const timer = setTimeout(() => { signal.removeEventListener("abort", stop); resolve(); }, ms);
  signal.addEventListener("abort", stop, { once: true });
});

/// A body of at most `limit` bytes.
async function read_body(response, limit) {
  const reader = response.body?.getReader(), parts = [];
  let size = 0;
  for (let part; reader && !(part = await reader.read()).done;) {
    size += part.value.length;
    if (size > limit) {
      await reader.cancel().catch(() => {});
      throw new BrainlockError("too_large", `HTTP ${response.status}: the answer has more than ${limit} bytes`);
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
const text_or = (value, otherwise) => (typeof value === "string" ? value : otherwise);

function address_of(url) {
  let base;
  try { base = new URL(url); } catch { /* said below */ }
  if (!base || !["http:", "https:"].includes(base.protocol) || base.pathname !== "/" || base.search || base.hash || base.username) {
    throw new BrainlockError("invalid_argument", "the miner's address: expected http://HOST:PORT or https://HOST:PORT");
  }
  return base.origin;
}

export class Miner {
  #base;
  #hotkey;
  #identity;

  constructor(module, url, hotkey, identity) {
    module.call("brainlock_address_check", undefined, [utf8(hotkey)]);
    this.#base = address_of(url);
    this.#hotkey = hotkey;
    this.#identity = identity;
  }

  async status(options) {
    return json_of(await this.#ask("GET", "/v1/status", nothing, { limit: kMaxJson, seconds: kJsonSeconds, signal: options?.signal }));
  }

  async uploadKeys(keys, options) {
    const status = await this.status(options);
    const offered = Array.isArray(status.tasks) && status.tasks.some(task => task?.package === keys.packageHash);
    if (!offered) throw new BrainlockError("not_found", `the miner does not serve package ${keys.packageHash}; ask another one`);
    const most = Math.min(kMostPart, Math.max(kLeastPart, is_count(status.key_part_bytes) ? status.key_part_bytes : 0));
    return within(kPartSeconds * (1 + Math.ceil(keys.blob.size / kMostPart)), options?.signal, signal => this.#upload(keys, most, { ...options, signal }));
  }

  /// From where the miner has it. What breaks off is taken up again, unless that fails four times without progress.
  async #upload(keys, most, { onProgress, signal }) {
    const place = `/v1/packages/${keys.packageHash}/keys/${keys.id}`, total = keys.blob.size;
    let failures = 0, rest = kFirstPause, restarting_since = null;
    for (let state = null; ;) {
      try {
        if (state === null) {
          state = this.#key_state(await this.#ask("GET", place, nothing, { limit: kMaxJson, seconds: kJsonSeconds, signal }), total);
        } else {
          const from = state.received_bytes, part = new Uint8Array(await keys.blob.slice(from, from + most).arrayBuffer());
          state = this.#key_state(await this.#ask("PUT", `${place}/${from}/${total}`, part, { limit: kMaxJson, seconds: kPartSeconds, signal }), total);
          if (!state.complete && state.received_bytes <= from) throw new BrainlockError("unavailable", "the miner takes no more bytes of the keys");
          failures = 0;
          rest = kFirstPause;
          restarting_since = null;
        }
        onProgress?.({ phase: "uploading_keys", done: state.received_bytes, total });
        if (state.complete) return;
        if (state.received_bytes === total) throw new BrainlockError("unavailable", "the miner has all bytes of the keys and does not take them");
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        const restarting = kRestarting.has(error.refusal);
        if (restarting) restarting_since ??= Date.now();
        if (!(restarting && Date.now() - restarting_since < 1000 * kRestartPatience)) ++failures;
        if (!kPassingUploads.has(error.refusal) || failures >= kFailures) throw error;
        state = null;
        await pause(rest, signal);
        rest = Math.min(2 * rest, kLongestPause);
      }
    }
  }

  async ask(key, keys, values, options) {
    const { range = "refuse", timeout = 120, onProgress, signal } = options ?? {};
    if (!(timeout > 0)) throw new BrainlockError("invalid_argument", `timeout: expected seconds, got ${timeout}`);
    onProgress?.({ phase: "encrypting", done: 0, total: 0 });
    const began = performance.now();
    const question = key.encrypt(values, { range });
    const asked = performance.now();
    const answer = await within(timeout, signal, until => this.#infer(key.packageInfo, keys, question, onProgress, until));
    const answered = performance.now();
    onProgress?.({ phase: "decrypting", done: 0, total: 0 });
    const outputs = range === "unchecked" ? { outputs: key.decrypt(answer) } : key.decryptAndCompare(values, answer);
    const seconds = { encrypt: (asked - began) / 1e3, response: (answered - asked) / 1e3, decrypt: (performance.now() - answered) / 1e3 };
    return { ...outputs, seconds, questionBytes: question.length, answerBytes: answer.length };
  }

  /// Asks until the miner takes the question; once it may have begun, an answer that breaks off is not asked for again.
  async #infer(info, keys, question, onProgress, signal) {
    if (keys.packageHash !== info.hash) throw new BrainlockError("mismatch", "these evaluation keys belong to another package");
    for (let rest = kFirstPause; ; rest = Math.min(2 * rest, kLongestPause)) {
      const answered = new AbortController();
      try {
        const began = uuid => { if (onProgress) this.#watch(uuid, AbortSignal.any([signal, answered.signal]), onProgress); };
        return await this.#ask("POST", `/v1/packages/${info.hash}/infer/${keys.id}`, question, { limit: info.answerBytes, seconds: kLongestTimer / 1000, signal, began });
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        if (!kPassing.has(error.refusal)) throw error;
      } finally {
        answered.abort();
      }
      await pause(rest, signal);
    }
  }

  /// Tells how far a request is, until `ended`. What goes wrong here is no matter: the request itself will say.
  async #watch(uuid, ended, onProgress) {
    while (!ended.aborted) {
      try {
        await pause(kProgressPause, ended);
        const said = json_of(await this.#ask("GET", `/v1/requests/${uuid}`, nothing, { limit: kMaxJson, seconds: kJsonSeconds, signal: ended }));
        // "done" is also what a miner says of a request that has not come yet.
        if (ended.aborted || !["queued", "running"].includes(said.state) || typeof said.fraction !== "number" || said.fraction < 0 || said.fraction > 1) continue;
        onProgress({ phase: "waiting", done: said.fraction, total: 1, state: said.state, ahead: is_count(said.ahead) ? said.ahead : 0, layer: text_or(said.layer, "") });
      } catch { /* see above */ }
    }
  }

  #key_state(body, total) {
    const state = json_of(body);
    if (!is_count(state.received_bytes) || state.received_bytes > total || typeof state.complete !== "boolean") {
      throw new BrainlockError("malformed", "the miner's state of the keys makes no sense");
    }
    return state;
  }

  /// One signed request and its proved answer. An error that came from the miner has its name in `refusal`; "unreachable": none came.
  #ask(method, target, body, { limit, seconds, signal, began }) {
    return within(seconds, signal, async until => {
      const request = this.#identity.sign(this.#hotkey, method, target, body);
      try {
        const options = {
          method, headers: [...request.headers, ["content-type", "application/octet-stream"]], signal: until,
          cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
        };
        if (method !== "GET") options.body = body;
        let response, answer;
        // Some versions of fetch() may lose a signal to their garbage collector, and then wait for ever.
        const ended = new Promise((_, reject) => until.addEventListener("abort", () => reject(until.reason), { once: true }));
        const exchange = async () => {
          const sent = fetch(this.#base + target, options);
          began?.(request.uuid);
          response = await sent;
          answer = await read_body(response, response.status === 200 ? limit : kMaxJson);
        };
        try {
          await Promise.race([exchange(), ended]);
        } catch (error) {
          if (until.aborted) throw until.reason;
          if (error instanceof BrainlockError) throw error;
          throw new BrainlockError("unavailable", `${this.#base} was not reached, or does not let this page ask (${error.message})`, { refusal: "unreachable" });
        }
        if (response.status !== 200) {
          // A refusal may come before the miner knows whom it is talking to, so it need not be signed.
          let said = {};
          try { said = json_of(answer); } catch { /* somebody else's, then */ }
          const refusal = text_or(said.error, "unknown");
          const code = refusal === "unknown_key" || refusal === "unknown_package" ? "not_found" : "unavailable";
          throw new BrainlockError(code, `the miner refuses: HTTP ${response.status} ${refusal}: ${text_or(said.message, "")}`, { refusal });
        }
        request.check(response.status, [...response.headers], answer);
        return answer;
      } finally {
        request.close();
      }
    });
  }
}
