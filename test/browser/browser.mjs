// A browser that notes what it complains about, and looks at each page that it opens.
import {chromium} from "playwright-core";
import assert from "node:assert/strict";
import {mkdirSync} from "node:fs";
import {join} from "node:path";

const {RELAY, CHROMIUM, SECRET, SHOTS, DOCS} = process.env;
const wide = {width: 1280, height: 900}, phone = {width: 390, height: 844}, small = {width: 1120, height: 720};
const patience = 30000; // milliseconds for a page: it finds hangs, and measures nothing

// What documents show: the name of a page, its theme and its size.
const shown = {"targets-light-wide": "targets", "monitor-light-wide": "screenshots/monitor", "monitor-dark-wide": "screenshots/monitor-dark", "overview-dark-wide": "screenshots/overview", "destinations-light-wide": "screenshots/destinations",
  "relabel-dark-wide": "screenshots/relabel", "wal-light-phone": "screenshots/wal"};

export async function start(options = {}) {
  const browser = await chromium.launch({executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]});
  const context = await browser.newContext({viewport: wide, colorScheme: "light", ...options});
  context.setDefaultTimeout(patience);
  const page = await context.newPage(), troubles = [];
  page.on("console", m => { if (["error", "warning"].includes(m.type())) troubles.push(`console: ${m.text()} at ${page.url()}`); });
  page.on("pageerror", e => troubles.push(`script: ${e} at ${page.url()}`));
  page.on("requestfailed", r => { if (r.failure()?.errorText !== "net::ERR_ABORTED") troubles.push(`request: ${r.url()} ${r.failure()?.errorText}`); });
  page.on("response", r => { if (r.status() >= 400) troubles.push(`answer: ${r.status()} of ${r.url()}`); });
  page.on("request", r => { if (!r.url().startsWith(RELAY) && !r.url().startsWith("data:")) troubles.push(`external request: ${r.url()}`); });
  await page.addInitScript(() => addEventListener("securitypolicyviolation", e => console.error("CSP: " + e.violatedDirective + " " + e.blockedURI)));

  // open loads a page and looks at what all pages have.
  async function open(path) {
    await page.goto(RELAY + "/" + path);
    await page.locator("main h1").waitFor();
    assert.equal(await page.locator("h1").count(), 1, `${path}: headings of the first level`);
    assert.ok(!(await page.content()).includes(SECRET), `${path} shows a secret`);
    await named(path);
    await fits(path);
  }

  // named demands a name of each control, picture and landmark in the accessibility tree.
  async function named(path) {
    const cdp = await context.newCDPSession(page);
    const {nodes} = await cdp.send("Accessibility.getFullAXTree");
    await cdp.detach();
    const wants = new Set(["link", "button", "textbox", "searchbox", "combobox", "checkbox", "image", "img", "heading", "navigation", "columnheader", "progressbar", "meter", "DisclosureTriangle"]);
    const bare = nodes.filter(n => !n.ignored && wants.has(n.role?.value) && !(n.name?.value ?? "").trim());
    assert.deepEqual(bare.map(n => n.role.value), [], `${path}: parts without a name`);
    for (const role of ["banner", "navigation", "main"]) assert.ok(nodes.some(n => n.role?.value === role), `${path}: no ${role}`);
  }

  // fits demands that nothing is wider than a phone.
  async function fits(path) {
    await page.setViewportSize(phone);
    const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
    assert.ok(inner <= outer, `${path}: ${inner} pixels wide on a phone of ${outer}`);
    await page.setViewportSize(wide);
  }

  async function shoot(name) {
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({colorScheme: scheme});
      for (const [size, viewport] of [["wide", wide], ["phone", phone]]) {
        const full = `${name}-${scheme}-${size}`, paths = [];
        if (SHOTS) paths.push(join(SHOTS, full + ".png"));
        if (DOCS && shown[full]) paths.push(join(DOCS, shown[full] + ".png"));
        if (paths.length === 0) continue;
        for (const path of paths) {
          mkdirSync(join(path, ".."), {recursive: true});
          await page.setViewportSize(path.startsWith(DOCS) && size === "wide" ? small : viewport);
          await page.reload();
          await page.screenshot({path, animations: "disabled"});
        }
      }
    }
    await page.setViewportSize(wide);
    await page.emulateMedia({colorScheme: "light"});
  }

  // keys presses Tab n times and says what has the focus each time, which must be visible.
  async function keys(n) {
    const reached = [];
    for (let i = 0; i < n; i++) {
      await page.keyboard.press("Tab");
      const [name, outline] = await page.evaluate(() => {
        const at = document.activeElement;
        return [`${at.localName} ${at.getAttribute("aria-label") ?? at.textContent.trim().slice(0, 40)}`, getComputedStyle(at).outlineStyle];
      });
      assert.ok(name.startsWith("body") || outline !== "none", `the focus on ${name} is not visible`);
      reached.push(name);
    }
    return reached;
  }

  return {page, open, shoot, keys, troubles, done: () => browser.close()};
}
