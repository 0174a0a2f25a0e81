// @ts-check
// The live store: one stream a browser brings the live parts of all its tabs. The tab that has the lock holds the stream and tells
// the others; a part is put into the page without touching what is in use. Where no stream comes, the part is asked for instead.

const FIRST_BYTE_MS = 10_000, POLL_MS = 5_000, AGAIN_MS = 2_000;
const ROWS = "[data-rows] > tbody > tr[id]";

/** Tells whether something within is in use: a menu that is open, a field with the focus. @param {Element} within */
export function inUse(within) {
  const at = document.activeElement;
  if (within.querySelector("details.menu[open]")) return true;
  return at !== null && within.contains(at) && at.matches("input:not([type=checkbox]), select, textarea");
}

/** The newest text of a list that was held back, since its rows would have jumped. */
let heldBack = "";

/** Tells whether rows of a list must stay where they are: one is ticked or marked by keys, or one has scrolled. @param {Element} part */
const isRead = (part) => scrollY > 60 || part.querySelector("input[name=job_id]:checked, tr.current") !== null;

/**
 * Keeps the rows of a list that is being read: those that are there are renewed, those that left are greyed, new ones are only counted.
 * Tells whether the new text is held back.
 * @param {Element} part @param {Element} fresh the new part @param {string} text
 */
function keepRows(part, fresh, text) {
  const chip = /** @type {HTMLElement | null} */ (document.getElementById("newer"));
  const rows = [...part.querySelectorAll(ROWS)];
  if (!chip || !rows.length) return false;
  const body = fresh.querySelector("[data-rows] > tbody");
  const found = new Map([...fresh.querySelectorAll(ROWS)].map((one) => [one.id, one]));
  const here = new Set(rows.map((one) => one.id));
  const newer = [...found.keys()].filter((id) => !here.has(id)).length;
  const held = newer > 0 && body !== null && isRead(part);
  chip.hidden = !held;
  heldBack = held ? text : "";
  if (!held) return false;
  /** @type {HTMLElement} */ (chip.querySelector(".said")).textContent = `${newer}${newer === found.size ? " or more" : ""} ${chip.dataset.words ?? "newer"}`;
  body.replaceChildren(...rows.map((one) => {
    const again = found.get(one.id);
    if (again) return again;
    const gone = /** @type {Element} */ (document.importNode(one, true));
    gone.classList.add("gone");
    return gone;
  }));
  return true;
}

/**
 * Renews a list row by row and cell by cell: what says the same is left alone, and nothing of it is laid out anew.
 * False where more than its rows is different, or there is no list in one of the two.
 * @param {Element} part @param {Element} fresh the new part; its rows are taken out of it
 */
function putRows(part, fresh) {
  const old = part.querySelector("[data-rows] > tbody"), now = fresh.querySelector("[data-rows] > tbody");
  if (!old || !now) return false;
  const here = new Map([...old.children].map((one) => [one.id, one]));
  const wanted = [...now.children];
  if (here.has("") || wanted.some((one) => !one.id)) return false;
  now.replaceChildren();
  const frame = /** @type {Element} */ (part.cloneNode(false));
  frame.append(...[...part.childNodes].map((one) => one.contains(old) ? without(one, old) : one.cloneNode(true)));
  if (frame.innerHTML !== fresh.innerHTML) { now.replaceChildren(...wanted); return false; }
  let next = old.firstElementChild;
  for (const row of wanted) {
    const found = here.get(row.id);
    here.delete(row.id);
    if (found) putCells(found, row);
    const placed = found ?? document.adoptNode(row);
    if (placed === next) next = next.nextElementSibling; else old.insertBefore(placed, next);
  }
  for (const left of here.values()) left.remove();
  return true;
}

/** A copy of a node in which one element within it is empty. @param {Node} node @param {Element} emptied */
function without(node, emptied) {
  const copy = node.cloneNode(false);
  if (node !== emptied) for (const one of node.childNodes) copy.appendChild(one.contains(emptied) ? without(one, emptied) : one.cloneNode(true));
  return copy;
}

/** @param {Element} row @param {Element} fresh */
function putCells(row, fresh) {
  row.classList.toggle("gone", fresh.classList.contains("gone"));
  const cells = [...fresh.children];
  if (cells.length !== row.children.length) { row.replaceChildren(...cells.map((one) => document.adoptNode(one))); return; }
  for (const [n, cell] of [...row.children].entries()) if (!cell.querySelector("input, details[open]")) renew(cell, cells[n]);
}

/** Makes a node say what another says, by as little as that takes. @param {Node} old @param {Node} now */
function renew(old, now) {
  if (old.isEqualNode(now)) return;
  if (old instanceof Text && now.nodeType === Node.TEXT_NODE) { old.data = now.textContent ?? ""; return; }
  const alike = old instanceof Element && old.nodeName === now.nodeName && old.childNodes.length === now.childNodes.length;
  if (!alike) { old.parentNode?.replaceChild(document.adoptNode(now), old); return; }
  const fresh = /** @type {Element} */ (now);
  for (const one of old.getAttributeNames()) if (!fresh.hasAttribute(one)) old.removeAttribute(one);
  for (const one of fresh.getAttributeNames()) if (old.getAttribute(one) !== fresh.getAttribute(one)) old.setAttribute(one, fresh.getAttribute(one) ?? "");
  const after = [...fresh.childNodes];
  for (const [n, child] of [...old.childNodes].entries()) renew(child, after[n]);
}

/** Puts a new text of the live part into the page: elements that stay are the same elements. @param {Element} part @param {string} text @param {boolean} all also rows that are new */
export async function put(part, text, all = false) {
  const fresh = new DOMParser().parseFromString(text, "text/html").body;
  const isHeld = !all && keepRows(part, fresh, text);
  if (!putRows(part, fresh)) await swap(part, isHeld ? fresh.innerHTML : text);
  document.dispatchEvent(new CustomEvent("ganger:renewed"));
}

/** Puts a part into the page as a whole. @param {Element} part @param {string} text */
async function swap(part, text) {
  const ticked = new Set([...part.querySelectorAll("input[type=checkbox]:checked")].map((one) => /** @type {HTMLInputElement} */ (one).value));
  const open = [...part.querySelectorAll("details[open][id]")].map((one) => one.id);
  const scrolled = /** @type {[Element, number, number][]} */ ([...part.querySelectorAll(".scroll, pre")].map((one) => [one, one.scrollLeft, one.scrollTop]));
  // @ts-ignore - htmx is a script of its own
  await window.htmx.swap({ text, target: part, swap: "innerMorph", sourceElement: part });
  for (const one of /** @type {NodeListOf<HTMLInputElement>} */ (part.querySelectorAll("input[type=checkbox]"))) one.checked = ticked.has(one.value);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  for (const [one, x, y] of scrolled) { one.scrollLeft = x; one.scrollTop = y; }
}

/** @param {HTMLElement} _root @param {() => number} _now */
export function begin(_root, _now) {
  const part = document.querySelector("[data-live]");
  const dot = document.getElementById("live-dot");
  if (!part || !dot) return;
  const own = location.pathname + location.search;
  const me = crypto.randomUUID();
  const channel = new BroadcastChannel("ganger-live");
  /** @type {Map<string, {view: string, seen: number}>} the views that tabs show */
  const tabs = new Map();
  let paused = false, timer = 0, tag = "", leads = false, waiting = "";
  /** @type {EventSource | null} */ let source = null;
  let shown = "";
  const stat = { patches: 0 };
  // For tests and for whoever measures.
  // @ts-ignore - a name of ours
  window.gangerLive = stat;

  const show = (/** @type {string} */ state, /** @type {string} */ word) => {
    dot.dataset.state = state;
    /** @type {HTMLElement} */ (dot.querySelector(".word")).textContent = word;
    dot.setAttribute("aria-pressed", String(paused));
  };

  async function take(/** @type {string} */ html) {
    if (paused || document.hidden) { waiting = html; return; }
    if (inUse(/** @type {Element} */ (part))) { waiting = html; setTimeout(() => { if (waiting) { const text = waiting; waiting = ""; void take(text); } }, 1000); return; }
    waiting = "";
    stat.patches += 1;
    await put(/** @type {Element} */ (part), html);
  }

  async function poll() {
    clearTimeout(timer);
    try {
      const answer = await fetch(own, { headers: { "X-Ganger-Part": "live", ...(tag ? { "If-None-Match": tag } : {}) }, credentials: "same-origin", cache: "no-store" });
      if (answer.status === 401) { location.reload(); return; }
      if (answer.status === 200) { tag = answer.headers.get("ETag") ?? ""; await take(await answer.text()); }
      show("polling", "Polling");
    } catch { show("cut", "Offline"); }
    if (!source && !paused && !document.hidden) timer = window.setTimeout(poll, POLL_MS);
  }

  function open() {
    const views = [...new Set([...tabs.values()].map((one) => one.view))].slice(0, 8);
    const wanted = `/ui/live?${new URLSearchParams(views.map((view) => ["view", view]))}`;
    if (source && wanted === shown) return;
    source?.close(); source = null; shown = wanted;
    if (!views.length) return;
    const opened = source = new EventSource((document.body.dataset.root ?? "/ui/").replace(/\/ui\/$/, "") + wanted);
    const late = setTimeout(() => { if (source === opened) { opened.close(); source = null; shown = ""; void poll(); } }, FIRST_BYTE_MS);
    opened.onmessage = (event) => {
      clearTimeout(late);
      const told = JSON.parse(event.data);
      channel.postMessage({ kind: "part", view: told.view, html: told.html });
      if (told.view === own) { show("live", "Live"); void take(told.html); }
    };
    opened.onopen = () => { clearTimeout(late); show(paused ? "paused" : "live", paused ? "Paused" : "Live"); channel.postMessage({ kind: "live" }); };
    opened.onerror = () => {
      clearTimeout(late);
      show("cut", "Offline");
      if (opened.readyState === EventSource.CLOSED) { source = null; shown = ""; setTimeout(() => { if (leads) { void poll(); open(); } }, AGAIN_MS); }
    };
  }

  const say = () => channel.postMessage({ kind: "tab", id: me, view: document.hidden || paused ? "" : own });
  channel.onmessage = (event) => {
    const told = event.data;
    if (told.kind === "part" && told.view === own) { show("live", "Live"); void take(told.html); }
    if (told.kind === "live" && !paused) show("live", "Live");
    if (told.kind === "who") say();
    if (told.kind === "tab" && leads) { if (told.view) tabs.set(told.id, { view: told.view, seen: Date.now() }); else tabs.delete(told.id); open(); }
  };

  function lead() {
    leads = true;
    tabs.set(me, { view: own, seen: Date.now() });
    if (document.hidden || paused) tabs.delete(me);
    channel.postMessage({ kind: "who" });
    open();
    return new Promise(() => {});
  }

  function tell() {
    if (leads) { if (document.hidden || paused) tabs.delete(me); else tabs.set(me, { view: own, seen: Date.now() }); open(); } else say();
  }

  document.querySelector("#newer a")?.addEventListener("click", (event) => {
    if (!heldBack) return;
    event.preventDefault();
    scrollTo(0, 0);
    for (const one of part.querySelectorAll("tr.current")) one.classList.remove("current");
    const text = heldBack;
    heldBack = "";
    /** @type {HTMLElement} */ (document.getElementById("newer")).hidden = true;
    void put(part, text, true);
  });
  dot.hidden = false;
  show("live", "Live");
  dot.addEventListener("click", () => {
    paused = !paused;
    show(paused ? "paused" : "live", paused ? "Paused" : "Live");
    tell();
    if (!paused && waiting) { const text = waiting; waiting = ""; void take(text); }
  });
  document.addEventListener("visibilitychange", () => { tell(); if (!document.hidden && waiting) { const text = waiting; waiting = ""; void take(text); } });
  window.addEventListener("pagehide", () => { if (!leads) channel.postMessage({ kind: "tab", id: me, view: "" }); source?.close(); });
  if (navigator.locks) void navigator.locks.request("ganger-live", lead); else void lead();
  say();
}
