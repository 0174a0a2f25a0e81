"""The tree as the rules of the house read it: our files, their text, their syntax, their imports."""

from __future__ import annotations

import ast
import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("scheduler", "workers", "api", "ganger")
PRODUCT = ("scheduler", "workers", "api", "sdk/ganger")
# Not written by us, or nothing but names and numbers.
UNREAD = ("LICENSE", "deploy/requirements.lock", "api/http/document/openapi.json")


@cache
def python_files(*folders: str) -> tuple[Path, ...]:
    """Our Python files, relative to the project's root; of all folders if none are named."""
    tops = folders or (*PRODUCT, "tests", "deploy")
    return tuple(
        sorted(
            Path(where, name).relative_to(ROOT)
            for top in tops
            for where, _, names in os.walk(ROOT / top)
            for name in names
            if name.endswith(".py")
        )
    )


@cache
def tracked_files() -> tuple[Path, ...]:
    """What is in the repository; in an unpacked archive without one, every Python file."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = [Path(name) for name in listed.stdout.split("\0") if name] or list(python_files())
    return tuple(path for path in names if str(path) not in UNREAD and (ROOT / path).is_file())


@cache
def text_of(path: Path) -> str:
    """Text of a file; what is no text (a picture, an archive) counts as empty."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path), filename=str(path))


def module_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    parts = parts[1:] if parts[0] == "sdk" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every import statement's line and the full name of what it takes."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def own_imports(path: Path) -> Iterator[tuple[int, str]]:
    return ((line, name) for line, name in imports(path) if name.partition(".")[0] in PACKAGES)


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@cache
def folders() -> frozenset[str]:
    """The product's folders, by their dotted names."""
    return frozenset(module_of(path.parent / "__init__.py") for path in python_files(*PRODUCT))


def neighbours(module: str, target: str) -> tuple[str, str] | None:
    """Return the two folders of one package that hold the one and the other; None if no two such folders do."""
    here, there = module.split("."), target.split(".")
    shared = next((depth for depth, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), 0)
    if not shared:
        return None  # of other packages, or the very same
    pair = ".".join(here[: shared + 1]), ".".join(there[: shared + 1])
    return pair if folders().issuperset(pair) else None


def own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from its `def` on, without its docstring and the functions and classes defined in it."""
    total = (function.end_lineno or 0) - function.lineno + 1
    elsewhere = [
        node for node in function.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    if ast.get_docstring(function) is not None:
        elsewhere.append(function.body[0])  # type: ignore[arg-type]  # an expression, which has lines all the same
    return total - sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in elsewhere)


def fields_set(cls: ast.ClassDef) -> set[str]:
    """Return the attributes of `self` that the methods of a class set."""
    return {
        node.attr
        for method in cls.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
