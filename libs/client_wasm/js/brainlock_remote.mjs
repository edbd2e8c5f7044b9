// brainlock_client.mjs in a worker, for pages: nothing of it holds up the page. Objects are the same, and every method gives a promise; an
// object's plain properties (a package's `info`, an identity's `address`) come with it.
import { BrainlockError } from "./module.mjs";

export { BrainlockError };

export async function load(options) {
  const worker = new Worker(options?.worker ?? new URL("./brainlock_worker.mjs", import.meta.url), { type: "module", name: "brainlock" });
  const link = new Link(worker);
  const wasm = options?.wasm, place = typeof wasm === "string" || wasm instanceof URL;   // of the page, not of the worker
  try {
    const brainlock = await link.call(0, "load", [{ wasm: place ? new URL(wasm, document.baseURI).href : wasm }]);
    brainlock.terminate = () => link.end(new BrainlockError("cancelled", "the worker was ended"));
    return brainlock;
  } catch (error) {
    link.end(error);
    throw error;
  }
}

class Link {
  #worker;
  #waiting = new Map();
  #last = 0;
  #ended = null;

  constructor(worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }) => this.#hear(data);
    worker.onerror = event => this.end(new BrainlockError("internal", `the worker has stopped: ${event.message ?? "it could not be loaded"}`));
  }

  /// Calls a method of the worker's object `target`. Of the last argument, functions and signals stay here.
  call(target, method, args) {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = ++this.#last;
    const { onProgress, signal, ...options } = is_options(args.at(-1)) ? args.at(-1) : {};
    const sent = args.map(argument => (argument instanceof Remote ? { object: argument[kId] } : { value: is_options(argument) ? options : argument }));
    return new Promise((resolve, reject) => {
      const stop = () => this.#worker.postMessage({ abort: id });
      try {
        this.#worker.postMessage({ id, target, method, args: sent, progress: onProgress !== undefined });
      } catch (error) {
        return reject(new BrainlockError("invalid_argument", `an argument cannot be given to a worker: ${error.message}`));
      }
      this.#waiting.set(id, { resolve, reject, onProgress, done: () => signal?.removeEventListener("abort", stop) });
      if (signal?.aborted) stop();
      else signal?.addEventListener("abort", stop, { once: true });
    });
  }

  #hear({ id, progress, error, value, object }) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    if (progress) return waiting.onProgress?.(progress);
    this.#waiting.delete(id);
    waiting.done();
    if (error) waiting.reject(new BrainlockError(error.code, error.message, error.more));
    else waiting.resolve(object ? this.#object(object) : value);
  }

  #object({ id, methods, properties }) {
    const remote = new Remote(id);
    for (const method of methods) remote[method] = (...args) => this.call(id, method, args);
    return Object.assign(remote, properties);
  }

  end(reason) {
    if (this.#ended) return;
    this.#ended = reason;
    this.#worker.terminate();
    for (const { reject, done } of this.#waiting.values()) { done(); reject(reason); }
    this.#waiting.clear();
  }
}

const kId = Symbol("number of the worker's object");
class Remote {
  constructor(id) {
    Object.defineProperty(this, kId, { value: id });
  }
}
const is_options = value => value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype && ("onProgress" in value || "signal" in value);
