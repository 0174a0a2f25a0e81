"""Launch: the input and the result of a runner, and the values and environment that all runners share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler.wire import InputSpec, TaskSpec
from workers.machine import gpus
from workers.paths import PATH, ExecutionKey, Paths
from workers.runners import substitution

_NOT_IN_VARIABLES = re.compile(r"[^A-Z0-9_]")


class LaunchRefused(Exception):
    """The command cannot be started as it stands; str() is the sentence for people.

    `of_job` is False if another node might start it, because only something on this node is missing.
    """

    def __init__(self, sentence: str, *, of_job: bool = True) -> None:
        super().__init__(sentence)
        self.of_job = of_job


@dataclass(frozen=True, slots=True)
class PythonSettings:
    """The node's interpreters for jobs (paths, by every text that may name them), and the variables that pip is given."""

    interpreters: Mapping[str, str] = field(default_factory=dict)
    pip_variables: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """Start this phase (`environment`, `pre`, `job`, `post`, `cleanup`) of this execution on this node."""

    spec: TaskSpec
    phase: str
    paths: Paths
    node: str
    gpus: tuple[str, ...] | None = None
    """Numbers of the devices that the execution has; None on a node without devices."""
    python: PythonSettings = field(default_factory=PythonSettings)

    @property
    def key(self) -> ExecutionKey:
        """The execution and attempt."""
        return self.spec.execution_id, self.spec.attempt

    @property
    def arguments(self) -> list[str]:
        """The command of the phase as the job type wrote it."""
        commands = self.spec.commands
        return {"pre": commands.pre, "job": commands.job, "post": commands.post, "cleanup": commands.cleanup}[
            self.phase
        ] or []

    def values(self) -> dict[str, str]:
        """Return the values of `${name}`: inputs by name (files as paths) and the directories."""
        values = {one.name: self._value(one) for one in self.spec.inputs}
        values["job_input_dir"] = self.paths.inputs(self.key)
        values["job_output_dir"] = self.paths.outputs(self.key)
        values["job_work_dir"] = self.paths.scratch(self.key)
        return values

    def environment(self) -> dict[str, str]:
        """Return the complete environment of a job. The variables that it declares win over all but `GANGER_*`."""
        spec, work = self.spec, self.paths.scratch(self.key)
        return {
            "PATH": PATH,
            "HOME": work,
            "TMPDIR": work,
            "LANG": "C.UTF-8",
            "USER": "job",
            "LOGNAME": "job",
            **spec.environment,
            **({} if self.gpus is None else gpus.environment(self.gpus)),
            "GANGER_JOB_ID": str(spec.job_id),
            "GANGER_EXECUTION_ID": str(spec.execution_id),
            "GANGER_ATTEMPT": str(spec.attempt),
            "GANGER_NODE": self.node,
            "GANGER_PHASE": self.phase,
            "GANGER_WORK_DIR": work,
            "GANGER_INPUT_DIR": self.paths.inputs(self.key),
            "GANGER_OUTPUT_DIR": self.paths.outputs(self.key),
            "GANGER_CPUS": _thousandths(spec.amounts.cpus),
            "GANGER_MEM_MIB": _thousandths(spec.amounts.mem),
            **({"GANGER_SECRETS_DIR": self.paths.secrets(self.key)} if spec.secret_names else {}),
        }

    def variables(self) -> dict[str, str]:
        """Return the inputs as `GANGER_INPUT_<NAME>`, for commands whose text is not substituted."""
        return {variable_name(one.name): self._value(one) for one in self.spec.inputs}

    def _value(self, one: InputSpec) -> str:
        if one.type == "property":
            return substitution.text(one.value)
        folder = f"{self.paths.inputs(self.key)}/{one.name}"
        if one.type == "file" and one.files:
            return f"{folder}/{one.files[0].file_name}"
        return folder


@dataclass(frozen=True, slots=True)
class Launch:
    """A program: argument list and complete environment."""

    argv: list[str]
    env: Mapping[str, str]

    def checked(self) -> Launch:
        """Return itself, if a kernel can start it. Raises LaunchRefused."""
        if not self.argv or not self.argv[0]:
            raise LaunchRefused("The command is empty.")
        if any("\0" in word for word in self.argv) or any("\0" in key + value for key, value in self.env.items()):
            raise LaunchRefused("An argument or variable contains a zero byte, which no program can be given.")
        return self


def variable_name(name: str) -> str:
    """Return the environment variable of an input: its name in upper case, with underscores for unusual characters."""
    return "GANGER_INPUT_" + _NOT_IN_VARIABLES.sub("_", name.upper())


def _thousandths(amount: int) -> str:
    whole, rest = divmod(amount, 1000)
    return f"{whole}.{rest:03d}".rstrip("0") if rest else str(whole)
