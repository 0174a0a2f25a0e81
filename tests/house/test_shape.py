"""Sizes and names: files, functions and folders that can be read at a glance."""

from __future__ import annotations

import ast
from collections import Counter

from tests.house.source import PACKAGES, PRODUCT, ROOT, own_lines, python_files, text_of, tree_of

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
FILES_PER_FOLDER_MAX = 15
# Words that say nothing of what is in a file, and names of modules that shadow one Python or we depend on.
EMPTY_NAMES = {"utils", "util", "common", "manager", "base", "misc", "helpers", "helper", "stuff", "shared"}
SHADOWING_NAMES = {"celery", "kombu", "logging", "select", "signal", "socket", "types", "random"}


def test_no_file_is_longer_than_the_ceiling() -> None:
    long = {str(path): count for path in python_files() if (count := len(text_of(path).splitlines())) > FILE_LINES_MAX}
    assert not long


def test_no_function_is_longer_than_a_page() -> None:
    long = {
        f"{path}:{node.lineno} {node.name}": lines
        for path in python_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (lines := own_lines(node)) > FUNCTION_LINES_MAX
    }
    assert not long


def test_a_folder_of_the_product_has_few_enough_files_to_be_read_at_a_glance() -> None:
    counts = Counter(path.parent for path in python_files(*PRODUCT) if path.stem != "__init__")
    assert not {str(folder): count for folder, count in counts.items() if count > FILES_PER_FOLDER_MAX}


def test_files_have_names_that_say_what_is_in_them() -> None:
    parts = {path: {*path.parts[:-1], path.stem} for path in python_files()}
    assert not [str(path) for path, names in parts.items() if names & (EMPTY_NAMES | SHADOWING_NAMES)]


def test_no_test_folder_shadows_a_package() -> None:
    assert not {path.name for path in (ROOT / "tests").iterdir()} & set(PACKAGES)
