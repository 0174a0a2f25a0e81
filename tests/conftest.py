"""What every test may ask for."""

import contextlib
import signal

# A shell has its jobs in the background ignore Ctrl-C, nohup the end of the terminal; programs that are started inherit
# that, and could not be tested for what they do then.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        with contextlib.suppress(ValueError):  # not the first thread of a test process: it has no say
            signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)

pytest_plugins = ["tests.support.servers", "tests.support.cluster", "tests.support.installation", "tests.support.api"]
