"use strict";
// The page works without this script. With it, filters and opened groups need no reload of the page, and the page is kept up to date.
// The script loads pages like this one and takes from them the elements that it needs.
const every = 10000; // milliseconds between two updates
const maxOpen = 30; // as in view.go
const opened = new Map(); // by key of a group: true if a person opened it, false if closed
const discovered = new Map(); // by address: labels that a person asked for
const trouble = document.getElementById("trouble"), pause = document.getElementById("pause");
const form = document.getElementById("filter"), theme = document.getElementById("theme");
let paused = remembered("paused") === "1", timer, asked = 0;

// remembered reads, and with a value sets, what a person chose. A browser that stores nothing throws an exception.
function remembered(what, value) {
  try {
    if (value) localStorage.setItem("promrelay-" + what, value);
    return localStorage.getItem("promrelay-" + what);
  } catch {
    return value ?? null;
  }
}

const live = () => document.querySelector("[data-live]:not(#asof):not(#alerts)") !== null;
const groups = root => [...root.querySelectorAll("details.group")];

async function get(address) {
  const response = await fetch(address, {headers: {Accept: "text/html"}});
  if (!response.ok) throw new Error((await response.text()).slice(0, 200) || response.statusText);
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

// load shows the page of an address. If several are asked for, only the last one is shown.
async function load(address = location.href) {
  const mine = ++asked, url = new URL(address, location.href);
  clearTimeout(timer);
  for (const [key, open] of [...opened].filter(([, open]) => open).slice(-maxOpen)) url.searchParams.append("open", key);
  try {
    const page = await get(url);
    if (mine === asked) swap(page);
    trouble.textContent = "";
  } catch (error) {
    if (mine === asked) trouble.textContent = " · the relay does not answer: " + error.message;
  }
  if (mine === asked) again();
}

// again plans the next update, unless the page is paused.
function again() {
  clearTimeout(timer);
  if (!paused && live()) timer = setTimeout(() => document.hidden || !getSelection().isCollapsed ? again() : load(), every);
}

// swap replaces what has changed, and keeps focus and scroll position.
function swap(page) {
  const anchor = groups(document).find(g => g.getBoundingClientRect().bottom > 80), top = anchor?.getBoundingClientRect().top;
  const focused = document.activeElement?.closest("details")?.dataset.key, inSummary = document.activeElement?.matches("summary");
  const old = new Map(groups(document).map(g => [g.dataset.key, g]));
  for (const g of groups(page)) {
    if (opened.has(g.dataset.key)) g.open = opened.get(g.dataset.key);
    if (g.open && g.querySelector(".closed") && old.get(g.dataset.key)?.querySelector(".job")) {
      g.querySelector(".body").replaceWith(old.get(g.dataset.key).querySelector(".body"));
    }
  }
  for (const live of document.querySelectorAll("[data-live]")) {
    const next = page.getElementById(live.id);
    if (next) live.replaceWith(document.adoptNode(next));
  }
  for (const link of document.querySelectorAll("a.discover:not([hidden])")) if (discovered.has(link.getAttribute("href"))) unfold(link);
  const find = key => groups(document).find(g => g.dataset.key === key);
  if (inSummary && focused) find(focused)?.querySelector("summary").focus({preventScroll: true});
  const moved = anchor && scrollY > 0 && find(anchor.dataset.key);
  if (moved) scrollBy(0, moved.getBoundingClientRect().top - top);
}

// fill loads the targets of a group that was opened.
async function fill(group) {
  const link = group.querySelector(".closed a");
  if (!link) return;
  try {
    const body = groups(await get(link.href)).find(g => g.dataset.key === group.dataset.key)?.querySelector(".body");
    if (body && group.isConnected) group.querySelector(".body").replaceWith(document.adoptNode(body));
  } catch (error) {
    trouble.textContent = " · the relay does not answer: " + error.message;
  }
}

// unfold shows the discovered labels of a target in a row under it.
async function unfold(link) {
  const address = link.getAttribute("href");
  try {
    if (!discovered.has(address)) discovered.set(address, (await get(address)).querySelector(".discovered"));
  } catch (error) {
    trouble.textContent = " · the relay does not answer: " + error.message;
    return;
  }
  const labels = discovered.get(address);
  if (!labels) return discovered.delete(address);
  const more = document.createElement("tr"), cell = more.insertCell();
  more.className = "says";
  cell.colSpan = link.closest("tr").cells.length;
  cell.append(labels.cloneNode(true));
  link.closest("tbody").append(more);
  link.hidden = true;
}

// seek loads the page for another filter or chip. Its box of monitors that are not selected may open again.
function seek() {
  opened.delete("unselected");
  load();
}

function go(address) {
  history.pushState(null, "", address);
  seek();
}

document.addEventListener("click", event => {
  const at = event.target.closest("a, summary");
  if (!at || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (at.matches("a.discover")) {
    event.preventDefault();
    unfold(at);
  } else if (at.matches("#chips a, #views a")) {
    event.preventDefault();
    const url = new URL(at.href);
    const typed = form.elements.filter.value;
    typed ? url.searchParams.set("filter", typed) : url.searchParams.delete("filter");
    go(url);
  } else if (at.matches("details.group > summary")) {
    opened.set(at.parentElement.dataset.key, !at.parentElement.open);
  }
});
document.addEventListener("toggle", event => {
  if (event.target.matches("details.group") && event.target.open) fill(event.target);
}, true);
addEventListener("popstate", () => {
  if (form) form.elements.filter.value = new URLSearchParams(location.search).get("filter") ?? "";
  load();
});

if (form) {
  let typing;
  const typed = () => {
    const url = new URL(location.href), words = form.elements.filter.value;
    words ? url.searchParams.set("filter", words) : url.searchParams.delete("filter");
    history.replaceState(null, "", url);
    seek();
  };
  form.elements.filter.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(typed, 250); });
  form.addEventListener("submit", event => { event.preventDefault(); clearTimeout(typing); typed(); });
}

function show() {
  if (!live()) return;
  pause.hidden = false;
  pause.textContent = paused ? "Follow" : "Pause";
  document.getElementById("pace").textContent = paused ? " · paused" : ` · every ${every / 1000} s`;
}
pause.addEventListener("click", () => {
  paused = !paused;
  remembered("paused", paused ? "1" : "0");
  show();
  paused ? clearTimeout(timer) : load();
});
// The theme: that of the browser, light, dark.
const themes = ["auto", "light", "dark"];
function dress() {
  const chosen = themes.find(t => t === document.documentElement.dataset.theme) ?? "auto";
  theme.hidden = false;
  theme.textContent = "Theme: " + chosen;
}
theme.addEventListener("click", () => {
  const next = themes[(Math.max(themes.indexOf(document.documentElement.dataset.theme), 0) + 1) % themes.length];
  document.documentElement.dataset.theme = next;
  remembered("theme", next);
  dress();
});
dress();
document.addEventListener("visibilitychange", () => { if (!document.hidden && !paused && live()) load(); });
show();
again();
document.querySelector("nav [aria-current]")?.scrollIntoView({block: "nearest", inline: "center"}); // on a phone the links are one line

// The relabel debugger evaluates while a person types.
const debug = document.getElementById("debug");
if (debug) {
  let typing, last = 0;
  const evaluate = async () => {
    const mine = ++last;
    try {
      const response = await fetch(debug.getAttribute("action"), {method: "POST", body: new URLSearchParams(new FormData(debug))});
      if (!response.ok) throw new Error((await response.text()).slice(0, 200) || response.statusText);
      const next = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("effects");
      if (mine === last) document.getElementById("effects").replaceChildren(...document.adoptNode(next).childNodes);
      trouble.textContent = "";
    } catch (error) {
      if (mine === last) trouble.textContent = " · the relay does not answer: " + error.message;
    }
  };
  debug.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(evaluate, 300); });
  debug.addEventListener("submit", event => { event.preventDefault(); clearTimeout(typing); evaluate(); });
}

// The tap shows samples as they come, until its time or its number of samples is over.
const tap = document.getElementById("tap");
if (tap) {
  const stop = document.getElementById("stop"), samples = document.getElementById("samples"), tapped = document.getElementById("tapped");
  let open;
  const watch = async () => {
    open?.abort();
    const mine = open = new AbortController();
    samples.textContent = "";
    samples.hidden = stop.hidden = false;
    tapped.textContent = "Waiting for samples.";
    try {
      const query = new URLSearchParams([...new FormData(tap)].filter(([, value]) => value));
      const response = await fetch(tap.getAttribute("action") + "?" + query, {signal: mine.signal});
      if (!response.ok) throw new Error((await response.text()).slice(0, 500) || response.statusText);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        tapped.textContent = "Samples are shown as they are sent.";
        samples.append(next.value);
      }
      tapped.textContent = samples.textContent ? "Done." : "Nothing was sent.";
    } catch (error) {
      tapped.textContent = mine.signal.aborted ? "Stopped." : error.message;
    }
    if (mine === open) stop.hidden = true;
  };
  tap.addEventListener("submit", event => { event.preventDefault(); watch(); });
  stop.addEventListener("click", () => open?.abort());
}
