// @ts-check
// The live part of a page: asked for again while it is looked at, and put into the page without touching what is in use.

const EVERY_MS = 2000;
const AFTER_FAULT_MS = 5000;

/** Tells whether something within is in use: a menu that is open, a field with the focus. @param {Element} within */
export function inUse(within) {
  const at = document.activeElement;
  if (within.querySelector("details.menu[open]")) return true;
  return at !== null && within.contains(at) && at.matches("input, select, textarea");
}

/** @param {HTMLElement} root @param {() => number} _now */
export function begin(root, _now) {
  const part = document.querySelector("[data-live]");
  const dot = document.getElementById("live-dot");
  if (!part || !dot) return;
  let paused = false, tag = "", timer = 0;
  dot.hidden = false;
  const show = (/** @type {string} */ state, /** @type {string} */ word) => {
    dot.dataset.state = state;
    /** @type {HTMLElement} */ (dot.querySelector(".word")).textContent = word;
    dot.setAttribute("aria-pressed", String(paused));
  };
  const later = (/** @type {number} */ ms) => { clearTimeout(timer); if (!paused && !document.hidden) timer = window.setTimeout(ask, ms); };
  async function ask() {
    try {
      const headers = { "X-Ganger-Part": "live", ...(tag ? { "If-None-Match": tag } : {}) };
      const answer = await fetch(location.href, { headers, credentials: "same-origin", cache: "no-store" });
      if (answer.status === 401) { location.reload(); return; }
      if (answer.status === 200 && !inUse(/** @type {Element} */ (part))) {
        tag = answer.headers.get("ETag") ?? "";
        await put(/** @type {Element} */ (part), await answer.text());
      }
      show("live", "Live");
      later(answer.ok || answer.status === 304 ? EVERY_MS : AFTER_FAULT_MS);
    } catch {
      show("cut", "Offline");
      later(AFTER_FAULT_MS);
    }
  }
  dot.addEventListener("click", () => {
    paused = !paused;
    show(paused ? "paused" : "live", paused ? "Paused" : "Live");
    if (paused) clearTimeout(timer); else void ask();
  });
  document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(timer); else if (!paused) void ask(); });
  show("live", "Live");
  later(EVERY_MS);
}

/** Puts a new text of the live part into the page: elements that stay are the same elements. @param {Element} part @param {string} text */
export async function put(part, text) {
  const scrolled = [...part.querySelectorAll(".scroll, pre")].map((one) => [one, one.scrollLeft, one.scrollTop]);
  // @ts-ignore - htmx is a script of its own
  await window.htmx.swap({ text, target: part, swap: "innerMorph", sourceElement: part });
  for (const [one, x, y] of /** @type {[Element, number, number][]} */ (scrolled)) { one.scrollLeft = x; one.scrollTop = y; }
}
