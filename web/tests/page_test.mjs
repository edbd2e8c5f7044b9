// The leaderboard page in a real Chromium: data drawn, sorting by click, hostile text harmless, no console error.
// Usage: npm ci && npm test [screenshot.png]; CHROMIUM names another browser than /usr/bin/chromium.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import puppeteer from "puppeteer-core";

const page_text = readFileSync(new URL("../leaderboard.html", import.meta.url));
const now = Date.now();
const keys = ["5HonestAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "5SlowBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", "5CheatCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC"];
const miner = (rank, uid, score, median, failures, weight, why) => ({
  rank, uid, hotkey: keys[uid - 1], score, base_score: score, divisor: 1, median_response_s: median, requests: 40, failures, failure_rate: failures / 40,
  last_reason: why ? "wrong_output" : "ok", zero_because: why, weight_sent: weight, weight_on_ledger: weight, incentive: weight, reasons: {} });
const chart = [];
for (let i = 0; i < 40; ++i) {
  chart.push({ hotkey: keys[0], start_ms: now - (40 - i) * 60000, successes: 3, failures: 0, median_s: 0.4 + 0.01 * (i % 7), fastest_s: 0.4 });
  chart.push({ hotkey: keys[1], start_ms: now - (40 - i) * 60000, successes: 3, failures: 0, median_s: 31 + (i % 5), fastest_s: 30 });
}
const board = {
  time_ms: now, validator: "5Validator", ledger: "test", netuid: 54, bucket_ms: 60000, chart,
  activity: { state: "asking 3 miners", since_ms: now, rounds: 40, block: 1234, blocks_until_vote: 7, last_vote: "landed at block 1200" },
  tasks: [{ name: "vgg9", package: "ab".repeat(32), error_bound: 0.05 }],
  miners: [miner(1, 1, 1e6, 0.4, 0, 65535, ""), miner(2, 2, 2.1, 31, 2, 1, ""), miner(3, 3, 0, 0, 40, 0, "No request succeeded: <img src=x onerror=alert(1)>")],
  votes: [{ time_ms: now, block: 1200, accepted: true, reason: "none", detail: "", confirmed: true, weights: [[1, 65535], [2, 1]] }],
  recent: [{ finished_ms: now, uid: 3, success: false, reason: "wrong_output", sentence: "The decrypted answer differs.", detail: "<script>window.hacked = 1</script>", response_s: 0, network_s: 0.001, input: "synthetic", deviation: 3.2 }],
};

const server = createServer((request, response) => {
  if (request.url === "/") response.setHeader("content-type", "text/html; charset=utf-8").end(page_text);
  else if (request.url === "/api/board") response.setHeader("content-type", "application/json").end(JSON.stringify(board));
  else response.writeHead(404).end();
}).listen(0, "127.0.0.1");
await new Promise(done => server.once("listening", done));

const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1150, height: 1250 });
  const complaints = [];
  page.on("console", message => { if (message.type() === "error" || message.type() === "warning") complaints.push(message.text()); });
  page.on("pageerror", error => complaints.push(String(error)));
  page.on("dialog", dialog => { complaints.push("a dialog opened"); dialog.dismiss(); });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForSelector("#miners tbody tr");

  const column = index => page.$$eval("#miners tbody tr", (rows, i) => rows.map(row => row.cells[i].textContent), index);
  assert.deepEqual(await column(1), ["1", "2", "3"], "best first");
  const click = async title => {
    for (const button of await page.$$("#miners th button")) {
      if (await button.evaluate(node => node.textContent) === title) return button.click();
    }
    assert.fail("no column " + title);
  };
  await click("Median time");
  assert.deepEqual(await column(1), ["3", "1", "2"], "sorted by time");
  await click("Median time");
  assert.deepEqual(await column(1), ["2", "1", "3"], "and back");
  assert.equal(await page.$eval("#miners th[aria-sort]", node => node.getAttribute("aria-sort")), "descending");
  await click("Rank");

  assert.equal((await page.$$("#chart svg polyline")).length, 2, "a line for each miner with a success");
  assert.equal((await page.$$("#chart svg circle")).length, 80);
  // Logarithmic: equal ratios are equal distances.
  const labels = await page.$$eval("#chart svg text[text-anchor=end]", nodes => nodes.filter(n => n.textContent.endsWith(" s")).map(n => Number(n.getAttribute("y"))));
  const gaps = labels.slice(1).map((y, i) => labels[i] - y);
  assert.ok(gaps.length >= 2 && gaps.every(gap => Math.abs(gap - gaps[0]) < 0.01), "powers of ten at equal distances: " + gaps);
  assert.equal(await page.evaluate("window.hacked"), undefined, "text of a miner is not run");
  assert.equal((await page.$$("main img")).length, 0);
  assert.match(await page.$eval("#now", node => node.textContent), /asking 3 miners.*block 1234.*next vote in 7 blocks/);
  await page.screenshot({ path: process.argv[2] ?? "leaderboard.png" });
  assert.deepEqual(complaints, [], "console is silent");
  console.log("page: all good");
} finally {
  await browser.close();
  server.close();
}
