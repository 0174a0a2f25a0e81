"""The container runner: the same values and variables, with the directories where the container sees them.

The command is the whole argument list; entry point and environment of the image are not used. The command of each phase
runs in a container of its own, one after the other, on the same directories.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from scheduler.documents import Document
from workers.paths import ExecutionKey, Paths
from workers.runners import command, oci
from workers.runners.launch import Launch, LaunchRefused, LaunchRequest


@dataclass(frozen=True, slots=True)
class ContainerPaths(Paths):
    """The paths of one attempt as the program in its container sees them."""

    def inputs(self, _key: ExecutionKey) -> str:
        """Return `${job_input_dir}`."""
        return f"{oci.INSIDE}/in"

    def outputs(self, _key: ExecutionKey) -> str:
        """Return `${job_output_dir}`."""
        return f"{oci.INSIDE}/out"

    def scratch(self, _key: ExecutionKey) -> str:
        """Return `${job_work_dir}`."""
        return f"{oci.INSIDE}/work"

    def secrets(self, _key: ExecutionKey) -> str:
        """Return `$GANGER_SECRETS_DIR`."""
        return f"{oci.INSIDE}/secrets"


def launch(request: LaunchRequest) -> Launch:
    """Return the runtime that starts the phase's container. Raises LaunchRefused."""
    if oci.engine() is None:
        raise LaunchRefused("This node has no runtime for containers.", of_job=False)
    if not request.spec.commands.options.get("image"):
        raise LaunchRefused("The job type names no image.")
    _inner(request).checked()
    secret_dir = request.paths.secret_dir(request.key)
    name = f"ganger-{request.key[0]}-{request.key[1]}-{request.phase}"
    return Launch(oci.argv(secret_dir, request.phase, name), oci.environment(secret_dir))


def describe(request: LaunchRequest, rootfs: str, user: tuple[int, int]) -> Document:
    """Return the description of the phase's container, for `oci.write`. Raises LaunchRefused."""
    inner, paths, key = _inner(request).checked(), request.paths, request.key
    parts = {"in": paths.inputs(key), "out": paths.outputs(key), "work": paths.scratch(key)}
    if request.spec.secret_names:
        parts["secrets"] = paths.secrets(key)
    return oci.describe(
        rootfs,
        inner.argv,
        inner.env,
        cwd=f"{oci.INSIDE}/work",
        binds={f"{oci.INSIDE}/{name}": folder for name, folder in parts.items()},
        user=user,
        network=str(request.spec.commands.options.get("network", "host")),
    )


def inside(request: LaunchRequest) -> LaunchRequest:
    """Return the request with the directories where the container sees them."""
    paths = ContainerPaths(request.paths.work, request.paths.logs, request.paths.secret_dirs)
    return replace(request, paths=paths)


def _inner(request: LaunchRequest) -> Launch:
    return command.launch(inside(request))
