// Runs the libraries' own tests as WebAssembly, with the same libsodium that browsers have.
// Usage: node unit_tests.mjs MODULE.wasm CLIENT_FOLDER SOURCES [GOOGLETEST ARGUMENTS]
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { WASI } from "node:wasi";

const [, , file, client, sources, ...rest] = process.argv;
const { sodium_imports } = await import(pathToFileURL(`${client}/sodium.mjs`));
let instance;
const wasi = new WASI({ version: "preview1", args: ["tests", ...rest], preopens: { [sources]: sources }, returnOnExit: true });
const imports = { ...wasi.getImportObject?.() ?? { wasi_snapshot_preview1: wasi.wasiImport }, env: await sodium_imports(() => instance.exports.memory) };
instance = await WebAssembly.instantiate(await WebAssembly.compile(readFileSync(file)), imports);
process.exitCode = wasi.start(instance);
