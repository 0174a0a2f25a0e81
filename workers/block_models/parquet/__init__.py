"""Parquet with the standard library alone: the part of the format that tables of plain columns need.

Nodes whose Python has pyarrow use that. Elsewhere these modules read pages that are plain or dictionary-encoded, as they are
or compressed with snappy or gzip, which is what writers make unless they are told otherwise, and they write plain pages.
The format is described at https://parquet.apache.org/docs/file-format/.
"""
