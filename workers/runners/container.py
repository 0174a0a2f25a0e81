"""Runs a command in a container: the same values and variables, with the directories where the container sees them.

The command is the whole argument list; what the image says of entry point and environment is not used. All phases'
commands run in a container of their own, one after the other, on the same directories.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from workers.paths import Key, Places
from workers.runners import command, oci
from workers.runners.launch import Launch, LaunchRefused, Order


@dataclass(frozen=True, slots=True)
class Inside(Places):
    """The places of one attempt as the program in its container sees them."""

    def inputs(self, _key: Key) -> str:
        """Return `${job_input_dir}`."""
        return f"{oci.INSIDE}/in"

    def outputs(self, _key: Key) -> str:
        """Return `${job_output_dir}`."""
        return f"{oci.INSIDE}/out"

    def scratch(self, _key: Key) -> str:
        """Return `${job_work_dir}`."""
        return f"{oci.INSIDE}/work"

    def secrets(self, _key: Key) -> str:
        """Return where secrets are."""
        return f"{oci.INSIDE}/secrets"


def launch(order: Order) -> Launch:
    """Return the runtime that starts the phase's container. Raises LaunchRefused."""
    if oci.engine() is None:
        raise LaunchRefused("This node has no runtime for containers.", of_job=False)
    if not order.spec.commands.options.get("image"):
        raise LaunchRefused("The job type names no image.")
    _inner(order).checked()
    box = order.places.box(order.key)
    name = f"ganger-{order.key[0]}-{order.key[1]}-{order.phase}"
    return Launch(oci.argv(box, order.phase, name), oci.environment(box))


def describe(order: Order, rootfs: str, user: tuple[int, int]) -> dict[str, Any]:
    """Return the container of the phase, for `containers.write`. Raises LaunchRefused."""
    inner, places, key = _inner(order).checked(), order.places, order.key
    parts = {"in": places.inputs(key), "out": places.outputs(key), "work": places.scratch(key)}
    if order.spec.secret_names:
        parts["secrets"] = places.secrets(key)
    return oci.describe(
        rootfs,
        inner.argv,
        inner.env,
        cwd=f"{oci.INSIDE}/work",
        binds={f"{oci.INSIDE}/{name}": folder for name, folder in parts.items()},
        user=user,
        network=str(order.spec.commands.options.get("network", "host")),
    )


def _inner(order: Order) -> Launch:
    inside = Inside(order.places.work, order.places.logs, order.places.boxes)
    return command.launch(replace(order, places=inside))
