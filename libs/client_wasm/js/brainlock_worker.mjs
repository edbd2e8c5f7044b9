// The worker behind brainlock_remote.mjs: calls methods of objects that stay here.
import { Brainlock, BrainlockError, Identity, Key, load, Miner, Package } from "./brainlock_client.mjs";

/// What a page may call, and which properties go with an object. `long`: the methods whose last argument may be about progress and stopping.
const kinds = new Map([
  [Brainlock, { methods: ["openPackage", "openClientHalf", "makeIdentity", "openIdentity", "openMiner"], long: [], properties: [] }],
  [Package, { methods: ["checkInput", "runClear", "makeKey", "openKey", "close"], long: [], properties: ["info"] }],
  [Key, { methods: ["bytes", "makeEvaluationKeys", "encrypt", "decrypt", "decryptAndCompare", "close"], long: ["makeEvaluationKeys"], properties: ["packageInfo"] }],
  [Identity, { methods: ["secret", "close"], long: [], properties: ["address"] }],
  [Miner, { methods: ["status", "uploadKeys", "ask"], long: ["status", "uploadKeys", "ask"], properties: [] }],
]);
/// How many arguments of a long method stand before its options.
const kBeforeOptions = { makeEvaluationKeys: 0, status: 0, uploadKeys: 1, ask: 3 };
const objects = new Map(), running = new Map();
let last = 0;

function object_of(id) {
  const object = objects.get(id);
  if (object === undefined) throw new BrainlockError("invalid_argument", "this object is closed");
  return object;
}

async function call({ id, target, method, args, progress }) {
  const given = args.map(argument => (argument.object === undefined ? argument.value : object_of(argument.object)));
  if (target === 0 && method === "load") return load(...given);
  if (method === "close" && !objects.has(target)) return undefined;   // no error, however often
  const object = object_of(target), kind = kinds.get(object.constructor);
  if (!kind.methods.includes(method)) throw new BrainlockError("invalid_argument", `there is no ${method}`);
  const abort = new AbortController();
  if (kind.long.includes(method)) {
    const before = kBeforeOptions[method];
    given[before] = { ...given[before], signal: abort.signal, ...(progress && { onProgress: report => postMessage({ id, progress: report }) }) };
    running.set(id, abort);
  }
  try {
    const result = await object[method](...given);
    if (method === "close") objects.delete(target);
    return result;
  } finally {
    running.delete(id);
  }
}

onmessage = async ({ data }) => {
  if (data.abort) return running.get(data.abort)?.abort();
  try {
    const result = await call(data), kind = kinds.get(result?.constructor);
    if (!kind) return postMessage({ id: data.id, value: result });
    objects.set(++last, result);
    postMessage({ id: data.id, object: { id: last, methods: kind.methods, properties: Object.fromEntries(kind.properties.map(name => [name, result[name]])) } });
  } catch (error) {
    const { code, message, refusal } = error;
    postMessage({ id: data.id, error: { code: error instanceof BrainlockError ? code : "internal", message, more: refusal === undefined ? {} : { refusal } } });
  }
};
