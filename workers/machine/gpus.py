"""The graphics processors of this machine, as nvidia-smi lists them."""

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
    """Return the devices in the order of their numbers; none if there is no nvidia-smi, or it fails."""
    program = shutil.which("nvidia-smi", path=path)
    if program is None:
        return []
    try:
        answer = subprocess.run([program, *_QUERY], capture_output=True, text=True, timeout=_PATIENCE_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[word.strip() for word in line.split(",")] for line in answer.stdout.splitlines()]
    return [Gpu(row[0], row[1], _whole(row[2])) for row in rows if len(row) == 3 and row[0].isdigit()]  # noqa: PLR2004


def labels(found: list[Gpu]) -> dict[str, str]:
    """Return the labels of a node with these devices; of different ones, the smallest is described."""
    if not found:
        return {}
    least = min(found, key=lambda gpu: gpu.mem_mib)
    return {"gpu.model": least.model.replace(" ", "-"), "gpu.mem_mib": str(least.mem_mib), "gpu.count": str(len(found))}


def environment(chosen: tuple[str, ...]) -> dict[str, str]:
    """Return the environment variables by which programs see these devices and no others."""
    numbers = ",".join(chosen)
    return {"CUDA_VISIBLE_DEVICES": numbers, "NVIDIA_VISIBLE_DEVICES": numbers or "void", "GANGER_GPUS": numbers}


def _whole(text: str) -> int:
    return int(text) if text.isdigit() else 0
