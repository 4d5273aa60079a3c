"""Every op of the table × target × dtype × size × layout against the reference, all outputs."""

import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.runtime.kernel import DTYPES
from fastopt.kernels.table import OPS

CPU_TARGETS = ("cython", "numba", "reference")
CASES = [pytest.param(op, options, id=f"{op.name}-{k}") for op in OPS for k, options in enumerate(op.options)]


def run(op, options, arrays, target):
    with fo.target(target):
        return op.call(options, {name: array.copy(order="K") for name, array in arrays.items()})


def assert_close(got, expected, tolerance, what):
    assert got.keys() == expected.keys(), what
    rtol, atol = tolerance
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=rtol, atol=atol, err_msg=f"{what}: {name}")


@pytest.mark.parametrize("target", CPU_TARGETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "options"), CASES)
def test_op_matches_the_reference_at_every_size(op, options, dtype, target):
    for shape in op.shapes:
        arrays = op.inputs(np.random.default_rng(0), shape, dtype, options)
        expected = op.expect(options, arrays)
        got = run(op, options, arrays, target)
        assert_close(got, expected, op.tolerance[dtype], f"{op.name} {options} {shape}")
