"""The graphics processors of this machine, as its own nvidia-smi tells of them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from workers.paths import PATH

_QUERY = ("--query-gpu=index,name,memory.total", "--format=csv,noheader,nounits")
_PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device; memory in MiB."""

    index: str
    model: str
    mem_mib: int


def list_gpus(path: str = PATH) -> list[Gpu]:
    """Return the devices in the order of their numbers; none where there is no nvidia-smi, or it has nothing to say."""
    program = shutil.which("nvidia-smi", path=path)
    if program is None:
        return []
    try:
        told = subprocess.run([program, *_QUERY], capture_output=True, text=True, timeout=_PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[word.strip() for word in line.split(",")] for line in told.stdout.splitlines()]
    return [Gpu(row[0], row[1], _whole(row[2])) for row in rows if len(row) == 3 and row[0].isdigit()]  # noqa: PLR2004


def labels(found: list[Gpu]) -> dict[str, str]:
    """Return what a node says of its devices; of different ones, the least."""
    if not found:
        return {}
    least = min(found, key=lambda gpu: gpu.mem_mib)
    return {"gpu.model": least.model.replace(" ", "-"), "gpu.mem_mib": str(least.mem_mib), "gpu.count": str(len(found))}


def environment(chosen: tuple[str, ...]) -> dict[str, str]:
    """Return the variables by which programs see these devices and no others."""
    numbers = ",".join(chosen)
    return {"CUDA_VISIBLE_DEVICES": numbers, "NVIDIA_VISIBLE_DEVICES": numbers or "void", "GANGER_GPUS": numbers}


def _whole(text: str) -> int:
    return int(text) if text.isdigit() else 0
