// deploy/browser-site.conf in a real nginx, with a real miner behind it: the page and the miner are one site with TLS, and a browser asks there.
// Usage: node proxy_test.mjs BRAINLOCK DOCTOR_TOOL CLIENT_FOLDER SOURCES. Exit code 77: something it needs is not here.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { open_browser } from "../../web/tests/chromium.mjs";
import { client_folder, compile, free_port, make_hotkey, make_ledger, place, skip, sources, start_miner, stop_miners } from "./world.mjs";

// Installed, or unpacked beside the build with the libraries that are not installed, because its package would start a server.
const unpacked = join(sources, "build/tools/nginx/usr"), root = ["/usr", unpacked].find(each => existsSync(join(each, "sbin/nginx")));
if (!root) skip("no /usr/sbin/nginx (`cmake/unpack-debian build/tools/nginx $(dpkg --print-architecture) nginx` gets it without installing it)");
if (!existsSync("/usr/bin/openssl")) skip("no /usr/bin/openssl");
const nginx = join(root, "sbin/nginx"), environment = { ...process.env };
if (root === unpacked && existsSync(join(root, "lib"))) environment.LD_LIBRARY_PATH = readdirSync(join(root, "lib")).map(each => join(root, "lib", each)).join(":");

const hotkey = make_hotkey("Miner");
make_ledger(make_hotkey("Validator"), hotkey);
compile("other");
const miner = await start_miner("Miner", ["other"]), port = await free_port(), site = `https://127.0.0.1:${port}`;
cpSync(dirname(client_folder), place("site"), { recursive: true });
cpSync(place("other"), join(place("site"), "other"), { recursive: true });
execFileSync("/usr/bin/openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
  "-keyout", place("key.pem"), "-out", place("cert.pem")], { stdio: "ignore" });

// What its comments tell a reader to change.
let text = readFileSync(join(sources, "deploy/browser-site.conf"), "utf8");
for (const [from, to] of [["listen 443 ssl", `listen 127.0.0.1:${port} ssl`], ["server_name app.example.org", "server_name 127.0.0.1"],
  ["/etc/letsencrypt/live/app.example.org/fullchain.pem", place("cert.pem")], ["/etc/letsencrypt/live/app.example.org/privkey.pem", place("key.pem")],
  ["root /var/www/brainlock", `root ${place("site")}`], ["http://127.0.0.1:5000", miner]]) {
  assert.ok(text.includes(from), from);
  text = text.replace(from, to);
}
mkdirSync(place("nginx"));
writeFileSync(place("site.conf"), text);
const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(name => `${name}_temp_path ${place("nginx")}/${name};`).join(" ");
const user = process.getuid() === 0 ? "user root;" : "";   // its workers read a folder that is ours alone
writeFileSync(place("nginx.conf"), `${user} daemon off; pid ${place("nginx")}/pid; error_log stderr; events {}\nhttp { access_log off; ${temporary}\ninclude ${place("site.conf")}; }\n`);
const server = spawn(nginx, ["-e", "stderr", "-p", place("nginx"), "-c", place("nginx.conf")], { env: environment, stdio: ["ignore", "inherit", "inherit"] });

const { context, close } = await open_browser(900, 640, { ignoreHTTPSErrors: true });
try {
  const page = await context.newPage(), complaints = [];
  page.on("console", message => { if (["error", "warning"].includes(message.type())) complaints.push(message.text()); });
  page.on("pageerror", error => complaints.push(String(error)));
  const response = await page.goto(`${site}/?${new URLSearchParams({ package: "other", miner: site, hotkey })}`);
  assert.match(response.headers()["content-security-policy"], /connect-src 'self'$/);
  await page.waitForFunction(() => ["Ready", "That did not work"].includes(document.querySelector("#phase").textContent), null, { timeout: 60000 });
  assert.equal(await page.textContent("#phase"), "Ready", `${await page.textContent("#detail")} ${complaints}`);
  await page.click("#example");
  await page.waitForFunction(() => !document.querySelector("#ask").disabled);
  await page.click("#ask");
  await page.waitForSelector("#verdict", { timeout: 60000 });
  assert.match(await page.textContent("#answer"), /outputs differ by [\d.e-]+ at most \(promised/);
  assert.deepEqual(complaints, []);
  // Who asks without end is told to wait, by nginx and not by the miner.
  const statuses = await page.evaluate(() => Promise.all(Array.from({ length: 200 }, () => fetch("/v1/status").then(answer => answer.status))));
  assert.ok(statuses.includes(200) && statuses.includes(429), "" + statuses);
} finally {
  await close();
  server.kill("SIGTERM");
  stop_miners();
}
console.log("page and miner are one site behind nginx");
