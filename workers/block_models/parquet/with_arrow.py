"""Parquet by pyarrow, on nodes whose Python has it: faster, and it knows every encoding there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from workers.block_models.parquet.reader import ParquetColumn

_KINDS = {
    **{name.lower(): name for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")},
    "halffloat": "Float16",
    "float": "Float32",
    "double": "Float64",
    "bool": "Boolean",
    "null": "Null",
    "string": "Utf8",
    "large_string": "Utf8",
    "string_view": "Utf8",
    "date32[day]": "Date32",
    "date64[ms]": "Date32",
}


def library() -> Any:  # noqa: ANN401 - a library without types, which may not be there
    """Return pyarrow with its Parquet part, None where this Python has none."""
    try:
        import pyarrow  # noqa: ICN001, PLC0415 - a node need not have it
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        return None
    return pyarrow


class ArrowFileReader:
    """A file that is open; the same as `parquet.reader.ParquetFileReader`. Raises ValueError where it is no Parquet file."""

    def __init__(self, pa: Any, path: Path) -> None:  # noqa: ANN401 - likewise
        self._pa = pa
        try:
            self._file = pa.parquet.ParquetFile(path, memory_map=True)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(_first_line(error)) from None
        schema = self._file.schema_arrow
        self._types = [one.value_type if pa.types.is_dictionary(one) else one for one in schema.types]
        self.columns = [
            ParquetColumn(name, self._kind(one), 0, 0, is_optional=True)
            for name, one in zip(schema.names, self._types, strict=True)
        ]

    def __enter__(self) -> ArrowFileReader:  # noqa: PYI034 - nodes may have Python 3.10
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._file.close()

    def batches(self, places: Sequence[int], size: int) -> Iterator[list[list[Any]]]:
        """Yield the values of these columns, by their places, at most `size` rows at a time; None is null."""
        names = [self.columns[place].name for place in places]
        try:
            for part in self._file.iter_batches(size, columns=list(dict.fromkeys(names))):
                by_name = dict(zip(part.schema.names, part.columns, strict=True))
                yield [self._values(by_name[self.columns[place].name], place) for place in places]
        except self._pa.ArrowException as error:
            raise ValueError(_first_line(error)) from None

    def _kind(self, one: Any) -> str | None:  # noqa: ANN401 - likewise
        return "Timestamp" if self._pa.types.is_timestamp(one) else _KINDS.get(str(one))

    def _values(self, column: Any, place: int) -> list[Any]:  # noqa: ANN401 - likewise
        pa, kind = self._pa, self.columns[place].kind
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if kind == "Timestamp":
            column = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False).cast(pa.int64())
        elif kind == "Date32":
            column = column.cast(pa.date32()).cast(pa.int32())
        found: list[Any] = column.to_pylist()
        return [None if value is None else float(value) for value in found] if kind == "Float16" else found


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:300] if lines else type(error).__name__
