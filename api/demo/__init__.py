"""`ganger demo`: everything is started, real jobs run, every one is checked against what should have happened.

examples  the example that is run, and its table cut into shards
stage     a Ganger of our own, or one that runs already
acts      which jobs, and what should become of each
plot      submits them, watches them, cancels what is to be canceled
traces    which processes of a job this machine runs
checks    what really happened, against what should have
curtain   what the audience sees
"""

from __future__ import annotations

from contextlib import suppress

from api.demo import cases, environment, examples, screen, script
from api.demo.environment import DemoOptions

__all__ = ["DemoOptions", "run"]

FAILED, INTERRUPTED = 1, 130


def run(options: DemoOptions) -> int:
    """Play the demo and return the exit code: 0 if everything ended as it should, else 1; 130 on Ctrl-C.

    Raises SetupError if there is nothing to play on or with.
    """
    example = examples.find(options.examples)
    house = screen.Curtain(as_json=options.json)
    findings: list[screen.Finding] = []
    with environment.signals_as_interrupts(), suppress(KeyboardInterrupt):
        with environment.Stage(options, house.tell) as set_up:
            with set_up.client() as api:
                played = script.play(api, cases.program(example), house)
                findings += script.judge(api, played, local=set_up.is_ours)
                if options.keep is not None:
                    script.keep(api, played, options.keep)
            house.show(findings)
        ended = set_up.after()
        house.say(ended)
        findings += ended
        house.close(findings)
        return 0 if all(not one.complaints for one in findings) else FAILED
    house.tell("stopped before the end")
    return INTERRUPTED
