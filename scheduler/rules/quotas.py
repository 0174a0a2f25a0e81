"""What a project's quota can never allow, however little of it is used."""

from collections.abc import Mapping

from scheduler.rules.shapes import Shape

_UNITS = {"cpus": "cpus", "mem": "MiB of mem", "jobs": "executions"}


def never_allowed(shape: Shape, quota: Mapping[str, int | None], project: str) -> str | None:
    """Say why no job of this shape could ever start in the project; None where it could. Thousandths for cpus and mem."""
    needs = {"cpus": shape.requires.cpus, "mem": shape.requires.mem, "jobs": 1}
    beyond = [
        f"{_amount(name, most)} {_UNITS[name]}, and it asks for {_amount(name, need * shape.count)}"
        for name, need in needs.items()
        if (most := quota.get(name)) is not None and need * shape.count > most
    ]
    if not beyond:
        return None
    return f"it cannot be placed: the quota of the project {project} allows at most {'; '.join(beyond)}"


def _amount(name: str, amount: int) -> str:
    return f"{amount if name == 'jobs' else amount / 1000:.12g}"
