// The worker behind brainlock_remote.mjs: calls methods of objects that stay here.
import { Brainlock, Identity, Key, load, Miner, Package } from "./brainlock_client.mjs";

const kObject = "brainlock object";
/// What a page may call, and which properties go with an object.
const kinds = new Map([
  [Brainlock, { methods: ["openPackage", "makeIdentity", "openIdentity", "openMiner"], properties: [] }],
  [Package, { methods: ["checkInput", "runClear", "makeKey", "openKey", "close"], properties: ["info"] }],
  [Key, { methods: ["bytes", "makeEvaluationKeys", "encrypt", "decrypt", "decryptAndCompare", "close"], properties: ["packageInfo"] }],
  [Identity, { methods: ["secret", "close"], properties: ["address"] }],
  [Miner, { methods: ["status", "uploadKeys", "ask"], properties: [] }],
]);
const objects = new Map([[0, { load }]]);
const running = new Map();
let last = 0;

function sendable(value) {
  const kind = kinds.get(value?.constructor);
  if (!kind) return value;
  objects.set(++last, value);
  return { [kObject]: last, methods: kind.methods, properties: Object.fromEntries(kind.properties.map(name => [name, value[name]])) };
}

async function run({ id, target, method, args, progress }) {
  const object = objects.get(target), allowed = target === 0 ? ["load"] : kinds.get(object?.constructor)?.methods ?? [];
  if (!allowed.includes(method)) throw Object.assign(new Error(`this object is closed, or has no ${method}`), { code: "invalid_argument" });
  const given = args.map(argument => (argument?.[kObject] === undefined ? argument : objects.get(argument[kObject])));
  const abort = new AbortController();
  running.set(id, abort);
  try {
    // Methods without options of this kind ignore them.
    const options = given.at(-1);
    if (options !== null && typeof options === "object" && Object.getPrototypeOf(options) === Object.prototype) {
      options.signal = abort.signal;
      if (progress) options.onProgress = report => postMessage({ id, progress: report });
    }
    const result = await object[method](...given);
    if (method === "close") objects.delete(target);
    return sendable(result);
  } finally {
    running.delete(id);
  }
}

onmessage = async ({ data }) => {
  if (data.abort) return running.get(data.abort)?.abort();
  try {
    postMessage({ id: data.id, result: await run(data) });
  } catch (error) {
    const { code = "internal", message, name, stack, ...more } = error;
    postMessage({ id: data.id, error: { code: name === "AbortError" ? "cancelled" : code, message, more } });
  }
};
