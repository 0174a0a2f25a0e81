// @ts-check
// The window on a log: lines are fetched a thousand at a time where one looks, about a screen of rows exists, and text is text.

const ROW = 24, BLOCK = 1000, KEPT = 24, TALLEST = 12_000_000, AT_ONCE = 3, AHEAD = 250, AGAIN_MS = 2000;
const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/** A line as pieces of text with classes: SGR colours stay, every other control sequence goes, `\r` leaves what stood last. @param {string} line */
export function pieces(line) {
  line = line.replace(/\r+$/, "");
  const turns = line.split("\r");
  let text = turns[turns.length - 1];
  const cut = text.length > 10_000;
  if (cut) text = text.slice(0, 10_000);
  /** @type {{text: string, cls: string}[]} */
  const made = [];
  let fg = "", bold = false, from = 0;
  const push = (/** @type {string} */ part) => {
    // eslint-disable-next-line no-control-regex
    const shown = part.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, "\ufffd");
    if (shown) made.push({ text: shown, cls: [fg, bold ? "bold" : ""].filter(Boolean).join(" ") });
  };
  // eslint-disable-next-line no-control-regex
  for (const found of text.matchAll(/\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])/g)) {
    push(text.slice(from, found.index));
    from = found.index + found[0].length;
    if (found[2] !== "m") continue;
    const codes = (found[1] || "0").split(";").map(Number);
    for (let i = 0; i < codes.length; i++) {
      const code = codes[i];
      if (code === 0) { fg = ""; bold = false; }
      else if (code === 1) bold = true;
      else if (code === 22) bold = false;
      else if (code >= 30 && code <= 37) fg = `c-${COLOURS[code - 30]}`;
      else if (code >= 90 && code <= 97) fg = `c-${COLOURS[code - 90]}`;
      else if (code === 39) fg = "";
      else if (code === 38 || code === 48) i += codes[i + 1] === 5 ? 2 : 4;
    }
  }
  push(text.slice(from));
  if (turns.length > 2) made.push({ text: ` (folded ${turns.length - 1} updates)`, cls: "folded" });
  if (cut) made.push({ text: " … cut at 10,000 letters", cls: "folded" });
  return made;
}

const LEVELS = ["level", "severity", "levelname", "log.level", "lvl"], MESSAGES = ["message", "msg", "event"], TIMES = ["time", "timestamp", "@timestamp", "ts", "asctime"];
const NUMBERED = new Map([[10, "trace"], [20, "debug"], [30, "info"], [40, "warning"], [50, "error"], [60, "fatal"]]);
const MOST_JSON = 65_536, MOST_VALUE = 200;

/** What a line says that is a JSON object: its time, level and message first, the rest after them; null for every other line. @param {string} line @returns {{text: string, cls: string}[] | null} */
export function folded(line) {
  const text = line.trim();
  if (!text.startsWith("{") || !text.endsWith("}") || text.length > MOST_JSON) return null;
  /** @type {Record<string, unknown>} */ let found;
  try { found = JSON.parse(text); } catch { return null; }
  const rest = new Map(Object.entries(found));
  const take = (/** @type {string[]} */ names) => { const name = names.find((one) => ["string", "number"].includes(typeof rest.get(one))); const value = name === undefined ? undefined : rest.get(name); if (name !== undefined) rest.delete(name); return value; };
  const level = take(LEVELS), message = take(MESSAGES);
  if (level === undefined && message === undefined) return null;
  const at = take(TIMES);
  const word = String(typeof level === "number" ? NUMBERED.get(level) ?? level : level ?? "").toLowerCase();
  const tone = /^(fatal|crit|alert|emerg|panic|err)/.test(word) ? "bad" : /^warn/.test(word) ? "warn" : /^(debug|trace|verbose)/.test(word) ? "quiet" : "run";
  const made = [];
  if (at !== undefined) made.push({ text: `${moment(at)} `, cls: "quiet" });
  if (word) made.push({ text: `${word.slice(0, 12).padEnd(7)} `, cls: `level ${tone}` });
  made.push({ text: String(message ?? "").replaceAll("\n", " ⏎ "), cls: "" });
  for (const [name, value] of rest) made.push({ text: `  ${name}=`, cls: "quiet" }, { text: short(value), cls: "quiet" });
  return made.flatMap((one) => pieces(one.text).map((part) => ({ text: part.text, cls: one.cls })));
}

/** The lines of standard error in a part of both streams, which a header names as runs. @param {Response} answer */
function errorLines(answer) {
  /** @type {Set<number>} */ const found = new Set();
  for (const run of (answer.headers.get("X-Stderr-Lines") ?? "").split(",").filter(Boolean)) {
    const [first, last] = run.split("-").map(Number);
    for (let line = first; line <= last && line < BLOCK; line++) found.add(line);
  }
  return found;
}

/** @param {unknown} at */
function moment(at) {
  const numeric = typeof at === "number" ? at : Number.NaN;
  const when = Number.isNaN(numeric) ? null : new Date(numeric > 1e11 ? numeric : numeric * 1000);
  return when && !Number.isNaN(when.getTime()) ? when.toISOString() : String(at).slice(0, 40);
}

/** @param {unknown} value */
function short(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > MOST_VALUE ? `${text.slice(0, MOST_VALUE)}…` : text;
}

class LogWindow {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.base = root.dataset.base ?? "";
    this.query = root.dataset.query ?? "";
    this.view = /** @type {HTMLElement} */ (root.querySelector(".log-view"));
    this.spacer = /** @type {HTMLElement} */ (root.querySelector(".log-space"));
    this.rows = /** @type {HTMLElement} */ (root.querySelector(".log-rows"));
    this.said = /** @type {HTMLElement} */ (root.querySelector(".log-said"));
    /** @type {number[]} */ this.offsets = [0];
    /** @type {string[]} */ this.times = [];
    this.lines = 0; this.size = 0; this.complete = false; this.finished = false; this.follow = false;
    /** @type {Map<number, Promise<string[]>>} */ this.blocks = new Map();
    /** @type {Map<number, string[]>} */ this.ready = new Map();
    this.marked = [-1, -1];
    /** @type {number[]} */ this.hits = [];
    /** @type {Map<number, Set<number>>} the lines of standard error, by block */ this.errors = new Map();
    this.raw = false; this.hasJson = false;
    this.at = -1; this.drawn = ""; this.loading = 0; this.early = false;
    /** @type {Map<number, {row: HTMLElement, state: string}>} the rows that are there, by line */ this.made = new Map();
  }

  /** The scroll bar's scale: browsers cap the height of an element. */
  get total() {
    const last = this.ready.get(Math.floor(this.lines / BLOCK));
    if (last && this.complete && last.length <= this.lines % BLOCK) return Math.max(1, this.lines);
    return this.lines + (this.size > this.offsets[this.offsets.length - 1] || this.lines === 0 ? 1 : 0);
  }
  get height() { return Math.min(TALLEST, this.total * ROW); }
  /** Pixels of the scroll bar for one of the log: the end of the bar is the end of the log. */
  get scale() { const seen = this.view.clientHeight; return Math.max(1, this.height - seen) / Math.max(1, this.total * ROW - seen); }

  async index() {
    // Of a log that grows, only what is new of the index is asked for: of a million lines all of it is 40 kB.
    const skip = this.times.length;
    const answer = await fetch(`${this.base}/index?${this.query}&skip=${skip}`, { credentials: "same-origin" });
    if (answer.status === 401) { location.reload(); return; }
    if (!answer.ok) { this.said.textContent = "The log cannot be read now."; return; }
    const found = await answer.json();
    const last = this.offsets.length - 1;
    if (found.size_bytes !== this.size) { this.blocks.delete(last); this.ready.delete(last); }
    this.offsets = [...this.offsets.slice(0, skip), ...found.offsets]; this.times = [...this.times, ...found.times];
    if (this.early && this.ready.get(0)?.length === BLOCK) this.early = false;
    this.lines = found.lines; this.size = found.size_bytes; this.complete = found.is_complete; this.finished = found.is_finished;
    this.spacer.setAttribute("height", String(this.height));
    this.spacer.setAttribute("viewBox", `0 0 1 ${Math.max(1, this.height)}`);
    this.said.textContent = this.size ? `${this.lines.toLocaleString("en")} lines, ${this.size < 1048576 ? `${Math.ceil(this.size / 1024)} KiB` : `${(this.size / 1048576).toFixed(1)} MiB`}${this.complete ? "" : " so far"}` : this.finished ? "It printed nothing." : "It has printed nothing yet.";
    this.drawn = "";
    if (this.follow) this.toEnd(); else this.draw();
  }

  /** The first lines, before the index tells where the thousandth ends: the page asks for both while its scripts come. */
  async head() {
    const answer = await fetch(this.root.dataset.head ?? "", { credentials: "same-origin" });
    const errors = errorLines(answer), lines = answer.ok ? (await answer.text()).split("\n").slice(0, -1) : [];
    if (!this.errors.has(0)) this.errors.set(0, errors);
    if (!lines.length || this.ready.has(0)) return;
    const first = lines.slice(0, BLOCK);
    this.early = first.length < BLOCK || this.times.length === 0;
    if (!this.early) this.blocks.set(0, Promise.resolve(first));
    this.ready.set(0, first);
    this.lines = Math.max(this.lines, first.length);
    this.drawn = ""; this.draw();
  }

  /** @param {number} number of a block */
  block(number) {
    let found = this.blocks.get(number);
    if (!found) {
      const start = this.offsets[number], end = this.offsets[number + 1] ?? this.size;
      this.loading += 1;
      found = fetch(`${this.base}/text?${this.query}&offset=${start}&limit=${Math.max(1, end - start)}`, { credentials: "same-origin" })
        .then((answer) => { this.errors.set(number, errorLines(answer)); return answer.ok ? answer.text() : ""; }).then((text) => {
          const lines = text.split("\n");
          if (lines.length && lines[lines.length - 1] === "") lines.pop();
          if (number === 0) this.early = false;
          this.ready.set(number, lines.slice(0, BLOCK));
          if (this.ready.size > KEPT) { const oldest = /** @type {number} */ (this.ready.keys().next().value); this.ready.delete(oldest); this.blocks.delete(oldest); }
          return lines;
        }).catch(() => {
          setTimeout(() => { this.blocks.delete(number); this.drawn = ""; this.draw(); }, AGAIN_MS);
          return /** @type {string[]} */ ([]);
        }).finally(() => { this.loading -= 1; this.drawn = ""; });
      this.blocks.set(number, found);
    }
    return found;
  }

  first() { return Math.max(0, Math.ceil(this.view.scrollTop / this.scale / ROW - 0.01)); }

  draw() {
    const shown = Math.ceil(this.view.clientHeight / ROW) + 2;
    const first = Math.min(this.first(), Math.max(0, this.total - Math.floor(this.view.clientHeight / ROW)));
    const end = Math.min(this.total, first + shown);
    const state = `${first}:${end}:${this.raw}:${this.marked}:${this.at}:${[...this.ready.keys()].join()}`;
    if (state === this.drawn) return;
    this.drawn = state;
    for (const [number, one] of this.made) if (number < first || number >= end) { one.row.remove(); this.made.delete(number); }
    /** @type {Set<number>} */ const wanted = new Set();
    /** @type {Element | null} */ let next = this.rows.firstElementChild;
    for (let number = first; number < end; number++) {
      const block = Math.floor(number / BLOCK), lines = this.ready.get(block);
      if (this.times.length && (!lines || (block === 0 && this.early && number >= lines.length))) wanted.add(block);
      next = this.keep(number, lines ? lines[number % BLOCK] ?? "" : null, next);
    }
    // Somebody who scrolls comes to the next lines before they could be asked for.
    if (!wanted.size) for (const line of [end + AHEAD, first - AHEAD]) if (this.times.length && line >= 0 && line < this.lines && !this.ready.has(Math.floor(line / BLOCK))) wanted.add(Math.floor(line / BLOCK));
    for (const block of wanted) {
      // Whoever drags the bar passes a thousand blocks: only where it rests the lines are asked for.
      if (!this.blocks.has(block) && this.loading >= AT_ONCE) continue;
      void this.block(block).then(() => this.draw());
    }
  }

  /** Leaves the row of a line where it is if it says the same, else makes it anew; returns the row after it. @param {number} number @param {string | null} text @param {Element | null} next */
  keep(number, text, next) {
    const state = `${text === null}:${text?.length}:${this.raw}:${number >= this.marked[0] && number <= this.marked[1]}:${number === this.hits[this.at]}`;
    const found = this.made.get(number);
    if (found && found.state === state) return found.row.nextElementSibling;
    const row = this.row(number, text);
    this.made.set(number, { row, state });
    if (found) found.row.replaceWith(row); else this.rows.insertBefore(row, next);
    return row.nextElementSibling;
  }

  /** @param {number} number @param {string | null} text */
  row(number, text) {
    const row = document.createElement("div");
    row.className = "log-row";
    if (number >= this.marked[0] && number <= this.marked[1]) row.classList.add("marked");
    if (number === this.hits[this.at]) row.classList.add("hit");
    const isError = this.errors.get(Math.floor(number / BLOCK))?.has(number % BLOCK);
    const link = document.createElement("a");
    link.href = `#L${number + 1}`; link.className = "log-number"; link.textContent = String(number + 1);
    const at = this.times[Math.floor(number / BLOCK)];
    if (at) link.title = `printed at or after ${new Date(at).toLocaleString()}`;
    if (isError) { row.classList.add("stderr"); link.title = `standard error${link.title ? `, ${link.title}` : ""}`; const word = document.createElement("span"); word.className = "hidden"; word.textContent = " standard error: "; link.append(word); }
    const line = document.createElement("span");
    line.className = "log-text";
    if (text === null) line.textContent = "…";
    else {
      const made = folded(text);
      if (made && !this.hasJson) { this.hasJson = true; this.root.querySelector("[data-json]")?.removeAttribute("hidden"); }
      if (made && !this.raw) line.title = text.slice(0, 4000);
      for (const piece of made && !this.raw ? made : pieces(text)) line.append(this.piece(piece));
    }
    row.append(link, line);
    return row;
  }

  /** @param {{text: string, cls: string}} piece */
  piece(piece) {
    const span = document.createElement("span");
    if (piece.cls) span.className = piece.cls;
    let from = 0;
    for (const found of piece.text.matchAll(/https?:\/\/[^\s"'<>\ufffd]{3,500}/g)) {
      span.append(piece.text.slice(from, found.index));
      const link = document.createElement("a");
      link.href = found[0]; link.rel = "noreferrer noopener"; link.target = "_blank"; link.textContent = found[0];
      span.append(link);
      from = found.index + found[0].length;
    }
    span.append(piece.text.slice(from));
    return span;
  }

  /** @param {number} number of a line, from 0 */
  to(number) {
    this.view.scrollTop = Math.max(0, (number - 3) * ROW * this.scale);
    this.drawn = ""; this.draw();
  }

  toEnd() { this.view.scrollTop = this.height; this.drawn = ""; this.draw(); }

  mark() {
    const found = /^#L(\d{1,12})(?:-L?(\d{1,12}))?$/.exec(location.hash);
    if (!found) return false;
    this.marked = [Number(found[1]) - 1, Number(found[2] ?? found[1]) - 1];
    this.to(this.marked[0]);
    return true;
  }

  /** @param {string} q @param {boolean} regex */
  async search(q, regex) {
    this.hits = []; this.at = -1;
    const list = /** @type {HTMLElement} */ (this.root.querySelector(".log-hits"));
    list.replaceChildren();
    let offset = 0, line = 0;
    for (let round = 0; q && round < 100; round++) {
      const answer = await fetch(`${this.base}/search?${this.query}&${new URLSearchParams({ q, regex: String(regex), offset: String(offset), line: String(line) })}`, { credentials: "same-origin" });
      if (!answer.ok) { this.said.textContent = answer.status === 400 ? "That is no pattern that can be searched for." : "The log cannot be searched now."; return; }
      const found = await answer.json();
      for (const hit of found.hits) {
        this.hits.push(hit.line);
        if (list.childElementCount < 200) {
          const link = document.createElement("a");
          link.href = `#L${hit.line + 1}`; link.textContent = `${hit.line + 1}: ${pieces(hit.text).map((one) => one.text).join("").slice(0, 160)}`;
          list.append(link);
        }
      }
      this.said.textContent = `${this.hits.length.toLocaleString("en")} lines found`;
      if (found.next_offset === null || this.hits.length >= 10_000) break;
      offset = found.next_offset; line = found.next_line;
    }
    if (this.hits.length) this.next(1);
  }

  /** @param {number} step */
  next(step) {
    if (!this.hits.length) return;
    this.at = (this.at + step + this.hits.length) % this.hits.length;
    this.to(this.hits[this.at]);
    this.said.textContent = `${this.at + 1} of ${this.hits.length.toLocaleString("en")} lines found`;
  }
}

const root = /** @type {HTMLElement | null} */ (document.querySelector("[data-log]"));
if (root) {
  const log = new LogWindow(root);
  const button = /** @type {HTMLButtonElement} */ (root.querySelector("[data-follow]"));
  const follow = (/** @type {boolean} */ on) => { log.follow = on; button.setAttribute("aria-pressed", String(on)); if (on) log.toEnd(); };
  const plain = /** @type {HTMLElement | null} */ (root.querySelector(".log-plain"));
  // The page has the last lines itself: where one begins at the end they stay until the window knows which lines they are.
  const asked = new URLSearchParams(location.search).get("find");
  const beginsAtEnd = root.dataset.end === "1" && !location.hash && !asked;
  const open = () => { if (!plain?.isConnected && !log.view.hidden) return; plain?.remove(); log.view.hidden = false; log.drawn = ""; log.draw(); };
  if (!beginsAtEnd) open();
  let last = 0;
  log.view.addEventListener("scroll", () => {
    if (log.follow && log.view.scrollTop < last - 4) follow(false);
    last = log.view.scrollTop;
    requestAnimationFrame(() => log.draw());
  }, { passive: true });
  button.addEventListener("click", () => follow(!log.follow));
  const json = /** @type {HTMLButtonElement} */ (root.querySelector("[data-json]"));
  json.addEventListener("click", () => { log.raw = !log.raw; json.setAttribute("aria-pressed", String(!log.raw)); log.draw(); });
  const form = /** @type {HTMLFormElement} */ (root.querySelector("form.log-find"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const data = new FormData(form);
    void log.search(String(data.get("find") ?? ""), data.get("regex") === "1");
  });
  window.addEventListener("hashchange", () => log.mark());
  window.addEventListener("resize", () => { log.drawn = ""; log.draw(); });
  document.addEventListener("keydown", (event) => {
    const at = /** @type {Element} */ (event.target);
    if (at.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey || document.documentElement.dataset.keys === "off") return;
    if (event.key === "f") follow(!log.follow);
    if (event.key === "n") log.next(1);
    if (event.key === "N") log.next(-1);
  });
  /** The line that the address names, counted from 0; -1 where it names none. */
  const named = () => Number(/^#L(\d{1,12})/.exec(location.hash)?.[1] ?? 0) - 1;
  const first = async () => {
    if (root.dataset.head) void log.head();
    let isThere = false;
    for (let round = 0; round < 2000; round++) {
      await log.index();
      // What is looked at comes first, and the rest of the index when that is there.
      if (!isThere && named() >= 0 && named() < log.lines) isThere = log.mark();
      if (log.complete) return;
      await Promise.all(log.blocks.values());
    }
  };
  void first().then(() => {
    open();
    if (asked) void log.search(asked, false);
    else if (!log.mark() && beginsAtEnd) log.toEnd();
    if (!log.finished) follow(!location.hash && !asked);
    const again = async () => { if (!document.hidden) await log.index(); if (!log.finished) setTimeout(again, 1000); };
    if (!log.finished) setTimeout(again, 1000);
  });
  // For tests and for whoever measures.
  // @ts-ignore - a name of ours
  window.gangerLog = log;
}
