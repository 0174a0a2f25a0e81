// @ts-check
// What every page needs: signing in by a one-time code, times that go on, menus that close, selects that send their form,
// copying, and the session's word in forms of parts that were renewed.
import { keys } from "./keys.js";
import { begin } from "./live.js";

const root = document.documentElement;
const body = document.body;
const offset = Date.parse(body.dataset.now ?? "") - Date.now();

/** The server's time now: clocks of viewers are wrong. */
const now = () => Date.now() + offset;

/** @param {number} s seconds */
function duration(s) {
  if (s < 10) return `${Math.max(0, s).toFixed(1)}\u202fs`;
  const whole = Math.floor(s);
  for (const [size, unit, smaller, below] of /** @type {[number, string, number, string][]} */ ([
    [86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"],
  ])) {
    if (whole >= size) {
      const rest = Math.floor((whole % size) / smaller);
      return `${Math.floor(whole / size)}\u202f${unit}${rest ? ` ${rest}\u202f${below}` : ""}`;
    }
  }
  return `${whole}\u202fs`;
}

/** Writes relative times anew; the element keeps its size, as figures are of one width. */
function tick() {
  if (document.hidden) return;
  for (const one of document.querySelectorAll("time[data-ago]")) {
    const s = (now() - Date.parse(one.getAttribute("datetime") ?? "")) / 1000;
    one.textContent = Math.abs(s) < 1 ? "now" : s > 0 ? `${duration(s).replace(/^(\d+)\.\d/, "$1")} ago` : `in ${duration(-s).replace(/^(\d+)\.\d/, "$1")}`;
  }
  for (const one of document.querySelectorAll("[data-since]")) {
    one.textContent = duration((now() - Date.parse(/** @type {HTMLElement} */ (one).dataset.since ?? "")) / 1000).replace(/^(\d+)\.\d/, "$1");
  }
}

function signIn() {
  const form = /** @type {HTMLFormElement | null} */ (document.getElementById("login"));
  if (!form) return;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !document.cookie.includes("ganger-zone=")) document.cookie = `ganger-zone=${zone}; max-age=34560000; path=/; samesite=lax`;
  if (location.hash.length > 8) {
    const code = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, "", location.pathname + location.search);
    document.getElementById("signing")?.removeAttribute("hidden");
    /** @type {HTMLInputElement} */ (form.elements.namedItem("token")).value = code;
    form.submit();
  }
}

document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const word = /** @type {HTMLInputElement | null} */ (form.elements.namedItem("csrf"));
  if (word && body.dataset.csrf) word.value = body.dataset.csrf;
  if (form.method === "post") for (const one of form.querySelectorAll("button")) setTimeout(() => (one.disabled = true), 0);
}, true);

window.addEventListener("pageshow", () => { for (const one of document.querySelectorAll("form[method=post] button:disabled")) one.removeAttribute("disabled"); });

document.addEventListener("click", (event) => {
  const at = /** @type {Element} */ (event.target);
  for (const one of document.querySelectorAll("details.menu[open]")) if (!one.contains(at)) one.removeAttribute("open");
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.menu[open]");
  if (open) { open.removeAttribute("open"); /** @type {HTMLElement | null} */ (open.querySelector("summary"))?.focus(); }
});

document.addEventListener("toggle", (event) => {
  const at = /** @type {HTMLDetailsElement} */ (event.target);
  if (at.matches?.("details.menu") && at.open) /** @type {HTMLElement | null} */ (at.querySelector("input:not([type=hidden])"))?.focus();
}, true);

document.addEventListener("change", (event) => {
  const at = /** @type {HTMLElement} */ (event.target);
  if (at.matches("select[data-submit]")) at.closest("form")?.requestSubmit();
});

/** The answer beside the button of a new job: asked for half a second after the last key. */
function tryWhileTyping() {
  const form = /** @type {HTMLFormElement | null} */ (document.getElementById("submit-form"));
  const place = document.getElementById("tried");
  if (!form || !place) return;
  let timer = 0, asked = 0;
  const ask = async () => {
    const number = ++asked;
    const data = new FormData(form);
    data.set("try", "1");
    data.set("csrf", body.dataset.csrf ?? "");
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(/** @type {any} */ (data)), credentials: "same-origin" });
      const text = await answer.text();
      // @ts-ignore - htmx is a script of its own
      if (number === asked && answer.ok) await window.htmx.swap({ text, target: place, swap: "innerHTML", sourceElement: place });
    } catch { /* the next key asks again */ }
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = window.setTimeout(ask, 500); });
  if (new FormData(form).get("command") || form.querySelector('[name^="in."]')) void ask();
}

/** The bar above the jobs: acts on the ticked ones, else on all that match. */
function bulk() {
  const bar = document.getElementById("bulk-bar");
  if (!bar) return;
  const count = () => {
    const ticked = [...document.querySelectorAll("input[name=job_id]:checked")].map((one) => /** @type {HTMLInputElement} */ (one).value);
    for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (bar.querySelectorAll("a[data-all]"))) {
      const to = new URL(/** @type {string} */ (link.dataset.all), location.href);
      if (ticked.length) { to.search = ""; for (const id of ticked) to.searchParams.append("job_id", id); }
      link.href = to.href;
    }
    for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=job_id]"))) box.closest("tr")?.classList.toggle("chosen", box.checked);
    /** @type {HTMLElement} */ (bar.querySelector(".said")).textContent = ticked.length ? `${ticked.length} ticked:` : bar.dataset.all ?? "";
    bar.classList.toggle("some", ticked.length > 0);
  };
  document.addEventListener("change", (event) => { if (/** @type {Element} */ (event.target).matches("input[name=job_id]")) count(); });
  document.addEventListener("ganger:renewed", count);
  count();
}

// On a phone the parts stand in one line that is wider than the screen: the one that is shown is to be seen.
document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
tryWhileTyping();
signIn();
setInterval(tick, 1000);
keys(body.dataset.root ?? "/ui/");
begin(root, now);
bulk();
