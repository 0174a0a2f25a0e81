"""What a reader feels, in Chromium: the window on a log of 100 MB, and a list of jobs under a thousand changes a second."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.serving import make_server

from tests.bench.figures import figure, quantile
from tests.support import chromium
from tests.support.api import Api

OPENINGS, JUMPS, WATCH_S, CHANGES_S = 5, 20, 10.0, 0.1
TRACED = ["devtools.timeline", "toplevel"]
TASK = "ThreadControllerImpl::RunTask"

FIRST_ROW = """new MutationObserver((_, observer) => {
  if (![...document.querySelectorAll(".log-row")].some((row) => row.textContent.includes("line 0"))) return;
  window.firstRow = performance.now();
  observer.disconnect();
}).observe(document, { childList: true, subtree: true })"""
# The page's policy lets nothing be evaluated that is awaited with wait_for_function: a loop of ours waits within the page.
WHEN = "async () => { while (!(%s)) await new Promise((again) => setTimeout(again, 10)); return %s; }"
FRAMES = """async () => {
  const view = gangerLog.view, took = [];
  let last = await new Promise(requestAnimationFrame);
  for (let n = 0; n < 120; n++) {
    view.scrollTop += 240;
    const now = await new Promise(requestAnimationFrame);
    took.push(now - last); last = now;
  }
  return took;
}"""
JUMP = """async (line) => {
  const began = performance.now();
  gangerLog.to(line);
  while (!gangerLog.rows.textContent.includes(`line ${String(line).padStart(7, "0")} `)) await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""


def measure(api: Api, execution: int, change: Callable[[], None]) -> None:
    """Print the figures, or why there are none."""
    lacking = chromium.missing()
    if lacking is not None:
        sys.stderr.write(f"ui: nothing was measured in a browser: {lacking}\n")
        return
    api.post("/jobs/", [{"command": ["true"], "held": True, "name": f"job {n}"} for n in range(1_000)])
    with _served(api) as url, chromium.launched() as browser:
        page = browser.new_context(viewport={"width": 1360, "height": 900}).new_page()
        page.goto(f"{url}/ui/login")
        page.fill("#token", api.secrets["admin"])
        page.click("text=Sign in")
        page.wait_for_url("**/ui/")
        _opened(browser, page, url, execution)
        _log(page, url, execution)
        _changes(browser, page, url, change)


def _opened(browser: Any, page: Any, url: str, execution: int) -> None:
    """From the request for the page to the first line in it, by the browser's own clock; and what its main thread has done for that."""
    page.add_init_script(FIRST_ROW)
    took, busy = [], []
    for _ in range(OPENINGS):
        page.goto("about:blank")
        with _traced(browser, page) as tasks:
            page.goto(f"{url}/ui/executions/{execution}/log?stream=stdout")
            took.append(page.evaluate(WHEN % ("window.firstRow", "window.firstRow")))
        busy.append(sum(cpu for _, cpu in tasks))
    figure("ui", "browser.log.first-lines", quantile(took, 0.5), "ms", budget=300, most=round(max(took)), cpu=round(quantile(busy, 0.5)),
           of="navigation to text")  # fmt: skip


def _log(page: Any, url: str, execution: int) -> None:
    page.goto(f"{url}/ui/executions/{execution}/log?stream=stdout")
    page.evaluate(WHEN % ("window.gangerLog?.complete", "true"))
    jumps = [page.evaluate(JUMP, n * 48_611 % 999_000) for n in range(1, JUMPS + 1)]
    figure("ui", "browser.log.jump.p95", quantile(jumps, 0.95), "ms", budget=200, p50=round(quantile(jumps, 0.5)))
    page.evaluate(JUMP, 500_000)
    frames = page.evaluate(FRAMES)
    figure("ui", "browser.log.frame.p99", quantile(frames, 0.99), "ms", budget=80, p50=round(quantile(frames, 0.5), 1))
    heap = page.evaluate("performance.memory ? performance.memory.usedJSHeapSize : 0")
    figure("ui", "browser.log.heap", heap / 1e6, "MB", budget=80, rows=page.locator(".log-row").count())
    began = time.perf_counter()
    page.fill("#find-log", "a needle")
    page.keyboard.press("Enter")
    page.wait_for_selector(".log-row.hit:has-text('a needle')")
    figure("ui", "browser.log.search-to-hit", (time.perf_counter() - began) * 1000, "ms", of="100 MB, at its end")


def _changes(browser: Any, page: Any, url: str, change: Callable[[], None]) -> None:
    page.goto(f"{url}/ui/jobs")
    page.wait_for_selector("#live tr")
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(CHANGES_S):
            change()

    changing = threading.Thread(target=go_on)
    changing.start()
    page.evaluate(WHEN % ("gangerLive.patches", "true"))
    before, began = page.evaluate("gangerLive.patches"), time.perf_counter()
    with _traced(browser, page) as tasks:
        page.wait_for_timeout(WATCH_S * 1000)
        patches = page.evaluate("gangerLive.patches") - before
    rate = patches / (time.perf_counter() - began)
    ended.set()
    changing.join()
    figure("ui", "browser.patches", rate, "a second", budget=1, changes="1,000 a second", n=patches)
    figure("ui", "browser.longest-task", max(took for took, _ in tasks), "ms", budget=100,
           cpu=round(max(cpu for _, cpu in tasks)), over_100=sum(took > 100 for took, _ in tasks))  # fmt: skip


@contextmanager
def _traced(browser: Any, page: Any) -> Iterator[list[tuple[float, float]]]:
    """Fill a list with the tasks of the page's main thread: how long each took, and how much of that it was given the CPU, in milliseconds."""
    tasks = list[tuple[float, float]]()
    browser.start_tracing(page=page, categories=TRACED)
    yield tasks
    events = json.loads(browser.stop_tracing())["traceEvents"]
    pages = {
        (one["pid"], one["tid"])
        for one in events
        if one["name"] == "thread_name" and one["args"]["name"] == "CrRendererMain"
    }
    tasks += [
        (one["dur"] / 1000, one.get("tdur", 0) / 1000)
        for one in events
        if one["name"] == TASK and "dur" in one and (one["pid"], one["tid"]) in pages
    ]


@contextmanager
def _served(api: Api) -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, api.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
