// The same page in a real Firefox, whose engine is another one: keys made and sent, an example's answer right, keys kept for the next visit.
// Usage: node firefox_test.mjs BRAINLOCK DOCTOR_TOOL CLIENT_FOLDER SOURCES
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { open_firefox } from "../../web/tests/firefox.mjs";
import { serve_site } from "./site.mjs";
import { compile, free_port, make_hotkey, make_ledger, place, start_miner, stop_miners } from "./world.mjs";

const port = await free_port(), hotkey = make_hotkey("Miner");
make_ledger(make_hotkey("Validator"), hotkey);
compile("other");
const miner = await start_miner("Miner", ["other"], "--browser-origin", `http://127.0.0.1:${port}`);
const site = serve_site(port, [miner]);
const { hash } = JSON.parse(readFileSync(join(place("other"), "manifest.json")));

const firefox = await open_firefox();
const text = async id => await firefox.evaluate(`document.querySelector("#${id}").textContent`);
const keys_sent = () => readFileSync(place("Miner.log"), "utf8").split(" key_complete ").length - 1;
const ready = async () =>
  firefox.wait_for(`document.querySelector("#phase")?.textContent === "Ready"`, 120000).catch(async problem => {
    throw new Error(`${await text("phase")}: ${await text("detail")}; ${firefox.complaints}\n${readFileSync(place("Miner.log"), "utf8")}`, { cause: problem });
  });
const ask_about_an_example = async () => {
  await firefox.evaluate(`document.querySelector("#example").click()`);
  await firefox.wait_for(`!document.querySelector("#ask").disabled`);
  await firefox.evaluate(`document.querySelector("#ask").click()`);
  await firefox.wait_for(`document.querySelector("#verdict") !== null`);
  const answer = await text("answer");
  const [, differ, promised] = /outputs differ by ([\d.e-]+) at most \(promised: ([\d.e-]+)\)/.exec(answer) ?? [];
  assert.ok(Number(differ) > 0 && Number(differ) <= Number(promised), answer);
};
try {
  const address = `${site.origin}/private.html?${new URLSearchParams({ package: "packages/other", miner, hotkey, hash })}`;
  await firefox.goto(address);
  await ready();
  assert.match(await text("about"), new RegExp(`128 bits of security.*${hash}`));
  assert.equal(keys_sent(), 1);
  await ask_about_an_example();

  // A second visit makes no keys and sends none.
  await firefox.goto(address);
  await ready();
  assert.equal(keys_sent(), 1, "kept keys are used again");
  await ask_about_an_example();
  assert.deepEqual(firefox.complaints, [], "the console");
  assert.ok(site.served.every(what => what.startsWith("GET ")), site.served.join());
} finally {
  await firefox.close();
  site.close();
  stop_miners();
}
console.log("as expected");
