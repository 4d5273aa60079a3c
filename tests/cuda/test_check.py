"""`fastopt check --target cuda` on the stand-in, and the script for a device, dry."""

import json

import numpy as np
import pytest

import fastopt as fo
from fastopt.cli import app, check
from fastopt.kernels.runtime import cuda_arrays
from fastopt.table import OPS


def test_arrays_go_to_the_device_and_back(gpu):
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(cuda_arrays.on_device(x).copy(), x)


@pytest.mark.parametrize("name", ["sgd", "huber"])
def test_check_walks_the_table_on_the_device(gpu, name, capsys):
    with pytest.raises(SystemExit) as stop:
        app.main(["check", "--op", name, "--target", "cuda", "--json"])
    assert stop.value.code == 0
    verdict = json.loads(capsys.readouterr().out)[0]
    assert verdict["passed"]
    assert verdict["cases"] > verdict["missing"]


def test_what_there_is_no_kernel_for_is_not_wrong(gpu):
    op = next(op for op in OPS if op.name == "muon")
    verdict = check.check(op, ["cuda"])[0]
    assert verdict.passed
    assert verdict.missing == verdict.cases


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_no_op_falls_back_to_the_host(gpu, op):
    """Arrays of the host's are refused, and so is what has no kernel yet: nothing runs on the CPU in silence."""
    options = op.options[0]
    arrays = op.inputs(np.random.default_rng(0), op.shapes[min(3, len(op.shapes) - 1)], "float32", options)
    with fo.target("cuda"), pytest.raises((TypeError, NotImplementedError)):
        op.call(options, arrays)


def test_arrays_on_a_gpu_are_told_where_to_go(gpu):
    x = cuda_arrays.on_device(np.ones((2, 3), np.float32))
    with (
        fo.target("cuda"),
        pytest.raises(NotImplementedError, match="x: target 'cuda' has no kernel for this call yet"),
    ):
        fo.normalization.batch_norm_stats(x)
    with pytest.raises(TypeError, match=r"x: expected a NumPy array, got a OwnArray on a GPU; .*fastopt.target.'cuda'"):
        fo.normalization.batch_norm_stats(x)
