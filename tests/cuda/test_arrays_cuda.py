"""Work on many arrays on a GPU: the CPU's bits where elements are written, its sums within 1e-13."""

import ml_dtypes
import numpy as np
import ptx
import pytest
import recipes
import stand_in as control

import fastopt as fo
from fastopt.kernels.arrays import cuda

SIZES = (1, 33, 300)


def column(kind, seed=0):
    rng, dtype = np.random.default_rng(seed), ml_dtypes.bfloat16 if kind == "bfloat16" else kind
    return [rng.standard_normal(n).astype(dtype) for n in SIZES]


@pytest.mark.parametrize("kernel", cuda.common(), ids=lambda kernel: kernel.name)
def test_ptx_has_the_bits_of_the_cpu(kernel):
    kinds = [kernel.inputs.get(name) or kernel.outputs[name] for name in kernel.table]
    columns = [column(kind, seed) for seed, kind in enumerate(kinds)]
    jobs = [dict(zip(kernel.table, arrays, strict=True)) for arrays in zip(*columns, strict=True)]
    sums, _ = ptx.run(ptx.of(kernel), kernel, jobs, [[0.3, 0.7][: len(kernel.scalars)]])
    if kernel.name.startswith("scale"):
        expected = fo.arrays.scale(columns[0], 0.3)
    elif kernel.name.startswith("axpby"):
        expected = fo.arrays.axpby(0.3, columns[0], 0.7, columns[1])
    elif kernel.name.startswith("squares"):
        return np.testing.assert_allclose(np.sqrt(sums[:, 0]), fo.arrays.norms(columns[0]), rtol=1e-13)
    else:
        return np.testing.assert_array_equal(sums, 0)
    assert all(recipes.same(job["out"], array) for job, array in zip(jobs, expected, strict=True))


# ---- as people call them


def test_calls_give_what_the_cpu_gives(gpu):
    x, y = column("float32"), column("float32", 1)
    own, other = control.on_device(x), control.on_device(y)
    with fo.target("cuda"):
        scaled, finite = fo.arrays.scale(own, 3e38, return_finite=True)
        mixed = fo.arrays.axpby(0.5, own, 2.0, other, out=other)
        found = fo.arrays.norms(own), fo.arrays.global_norm(own), fo.arrays.all_finite(own)
    assert not finite
    assert mixed is other
    for made, expected in zip(scaled, fo.arrays.scale(x, 3e38), strict=True):
        np.testing.assert_array_equal(made.copy(), expected)
    for made, expected in zip(other, fo.arrays.axpby(0.5, x, 2.0, y), strict=True):
        np.testing.assert_array_equal(made.array, expected)
    np.testing.assert_allclose(found[0], fo.arrays.norms(x), rtol=1e-13)
    np.testing.assert_allclose(found[1], fo.arrays.global_norm(x), rtol=1e-13)
    assert found[2]


def test_a_norm_whose_squares_overflow(gpu):
    with fo.target("cuda"):
        assert fo.arrays.global_norm(control.on_device([np.array([3e200, 4e200])])) == pytest.approx(5e200, rel=1e-15)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda a, b: fo.arrays.scale([a, b.array], 2.0), r"arrays\[1\]: expected an array on a GPU"),
        (lambda a, b: fo.arrays.scale([a, b], 2.0, out=[b, a]), r"out\[.\]: expected memory apart from arrays"),
        (lambda a, b: fo.arrays.axpby(1.0, a, 1.0, control.Array(b.array[:1])), r"y: expected shape \(3,\)"),
        (lambda a, b: fo.arrays.norms([control.Array(np.arange(3))]), r"arrays\[0\]: .*, got int64"),
    ],
)  # fmt: skip
def test_calls_that_are_refused(gpu, call, words):
    with fo.target("cuda"), pytest.raises((TypeError, ValueError), match=words):
        call(*control.on_device([np.ones(3, np.float32), np.ones(3, np.float32)]))
