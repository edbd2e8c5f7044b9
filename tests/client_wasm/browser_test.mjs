// The browser's client where it belongs: web/private.html in a real Chromium, from a web server of its own, asking a real miner. Under a policy that
// lets the page talk to both and nobody else.
// Usage: node browser_test.mjs BRAINLOCK DOCTOR_TOOL CLIENT_FOLDER SOURCES FOLDER_FOR_SCREENSHOTS
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { open_browser } from "../../web/tests/chromium.mjs";
import { serve_site } from "./site.mjs";
import { compile, free_port, half_of, make_hotkey, make_ledger, more, place, start_devnet, start_miner, stop_miners } from "./world.mjs";

const [screenshots = "."] = more;
mkdirSync(screenshots, { recursive: true });

const port = await free_port(), origin = `http://127.0.0.1:${port}`;
const hotkey = make_hotkey("Miner");
make_ledger(make_hotkey("Validator"), hotkey);
compile("other");
const miner = await start_miner("Miner", ["other"], "--browser-origin", origin);
const { hash } = JSON.parse(readFileSync(join(place("other"), "manifest.json")));

const miners = [miner], { served, close: close_site } = serve_site(port, miners);

const { context, close } = await open_browser(900, 640);
try {
  const page = await context.newPage();
  const complaints = [], to_miner = [];
  page.on("console", message => { if (["error", "warning"].includes(message.type())) complaints.push(message.text()); });
  page.on("pageerror", error => complaints.push(String(error)));
  page.on("request", request => { if (request.url().startsWith(miner)) to_miner.push(request.method() + " " + new URL(request.url()).pathname); });
  const phase = (text, timeout = 120000) =>
    page.waitForFunction(wanted => document.querySelector("#phase").textContent === wanted, text, { timeout }).catch(async problem => {
      throw new Error(`${await page.textContent("#phase")}: ${await page.textContent("#detail")}; ${complaints}\n${readFileSync(place("Miner.log"), "utf8")}`, { cause: problem });
    });
  const address = more => `${origin}/private.html?${new URLSearchParams({ package: "packages/other", miner, hotkey, ...more })}`;

  // Keys are made, and sent.
  await page.goto(address({ hash }));
  await phase("Ready");
  assert.match(await page.textContent("#about"), new RegExp(`128 bits of security.*${hash}`));
  assert.ok(to_miner.some(what => what.startsWith("PUT ")), "keys were sent");
  assert.equal(await page.isDisabled("#ask"), true, "nothing to ask about yet");

  // A picture file, and its answer; the page's own computation says the same within the promise.
  const png = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(300, 100), context = canvas.getContext("2d");
    context.fillStyle = "#ff0000"; context.fillRect(0, 0, 300, 100);
    context.fillStyle = "#0000ff"; context.fillRect(100, 0, 100, 100);
    return [...new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer())];
  });
  await page.setInputFiles("#file", { name: "wide.png", mimeType: "image/png", buffer: Buffer.from(png) });
  await page.waitForFunction(() => !document.querySelector("#ask").disabled);
  const middle = await page.$eval("#picture", canvas => [...canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data]);
  assert.ok(middle[2] > 200 && middle[0] < 50, "the middle square of the picture: " + middle);
  await page.click("#ask");
  await page.waitForSelector("#verdict", { timeout: 60000 });
  const said = await page.textContent("#answer");
  assert.match(said, /outputs differ by [\d.e-]+ at most \(promised: [\d.e-]+\)/);
  assert.match(said, /The miner and the line took \d/);
  assert.equal(await page.locator("#answer tr").count(), 5);
  assert.ok(to_miner.some(what => /^POST \/v1\/packages\/[0-9a-f]{64}\/infer\//.test(what)));
  await page.screenshot({ path: join(screenshots, "private.png"), fullPage: true });

  // An example; the old answer is gone with the old picture.
  await page.click("#example");
  await page.waitForFunction(() => !document.querySelector("#verdict"));
  await page.click("#ask");
  await page.waitForSelector("#verdict", { timeout: 60000 });

  // A second visit makes no keys and sends none.
  to_miner.length = 0;
  await page.goto(address());
  await phase("Ready");
  assert.ok(!to_miner.some(what => what.startsWith("PUT ")), "kept keys are used again: " + to_miner);
  await page.click("#example");
  await page.waitForFunction(() => !document.querySelector("#ask").disabled);
  await page.click("#ask");
  await page.waitForSelector("#verdict", { timeout: 60000 });
  // Forgotten, they are gone.
  await page.click("#forget");
  await page.waitForEvent("load");
  await phase("Ready");
  assert.ok(to_miner.some(what => what.startsWith("PUT ")), "new keys were made and sent");

  // What is kept and makes no sense (another tab was in the middle of something) does not keep the page from working.
  await page.evaluate(hash => new Promise(done => {
    indexedDB.open("brainlock", 1).onsuccess = ({ target: { result: database } }) => {
      database.transaction("keys", "readwrite").objectStore("keys").put({ names: { id: "0".repeat(64), packageHash: hash } }, hash).transaction.oncomplete = done;
    };
  }), hash);
  await page.goto(address());
  await phase("Ready");
  // Nor a browser that keeps nothing.
  const private_page = await context.newPage();
  await private_page.addInitScript(() => { indexedDB.open = () => { throw new DOMException("no", "SecurityError"); }; });
  await private_page.goto(address());
  await private_page.waitForFunction(() => document.querySelector("#phase").textContent === "Ready", null, { timeout: 60000 });
  assert.match(await private_page.textContent("#detail"), /keeps nothing/);
  await private_page.click("#example");
  await private_page.waitForFunction(() => !document.querySelector("#ask").disabled);
  await private_page.click("#ask");
  await private_page.waitForSelector("#verdict", { timeout: 60000 });
  await private_page.close();

  // Of the client's half alone, keys that are kept are the same, and the page says what it does not check. (What is missing is looked for first, and the
  // browser writes that to its console.)
  const so_far = complaints.splice(0);
  mkdirSync(place("half"));
  writeFileSync(join(place("half"), "client.bin"), half_of("other"));
  to_miner.length = 0;
  await page.goto(address({ package: "packages/half", hash }));
  await phase("Ready");
  assert.match(await page.textContent("#about"), /client's half alone, without the model: not checked is/);
  assert.ok(!to_miner.some(what => what.startsWith("PUT ")), "kept keys are used again: " + to_miner);
  await page.click("#example");
  await page.waitForFunction(() => !document.querySelector("#ask").disabled);
  await page.click("#ask");
  await page.waitForSelector("#verdict", { timeout: 60000 });
  assert.match(await page.textContent("#answer"), /Not checked against the model/);
  assert.doesNotMatch(await page.textContent("#answer"), /outputs differ|looked at|compared/);
  assert.deepEqual(complaints.splice(0).filter(text => !/404/.test(text)), []);
  complaints.push(...so_far);

  // Nothing but ciphertexts and keys left: the static server got no body, the miner nothing that is not of its protocol.
  assert.ok(served.every(what => what.startsWith("GET ")), served.join());
  assert.deepEqual(to_miner.filter(what => !/^(GET|PUT|POST|OPTIONS) \/v1\//.test(what)), []);
  assert.deepEqual(complaints, [], "the console");

  // What must not work, and what it says.
  await page.goto(address({ hash: "0".repeat(64) }));
  await phase("That did not work");
  assert.match(await page.textContent("#detail"), /another package than the one that you wanted/);
  await page.goto(address({ package: "packages/nowhere" }));
  await phase("That did not work");
  assert.match(await page.textContent("#detail"), /status 404/);
  await page.goto(address({ hotkey: "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY" }));
  await phase("That did not work", 60000);
  assert.match(await page.textContent("#detail"), /wrong_receiver/);

  // The address that a devnet prints.
  const { address: printed, end } = await start_devnet("other", origin);
  miners.push(new URL(printed).searchParams.get("miner"));
  await page.goto(printed.replace("package=other", "package=packages/other"));
  await phase("Ready");
  await end();
} finally {
  await close();
  close_site();
  stop_miners();
}
console.log("the page answers, keeps and forgets");
