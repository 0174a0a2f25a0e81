"""Sizes and names: files, functions and folders that can be read at a glance."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from tests.house.source import PACKAGES, PRODUCT, ROOT, fields_set, own_lines, python_files, text_of, tree_of

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
CLASS_LINES_MAX = 200
CLASS_FIELDS_MAX = 12
# Classes over the ceilings, with the lines and fields that they may have: none may grow, and none may join them. Those of
# placement run for every job and keep their state in flat columns; whether a split makes them slower has not been
# measured.
LARGE_CLASSES = {
    "scheduler/rules/cluster/nodes.py:Nodes": (225, 14),
    "scheduler/rules/cluster/queue.py:Queue": (283, 10),
    "scheduler/rules/cluster/running.py:Running": (180, 26),
    "scheduler/rules/explain/wait_analysis.py:WaitAnalysis": (138, 15),
    "scheduler/rules/placement/backfill.py:Backfill": (235, 15),
    "scheduler/rules/placement/placement.py:_Planner": (265, 15),
    "scheduler/rules/placement/plan_state.py:PlanState": (172, 18),
}
FILES_PER_FOLDER_MAX = 15
# Written by `tests.support.generated`, and read by type checkers.
GENERATED = {"sdk/ganger/answers.py"}
# One file a step, for ever: nobody reads it at a glance.
HISTORY = Path("scheduler/store/schema/migrations/versions")
# Words that say nothing of what is in a file, and names of modules that shadow one Python or we depend on.
EMPTY_NAMES = {"utils", "util", "common", "manager", "base", "misc", "helpers", "helper", "stuff", "shared"}
SHADOWING_NAMES = {"celery", "kombu", "logging", "select", "signal", "socket", "types", "random"}


def test_no_file_is_longer_than_the_ceiling() -> None:
    long = {
        str(path): count
        for path in python_files()
        if str(path) not in GENERATED and (count := len(text_of(path).splitlines())) > FILE_LINES_MAX
    }
    assert not long


def test_no_function_is_longer_than_a_page() -> None:
    """The signature counts, the docstring does not: that of a command is the help that users read."""
    long = {
        f"{path}:{node.lineno} {node.name}": lines
        for path in python_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (lines := own_lines(node)) > FUNCTION_LINES_MAX
    }
    assert not long


def test_no_class_is_larger_than_can_be_held_in_mind() -> None:
    """Lines count with docstrings. Fields are the attributes that methods set; records only declare theirs."""
    sizes = {
        f"{path}:{node.name}": ((node.end_lineno or node.lineno) - node.lineno + 1, len(fields_set(node)))
        for path in python_files(*PRODUCT)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef)
    }
    large = {name: size for name, size in sizes.items() if size[0] > CLASS_LINES_MAX or size[1] > CLASS_FIELDS_MAX}
    assert large.keys() == LARGE_CLASSES.keys(), "a class has grown too large, or is small enough to leave the list"
    limits = {name: (max(a, CLASS_LINES_MAX), max(b, CLASS_FIELDS_MAX)) for name, (a, b) in LARGE_CLASSES.items()}
    assert not {name: size for name, size in large.items() if size[0] > limits[name][0] or size[1] > limits[name][1]}


def test_a_folder_of_the_product_has_few_enough_files_to_be_read_at_a_glance() -> None:
    counts = Counter(path.parent for path in python_files(*PRODUCT) if path.stem != "__init__")
    counts.pop(HISTORY, None)
    assert not {str(folder): count for folder, count in counts.items() if count > FILES_PER_FOLDER_MAX}


def test_files_have_names_that_say_what_is_in_them() -> None:
    parts = {path: {*path.parts[:-1], path.stem} for path in python_files()}
    assert not [str(path) for path, names in parts.items() if names & (EMPTY_NAMES | SHADOWING_NAMES)]


def test_no_test_folder_shadows_a_package() -> None:
    assert not {path.name for path in (ROOT / "tests").iterdir()} & set(PACKAGES)
