"""`ganger demo`: everything is started, real jobs run, every one is checked against what should have happened.

examples     the example that is run, and its table cut into shards
environment  a Ganger of our own, or one that runs already
cases        which jobs, and what should become of each
results      what is seen of a case while it runs, and what is said of it
checks       what really happened, against what should have
screen       what a person sees of it
workflow     runs a workflow beside them, and says what became of it
script       submits the cases, watches them, cancels what is to be canceled, has them checked
"""

from __future__ import annotations

from contextlib import suppress

from api.demo import cases, environment, examples, script, workflow
from api.demo.environment import DemoOptions
from api.demo.results import CheckResult
from api.demo.screen import DemoScreen

__all__ = ["DemoOptions", "run"]

FAILED, INTERRUPTED = 1, 130


def run(options: DemoOptions) -> int:
    """Run the demo and return the exit code: 0 if everything ended as it should, else 1; 130 on Ctrl-C.

    Raises SetupError if there is no Ganger or no example to run it with.
    """
    example = examples.require(options.examples)
    screen = DemoScreen(as_json=options.json)
    results: list[CheckResult] = []
    with environment.signals_as_interrupts(), suppress(KeyboardInterrupt):
        with environment.DemoEnvironment(options, screen.progress) as started:
            with started.client() as api:
                flow = workflow.begin(api, example)
                ran = script.run(api, cases.of_example(example), screen)
                results += script.check(api, ran, local=started.is_ours)
                results.append(workflow.check(api, flow))
                if options.keep is not None:
                    script.save_outputs(api, ran, options.keep)
                    workflow.save(api, flow, options.keep / "airports-workflow")
            screen.show(results)
        ended = started.check_end()
        screen.show_general(ended)
        results += ended
        screen.close(results)
        return 0 if all(not result.complaints for result in results) else FAILED
    screen.progress("stopped before the end")
    return INTERRUPTED
