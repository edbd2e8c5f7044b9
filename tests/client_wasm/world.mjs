// What the tests of the browser's client stand on: packages, a ledger and miners, made by the command. Exit code 77: skipped.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, openSync, closeSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export const [, , brainlock, tool, client_folder, sources, ...more] = process.argv;
export const skip = reason => { console.log("skipped: " + reason); process.exit(77); };
if (!existsSync(join(client_folder, "brainlock_client.wasm"))) skip(`${client_folder} has no brainlock_client.wasm (./dev wasm makes it)`);
export const client = await import(pathToFileURL(join(client_folder, "brainlock_client.mjs")));

export const folder = mkdtempSync(join(tmpdir(), "brainlock-client-wasm-"));
export const place = name => join(folder, name);
const environment = { ...process.env, BT_WALLET_PATH: place("wallets") };
const running = [];
export const stop_miners = () => { for (const child of running) child.kill("SIGKILL"); };
process.on("exit", () => {
  stop_miners();
  rmSync(folder, { recursive: true, force: true });
});

export const run = (words, options = {}) =>
  execFileSync(brainlock, words, { env: environment, encoding: "utf8", stdio: ["pipe", "pipe", "pipe"], ...options });

export async function free_port() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise(done => server.once("listening", done));
  const { port } = server.address();
  await new Promise(done => server.close(done));
  return port;
}

const models = { package: "test/mlp.onnx", other: "tiny-cnn/tiny.onnx" };
export function compile(name, profile = "fast", model = models[name]) {
  run(["compile", join(sources, "models", model), "-o", place(name), "--profile", profile]);
  return place(name);
}
export const plan_of = name => readFileSync(join(place(name), "plan.bin"));
export const model_of = name => readFileSync(join(place(name), "model.onnx"));
/// The client's half of a package, alone.
export function half_of(name) {
  run(["client-half", place(name), "-o", place(name + ".client.bin"), "--overwrite"]);
  return readFileSync(place(name + ".client.bin"));
}

/// A wallet's hotkey; its address.
export function make_hotkey(name) {
  run(["wallet", "regen-hotkey", "--wallet.name", "w", "--wallet.hotkey", name], { input: `//${name}\n` });
  return /"ss58": "(\w+)"/.exec(run(["wallet", "inspect", "--wallet.name", "w", "--wallet.hotkey", name, "--json"]))[1];
}
export const make_ledger = (...hotkeys) => execFileSync(tool, ["ledger", place("ledger.sqlite"), ...hotkeys]);

/// A whole subnet, whose honest miner a page of `origin` may ask: the page's address that it prints.
export async function start_devnet(name, origin) {
  const page_port = await free_port();
  const child = spawn(brainlock, ["devnet", "up", "--package", place(name), "--threads", "1", "--dir", place("devnet"), "--page-port", String(page_port), "--browser-origin", origin],
    { env: environment, stdio: ["ignore", "pipe", "inherit"] });
  running.push(child);
  let said = "";
  for await (const text of child.stdout) {
    said += text;
    const address = /^browser: (\S+)$/m.exec(said)?.[1];
    if (address) {
      child.stdout.resume();
      return { address, end: () => new Promise(done => { child.once("exit", done); child.kill("SIGINT"); }) };
    }
  }
  throw new Error(said);
}

/// A miner that takes questions from everybody; its address, once it takes connections.
export async function start_miner(name, packages, ...options) {
  const port = await free_port(), log = openSync(place(name + ".log"), "w");
  const child = spawn(brainlock, ["miner", "--wallet.name", "w", "--wallet.hotkey", name, "--ledger", place("ledger.sqlite"), "--state", place("state-" + name),
    "--listen", "127.0.0.1", "--port", String(port), "--external-ip", "127.0.0.1", "--open", "--threads", "2",
    ...[...packages].sort().flatMap(each => ["--package", place(each)]), ...options], { env: environment, stdio: ["ignore", log, log] });
  closeSync(log);
  running.push(child);
  for (let tries = 0; tries < 600; ++tries) {
    const there = await new Promise(done => { const line = connect(port, "127.0.0.1").on("connect", () => { line.destroy(); done(true); }).on("error", () => done(false)); });
    if (there) return `http://127.0.0.1:${port}`;
    if (child.exitCode !== null) break;
    await new Promise(done => setTimeout(done, 100));
  }
  throw new Error(readFileSync(place(name + ".log"), "utf8"));
}
