// Clicks through the pages of the relay at $RELAY in the browser $CHROMIUM, and fails on what a person would call broken.
import {chromium} from "playwright-core";
import assert from "node:assert/strict";
import {mkdirSync} from "node:fs";
import {join} from "node:path";

const {RELAY, CHROMIUM, SECRET, SHOTS, DOCS} = process.env;
const wide = {width: 1280, height: 900}, phone = {width: 390, height: 844};
const patience = 30000; // milliseconds for a page: it finds hangs, and measures nothing
const troubles = []; // what the browser complained about

const browser = await chromium.launch({executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"]});
const context = await browser.newContext({viewport: wide, colorScheme: "light"});
context.setDefaultTimeout(patience);
const page = await context.newPage();
page.on("console", m => { if (["error", "warning"].includes(m.type())) troubles.push(`console: ${m.text()} at ${page.url()}`); });
page.on("pageerror", e => troubles.push(`script: ${e} at ${page.url()}`));
page.on("requestfailed", r => { if (r.failure()?.errorText !== "net::ERR_ABORTED") troubles.push(`request: ${r.url()} ${r.failure()?.errorText}`); });
page.on("response", r => { if (r.status() >= 400) troubles.push(`answer: ${r.status()} of ${r.url()}`); });
page.on("request", r => { if (!r.url().startsWith(RELAY) && !r.url().startsWith("data:")) troubles.push(`external request: ${r.url()}`); });
await page.addInitScript(() => addEventListener("securitypolicyviolation", e => console.error("CSP: " + e.violatedDirective + " " + e.blockedURI)));

const step = text => console.log(text);

// open loads a page and looks at what all pages have.
async function open(path) {
  await page.goto(RELAY + "/" + path);
  await page.locator("main h1").waitFor();
  assert.equal(await page.locator("h1").count(), 1, `${path}: one heading`);
  assert.ok(!(await page.content()).includes(SECRET), `${path} shows a secret`);
  await named(path);
  await fits(path);
}

// named demands a name of each control, picture and landmark in the accessibility tree.
async function named(path) {
  const cdp = await context.newCDPSession(page);
  const {nodes} = await cdp.send("Accessibility.getFullAXTree");
  await cdp.detach();
  const wants = new Set(["link", "button", "textbox", "searchbox", "combobox", "checkbox", "image", "img", "heading", "navigation", "columnheader", "DisclosureTriangle"]);
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
  if (!SHOTS) return;
  mkdirSync(SHOTS, {recursive: true});
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({colorScheme: scheme});
    for (const [size, viewport] of [["wide", wide], ["phone", phone]]) {
      await page.setViewportSize(viewport);
      await page.reload();
      await page.screenshot({path: join(SHOTS, `${name}-${scheme}-${size}.png`), animations: "disabled"});
    }
  }
  await page.setViewportSize(wide);
  await page.emulateMedia({colorScheme: "light"});
}

const pages = {overview: "", targets: "targets", destinations: "destinations", namespaces: "targets?by=namespace", nodes: "targets?by=node&state=down", jobs: "targets?by=job&filter=shop",
  wal: "wal", config: "config", status: "status", top: "top", discovery: "service-discovery", discovered: "service-discovery?job=serviceMonitor/shop/checkout/0"};
for (const [name, path] of Object.entries(pages)) {
  step(name);
  await open(path);
  await shoot(name);
}
await browser.close();
assert.deepEqual(troubles, []);
