"""What every test may ask for."""

import contextlib
import os
import signal
import tomllib
from pathlib import Path

import pytest

# What generated requests name in an object store is looked for on this machine's own port 9, where nobody listens, and
# with nobody's credentials.
os.environ |= {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    "AWS_MAX_ATTEMPTS": "1",
}
os.environ |= {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "us-east-1"}

# A shell has its jobs in the background ignore Ctrl-C, nohup the end of the terminal; programs that are started inherit
# that, and could not be tested for what they do then.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        with contextlib.suppress(ValueError):  # not the first thread of a test process: it has no say
            signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)

pytest_plugins = [
    "tests.support.servers",
    "tests.support.cluster",
    "tests.support.gang",
    "tests.support.installation",
    "tests.support.api",
    "tests.support.browserless",
]

_KNOWN_RACES = Path(__file__).with_name("known_races.toml")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why each test failed once more in a few lines, after all tracebacks: of a long output often only the end is kept."""
    for report in [one for kind in ("error", "failed") for one in terminalreporter.stats.get(kind, [])]:
        said = [line for line in report.longreprtext.splitlines() if line.startswith(("E ", "Falsifying"))]
        terminalreporter.section(report.nodeid, sep="-")
        terminalreporter.write_line("\n".join(line[:400] for line in said[:6] + said[6:][-12:]))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: in a real browser; skipped, and said so, where there is none")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of the list be tried a second time, and no other."""
    listed = {race["test"] for race in tomllib.loads(_KNOWN_RACES.read_text()).get("race", [])}
    for item in items:
        if item.nodeid.partition("[")[0] in listed or item.nodeid in listed:
            item.add_marker(pytest.mark.flaky(reruns=1))
