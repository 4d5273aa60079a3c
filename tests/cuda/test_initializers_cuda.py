"""Initial weights on a GPU: the CPU's numbers, to the bit."""

import ml_dtypes
import numpy as np
import ptx
import pytest
import recipes
import stand_in as control

import fastopt as fo
from fastopt.kernels.initializers import cpu, cuda

SEED = (7 << 32) + 12345
TYPES = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("size", [1, 63, 64, 2065])
def test_ptx_has_the_numbers_of_the_cpu(monkeypatch, kind, size):
    def run(device, kernel, rows, columns, pointers, dims, scalars, stream):
        ptx.run_rows(ptx.of(kernel), kernel, [found], rows, columns, dims, scalars)

    class Place:
        def __init__(self):
            self.size, self.dtype, self.ordinal, self.address = size, kind, 0, 0

    class Driver:
        def device(self, ordinal):
            return None

    monkeypatch.setattr(cuda, "run_rows", run)
    monkeypatch.setattr(cuda, "driver", Driver)
    monkeypatch.setattr(cuda, "device_array", lambda value, name: Place())
    found, expected = np.zeros(size, TYPES[kind]), np.zeros(size, TYPES[kind])
    cpu.uniform("cython", expected, SEED, -0.5, 0.75)
    cuda.uniform(found, SEED, -0.5, 0.75)
    assert recipes.same(found, expected)
    cpu.normal("cython", expected, SEED, 1.0, 2.0, size == 64)
    cuda.normal(found, SEED, 1.0, 2.0, size == 64)
    assert recipes.same(found, expected)


@pytest.mark.parametrize("kernel", cuda.common(), ids=lambda kernel: kernel.name)
def test_ptx_holds_nothing_inexact(kernel):
    facts = ptx.facts(ptx.of(kernel))
    facts.pop("float64"), facts.pop("fma")  # scalars; log writes its own
    assert facts == dict.fromkeys(facts, 0)


# ---- as people call them


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["glorot_uniform", "he_normal", "truncated_normal", "zeros", "ones"])
def test_arrays_have_the_numbers_of_the_cpu(gpu, name, dtype):
    function = getattr(fo.initializers, name)
    options = {"dtype": dtype} | ({} if name in ("zeros", "ones") else {"seed": SEED})
    with fo.target("cuda"):
        found = function((33, 5), **options)
        given = control.Array(np.full((33, 5), 9, dtype))
        assert function((33, 5), out=given, **options) is given
    np.testing.assert_array_equal(found.copy(), function((33, 5), **options))
    np.testing.assert_array_equal(given.array, found.copy())


def test_calls_that_are_refused(gpu):
    with fo.target("cuda"):
        with pytest.raises(NotImplementedError, match="target 'cuda' has no kernel for orthogonal yet"):
            fo.initializers.orthogonal((3, 3), seed=0)
        with pytest.raises(TypeError, match="out: expected an array on a GPU"):
            fo.initializers.uniform((3,), seed=0, out=np.zeros(3, np.float32))
        with pytest.raises(TypeError, match="out: expected float32, got float64"):
            fo.initializers.ones((3,), out=control.Array(np.zeros(3)))
