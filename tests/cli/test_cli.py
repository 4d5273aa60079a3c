"""The command line: info, check, help, and what it says of wrong calls."""

import json
import os
import subprocess
import sys
from array import array
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO

import pytest

import fastopt
from fastopt import report
from fastopt.cli import app, verdict
from fastopt.kernels.runtime import launch, settings
from fastopt.table import FAMILIES, OPS

SGD = next(op for op in OPS if op.name == "sgd")


def run(*words):
    """Return the exit code, and what was written to stdout and to stderr."""
    out, err, code = StringIO(), StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            app.main(words)
        except SystemExit as stop:
            code = stop.code or 0
    return code, out.getvalue(), err.getvalue()


def call(*words, code=0):
    found, out, err = run(*words)
    assert found == code, out + err
    return " ".join((out + err).split())


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )


def test_version():
    assert call("--version") == f"fastopt {fastopt.__version__}"


def test_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "fastopt", "--version"], capture_output=True, text=True)
    assert done.stdout == f"fastopt {fastopt.__version__}\n"


@pytest.mark.parametrize("words", [(), ("info",), ("check",), ("bench",)])
def test_help_teaches_by_examples(words):
    text = call(*words, "--help")
    assert "Examples:" in text
    assert f"fastopt {words[0] if words else 'info'}" in text


def test_info_as_json():
    found = json.loads(run("info", "--json")[1])
    assert found == report.config()
    assert found["targets"]["cython"] == "available"
    assert found["targets"]["cuda"] == settings.why_no_cuda()
    assert found["instruction_set"] == launch.instruction_set()


def test_info_shows_every_line():
    text = call("info")
    for name, _ in report.lines(report.config())[1:]:
        assert name in text


def test_show_config_prints_and_returns(capsys):
    assert fastopt.show_config() is None
    printed = capsys.readouterr().out
    for name in (
        "target numba",
        "instruction set",
        "threads",
        "workers for NumPy arrays",
        "NumPy's BLAS",
        "kernel cache",
    ):
        assert name in printed
    assert fastopt.show_config("dicts") == report.config()
    with pytest.raises(ValueError, match="mode: expected 'stdout' or 'dicts', got 'yaml'"):
        fastopt.show_config("yaml")


@pytest.mark.parametrize(
    ("environment", "before", "origin"),
    [
        ({"FASTOPT_NUM_THREADS": "3"}, "fo.get_num_threads()", "FASTOPT_NUM_THREADS"),
        ({"FASTOPT_NUM_THREADS": "3"}, "fo.set_num_threads(2)", "set_num_threads"),
        ({"FASTOPT_NUM_THREADS": "3", "OMP_NUM_THREADS": "1"}, "fo.get_num_threads()", "FASTOPT_NUM_THREADS"),
        ({"FASTOPT_NUM_THREADS": " ", "OMP_NUM_THREADS": "2,1"}, "fo.get_num_threads()", "OMP_NUM_THREADS"),
        ({"FASTOPT_NUM_THREADS": "", "OMP_NUM_THREADS": ""}, "os.sched_setaffinity(0, {0})", "CPU affinity"),
    ],
)
def test_config_says_where_the_threads_come_from(environment, before, origin):
    code = f"import os, fastopt as fo; {before}; print(fo.show_config('dicts')['threads_from'])"
    assert python(code, **environment).stdout.strip() == origin


def test_the_cgroup_is_named(monkeypatch):
    files = {"/sys/fs/cgroup/cpu.max": "50000 100000"}
    monkeypatch.setattr(settings, "_read", files.get)
    monkeypatch.setattr(settings, "threads_cell", array("i", [0, 0]))
    monkeypatch.delenv("FASTOPT_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if len(os.sched_getaffinity(0)) > 1:
        assert settings.where_threads_come_from() == "cgroup quota of 0.5 CPUs"


def test_info_imports_nothing_heavy():
    code = "import fastopt, sys; fastopt.show_config(); print({'numba', 'torch', 'sklearn'} & set(sys.modules))"
    assert python(code).stdout.splitlines()[-1] == "set()"


BARE = "import sys; sys.modules.update(dict.fromkeys(('typer', 'rich', 'matplotlib', 'sklearn')));"


@pytest.mark.parametrize("words", [["--help"], ["info"], ["info", "--json"], ["check", "--op", "sgd"]])
def test_info_and_check_need_no_extra(words):
    done = python(f"{BARE} from fastopt.cli.app import main; main({words})")
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize(("command", "extra"), [("demo", "cli"), ("bench", "bench")])
@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_demo_and_bench_name_their_extra(command, extra, missing):
    done = python(f"import sys; sys.modules['{missing}'] = None; from fastopt.cli.app import main; main(['{command}'])")
    assert done.returncode == 1
    assert done.stderr == f"fastopt {command}: needs {missing}; install it with: pip install 'fastopt[{extra}]'\n"


@pytest.mark.parametrize("name", ["losses.huber", "metrics.mean_squared_error"])
def test_ops_are_chosen_by_the_names_that_tables_print(name):
    (op,) = verdict.choose(None, [name])
    assert f"{op.family}.{op.name}" == name
    assert name in call("check", "--op", name, "--target", "cython")


def test_without_a_command_there_is_help():
    assert call() == call("--help")


@pytest.mark.parametrize(
    ("variable", "value"), [("FASTOPT_NUM_THREADS", "many"), ("FASTOPT_TARGET", "metal"), ("FASTOPT_TARGET", "cuda")]
)
def test_a_wrong_variable_is_one_sentence(variable, value):
    done = subprocess.run(
        [sys.executable, "-m", "fastopt", "info"], capture_output=True, text=True, env={**os.environ, variable: value}
    )
    assert done.returncode == 2
    assert value in done.stderr
    assert "Traceback" not in done.stderr


# ---- check


def test_check_passes_an_op_on_both_targets():
    text = call("check", "--op", "sgd")
    assert "all right" in text
    assert "cython" in text
    assert "numba" in text


def test_check_as_json():
    verdicts = json.loads(run("check", "--op", "sgd", "--target", "cython", "--json")[1])
    assert [verdict["op"] for verdict in verdicts] == ["sgd"]
    assert verdicts[0]["passed"]
    assert verdicts[0]["cases"] > 0
    assert 0 <= verdicts[0]["worst"] <= 1


def test_check_fails_on_a_wrong_kernel(monkeypatch):
    wrong = replace(SGD, expect=lambda o, a: {name: value + 1e-3 for name, value in SGD.expect(o, a).items()})
    monkeypatch.setattr(verdict, "OPS", (wrong,))
    text = call("check", "--target", "cython", code=1)
    assert "WRONG" in text
    assert "sgd() of float32" in text


def test_check_goes_on_after_an_error(monkeypatch):
    def broken(options, arrays):
        raise RuntimeError("params[0]: a bug")

    monkeypatch.setattr(verdict, "OPS", (replace(SGD, call=broken), SGD))
    text = call("check", "--target", "cython", code=1)
    assert "RuntimeError: params[0]: a bug" in text


@pytest.mark.parametrize("command", ["check", "bench"])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("optimisers",), ("optimisers", *FAMILIES)),
        (("--op", "adamx"), ("adamx", "adamw")),
        (("losses", "--op", "adamw"), ("adamw", "of losses")),
    ],
)
def test_an_unknown_name_is_one_sentence(command, words, expected):
    text = call(command, *words, code=2)
    for word in ("expected", *expected):
        assert word in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("check", "--target", "metal"), ("--target", "cython", "'metal'")),
        (("check", "--target", "cuda"), ("--target cuda", settings.why_no_cuda()[:20])),
        (("bench", "--dtype", "int8"), ("--dtype", "float32", "'int8'")),
    ],
)
def test_a_wrong_option_is_one_sentence(words, expected):
    text = call(*words, code=2)
    for word in expected:
        assert word in text


# ---- the judge


def test_miss_counts_in_tolerances():
    tolerance = (0.0, 0.5)
    assert verdict.miss({"a": [1.0, 2.0]}, {"a": [1.0, 2.25]}, tolerance) == 0.5
    assert verdict.miss({"a": [float("nan")]}, {"a": [float("nan")]}, tolerance) == 0
    assert verdict.miss({"a": [float("inf")]}, {"a": [float("inf")]}, tolerance) == 0
    for got in ([float("nan")], [float("inf")], [1.0, 2.0], []):
        assert verdict.miss({"a": got}, {"a": [1.0]}, tolerance) == float("inf")
    assert verdict.miss({"b": [1.0]}, {"a": [1.0]}, tolerance) == float("inf")
    assert verdict.miss({"a": 1.5}, {"a": 1.0}, (0.0, 0.0)) == float("inf")
