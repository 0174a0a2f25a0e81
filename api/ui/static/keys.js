// @ts-check
// The palette and the keys: go anywhere, find anything by name, act on rows, without a mouse. Nothing happens in fields.

const MORE = [["Failed jobs", "jobs?status=FAILED"], ["Running jobs", "jobs?status=RUNNING"], ["Failed workflows", "workflows?state=FAILED"], ["Submit a job", "submit"], ["New schedule", "schedules/new"], ["Settings", "me"], ["Help", "help"]];
const WHERE = { job: "jobs/", type: "types/", node: "nodes/", pool: "pools/", project: "jobs?q=project:" };

/** @param {string} base the address of the pages */
export function keys(base) {
  let before = "", row = -1;
  const rows = () => /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-rows] tbody tr")]);
  const mark = () => { for (const [number, one] of rows().entries()) one.classList.toggle("current", number === row); rows()[row]?.scrollIntoView({ block: "nearest" }); };
  const parts = /** @type {HTMLAnchorElement[]} */ ([...document.querySelectorAll("nav.side a[data-letter]")]);
  const pages = [...parts.map((one) => [one.textContent?.trim() ?? "", one.href]), ...MORE.map(([name, path]) => [name, base + path])];
  const press = (/** @type {string} */ what) => /** @type {HTMLElement | null} */ (document.querySelector(what))?.click();

  document.addEventListener("keydown", (event) => {
    const at = /** @type {Element} */ (event.target);
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); find?.focus(); find?.select(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || at.matches("input, textarea, select") || document.documentElement.dataset.keys === "off") return;
    const key = event.key;
    if (before === "g") { before = ""; parts.find((one) => one.dataset.letter === key)?.click(); return; }
    if (key === "g") { before = "g"; setTimeout(() => (before = ""), 1500); return; }
    if (key === "/") { event.preventDefault(); find?.focus(); find?.select(); }
    else if (key === "?") location.href = `${base}help`;
    else if (key === "j" || key === "k") { row = Math.max(0, Math.min(rows().length - 1, row + (key === "j" ? 1 : -1))); mark(); }
    else if (key === "x") /** @type {HTMLElement | null} */ (rows()[row]?.querySelector("input[type=checkbox]"))?.click();
    else if (key === "Enter" && row >= 0 && at === document.body) location.href = rows()[row]?.dataset.href ?? location.href;
    else if (key === "p") press("#live-dot");
    else if (key === ".") press("#newer a");
    else if (key === "r") press('form[action$="/requeue"] button');
    else if (key === "c") press('details.ask:has(form[action$="/cancel"]) > summary');
    else if (key === "t") {
      const dark = matchMedia("(prefers-color-scheme: dark)").matches, now = document.documentElement.dataset.theme;
      const next = (now === "system" ? dark : now === "dark") ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      document.cookie = `ganger-theme=${next}; max-age=34560000; path=/; samesite=lax`;
    }
  });

  const find = /** @type {HTMLInputElement | null} */ (document.querySelector("[data-palette]"));
  if (!find) return;
  const list = document.createElement("ul");
  list.id = "palette"; list.className = "palette"; list.setAttribute("role", "listbox"); list.hidden = true;
  list.setAttribute("aria-label", "Go to");
  find.after(list);
  for (const [name, value] of [["role", "combobox"], ["aria-expanded", "false"], ["aria-controls", "palette"], ["aria-autocomplete", "list"]]) find.setAttribute(name, value);
  let timer = 0, chosen = -1, asked = 0;
  const options = () => /** @type {HTMLElement[]} */ ([...list.children]);
  const close = () => { list.hidden = true; chosen = -1; find.setAttribute("aria-expanded", "false"); find.removeAttribute("aria-activedescendant"); };
  const choose = (/** @type {number} */ number) => {
    chosen = number;
    for (const [at, one] of options().entries()) one.setAttribute("aria-selected", String(at === chosen));
    const one = options()[chosen];
    if (one) { find.setAttribute("aria-activedescendant", one.id); one.scrollIntoView({ block: "nearest" }); }
  };
  const fill = (/** @type {{name: string, kind: string, detail: string, href: string}[]} */ found) => {
    list.replaceChildren(...found.map((one, number) => {
      const item = document.createElement("li"), name = document.createElement("bdi"), kind = document.createElement("span");
      item.id = `palette-${number}`; item.setAttribute("role", "option"); item.setAttribute("aria-selected", "false"); item.dataset.href = one.href;
      name.textContent = one.name.slice(0, 80); kind.className = "quiet"; kind.textContent = [one.kind, one.detail].filter(Boolean).join(" · ").slice(0, 60);
      item.append(name, kind);
      item.addEventListener("mousedown", (event) => { event.preventDefault(); location.href = one.href; });
      return item;
    }));
    list.hidden = !found.length; chosen = -1;
    find.setAttribute("aria-expanded", String(!list.hidden));
  };
  async function look() {
    const q = find?.value.trim() ?? "", number = ++asked;
    const here = pages.filter(([name]) => name.toLowerCase().includes(q.toLowerCase())).slice(0, q ? 4 : 20).map(([name, href]) => ({ name, kind: "page", detail: "", href }));
    fill(here);
    if (!q) return;
    try {
      const answer = await fetch(`${base}search?${new URLSearchParams({ q })}`, { credentials: "same-origin" });
      if (!answer.ok || number !== asked) return;
      const found = (await answer.json()).results.map((/** @type {any} */ one) => ({
        name: one.name, kind: one.kind, detail: one.kind === "job" ? `${one.id}, ${one.detail ?? ""}` : one.detail ?? "",
        href: base + WHERE[/** @type {keyof WHERE} */ (one.kind)] + (one.kind === "type" ? one.name.replace(/ ([^ ]*)$/, "/$1").split("/").map(encodeURIComponent).join("/") : encodeURIComponent(one.id)),
      }));
      fill([...found, ...here]);
    } catch { /* the pages are there all the same */ }
  }
  find.addEventListener("focus", () => void look());
  find.addEventListener("input", () => { clearTimeout(timer); timer = window.setTimeout(look, 150); });
  find.addEventListener("blur", () => setTimeout(close, 100));
  find.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { close(); find.blur(); }
    else if (event.key === "ArrowDown") { event.preventDefault(); choose(Math.min(options().length - 1, chosen + 1)); }
    else if (event.key === "ArrowUp") { event.preventDefault(); choose(Math.max(-1, chosen - 1)); }
    else if (event.key === "Enter" && chosen >= 0) { event.preventDefault(); location.href = options()[chosen].dataset.href ?? location.href; }
  });
}
