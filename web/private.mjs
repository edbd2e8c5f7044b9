// The page of private.html: keys and pictures stay in this browser, a miner computes. Its fields may come in the address, as in
// private.html?package=vgg9&miner=http://127.0.0.1:5000&hotkey=5...&hash=...
import { load } from "./brainlock-client/brainlock_remote.mjs";

const $ = id => document.getElementById(id);
const kFields = ["package", "hash", "miner", "hotkey"];
const kCifar10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const words = {
  loading: "Loading the package", making_keys: "Making your keys", uploading_keys: "Sending the keys that the miner computes with (they decrypt nothing)",
  encrypting: "Looking at the picture, and encrypting it", waiting: "The miner computes on what it cannot read", decrypting: "Decrypting, and comparing with the model in the clear",
};
// With the client's half of a package alone, nothing is run in the clear.
const words_of_half = { encrypting: "Encrypting the picture", decrypting: "Decrypting" };
const bytes = n => (n >= 1e6 ? (n / 1e6).toFixed(1) + " MB" : (n / 1e3).toFixed(0) + " KB");
const seconds = s => (s < 1 ? (1e3 * s).toFixed(0) + " ms" : s.toFixed(1) + " s");
const node = (name, text = "", kind = "") => Object.assign(document.createElement(name), { textContent: text, className: kind });

let brainlock, model, key, identity, keys, made, miner, picture, work;

function say(phase, detail = "", bad = false) {
  $("phase").textContent = (model?.info.whole === false ? words_of_half[phase] : undefined) ?? words[phase] ?? phase;
  $("phase").className = bad ? "bad" : "";
  $("detail").textContent = detail;
  $("progress").hidden = !(phase in words);
  $("progress").removeAttribute("value");
}

/// Shows progress, with what is left by the pace so far.
function follow() {
  let phase = "", began = 0;
  return report => {
    if (report.phase !== phase) { phase = report.phase; began = performance.now(); }
    const part = report.total > 0 ? report.done / report.total : 0, elapsed = (performance.now() - began) / 1e3;
    say(phase, part > 0 ? `${Math.floor(100 * part)} %` + (part < 1 && elapsed > 2 ? `, ${seconds(elapsed * (1 / part - 1))} to go` : "") : "");
    if (part > 0) $("progress").value = part;
  };
}

/// What this browser keeps between visits, by package: the secret key, who asks, and the name of the evaluation keys. A browser that keeps nothing
/// (a private window) is no error: keys then last as long as the page.
const store = {
  async open() {
    const request = indexedDB.open("brainlock", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("keys");
    return new Promise((resolve, reject) => { request.onsuccess = () => resolve(request.result); request.onerror = () => reject(request.error); });
  },
  async run(mode, act) {
    const database = await this.open(), transaction = database.transaction("keys", mode), request = act(transaction.objectStore("keys"));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    }).finally(() => database.close());
  },
  get: hash => store.run("readonly", keys => keys.get(hash)).catch(() => undefined),
  put: (hash, value) => store.run("readwrite", keys => keys.put(value, hash)).then(() => true, () => false),
  forget: hash => store.run("readwrite", keys => keys.delete(hash)).catch(() => undefined),
};

async function fetch_bytes(url) {
  const response = await fetch(url);
  if (!response.ok) throw Object.assign(new Error(`${url}: status ${response.status}`), { status: response.status });
  return response.arrayBuffer();
}

/// The whole package where it lies there, for it checks more, or else its client's half.
async function open_from(folder) {
  const get = name => fetch_bytes(new URL(name, folder));
  let files;
  try {
    files = await Promise.all(["plan.bin", "model.onnx"].map(get));
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    const half = await get("client.bin").catch(() => { throw problem; });   // what is wanted first is what is missing
    brainlock ??= await load();
    return brainlock.openClientHalf(half);
  }
  brainlock ??= await load();
  return brainlock.openPackage(...files);
}

async function begin() {
  const at = Object.fromEntries(kFields.map(id => [id, $(id).value.trim()]));
  say("loading");
  work = new AbortController();
  const folder = new URL(at.package.replace(/\/*$/, "/"), location.href);
  const opened = await open_from(folder), { info } = opened;
  if (info.hash === model?.info.hash && info.whole === model.info.whole) {   // begun before, and broken off
    await opened.close();
  } else {
    for (const old of [key, identity, model]) await old?.close();
    [model, key, identity, made] = [opened, undefined, undefined, undefined];
  }
  if (at.hash && at.hash !== info.hash) throw new Error(`this is another package than the one that you wanted: its hash is ${info.hash}`);
  $("about").textContent = `${info.model}, profile ${info.profile}: ${info.securityBits} bits of security, ${bytes(info.evaluationKeyBytes)} of keys to send once, ` +
    `${bytes(info.questionBytes)} a question. Package ${info.hash}` +
    (info.whole ? "" : ", as its file says. That is the client's half alone, without the model: not checked is whether it is of this package, whether the model has room for a picture, and whether an answer is the model's.");

  const kept = await store.get(info.hash);
  if (kept?.secret && kept.identity) {
    key = await model.openKey(kept.secret);
    identity = await brainlock.openIdentity(kept.identity);
    keys = kept.names;
  } else if (!key) {
    key = await model.makeKey();
    identity = await brainlock.makeIdentity();
    keys = undefined;
  }
  miner = await brainlock.openMiner(at.miner, at.hotkey, identity);
  await miner.status({ signal: work.signal });   // is it there, and the one that it should be?
  const will_be_kept = keys ? true : await send_keys();
  $("setup").hidden = true;
  $("work").hidden = false;
  say("Ready", will_be_kept ? "" : "This browser keeps nothing: the keys will last as long as this page.");
}

/// Makes evaluation keys, unless an upload of some was broken off, sends them, and keeps all that belongs together. False: it could not be kept.
async function send_keys() {
  made ??= await key.makeEvaluationKeys({ signal: work.signal, onProgress: follow() });
  await miner.uploadKeys(made, { signal: work.signal, onProgress: follow() });
  keys = { id: made.id, packageHash: made.packageHash };
  made = undefined;
  return store.put(model.info.hash, { secret: await key.bytes(), identity: await identity.secret(), names: keys });
}

function show_picture(bitmap) {
  const [channels, height, width] = model.info.inputShape, canvas = $("picture"), context = canvas.getContext("2d", { willReadFrequently: true });
  canvas.width = width; canvas.height = height;
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, width, height).data, size = width * height;
  picture = new Float32Array(channels * size);
  for (let i = 0; i < size; ++i) {
    const [r, g, b] = pixels.subarray(4 * i, 4 * i + 3);
    for (let c = 0; c < channels; ++c) picture[c * size + i] = (channels >= 3 ? [r, g, b][c] ?? 0 : 0.299 * r + 0.587 * g + 0.114 * b) / 255;
  }
  $("ask").disabled = false;
  $("answer").replaceChildren(node("p", "Not asked yet.", "soft"));
}

/// The middle square of a picture file, at the model's size.
async function take_file(file) {
  const whole = await createImageBitmap(file), side = Math.min(whole.width, whole.height), [, height, width] = model.info.inputShape;
  show_picture(await createImageBitmap(whole, (whole.width - side) / 2, (whole.height - side) / 2, side, side,
                                       { resizeWidth: width, resizeHeight: height, resizeQuality: "high" }));
}

/// A disc before a sky, somewhere.
async function take_example() {
  const [, height, width] = model.info.inputShape, canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
  const sky = context.createLinearGradient(0, 0, 0, height), part = Math.random();
  sky.addColorStop(0, "#5b8fc9"); sky.addColorStop(1, "#d8e3ea");
  context.fillStyle = sky; context.fillRect(0, 0, width, height);
  context.fillStyle = "#8a5a3c"; context.beginPath();
  context.arc(width * (0.3 + 0.4 * part), height * 0.55, width * 0.22, 0, 2 * Math.PI); context.fill();
  show_picture(await createImageBitmap(canvas));
}

function show_answer(answer) {
  const names = answer.outputs.length === 10 && model.info.inputShape.join() === "3,32,32" ? kCifar10 : [];
  const name_of = i => names[i] ?? "class " + i;
  const top = Math.max(...answer.outputs), powers = [...answer.outputs].map(x => Math.exp(x - top)), sum = powers.reduce((a, b) => a + b, 0);
  const order = powers.map((_, i) => i).sort((a, b) => powers[b] - powers[a]), table = node("table");
  for (const i of order.slice(0, 5)) {
    const row = node("tr"), cell = node("td"), share = node("div", "", "share");
    share.style.width = (100 * powers[i]) / sum + "%"; cell.style.width = "55%"; cell.append(share);
    row.append(node("td", name_of(i)), cell, node("td", ((100 * powers[i]) / sum).toFixed(1) + " %", "number"));
    table.append(row);
  }
  const best = node("h2", name_of(order[0])), { seconds: took } = answer;
  best.id = "verdict";
  $("answer").className = "";
  $("answer").replaceChildren(best, table,
    node("p", `The miner and the line took ${seconds(took.response)}; ${model.info.whole ? "looked at and " : ""}encrypted here in ${seconds(took.encrypt)}, decrypted${model.info.whole ? " and compared" : ""} in ${seconds(took.decrypt)}. ` +
              `${bytes(answer.questionBytes)} went out, ${bytes(answer.answerBytes)} came back.`, "soft"),
    model.info.whole
      ? node("p", `Checked against the same model run here, unencrypted: outputs differ by ${answer.maxError.toPrecision(2)} at most` +
                  (answer.inside ? ` (promised: ${model.info.errorBound.toPrecision(2)}).` : "; the picture is beyond what the package promises anything about."), "good")
      : node("p", "Not checked against the model, which is not here: the miner may have computed something else.", "soft"));
}

async function ask() {
  work = new AbortController();
  const once = () => miner.ask(key, keys, picture, { range: model.info.whole ? "refuse" : "unchecked", signal: work.signal, onProgress: follow() });
  show_answer(await once().catch(async problem => {
    if (problem.refusal !== "unknown_key") throw problem;
    await send_keys();   // the miner has forgotten them
    return once();
  }));
  say("Ready");
}

/// Runs what a person asked for; one at a time.
function on_demand(act) {
  return async event => {
    event?.preventDefault();
    const buttons = [...document.querySelectorAll("button:not(#stop), input")], were = buttons.map(button => button.disabled);
    buttons.forEach(button => { button.disabled = true; });
    $("stop").hidden = act !== ask && act !== begin;
    try {
      await act();
    } catch (problem) {
      say(problem.code === "cancelled" ? "Stopped" : "That did not work", problem.code === "cancelled" ? "" : problem.message, problem.code !== "cancelled");
    } finally {
      $("stop").hidden = true;
      buttons.forEach((button, i) => { button.disabled = were[i] && !(button.id === "ask" && picture); });
    }
  };
}

$("setup").onsubmit = on_demand(begin);
$("file").onchange = event => { const [file] = event.target.files; if (file) on_demand(() => take_file(file))(); };
$("example").onclick = on_demand(take_example);
$("ask").onclick = on_demand(ask);
$("stop").onclick = () => work?.abort();
$("forget").onclick = on_demand(async () => { await store.forget(model.info.hash); location.reload(); });

const given = new URLSearchParams(location.search);
for (const id of kFields) $(id).value = given.get(id) ?? "";
if (["package", "miner", "hotkey"].every(id => $(id).value)) on_demand(begin)();
