// The leaderboard page in a real Chromium: data drawn, sorting by click, hostile text harmless, no console error; with the chart library
// and without it. Usage: node tests/page_test.mjs PAGE.html FOLDER_FOR_SCREENSHOTS. Exit code 77: something it needs is not here.
import { createServer } from "node:http";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import assert from "node:assert/strict";
import { open_browser } from "./chromium.mjs";

const built = readFileSync(process.argv[2] ?? new URL("../leaderboard.html", import.meta.url), "utf8");
const plain = readFileSync(new URL("../leaderboard.html", import.meta.url), "utf8");
const shots = process.argv[3] ?? ".";
mkdirSync(shots, { recursive: true });

const now = Date.now();
const keys = ["5HonestAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "5SlowBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", "5CheatCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"];
const miner = (rank, uid, score, median, failures, weight, why) => ({
  rank, uid, hotkey: keys[uid - 1], score, base_score: score, divisor: 1, median_response_s: median, requests: 40, failures, failure_rate: failures / 40,
  last_reason: why ? "wrong_output" : "ok", zero_because: why, weight_sent: weight, weight_on_ledger: weight, incentive: weight,
  reasons: why ? { wrong_output: 40 } : { ok: 40 - failures, timed_out: failures } });
const chart = [];
for (let i = 0; i < 40; ++i) {
  chart.push({ hotkey: keys[0], start_ms: now - (40 - i) * 60000, successes: 3, failures: 0, median_s: 0.4 + 0.01 * (i % 7), fastest_s: 0.4 });
  chart.push({ hotkey: keys[1], start_ms: now - (40 - i) * 60000, successes: 3, failures: 0, median_s: 31 + (i % 5), fastest_s: 30 });
  chart.push({ hotkey: keys[2], start_ms: now - (40 - i) * 60000, successes: 0, failures: 3, median_s: 0, fastest_s: 0 });
}
const board = {
  time_ms: now, validator: "5Validator", ledger: "test", netuid: 54, bucket_ms: 60000, chart,
  activity: { state: "asking 3 miners", since_ms: now, rounds: 40, block: 1234, blocks_until_vote: 7, last_vote: "landed at block 1200" },
  tasks: [{ name: "vgg9", package: "ab".repeat(32), error_bound: 0.05 }],
  miners: [miner(1, 1, 1e6, 0.4, 0, 65535, ""), { ...miner(2, 2, 2.1, 31, 2, 1, ""), weight_on_ledger: 9 }, miner(3, 3, 0, 0, 40, 0, "No request succeeded: <img src=x onerror=alert(1)>")],
  votes: [{ time_ms: now, block: 1200, accepted: true, reason: "none", detail: "", confirmed: true, weights: [[1, 65535], [2, 1]] }],
  recent: [{ finished_ms: now, uid: 3, success: false, reason: "wrong_output", sentence: "The decrypted answer differs.", detail: "<script>window.hacked = 1</script>", response_s: 0, network_s: 0.001, input: "synthetic" }],
};

// The policy that the validator sends with its page.
const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:";
const server = createServer((request, response) => {
  const page = { "/": built, "/plain/": plain }[request.url];
  if (page) response.setHeader("content-type", "text/html; charset=utf-8").setHeader("content-security-policy", policy).end(page);
  else if (request.url.endsWith("/api/board")) response.setHeader("content-type", "application/json").end(JSON.stringify(board));
  else response.writeHead(404).end();
}).listen(0, "127.0.0.1");
await new Promise(done => server.once("listening", done));
const address = `http://127.0.0.1:${server.address().port}`;

async function leaderboard(page) {
  const column = index => page.$$eval("#miners tbody tr:not(.details)", (rows, i) => rows.map(row => row.cells[i].textContent), index);
  const click = title => page.click(`#miners th button:text-is("${title}")`);
  assert.deepEqual(await column(1), ["1", "2", "3"], "best first");
  await click("Median time");
  assert.deepEqual(await column(1), ["3", "1", "2"], "sorted by time");
  await click("Median time");
  assert.deepEqual(await column(1), ["2", "1", "3"], "and back");
  assert.equal(await page.$eval("#miners th[aria-sort]", node => node.getAttribute("aria-sort")), "descending");
  await click("Rank");
  assert.deepEqual(await column(3), ["1,000,000", "2.1", "0"]);
  assert.deepEqual(await column(5), ["0 of 40", "2 of 40", "40 of 40"]);
  assert.deepEqual(await column(7), ["65535 \u2713", "9 \u2260", "0 \u2713"], "weights sent beside weights on the ledger, with a word on those that differ");
  assert.match((await column(9))[2], /No request succeeded: <img/, "the reason of a zero");
  await page.click("#miners tbody tr:nth-child(3) button");
  assert.match(await page.textContent("#miners tr.details"), /5CheatC.*outcomes of a day: wrong_output . 40/);
  assert.equal(await page.evaluate("window.hacked"), undefined, "text of a miner is not run");
  assert.equal(await page.locator("main img").count(), 0);
  assert.match(await page.textContent("#now"), /asking 3 miners.*1234.*in 7 blocks.*landed at block 1200.*2 of 3/);
}

async function plain_chart(page) {
  assert.equal(await page.locator("#chart svg polyline").count(), 2, "a line for each miner with a success");
  assert.equal(await page.locator("#chart svg circle").count(), 80);
  // Logarithmic: equal ratios are equal distances.
  const labels = await page.$$eval("#chart svg text[text-anchor=end]", nodes => nodes.filter(n => n.textContent.endsWith("s")).map(n => Number(n.getAttribute("y"))));
  const gaps = labels.slice(1).map((y, i) => labels[i] - y);
  assert.ok(gaps.length >= 2 && gaps.every(gap => Math.abs(gap - gaps[0]) < 0.01), "powers of ten at equal distances: " + gaps);
}

async function library_chart(page) {
  // The chart is a canvas: are there pixels of both lines' colours?
  const seen = await page.$eval("#chart canvas", canvas => {
    const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const pixels = { fast: 0, slow: 0 };
    for (let y = 0; y < height; ++y) for (let x = 0; x < width; ++x) {
      const [r, g, b, a] = data.subarray((y * width + x) * 4, (y * width + x) * 4 + 4);
      if (a === 255 && r === 0xf7 && g === 0x90 && b === 0x09) ++pixels.fast;
      if (a === 255 && r === 0x12 && g === 0xb7 && b === 0x6a) ++pixels.slow;
    }
    return pixels;
  });
  assert.ok(seen.fast > 100 && seen.slow > 100, "both lines are drawn: " + JSON.stringify(seen));
  const at = value => page.evaluate(v => chart.plot.valToPos(v, "y"), value);
  const [a, b, c] = [await at(0.1), await at(1), await at(10)];
  assert.ok(a > b && Math.abs((a - b) - (b - c)) < 0.01, "equal ratios are equal distances");
  // Pointing at the chart tells the values; dragging zooms, and new data leave the zoom alone.
  const box = await page.locator("#chart .u-over").boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  assert.match(await page.textContent("#chart .u-legend"), /uid 1:?\s*4\d\d ms.*uid 2:?\s*3\d s/s);
  const span = () => page.evaluate(() => chart.plot.scales.x.max - chart.plot.scales.x.min);
  const whole = await span();
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 150, box.y + box.height / 2, { steps: 4 });
  await page.mouse.up();
  const zoomed = await span();
  assert.ok(zoomed < whole / 2, "zoomed");
  await page.evaluate(() => load());
  assert.equal(await span(), zoomed);
  await page.mouse.dblclick(box.x + 30, box.y + 30);
  assert.ok(Math.abs(await span() - whole) < 1);
}

const { context, close } = await open_browser(1180, 1330);
try {
  const cases = [["plain", "/plain/", plain_chart]];
  if (built.includes("uPlot")) cases.push(["library", "/", library_chart]);
  else console.log("the chart library is not in this build: only the plain chart is tested");
  for (const [name, path, check] of cases) {
    const page = await context.newPage();
    const complaints = [];
    page.on("console", message => { if (["error", "warning"].includes(message.type())) complaints.push(message.text()); });
    page.on("pageerror", error => complaints.push(String(error)));
    page.on("dialog", dialog => { complaints.push("a dialog opened"); dialog.dismiss(); });
    await page.goto(address + path);
    await page.waitForSelector("#miners tbody tr");
    await check(page);
    await leaderboard(page);
    await page.screenshot({ path: join(shots, `leaderboard-${name}.png`), fullPage: true });
    await page.emulateMedia({ colorScheme: "dark" });
    await page.evaluate(() => load());
    await page.screenshot({ path: join(shots, `leaderboard-${name}-dark.png`), fullPage: true });
    assert.deepEqual(complaints, [], "console is silent");
    console.log(`page with ${name} chart: all good`);
    await page.close();
  }
} finally {
  await close();
  server.close();
}
