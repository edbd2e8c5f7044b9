// The client's page in a real Chromium, with the program and a miner behind it: a picture is chosen, asked about and answered; what must not work does not.
// Usage: node tests/client_test.mjs URL FOLDER_FOR_SCREENSHOTS EXPECTED_CLASS_OF_EXAMPLE_1. Exit code 77: something it needs is not here.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import assert from "node:assert/strict";
import { open_browser } from "./chromium.mjs";

const [, , url, shots = ".", expected] = process.argv;
mkdirSync(shots, { recursive: true });

const { context, close } = await open_browser(1060, 900);
try {
  const page = await context.newPage();
  const complaints = [], elsewhere = [];
  // The test reads pixels more often than the page does.
  page.on("console", message => { if (["error", "warning"].includes(message.type()) && !message.text().includes("willReadFrequently")) complaints.push(message.text()); });
  page.on("pageerror", error => complaints.push(String(error)));
  page.on("request", request => { if (!request.url().startsWith(new URL(url).origin + "/") && !/^(data|blob):/.test(request.url())) elsewhere.push(request.url()); });
  await page.goto(url);
  const phase = text => page.waitForFunction(wanted => document.querySelector("#phase").textContent === wanted, text, { timeout: 240000 });
  await phase("Ready");
  assert.equal(await page.isDisabled("#ask"), true, "nothing to ask about yet");
  for (const id of ["#retry", "#progress"]) assert.equal(await page.isVisible(id), false, id + " is for another time");

  // An example.
  await page.click("#example");
  await page.waitForFunction(() => !document.querySelector("#ask").disabled);
  await page.click("#ask");
  await page.waitForSelector("#answer .verdict", { timeout: 240000 });
  const verdict = await page.textContent("#answer .verdict");
  if (expected !== undefined) assert.equal(verdict, expected, "the class that the command line finds, too");
  const said = await page.textContent("#answer");
  assert.match(said, /The miner took \d/);
  assert.match(said, /the same class; outputs differ by [\d.e-]+ at most \(within the promised/);
  assert.equal(await page.locator("#history figure").count(), 1);
  // What the miner got looks like noise: hardly any byte value is rare or common.
  const spread = await page.$eval("#cipher", canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height), seen = new Map();
    data.forEach((value, i) => { if (i % 4 !== 3) seen.set(value, (seen.get(value) ?? 0) + 1); });
    return { values: seen.size, most: Math.max(...seen.values()) };
  });
  assert.ok(spread.values > 200 && spread.most < 200, "bytes of the ciphertext: " + JSON.stringify(spread));
  await page.screenshot({ path: join(shots, "client.png"), fullPage: true });

  // A picture file: wide, so that it is cut; its left and right ends are not what the model sees.
  const png = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(300, 100), context = canvas.getContext("2d");
    context.fillStyle = "#ff0000"; context.fillRect(0, 0, 300, 100);
    context.fillStyle = "#0000ff"; context.fillRect(100, 0, 100, 100);
    return [...new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer())];
  });
  await page.setInputFiles("#file", { name: "wide.png", mimeType: "image/png", buffer: Buffer.from(png) });
  // All blue, also at the edge; or dark, where the model takes grey pictures.
  await page.waitForFunction(() => {
    const canvas = document.querySelector("#picture"), { data } = canvas.getContext("2d").getImageData(0, canvas.height / 2, 1, 1);
    return data[0] < 40 && (data[2] > 240 || (data[0] === data[1] && data[1] === data[2]));
  });
  assert.equal(await page.textContent("#answer"), "Not asked yet.", "the answer to another picture is not shown beside this one");
  await page.setInputFiles("#file", { name: "no.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
  await page.waitForFunction(() => /^no.png is no picture/.test(document.querySelector("#detail").textContent));
  await page.emulateMedia({ colorScheme: "dark" });
  await page.screenshot({ path: join(shots, "client-dark.png"), fullPage: true });
  assert.deepEqual(complaints, [], "console is silent");
  assert.deepEqual(elsewhere, [], "nothing is loaded from elsewhere");

  // Without the token: no data, and the page says why.
  const origin = new URL(url).origin;
  for (const path of ["/api/state", "/api/answers/1", "/api/synthetic/1"]) assert.equal((await fetch(origin + path)).status, 403, path);
  assert.equal((await fetch(origin + "/api/ask", { method: "POST", body: "x" })).status, 403);
  const stranger = await context.newPage();
  await stranger.goto(origin + "/");
  await stranger.waitForFunction(() => /has no key/.test(document.querySelector("#phase").textContent));

  // The program ended, and another user's took its port: the page that was left open believes nothing and sends no picture, neither then nor ever after.
  let sent = 0;
  await page.click("#example");
  await page.waitForFunction(() => !document.querySelector("#ask").disabled);
  const foreign = { status: 200, contentType: "application/json", body: JSON.stringify({ ...(await page.evaluate("state")), miner: "somebody else" }) };
  await page.route("**/api/**", route => { if (route.request().method() === "POST") ++sent; return route.fulfill(foreign); });
  await page.evaluate(() => document.querySelector("#ask").onclick());
  await page.waitForFunction(() => /^Another program/.test(document.querySelector("#phase").textContent));
  assert.equal(await page.isDisabled("#ask"), true);
  assert.doesNotMatch(await page.textContent("#about"), /somebody else/);
  await page.unroute("**/api/**");
  await page.waitForTimeout(3500);
  assert.match(await page.textContent("#phase"), /^Another program/, "for good");
  assert.equal(sent, 0, "no picture left");
  console.log("client page: all good, " + verdict);
} finally {
  await close();
}
