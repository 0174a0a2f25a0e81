"""The page in a real browser, on a real installation: seen by everybody, live, quick, and used without a mouse."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import chromium
from tests.support.installation import Installation

browser = chromium.browser  # pytest finds it here
AXE = Path(__file__).parents[1] / "support" / "vendor" / "axe.min.js"
EVIL = "<img src=x onerror=document.title='evil'>\"'"

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def jobs(browser: Any, installation: Installation) -> dict[str, int]:
    """Jobs of several kinds; the first has a log of 100,000 lines."""
    made = {
        "long": installation.submit(
            "sh", "-c", 'seq -f "line %g of a long log" 100000; printf "1%%\\r50%%\\r100%%\\n\\033[31mred\\033[0m\\n"'
        ),
        "failed": installation.submit("sh", "-c", "echo about to fail; exit 3", name="it fails"),
        "evil": installation.submit(
            "sh", "-c", f'echo "{EVIL.replace(chr(34), "")}"', name=EVIL, labels={"run": EVIL[:40]}
        ),
        "gpu": installation.submit("sleep", "600", name="needs a gpu", resources={"gpu": 1}),
        "running": installation.submit("sleep", "600", name="it runs"),
    }
    for name, status in (("long", "COMPLETED"), ("failed", "FAILED"), ("evil", "COMPLETED"), ("running", "RUNNING")):
        installation.wait(made[name], status)
    workflow = {"jobs": {"long": {"command": ["sleep", "600"]}, "next": {"command": ["true"], "needs": ["long"]}}}
    made["workflow"] = installation.api.post("/workflows/", json={"definition": workflow}).json()["id"]
    nightly = {"name": "nightly", "cron": "@daily", "zone": "UTC", "job": {"command": ["true"]}}
    made["schedule"] = installation.api.post("/schedules/", json=nightly).json()["id"]
    return made


@pytest.fixture
def page(browser: Any, installation: Installation, jobs: dict[str, int]) -> Iterator[Any]:
    made = chromium.signed_in(browser, installation)
    yield made
    made.context.close()


def addresses(jobs: dict[str, int]) -> list[str]:
    single = [f"jobs/{jobs[name]}" for name in ("failed", "gpu", "evil")]
    return ["", "jobs", "queue", "types", "errors", "nodes", "nodes/1", "pools", "pools/default", "operations", "admin", "audit", "submit", "workflows", "schedules", "schedules/new", f"schedules/{jobs['schedule']}", "data-sets", f"workflows/{jobs['workflow']}",
            "me", "help", "executions/1/log", "bulk/cancel?q=status:queued", *single]  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.timeout(240)
def test_every_page_is_without_serious_faults_for_whoever_cannot_see_it_well(
    browser: Any, installation: Installation, jobs: dict[str, int], theme: str
) -> None:
    page = chromium.signed_in(browser, installation, color_scheme=theme, bypass_csp=False)
    found = []
    for address in addresses(jobs):
        page.goto(f"{installation.ready['url']}/ui/{address}")
        page.evaluate(AXE.read_text())  # by the debugger: the page's own policy stays as it is
        told = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']})")
        found += [
            (address, one["id"], one["nodes"][0]["html"][:160])
            for one in told["violations"]
            if one["impact"] in {"serious", "critical"}
        ]
    page.context.close()
    assert not found
    assert not page.troubles


def test_new_jobs_come_by_themselves_but_are_only_counted_while_one_is_ticked(
    page: Any, installation: Installation
) -> None:
    page.goto(f"{installation.ready['url']}/ui/jobs")
    page.fill("#q", "half a word")
    made = installation.submit("true", name="it comes by itself")
    page.wait_for_selector(f"#job-{made}", timeout=20_000)
    box = page.locator("input[name=job_id]").first
    box.check()
    shown = page.eval_on_selector_all("tr[data-href]", "rows => rows.map(row => row.id)")
    later = [installation.submit("true", name="it waits to be asked for") for _ in range(2)]
    page.wait_for_selector("#newer:not([hidden]) a:has-text('2 newer')", timeout=20_000)
    assert page.eval_on_selector_all("tr[data-href]", "rows => rows.map(row => row.id)") == shown
    assert page.is_checked(f"input[value='{made}']")
    page.focus("main")
    page.keyboard.press(".")
    page.wait_for_selector(f"#job-{later[1]}")
    assert page.is_hidden("#newer")
    assert page.is_checked(f"input[value='{made}']")
    assert page.input_value("#q") == "half a word"
    assert not page.troubles


def test_a_workflow_is_followed_in_its_drawing_and_entered_with_keys(page: Any, installation: Installation) -> None:
    text = 'jobs: {first: {command: ["true"]}, second: {command: [sh, -c, exit 3], needs: [first], max_tries: 1}}'
    made = installation.api.post("/workflows/", json={"definition": text, "name": "two steps"}).json()
    page.goto(f"{installation.ready['url']}/ui/workflows/{made['id']}")
    page.wait_for_selector("#graph .box.bad", timeout=60_000)
    page.wait_for_selector("#h-culprit:has-text('second failed first')")
    page.focus("#box-2")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/jobs/*")
    assert "Program failed" in page.inner_text("main")
    assert not page.troubles


def test_a_failed_job_is_found_read_and_run_again_with_keys_alone(
    page: Any, installation: Installation, jobs: dict[str, int]
) -> None:
    page.keyboard.press("/")
    page.keyboard.type("it fails")
    page.wait_for_selector("#palette li:has-text('it fails')")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/ui/jobs/{jobs['failed']}")
    assert "about to fail" in page.inner_text("#log")
    page.keyboard.press("r")
    page.wait_for_url("**done=requeue")
    assert installation.wait(jobs["failed"], "FAILED")["round"] >= 1


def test_every_part_of_the_page_is_gone_to_by_its_letter_and_found_by_its_name(
    page: Any, installation: Installation
) -> None:
    page.goto(f"{installation.ready['url']}/ui/")
    every = "nav.side a[data-letter]"
    parts = page.eval_on_selector_all(
        every, "all => all.map(one => [one.dataset.letter, one.href, one.textContent.trim()])"
    )
    assert len({letter for letter, _, _ in parts}) == len(parts) >= 12
    page.goto(f"{installation.ready['url']}/ui/help")
    told = page.inner_text("section[aria-labelledby=h-keys]").split()
    for letter, address, title in parts:
        page.keyboard.press("g")
        page.keyboard.press(letter)
        page.wait_for_url(address)
        assert letter in told
        page.keyboard.press("/")
        page.keyboard.type(title)
        page.wait_for_selector(f"#palette li:has-text('{title}')")
        page.keyboard.press("Escape")
    assert not page.troubles


def test_many_are_cancelled_after_a_look_at_them_and_that_is_undone(page: Any, installation: Installation) -> None:
    made = [installation.submit("true", name=f"wanted {n}", held=True, labels={"own": "undone"}) for n in range(3)]
    page.goto(f"{installation.ready['url']}/ui/jobs?q=label:own=undone")
    page.check(f"#job-{made[0]} input")
    page.check(f"#job-{made[1]} input")
    page.click("#bulk-bar a:has-text('Cancel')")
    assert page.inner_text("h1") == "Cancel 2 jobs?"
    page.fill("[name=reason]", "not these")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/operations/*")
    for job in made[:2]:
        installation.wait(job, "CANCELED")
    page.click("a:has-text('Undo')")
    assert page.inner_text("h1") == "Run again 2 jobs?"
    page.click("button:has-text('Run again 2 jobs')")
    page.wait_for_url("**/ui/operations/*")
    for job in made[:2]:
        installation.wait(job, "COMPLETED", "QUEUED")
    assert installation.job(made[2])["status"] == "QUEUED"
    assert not page.troubles


def test_a_long_log_is_a_window_that_jumps_finds_and_links(
    page: Any, installation: Installation, jobs: dict[str, int]
) -> None:
    execution = installation.api.get(f"/jobs/{jobs['long']}/").json()["job_exes"][0]["id"]
    page.goto(f"{installation.ready['url']}/ui/executions/{execution}/log#L70000-70002")
    page.wait_for_selector(".log-row.marked:has-text('line 70000 of a long log')")
    assert page.locator(".log-row").count() < 120
    page.fill("#find-log", "line 99999 ")
    page.keyboard.press("Enter")
    page.wait_for_selector(".log-row.hit:has-text('line 99999 of')")
    page.evaluate("gangerLog.toEnd()")
    page.wait_for_selector(".log-row .c-red:has-text('red')")
    assert "100%" in page.inner_text(".log-rows")
    assert "50%" not in page.inner_text(".log-rows")
    assert not page.troubles


def test_lines_that_are_json_show_time_level_and_message_first(page: Any, installation: Installation) -> None:
    lines = (
        '{"ts": 1700000000, "level": "error", "msg": "no such tile", "tile": 7}', '{"a": 1}', '{"level": 30, "msg": "<b>ok</b>"}', "{no json}",
    )  # fmt: skip
    job = installation.submit("printf", "%s\\n", *lines)
    installation.wait(job, "COMPLETED")
    execution = installation.api.get(f"/jobs/{job}/").json()["job_exes"][0]["id"]
    page.goto(f"{installation.ready['url']}/ui/executions/{execution}/log#L1")
    page.wait_for_selector(".log-row .level.bad:has-text('error')")
    shown = page.locator(".log-text").all_inner_texts()
    assert shown[0].split() == ["2023-11-14T22:13:20.000Z", "error", "no", "such", "tile", "tile=7"]
    assert shown[1] == '{"a": 1}'
    assert shown[2].split() == ["info", "<b>ok</b>"]
    assert shown[3] == "{no json}"
    page.click("[data-json]")
    page.wait_for_function("document.querySelector('.log-text').textContent.startsWith('{\"ts\"')")
    assert not page.troubles


def test_lines_of_standard_error_are_marked_among_those_of_both_streams(page: Any, installation: Installation) -> None:
    job = installation.submit("sh", "-c", "echo one; sleep 0.2; echo two >&2; echo three >&2; sleep 0.2; echo four")
    installation.wait(job, "COMPLETED")
    execution = installation.api.get(f"/jobs/{job}/").json()["job_exes"][0]["id"]
    log = installation.api.get(f"/job-executions/{execution}/logs/combined/", params={"format": "json"}).json()
    assert (log["text"], log["stderr_lines"]) == ("one\ntwo\nthree\nfour\n", [[1, 2]])
    page.goto(f"{installation.ready['url']}/ui/executions/{execution}/log#L1")
    page.wait_for_selector(".log-row.stderr")
    assert page.locator(".log-row.stderr .log-text").all_inner_texts() == ["two", "three"]
    assert page.locator(".log-row:not(.stderr) .log-text").all_inner_texts() == ["one", "four"]
    assert not page.troubles


def test_what_others_wrote_runs_nowhere(page: Any, installation: Installation, jobs: dict[str, int]) -> None:
    for address in ("jobs", f"jobs/{jobs['evil']}", "", "jobs?q=status:completed"):
        page.goto(f"{installation.ready['url']}/ui/{address}")
        assert "evil" not in page.title() or "document" in page.title()
        assert page.locator("img").count() == 0
    assert not page.troubles


def test_it_is_read_and_acted_on_without_script(browser: Any, installation: Installation, jobs: dict[str, int]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{installation.ready['url']}/ui/jobs/{jobs['gpu']}")
    page.fill("#token", Path(installation.ready["token_file"]).read_text().strip())
    page.click("text=Sign in")
    page.wait_for_url(f"**/ui/jobs/{jobs['gpu']}")
    page.click("summary:has-text('Cancel')")
    page.click("form[action$='/cancel'] button")
    page.wait_for_url("**done=cancel")
    assert installation.job(jobs["gpu"])["status"] == "CANCELED"
    context.close()


def test_nothing_is_wider_than_a_small_phone(browser: Any, installation: Installation, jobs: dict[str, int]) -> None:
    page = chromium.signed_in(browser, installation)
    page.set_viewport_size({"width": 360, "height": 740})
    wide = []
    for address in addresses(jobs):
        page.goto(f"{installation.ready['url']}/ui/{address}")
        if page.evaluate("document.documentElement.scrollWidth") > 364:
            wide.append((address, page.evaluate("document.documentElement.scrollWidth")))
    page.context.close()
    assert not wide


def test_a_page_is_printed_dark_on_white_without_what_is_pressed(
    browser: Any, installation: Installation, jobs: dict[str, int]
) -> None:
    page = chromium.signed_in(browser, installation, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(f"{installation.ready['url']}/ui/jobs/{jobs['failed']}")
    light = page.evaluate("""() => {
        const seen = (node) => { while (node && getComputedStyle(node).backgroundColor === "rgba(0, 0, 0, 0)") node = node.parentElement; return node ? getComputedStyle(node).backgroundColor : "rgb(255, 255, 255)"; };
        const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(Number).reduce((sum, one) => sum + one) / 3;
        return [...document.querySelectorAll("main h1, main h2, main p, main td, main th, main dd, main pre")].filter((one) => one.offsetParent && one.innerText.trim())
            .map((one) => [one.innerText.slice(0, 30), light(getComputedStyle(one).color), light(seen(one))]);
    }""")
    assert len(light) > 10
    assert [one for one in light if one[1] > 150 or one[2] < 240] == [], "text is dark, paper is white"
    pressed = page.locator("nav.tabs, .acts, .top, .side").all()
    assert pressed
    assert not [one for one in pressed if one.is_visible()]
    assert 1 <= page.pdf(format="A4").count(b"/Type /Page\n") <= 3, "a job is a report of few pages"
    page.context.close()


def test_the_first_page_is_small(browser: Any, installation: Installation, jobs: dict[str, int]) -> None:
    """The limits of the design: 150 kB in all, 20 kB from page to page, three requests."""
    page = chromium.signed_in(browser, installation)
    cdp = page.context.new_cdp_session(page)
    cdp.send("Network.enable")
    cdp.send("Network.setCacheDisabled", {"cacheDisabled": True})
    bytes_in: list[float] = []
    cdp.on("Network.loadingFinished", lambda told: bytes_in.append(told["encodedDataLength"]))
    page.goto(f"{installation.ready['url']}/ui/")
    page.wait_for_timeout(300)  # nothing tells that no more will be asked for
    first = sum(bytes_in)
    cdp.send("Network.setCacheDisabled", {"cacheDisabled": False})
    page.goto(f"{installation.ready['url']}/ui/jobs")
    bytes_in.clear()
    page.goto(f"{installation.ready['url']}/ui/nodes")
    page.wait_for_timeout(300)  # likewise
    assert first < 150_000
    assert sum(bytes_in) < 20_000
    page.context.close()
