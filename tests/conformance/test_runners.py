"""Every runner gives a program to start from the same order, with the same environment and the same refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scheduler.identifiers import FileId
from scheduler.wire import InputFile, InputSpec
from tests.support.node import a_spec
from workers.paths import Paths
from workers.runners import LaunchRefused, LaunchRequest, PythonSettings, interpreters, launch, oci

FILE = InputFile(file_id=FileId(1), file_name="a b.txt", size=1, sha256=None, url="/x")
INPUTS = [
    InputSpec(name="count", type="property", value=3),
    InputSpec(name="evil", type="property", value="$(touch /tmp/x); ${count} '"),
    InputSpec(name="one", type="file", files=[FILE]),
    InputSpec(name="many", type="files", files=[FILE, FILE.model_copy(update={"file_name": "c"})]),
]


def order(phase: str = "job", root: str = "/w", **spec: Any) -> LaunchRequest:
    python = PythonSettings(interpreters.find([sys.executable]))
    return LaunchRequest(a_spec(inputs=INPUTS, **spec), phase, Paths(root, "/l"), "n1", python=python)


@pytest.mark.parametrize("runner", ["command", "python"])
def test_values_go_into_arguments(runner: str) -> None:
    job = ["/bin/x", "${count}", "${one}", "${many}", "${job_output_dir}/y", "${evil}"]
    argv = launch(order(job=job, runner=runner)).argv
    assert argv[-5:] == ["3", "/w/1.1/in/one/a b.txt", "/w/1.1/in/many", "/w/1.1/out/y", INPUTS[1].value]


@pytest.mark.parametrize("runner", ["command", "python"])
def test_the_environment_is_what_is_declared_and_nothing_of_the_node_s(runner: str) -> None:
    os.environ["GANGER_CANARY_SECRET"] = "secret"
    env = launch(order(environment={"MINE": "1", "HOME": "/mine", "GANGER_NODE": "forged"}, runner=runner)).env
    assert "GANGER_CANARY_SECRET" not in env
    assert (env["MINE"], env["HOME"], env["GANGER_NODE"]) == ("1", "/mine", "n1")
    assert (env["GANGER_CPUS"], env["GANGER_MEM_MIB"], env["GANGER_ATTEMPT"]) == ("0.1", "64", "1")
    assert set(env) >= {"PATH", "TMPDIR", "LANG", "GANGER_JOB_ID", "GANGER_EXECUTION_ID", "GANGER_OUTPUT_DIR"}


@pytest.mark.parametrize("runner", ["command", "python"])
@pytest.mark.parametrize("job", [[], [""], ["/bin/x", "${unknown}"], ["/bin/x", "a\0b"]])
def test_what_cannot_be_started_is_refused_with_a_sentence(runner: str, job: list[str]) -> None:
    if runner == "python" and job == [""]:
        pytest.skip("the interpreter takes an empty script name")
    with pytest.raises(LaunchRefused) as refused:
        launch(order(job=job, runner=runner))
    assert str(refused.value).endswith(".")


def test_a_container_without_runtime_or_image_is_refused() -> None:
    refusal = "no runtime" if oci.engine() is None else "no image"
    with pytest.raises(LaunchRefused, match=refusal):
        launch(order(runner="container"))


def test_a_shell_line_is_never_substituted_and_gets_its_values_by_name() -> None:
    program = launch(order(job=['echo "$GANGER_INPUT_EVIL" "$1"', "${count}"], shell=True))  # noqa: S604  ours, not subprocess's
    assert program.argv[:3] == ["/bin/sh", "-c", 'echo "$GANGER_INPUT_EVIL" "$1"']
    said = subprocess.run(program.argv, env=dict(program.env), capture_output=True, check=True, text=True).stdout
    assert said == f"{INPUTS[1].value} 3\n"


def test_a_python_function_gets_inputs_by_name_and_returns_properties(tmp_path: Path) -> None:
    (tmp_path / "1.1/out").mkdir(parents=True)
    (tmp_path / "mine.py").write_text(
        "def work(count, evil, one, many):\n    return {'twice': count * 2, 'many': len(many), 'evil': evil}\n"
    )
    options = {"interpreter": sys.executable, "path": [str(tmp_path)]}
    program = launch(order(root=str(tmp_path), job=["mine:work"], runner="python", options=options))
    subprocess.run(program.argv, env=dict(program.env), check=True, cwd=tmp_path)
    manifest = json.loads((tmp_path / "1.1/out/results.json").read_text())
    assert manifest == {"properties": {"twice": 6, "many": 2, "evil": INPUTS[1].value}}


def returned(tmp_path: Path, result: str, before: str = "") -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run a function job that returns `result`; how it ended, and its manifest."""
    (tmp_path / "1.1/out").mkdir(parents=True)
    body = f"import os, datetime\ndef work(**inputs):\n    {before or 'pass'}\n    return {result}\n"
    (tmp_path / "mine.py").write_text(body)
    options = {"interpreter": sys.executable, "path": [str(tmp_path)]}
    program = launch(order(root=str(tmp_path), job=["mine:work"], runner="python", options=options))
    done = subprocess.run(
        program.argv, env=dict(program.env), check=False, cwd=tmp_path, capture_output=True, text=True
    )
    return done, tmp_path / "1.1/out/results.json"


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("[1, 2]", "returned a list;"), ("5", "returned a int;"), ("'done'", "returned a str;"), ("()", "returned a tuple;"),
        ("{'a': [1, float('nan')]}", "nan as a[1],"), ("{'a': {'b': float('inf')}}", "inf as a.b,"),
        ("{'a': 2 ** 63}", "beyond 64 bits as a;"), ("{'a': -(10 ** 5000)}", "beyond 64 bits as a;"),
        ("{1: 'a'}", "the key 1;"), ("{'a': {None: 1}}", "the key None in a;"),
        ("{'when': datetime.date(2030, 1, 1)}", "a date as when,"), ("{'a': {1, 2}}", "a set as a,"), ("{'a': b'x'}", "a bytes as a,"),
    ],
)  # fmt: skip
def test_a_result_that_cannot_be_carried_is_refused_by_name(tmp_path: Path, result: str, said: str) -> None:
    done, manifest = returned(tmp_path, result)
    assert done.returncode == 1
    assert done.stderr.startswith("ganger: mine:work ")
    assert said in done.stderr
    assert not manifest.exists()


@pytest.mark.parametrize(
    ("result", "properties"),
    [
        ("None", None), ("{}", None), ("{'a': 2 ** 63 - 1, 'b': True, 'c': None}", {"a": 2**63 - 1, "b": True, "c": None}),
        ("{'a': (1, [0.1, 'x'])}", {"a": [1, [0.1, "x"]]}),
    ],
)  # fmt: skip
def test_a_result_that_can_be_carried_is(tmp_path: Path, result: str, properties: Any) -> None:
    done, manifest = returned(tmp_path, result)
    assert (done.returncode, done.stderr) == (0, "")
    assert (json.loads(manifest.read_text())["properties"] if manifest.exists() else None) == properties


def test_a_manifest_and_a_dictionary_are_one_too_many(tmp_path: Path) -> None:
    write = """open(os.environ["GANGER_OUTPUT_DIR"] + "/results.json", "w").write("{}")"""
    done, manifest = returned(tmp_path, "{'a': 1}", write)
    assert (done.returncode, manifest.read_text()) == (1, "{}")
    assert "one would be lost" in done.stderr


def test_other_phases_of_a_python_job_are_commands() -> None:
    assert launch(order("pre", job=["m:f"], pre=["/bin/echo", "${count}"], runner="python")).argv == ["/bin/echo", "3"]


def test_an_interpreter_is_chosen_by_name_or_path_from_those_of_the_node(tmp_path: Path) -> None:
    planted = tmp_path / "python3"
    planted.symlink_to(sys.executable)
    for wanted in (sys.executable, Path(sys.executable).name):
        argv = launch(order(job=["x.py"], runner="python", options={"interpreter": wanted})).argv
        assert Path(argv[0]).name == Path(sys.executable).name
    for wanted in (str(planted), "../python3", "", "python9"):
        with pytest.raises(LaunchRefused, match="no interpreter") as refused:
            launch(order(job=["x.py"], runner="python", options={"interpreter": wanted}))
        assert not refused.value.of_job


def test_only_what_nobody_else_can_write_is_an_interpreter_by_itself(tmp_path: Path) -> None:
    program = tmp_path / "python3"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    mine = {os.geteuid()}
    trusted = interpreters.is_trusted(str(program), mine)
    program.chmod(0o757)
    assert not interpreters.is_trusted(str(program), mine)
    program.chmod(0o755)
    tmp_path.chmod(0o777)
    assert not interpreters.is_trusted(str(program), mine)
    assert not trusted, "the folder of temporary files is everybody's"
    assert interpreters.is_trusted("/bin/sh")
