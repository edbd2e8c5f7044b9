// A real Chromium for tests, with a profile of its own. Where it, or what drives it, is missing, the process ends with 77 and says so.
// CHROMIUM names another browser than /usr/bin/chromium.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const skip = reason => { console.log("skipped: " + reason); process.exit(77); };
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
if (!existsSync(executablePath)) skip("no browser at " + executablePath + " (Debian package chromium; ./dev setup test)");
const { chromium } = await import("playwright-core").catch(() => skip("playwright-core is not installed (npm ci in web/)"));

/// A browser that nobody has used yet; its close() removes what it kept. Options are those of launchPersistentContext().
export async function open_browser(width, height, options = {}) {
  const profile = mkdtempSync(join(tmpdir(), "brainlock-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath, headless: true, viewport: { width, height }, ...options,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { context, close };
}
