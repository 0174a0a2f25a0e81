"""Where fetched files go, and the fetching of many: names that are safe, nothing replaced unasked, nothing fetched twice."""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ganger.cli import screen
from ganger.errors import UsageError

if TYPE_CHECKING:
    from ganger import Client, File

AT_ONCE = 4
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class FetchedFile(NamedTuple):
    """A file, where it lies now, and whether it had to be fetched."""

    file: File
    path: Path
    is_new: bool


def safe_name(file: File) -> str:
    """Return the name under which a file is stored here. It came from somebody else: it names no other folder, and commands no terminal."""
    name = _UNSAFE.sub("_", Path(file.file_name.replace("\\", "/")).name)
    return name if name not in {"", ".", ".."} else f"file-{file.id}"


def layout(files: Sequence[File], folder: Path) -> Mapping[int, Path]:
    """Return the path of each file by its id: in the folder itself where all names differ, else in a folder for each job.

    Files of one job that share a name are told apart by their outputs, then by their ids.
    """
    ways: tuple[Callable[[File], Path], ...] = (
        lambda file: folder / safe_name(file),
        lambda file: folder / str(file.job_id or "no-job") / safe_name(file),
        lambda file: folder / str(file.job_id or "no-job") / (file.output or "no-output") / safe_name(file),
        lambda file: folder / str(file.job_id or "no-job") / f"{file.id}-{safe_name(file)}",
    )
    for way in ways:
        paths = {file.id: way(file) for file in files}
        if max(Counter(paths.values()).values(), default=0) <= 1:
            break
    return paths


def target(file: File, output: str | None) -> Path:
    """Return where a single file goes: its name, here or in a folder, or the path that is given. Raises UsageError."""
    if output is None:
        return Path(safe_name(file))
    if output.endswith("/") or Path(output).is_dir():
        return Path(output) / safe_name(file)
    if not Path(output).parent.is_dir():
        raise UsageError(f"there is no folder {Path(output).parent}; with a / at its end --output makes one")
    return Path(output)


def fetch(api: Client, paths: Mapping[int, Path], files: Sequence[File], *, force: bool) -> list[FetchedFile]:
    """Fetch files that are not here yet, several at once, and return all in their order.

    A file that is here with the same content stays, so that a fetch which was cut off goes on. Raises UsageError before
    anything is fetched if one is here with other content, unless it may be replaced.
    """
    here = {file.id for file in files if _is_here(file, paths[file.id])}
    for file in files:
        if file.id not in here and paths[file.id].exists() and not force:
            raise UsageError(
                f"{paths[file.id]} exists with other content; replace it with --force, or choose another --output"
            )
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    missing = [file for file in files if file.id not in here]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        fetched = [pool.submit(api.files.download, file.id, paths[file.id]) for file in missing]
        for number, future in enumerate(as_completed(fetched), start=1):
            try:
                future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            _show(number, missing)
    return [FetchedFile(file, paths[file.id], file.id not in here) for file in files]


def _is_here(file: File, path: Path) -> bool:
    if not path.is_file() or path.stat().st_size != file.file_size:
        return False
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest() == file.sha256


def _show(number: int, files: Sequence[File]) -> None:
    if sys.stderr.isatty() and len(files) > 1:
        total = screen.size(sum(file.file_size or 0 for file in files))
        sys.stderr.write(f"\r\x1b[Kfetched {number} of {len(files)} files, {total} in all")
        sys.stderr.write("\r\x1b[K" if number == len(files) else "")
        sys.stderr.flush()
