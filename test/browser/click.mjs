// Clicks through the pages of the relay at $RELAY in the browser $CHROMIUM, and fails on what a person would call broken. With $SHOTS it
// leaves a screenshot of each page there, light and dark, wide and of a phone; with $DOCS it writes those that the documents show.
import assert from "node:assert/strict";
import {start} from "./browser.mjs";

const {page, open, shoot, keys, done, troubles} = await start();

const pages = {
  overview: "", targets: "targets", namespaces: "targets?by=namespace", nodes: "targets?by=node&state=down", jobs: "targets?by=job&filter=shop",
  monitor: "monitor?kind=ServiceMonitor&namespace=shop&name=wrong-port", "monitor-fine": "monitor?kind=ServiceMonitor&namespace=shop&name=checkout",
  destinations: "destinations", wal: "wal", top: "top", "service-discovery": "service-discovery", discovered: "service-discovery?job=serviceMonitor/shop/checkout/0",
  relabel: "relabel?job=serviceMonitor/shop/checkout/0", tap: "tap", config: "config", status: "status",
};
for (const [name, path] of Object.entries(pages)) {
  await open(path);
  await shoot(name);
}

const text = selector => page.locator(selector).innerText();
const steps = {
  async "each link of the navigation leads to its page"() {
    await open("");
    const names = await page.locator("nav a").allInnerTexts();
    assert.ok(names.length >= 9, `${names.length} links`);
    for (const name of names) {
      await page.getByRole("navigation").getByRole("link", {name, exact: true}).click();
      await page.locator("nav a[aria-current=page]", {hasText: name}).waitFor();
      await page.locator("main h1").waitFor();
    }
  },
  async "the overview says what is wrong, and leads there"() {
    await open("");
    for (const what of ["bad-regex", "legacy", "selects-nothing", "wrong-port", "standby"]) assert.match(await text(".findings"), new RegExp(what));
    await page.getByRole("link", {name: "shop/wrong-port"}).click();
    await page.locator("ol.steps").first().waitFor();
  },
  async "the page of a monitor says the fault and the mend first"() {
    await open(pages.monitor);
    assert.match(await text("#monitor .alert"), /metrics[\s\S]*What to do/);
    assert.ok(await page.locator("ol.steps > li").count() >= 5, "there are few steps");
    await open(pages["monitor-fine"]);
    const drop = page.locator(".traces details", {hasText: "dropped"}).first();
    if (!await drop.evaluate(d => d.open)) await drop.locator("summary").click();
    assert.match(await drop.innerText(), /checkout-003/);
    await drop.getByRole("link", {name: /relabel debugger/}).click();
    await page.locator("#effects table").waitFor();
    assert.match(await text("#effects"), /drops the target/);
  },
  async "targets: views, chips, and a filter that stands in the address"() {
    await open("targets");
    await page.getByRole("link", {name: "by namespace"}).click();
    await page.waitForURL(/by=namespace/);
    await page.locator("details.group", {hasText: "team-07"}).first().waitFor();
    await page.locator("#chips").getByRole("link", {name: /down/}).click();
    await page.waitForURL(/state=down/);
    await page.waitForFunction(() => document.querySelectorAll("details.group").length === 1);
    assert.match(await text("#groups"), /legacy-001/);
    await page.getByRole("searchbox").fill("legacy-000");
    await page.waitForURL(/filter=legacy-000/);
    await page.waitForFunction(() => !document.getElementById("groups").innerText.includes("legacy-001"));
    const address = page.url();
    await page.reload();
    assert.equal(page.url(), address);
    assert.match(await text("#groups"), /legacy-000/);
    await page.goBack();
    await page.getByRole("link", {name: "by node"}).waitFor();
  },
  async "targets: a group is filled when it is opened, and stays open"() {
    await open("targets?by=node");
    const node = page.locator("details.group", {hasText: "node-31"}).first();
    assert.equal(await node.locator(".targets").count(), 0, "rows are there before they are wanted");
    await node.locator("summary").first().click();
    await node.locator(".targets").first().waitFor();
    assert.ok(await node.locator("tbody").count() >= 100, "few targets of a node");
    const link = node.getByRole("link", {name: "discovered labels"}).first();
    await link.click();
    await node.locator(".discovered").first().waitFor();
    await page.evaluate(() => load());
    await page.waitForTimeout(500);
    assert.ok(await node.evaluate(d => d.open && d.querySelectorAll(".targets").length > 0), "the group is closed by an update");
  },
  async "service discovery: a job, its labels, and the rule that drops"() {
    await open("service-discovery");
    await page.getByRole("searchbox").fill("checkout");
    await page.getByRole("link", {name: "serviceMonitor/shop/checkout/0"}).click();
    await page.getByRole("link", {name: "1 dropped"}).click();
    await page.waitForURL(/state=dropped/);
    assert.match(await text("#discovered"), /endpoints\[0\].relabelings\[1\]/);
  },
  async "the relabel debugger evaluates what is typed"() {
    await open(pages.relabel);
    assert.match(await text("#effects"), /drops the target/);
    await page.getByLabel(/^Rules/).fill("- {source_labels: [__address__], target_label: typed, replacement: here-$1}\n- {action: labelkeep, regex: typed}");
    await page.locator("#effects ins", {hasText: "here-127.0.9."}).waitFor();
    await page.getByLabel(/^Rules/).fill("- {action: keep, regex: '('}");
    await page.getByRole("alert").filter({hasText: "missing closing"}).waitFor();
    await page.getByLabel(/^Labels/).fill("a=\"1\"");
    await page.getByLabel(/^Rules/).fill("- {source_labels: [a], regex: 2, action: keep}");
    await page.getByRole("button", {name: "Evaluate"}).click();
    await page.locator("#effects", {hasText: "Rule 0 drops the target"}).waitFor();
  },
  async "top series by each measure"() {
    await open("top");
    for (const by of ["by size", "by samples", "by new series", "by series"]) {
      await page.getByRole("link", {name: by}).click();
      await page.locator("a[aria-current=true]", {hasText: by}).waitFor();
    }
    assert.match(await text("#top"), /shop\/checkout/);
  },
  async "the tap shows samples as they are sent"() {
    await open("tap");
    await page.getByLabel("Series").fill('{__name__="shop_orders_total"}');
    await page.getByRole("button", {name: "Show"}).click();
    await page.waitForFunction(() => /shop_orders_total\{.*cluster="eu-1"/.test(document.getElementById("samples").textContent));
    await page.getByRole("button", {name: "Stop"}).click();
    await page.getByText("Stopped.").waitFor();
    await page.getByLabel("Series").fill("{");
    await page.getByRole("button", {name: "Show"}).click();
    await page.locator("#tapped", {hasText: "match[]"}).waitFor();
    troubles.splice(0, Infinity, ...troubles.filter(t => !/400/.test(t) || !/tap/.test(t))); // the answer to a wrong selector
  },
  async "the configuration is shown, and its secrets are not"() {
    await open("config");
    assert.match(await text("#config"), /basic_auth[\s\S]*<secret>/);
  },
  async "destinations say what is refused and what waits"() {
    await open("destinations");
    assert.match(await text("#destinations"), /connection refused[\s\S]*What to do/);
    assert.match(await text("#destinations"), /label_invalid/);
    assert.equal(await page.locator("svg.spark").count() > 0, true, "there are no plots");
  },
  async "the theme is chosen and kept"() {
    await open("");
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground(), button = page.getByRole("button", {name: /^Theme/});
    await button.click(); // light
    await button.click(); // dark
    assert.notEqual(await ground(), light);
    await page.goto(page.url().replace(/\/$/, "") + "/wal");
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
    await page.getByRole("button", {name: /^Theme/}).click();
  },
  async "the keyboard reaches everything"() {
    await open("targets");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    const reached = await keys(40);
    for (const what of ["by job", "Filter", "summary"]) assert.ok(reached.some(r => r.includes(what)), `the Tab key does not reach ${what}: ${reached}`);
    const group = page.locator("details.group summary").first();
    await group.focus();
    const before = await group.evaluate(s => s.parentElement.open);
    await page.keyboard.press("Enter");
    assert.notEqual(await group.evaluate(s => s.parentElement.open), before);
  },
  async "pages work without scripts"() {
    const plain = await start({javaScriptEnabled: false});
    await plain.open("targets");
    await plain.page.getByRole("link", {name: "by node"}).click();
    await plain.page.waitForURL(/by=node/);
    await plain.page.locator("details.group", {hasText: "node-31"}).first().waitFor();
    await plain.page.goto(plain.page.url() + "&state=down");
    assert.match(await plain.page.locator("#groups").innerText(), /legacy/);
    await plain.open(pages.relabel);
    await plain.page.getByLabel(/^Rules/).fill("- {target_label: typed, replacement: here}");
    await plain.page.getByRole("button", {name: "Evaluate"}).click();
    await plain.page.locator("#effects ins", {hasText: "here"}).waitFor();
    await plain.done();
    assert.deepEqual(plain.troubles, []);
  },
};
for (const [name, step] of Object.entries(steps)) {
  const began = Date.now();
  try {
    await step();
  } catch (error) {
    error.message = `${name}: ${error.message}\n${troubles.join("\n")}`;
    throw error;
  }
  console.log(`${name}: ${Date.now() - began} ms`);
}
await done();
assert.deepEqual(troubles, []);
