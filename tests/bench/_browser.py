"""What a reader feels, in Chromium: the window on a log of 100 MB, and a list of jobs under a thousand changes a second."""

from __future__ import annotations

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

JUMPS, WATCH_S, CHANGES_S = 20, 10.0, 0.1
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
WATCHED = """() => {
  window.seen = { patches: 0, long: [] };
  new MutationObserver(() => { window.seen.patches += 1; }).observe(document.getElementById("live"), { childList: true, subtree: true, attributes: true, characterData: true });
  new PerformanceObserver((list) => window.seen.long.push(...list.getEntries().map((one) => one.duration))).observe({ type: "longtask" });
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
        _log(page, url, execution)
        _changes(page, url, change)


def _log(page: Any, url: str, execution: int) -> None:
    began = time.perf_counter()
    page.goto(f"{url}/ui/executions/{execution}/log?stream=stdout#L1")
    page.wait_for_selector(".log-row:has-text('line 0000000')")
    figure(
        "ui", "browser.log.first-lines", (time.perf_counter() - began) * 1000, "ms", budget=300, of="navigation to text"
    )
    page.wait_for_function("gangerLog.complete")
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


def _changes(page: Any, url: str, change: Callable[[], None]) -> None:
    page.goto(f"{url}/ui/jobs")
    page.wait_for_selector("#live tr")
    page.evaluate(WATCHED)
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(CHANGES_S):
            change()

    changing = threading.Thread(target=go_on)
    changing.start()
    page.wait_for_timeout(WATCH_S * 1000)
    ended.set()
    changing.join()
    seen = page.evaluate("window.seen")
    figure("ui", "browser.patches", seen["patches"] / WATCH_S, "a second", budget=1, changes="1,000 a second")
    figure("ui", "browser.longest-task", max(seen["long"], default=0), "ms", budget=100, n=len(seen["long"]))


@contextmanager
def _served(api: Api) -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, api.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
