// The module of WebAssembly, with what it stands on, and what it takes to call it.
import { sodium_imports } from "./sodium.mjs";
import { system_imports } from "./system.mjs";

export class BrainlockError extends Error {
  constructor(code, message, more = {}) {
    super(message);
    this.name = "BrainlockError";
    this.code = code;
    Object.assign(this, more);
  }
}

export const utf8 = text => new TextEncoder().encode(text);

export class Module {
  static async open(source) {
    const module = new Module();
    const memory = () => module.exports.memory;
    const imports = { env: await sodium_imports(memory), wasi_snapshot_preview1: system_imports(memory) };
    module.exports = (await instantiate(source, imports)).exports;
    module.exports._initialize();
    return module;
  }

  /// Calls `name` with `handle` (undefined: none), then for every array its place and number of elements, then numbers. Copies arrays in,
  /// and wipes them there. Gives what the function returns; 0 throws what the module says of it.
  call(name, handle, arrays = [], numbers = []) {
    if (this.broken) throw this.broken;
    const views = arrays.map(view_of), places = [];
    try {
      const given = handle === undefined ? [] : [handle];
      views.forEach((view, i) => {
        const size = Math.max(1, view.length), place = this.exports.brainlock_allocate(size) >>> 0;
        if (place === 0) throw new BrainlockError("resource", `no memory for ${size} bytes`);
        places.push([place, size]);
        new Uint8Array(this.exports.memory.buffer, place, view.length).set(view);
        given.push(place, arrays[i].length);
      });
      const result = this.exports[name](...given, ...numbers) >>> 0;
      if (result !== 0) return result;
      const [code, ...message] = this.text().split("\n");
      throw new BrainlockError(code, message.join("\n"));
    } catch (error) {
      if (error instanceof BrainlockError) throw error;
      // A trap: memory ran out, or a fault of the module's own. Its state is not to be relied on any more.
      this.broken = new BrainlockError("internal", `the module has stopped (${error.message}); load it again`);
      throw this.broken;
    } finally {
      if (!this.broken) for (const [place, size] of places) this.exports.brainlock_release(place, size);
    }
  }

  /// Gives an object back; its number is good for nothing afterwards. No error, however often.
  close(name, handle) {
    if (!this.broken) this.exports[name](handle);
  }

  /// A copy of what the last call left behind, which is wiped.
  reply() {
    const { memory, brainlock_reply_data, brainlock_reply_size, brainlock_reply_clear } = this.exports;
    const bytes = new Uint8Array(memory.buffer, brainlock_reply_data() >>> 0, brainlock_reply_size() >>> 0).slice();
    brainlock_reply_clear();
    return bytes;
  }
  text() {
    return new TextDecoder().decode(this.reply());
  }
}

/// The bytes of an array that somebody gave.
function view_of(array) {
  if (array.byteLength > 0x7fffffff) throw new BrainlockError("too_large", `${array.byteLength} bytes are more than the module takes`);
  try {
    return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  } catch {
    throw new BrainlockError("invalid_argument", "this array was given away to another thread");
  }
}

async function instantiate(source, imports) {
  if (source instanceof WebAssembly.Module) return WebAssembly.instantiate(source, imports);
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return (await WebAssembly.instantiate(source, imports)).instance;
  const url = new URL(source ?? "./brainlock_client.wasm", import.meta.url);
  if (url.protocol === "file:") {
    const { readFile } = await import("node:fs/promises");
    return (await WebAssembly.instantiate(await readFile(url), imports)).instance;
  }
  const response = await fetch(url);
  if (!response.ok) throw new BrainlockError("io", `${url}: status ${response.status}`);
  return (await WebAssembly.instantiate(await response.arrayBuffer(), imports)).instance;
}
