"""Starts the command of a phase, and records its end."""

from __future__ import annotations

from dataclasses import replace

from scheduler.rules.lifecycle.outcome import Outcome
from workers import runners
from workers.agent.context import StepContext
from workers.agent.execution import ExecutionStep, NodeExecution
from workers.agent.phases import execution_report
from workers.commands import KeepOutput, StartRun
from workers.events import ExecutionFailure, RunEnd, RunOutcome
from workers.files import secret_dirs
from workers.paths import tree_name
from workers.runners import venvs
from workers.supervisor.limits import ENVIRONMENT
from workers.supervisor.request import RunLimits, RunRequest

_MOST_CHARACTERS = 65_536
"""Of a command that is told as it was run."""

_KEPT_BYTES = 8192
"""Of each stream; that much needs no file of its own."""

_STOP_CLEANUP_S = 3.0
"""How long a cleanup command may take when the node itself is stopping."""


def start(context: StepContext, held: NodeExecution, phase: str) -> ExecutionFailure | None:
    """Have the supervisor start the command of `phase`. Returns why it cannot be started, None if it can."""
    held.state = ExecutionStep.RUNNING
    if context.fenced(held.granted_spec.limits.lease_s):
        return execution_report.failure_of_run("job", RunEnd(RunOutcome.FENCED), None)
    try:
        run = describe(context, held, phase)
    except runners.LaunchRefused as refused:
        return ExecutionFailure("launch", str(refused), of_job=refused.of_job)
    held.running, held.ran = phase, True
    context.record(held, "run", {"phase": phase, **held.progress()})
    context.issue(StartRun(held.key, run))
    return None


def filled_arguments(context: StepContext, held: NodeExecution) -> list[str] | None:
    """Return the command of the job as it is run; None where nothing is filled in, or more than is kept for people."""
    filled = runners.filled(_request(context, held, "job"))
    return filled if filled is None or sum(map(len, filled)) <= _MOST_CHARACTERS else None


def describe(context: StepContext, held: NodeExecution, phase: str) -> RunRequest:
    """Return the complete request for the command of `phase`. Raises LaunchRefused."""
    spec, paths, key = held.granted_spec, context.profile.paths, held.key
    program = runners.launch(_request(context, held, phase))
    log_phase = "pre" if phase == ENVIRONMENT else phase
    secret = secret_dirs.is_needed(spec)
    shares_file = phase == ENVIRONMENT or (phase == "pre" and venvs.is_wanted(spec))
    return RunRequest(
        tree=tree_name(key),
        phase=phase,
        argv=program.argv,
        env=dict(program.env),
        cwd=paths.scratch(key),
        folder=paths.attempt(key),
        stdout=paths.log(key, log_phase, "stdout"),
        stderr=paths.log(key, log_phase, "stderr"),
        timeout_s=_time_left(context, held, phase),
        grace_s=spec.limits.grace_s,
        lease_s=spec.limits.lease_s,
        uid=held.uid,
        gid=held.gid,
        limits=RunLimits(
            cpus=spec.amounts.cpus,
            mem=spec.amounts.mem or None,  # who asks for nothing has no limit, as there is nothing to hold it to
            disk=spec.amounts.disk or None,
            pids=spec.limits.pids,
            nofile=spec.limits.nofile,
            output_bytes=spec.limits.output_bytes,
        ),
        confinement=context.profile.confine.of(
            key, paths, spec.commands.runner, spec.amounts.mem or None, secret=secret
        ),
        sample_s=context.profile.sample_s or None,
        keep_output_bytes=0 if secret or shares_file else _KEPT_BYTES,  # no secret is to stand in a journal
    )


def _request(context: StepContext, held: NodeExecution, phase: str) -> runners.LaunchRequest:
    profile, gpus = context.profile, held.slot.gpus if context.slots.has_gpus else None
    return runners.LaunchRequest(held.granted_spec, phase, profile.paths, profile.name, gpus, profile.python)


def record_end(context: StepContext, held: NodeExecution, phase: str, end: RunEnd) -> None:
    """Record how the command of `phase` ended. A failure counts unless the execution is being stopped anyway."""
    held.running, held.last = None, phase
    if end.outcome is RunOutcome.KILLED and held.stop is None:
        held.stop = Outcome.RETURNED  # by a stop of the node, of which only an earlier life of the agent knew
    if phase == ENVIRONMENT:
        held.phases.setdefault("pre", {})["usage"] = dict(end.usage)
        if held.stop is None and held.failure is None:
            held.failure = _failure_of_venv(end, _limit(held, phase))
    elif phase != "cleanup":
        report = held.phases.setdefault(phase, {})
        if phase == "job" and end.started is not None:  # other phases begin with staging, or end with collecting
            report["started"] = end.started
        report |= {
            "completed": end.completed if end.completed is not None else context.now.wall,
            "exit_code": end.exit_code,
            "signal": end.signal,
            "usage": dict(end.usage),
        }
        if held.stop is None and held.failure is None:
            folder = context.profile.paths.scratch(held.key)
            held.failure = execution_report.failure_by_folder(held, phase, end, folder)
            held.failure = held.failure or execution_report.failure_of_run(
                phase, _with_blame(held, end), _limit(held, phase)
            )
    elif end.outcome is RunOutcome.LAUNCH:
        held.cleanup_trouble = end.message
    if end.output is not None:
        written = {name: text for name, text in end.output.items() if text}
        held.kept |= {phase: written} if written else {}
        context.issue(KeepOutput(held.key, phase, end.output))
    context.record(held, "ended", {"phase": phase, **held.progress()})


def _failure_of_venv(end: RunEnd, limit_s: float | None) -> ExecutionFailure | None:
    failure = execution_report.failure_of_run("pre", end, limit_s)
    if failure is not None and failure.error == "pre-failed":
        sentence = (
            "The Python environment with the requirements could not be made; the output of the pre phase says why."
        )
        return ExecutionFailure("staging", sentence)
    return failure


def _with_blame(held: NodeExecution, end: RunEnd) -> RunEnd:
    """Return the end of a command as the job has to answer for it. A missing container runtime or shell is the node's fault."""
    commands = held.granted_spec.commands
    return replace(end, of_program=False) if commands.shell or commands.runner == "container" else end


def _limit(held: NodeExecution, phase: str) -> float | None:
    limits = held.granted_spec.limits
    pre = limits.pre_timeout_s
    return {ENVIRONMENT: pre, "pre": pre, "job": limits.timeout_s, "post": limits.post_timeout_s}[phase]


def _time_left(context: StepContext, held: NodeExecution, phase: str) -> float | None:
    if phase == "cleanup":
        limit = held.granted_spec.limits.cleanup_timeout_s
        return min(limit, _STOP_CLEANUP_S) if context.stopping else limit
    limit_s = _limit(held, phase)
    if limit_s is None or phase not in {ENVIRONMENT, "pre"} or not held.began:
        return limit_s
    return max(0.1, limit_s - (context.now.boot - held.began))  # staging, and an environment, have used some of it
