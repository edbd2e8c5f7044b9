// A real Firefox for tests, with a profile of its own, driven by its own WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi). Where it, or what
// speaks to it, is missing, the process ends with 77 and says so. FIREFOX names another browser than /usr/bin/firefox-esr.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const skip = reason => { console.log("skipped: " + reason); process.exit(77); };
const program = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
if (!existsSync(program)) skip("no browser at " + program + " (Debian package firefox-esr; ./dev setup test)");
const { WebSocket } = await import("ws").catch(() => skip("ws is not installed (npm ci in web/)"));

// Nothing of its own goes out to anybody while a test runs.
const quiet = {
  "app.normandy.enabled": false, "app.update.enabled": false, "browser.safebrowsing.malware.enabled": false, "browser.safebrowsing.phishing.enabled": false,
  "datareporting.policy.dataSubmissionEnabled": false, "extensions.getAddons.cache.enabled": false, "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false, "services.settings.server": "data:,", "toolkit.telemetry.enabled": false,
};

/// A browser that nobody has used yet, with one page: goto(address); evaluate(text of JavaScript), which awaits promises and gives plain values; wait_for(text
/// that becomes true, milliseconds). `complaints` has its console's errors. close() removes what it kept.
export async function open_firefox() {
  const profile = mkdtempSync(join(tmpdir(), "brainlock-firefox-"));
  writeFileSync(join(profile, "user.js"), Object.entries(quiet).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`).join("\n"));
  const browser = spawn(program, ["--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"], { env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: "1" }, stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise(resolve => browser.once("exit", resolve));
  process.once("exit", () => browser.kill("SIGKILL"));   // a test that fails on the way must not leave it behind
  const address = await new Promise((resolve, reject) => {
    let said = "";
    browser.stderr.on("data", bytes => {
      said += bytes;
      const found = /WebDriver BiDi listening on (ws:\/\/\S+)/.exec(said);
      if (found) resolve(found[1]);
    });
    ended.then(code => reject(new Error(`Firefox ended with ${code}: ${said}`)));
    setTimeout(() => reject(new Error("Firefox did not start: " + said)), 60000).unref();
  });
  const socket = new WebSocket(address + "/session");
  const waiting = new Map(), complaints = [];
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  socket.on("message", bytes => {
    const { id, type, method, params, result, error, message } = JSON.parse(bytes);
    if (type === "event" && method === "log.entryAdded" && params.level === "error") complaints.push(params.text);
    const call = waiting.get(id);
    if (!call) return;
    waiting.delete(id);
    if (type === "success") call.resolve(result);
    else call.reject(new Error(`${call.method}: ${error}: ${message}`));
  });
  const lost = ended.then(code => { for (const call of waiting.values()) call.reject(new Error(`${call.method}: Firefox ended with ${code}`)); });
  let last = 0;
  const send = (method, params = {}) => new Promise((resolve, reject) => {
    waiting.set(++last, { method, resolve, reject });
    socket.send(JSON.stringify({ id: last, method, params }));
  });
  await send("session.new", { capabilities: {} });
  await send("session.subscribe", { events: ["log.entryAdded"] });
  const [{ context }] = (await send("browsingContext.getTree")).contexts;

  /// Values come as BiDi writes them: what is more than text, number and truth is sent as JSON.
  const evaluate = async expression => {
    const { type, result, exceptionDetails } = await send("script.evaluate", {
      expression: `(async () => JSON.stringify(await (${expression})))()`, target: { context }, awaitPromise: true,
    });
    if (type !== "success") throw new Error(exceptionDetails.text);
    return result.type === "undefined" ? undefined : JSON.parse(result.value);
  };
  return {
    complaints, evaluate,
    goto: url => send("browsingContext.navigate", { context, url, wait: "complete" }),
    wait_for: async (condition, timeout = 60000) => {
      for (const end = Date.now() + timeout; Date.now() < end; await new Promise(resolve => setTimeout(resolve, 100))) if (await evaluate(condition)) return;
      throw new Error("did not become true: " + condition);
    },
    close: async () => {
      await Promise.race([send("browser.close").catch(() => {}), new Promise(resolve => setTimeout(resolve, 5000).unref())]);
      socket.terminate();
      browser.kill("SIGKILL");
      await lost;
      rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}
