// Private inference: keys, encryption and decryption where the data are, in a browser (or Node.js 18 and newer). Reference and types:
// brainlock_client.d.ts. Computing is done at once, in the thread that calls; for a page, brainlock_remote.mjs has the same in a worker.
import { cancelled, Miner } from "./miner.mjs";
import { BrainlockError, Module, utf8 } from "./module.mjs";

export { BrainlockError, Miner };

const kPolicies = { refuse: 0, allow: 1, unchecked: 2 };

export async function load(options) {
  return new Brainlock(await Module.open(options?.wasm));
}

function bytes_of(what, value) {
  try {
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  } catch { /* it was given away to another thread */ }
  throw new BrainlockError("invalid_argument", `${what}: expected an ArrayBuffer or a typed array`);
}

function floats_of(values) {
  if (values instanceof Float32Array) return values;
  if (Array.isArray(values) || (ArrayBuffer.isView(values) && !(values instanceof DataView))) return Float32Array.from(values, Number);
  throw new BrainlockError("invalid_argument", "values: expected numbers, in an array");
}

function policy_of(options) {
  const range = options?.range ?? "refuse";
  if (!Object.hasOwn(kPolicies, range)) throw new BrainlockError("invalid_argument", `range: expected one of ${Object.keys(kPolicies).join(", ")}`);
  return range;
}

export class Brainlock {
  #module;
  constructor(module) {
    this.#module = module;
  }
  openPackage(plan, model) {
    return new Package(this.#module, this.#module.call("brainlock_package_open", undefined, [bytes_of("plan", plan), bytes_of("model", model)]));
  }
  openClientHalf(half) {
    return new Package(this.#module, this.#module.call("brainlock_client_half_open", undefined, [bytes_of("half", half)]));
  }
  makeIdentity() {
    return new Identity(this.#module, this.#module.call("brainlock_identity_make"));
  }
  openIdentity(secret) {
    return new Identity(this.#module, this.#module.call("brainlock_identity_open", undefined, [bytes_of("secret", secret)]));
  }
  openMiner(url, hotkey, identity) {
    return new Miner(this.#module, url, hotkey, identity);
  }
}

export class Package {
  #module;
  #handle;
  #info;
  constructor(module, handle) {
    this.#module = module;
    this.#handle = handle;
    module.call("brainlock_package_info", handle);
    this.#info = Object.freeze(JSON.parse(module.text()));
  }
  get info() {
    return this.#info;
  }
  checkInput(values) {
    this.#module.call("brainlock_package_check", this.#handle, [floats_of(values)]);
    return JSON.parse(this.#module.text());
  }
  runClear(values) {
    this.#module.call("brainlock_package_run_clear", this.#handle, [floats_of(values)]);
    return new Float64Array(this.#module.reply().buffer);
  }
  makeKey() {
    return new Key(this.#module, this.#module.call("brainlock_key_make", this.#handle), this.#info);
  }
  openKey(bytes) {
    return new Key(this.#module, this.#module.call("brainlock_key_open", this.#handle, [bytes_of("key", bytes)]), this.#info);
  }
  close() {
    this.#module.close("brainlock_package_close", this.#handle);
  }
}

export class Key {
  #module;
  #handle;
  #info;
  #making = false;
  constructor(module, handle, info) {
    this.#module = module;
    this.#handle = handle;
    this.#info = info;
  }
  get packageInfo() {
    return this.#info;
  }
  bytes() {
    this.#module.call("brainlock_key_bytes", this.#handle);
    return this.#module.reply();
  }
  async makeEvaluationKeys(options) {
    if (this.#making) throw new BrainlockError("invalid_argument", "evaluation keys of this key are being made already");
    this.#making = true;
    try {
      const total = this.#info.evaluationKeyBytes, parts = [];
      this.#module.call("brainlock_evaluation_keys_begin", this.#handle);
      for (let done = 0; done < total;) {
        if (options?.signal?.aborted) throw cancelled();
        this.#module.call("brainlock_evaluation_keys_next", this.#handle);
        const part = this.#module.reply();
        if (part.length === 0) throw new BrainlockError("internal", "evaluation keys ended early");
        parts.push(new Blob([part]));   // which a browser may keep on its disk
        done += part.length;
        options?.onProgress?.({ phase: "making_keys", done, total });
        await new Promise(resume => setTimeout(resume));   // for others' turns, and to hear of an abort
      }
      this.#module.call("brainlock_evaluation_keys_id", this.#handle);
      return { id: this.#module.text(), packageHash: this.#info.hash, blob: new Blob(parts) };
    } finally {
      this.#making = false;
    }
  }
  encrypt(values, options) {
    this.#module.call("brainlock_encrypt", this.#handle, [floats_of(values)], [kPolicies[policy_of(options)]]);
    return this.#module.reply();
  }
  decrypt(answer) {
    this.#module.call("brainlock_decrypt", this.#handle, [bytes_of("answer", answer)]);
    return new Float64Array(this.#module.reply().buffer);
  }
  decryptAndCompare(values, answer) {
    this.#module.call("brainlock_decrypt_and_compare", this.#handle, [floats_of(values), bytes_of("answer", answer)]);
    const { outputs, clear, ...more } = JSON.parse(this.#module.text());
    return { outputs: Float64Array.from(outputs), clear: Float64Array.from(clear), ...more };
  }
  close() {
    this.#module.close("brainlock_key_close", this.#handle);
  }
}

export class Identity {
  #module;
  #handle;
  constructor(module, handle) {
    this.#module = module;
    this.#handle = handle;
  }
  get address() {
    this.#module.call("brainlock_identity_address", this.#handle);
    return this.#module.text();
  }
  secret() {
    this.#module.call("brainlock_identity_secret", this.#handle);
    return this.#module.reply();
  }
  /// For Miner: signs a request of docs/protocol.md. Gives its uuid, its headers, and a judge of the answer.
  sign(receiver, method, target, body) {
    const request = this.#module.call("brainlock_request_sign", this.#handle, [utf8(receiver), utf8(method), utf8(target), body], [Date.now()]);
    const [uuid, headers] = this.#module.text().split("\n");
    return {
      uuid,
      headers: JSON.parse(headers),
      check: (status, answer_headers, answer) =>
        this.#module.call("brainlock_request_check", request, [utf8(JSON.stringify(answer_headers)), answer], [status, Date.now()]),
      close: () => this.#module.close("brainlock_request_close", request),
    };
  }
  close() {
    this.#module.close("brainlock_identity_close", this.#handle);
  }
}
