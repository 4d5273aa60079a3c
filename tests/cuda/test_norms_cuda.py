"""Layer, RMS and group norm on a GPU: the PTX has the bits of the CPU's kernels; and calls as people make them."""

import host
import ml_dtypes
import numpy as np
import ptx
import pytest
import recipes
import stand_in as control

import fastopt as fo
from fastopt.cli import check
from fastopt.kernels.normalization import cpu, cuda, cuda_groups, extremes
from fastopt.table import OPS

FUNCTIONS = {
    "layer": (fo.normalization.layer_norm_forward, fo.normalization.layer_norm_backward),
    "rms": (fo.normalization.rms_norm_forward, fo.normalization.rms_norm_backward),
}


def case(norm, rows, columns, dtype="float32", kind="", spoil=False):
    """Return arrays, and what the CPU's kernels make of them: y, statistics, dx, gradients of parameters."""
    rng = np.random.default_rng(0)
    stored = ml_dtypes.bfloat16 if kind else dtype
    x, dy = (rng.normal(mean, 3, (rows, columns)).astype(stored) for mean in (100, 0))
    if spoil:  # deviations beyond and below the squares of float32, and what is no number
        x[0], x[1], x[2], x[3, 0], x[4, -1] = x[0] * 1e-30, x[1] * 1e25, 0, np.nan, np.inf
    gamma, beta = rng.standard_normal((2, columns)).astype(dtype)
    beta, y, dx = None if norm == "rms" else beta, np.empty_like(x), np.empty_like(x)
    with np.errstate(all="ignore"):
        found = cpu.sample_forward("cython", norm, x, gamma, beta, y, (rows,), (columns,), 0, 1e-5)
        slopes = cpu.sample_backward("cython", norm, dy, x, gamma, found, dx, (columns,), 0)
    return (x, dy, gamma, beta), (y, found, dx, slopes)


def compare(run, norm, rows, columns, dtype="float32", kind="", spoil=False):
    (x, dy, gamma, beta), (y, statistics, dx, slopes) = case(norm, rows, columns, dtype, kind, spoil)
    stored, mean, inverse, out = kind or dtype, np.zeros(rows), np.zeros(rows), x.copy()
    size = 4 if dtype == "float32" else 8
    scalars = [1e-5, extremes.HIGHEST[size]]
    arrays = [out, gamma, beta, out, mean, inverse]  # in place
    run(cuda.forward(norm, stored, dtype), arrays, rows, columns, [columns, 1, int(beta is not None)], scalars)
    assert recipes.same(out, y)
    for array, expected in zip((inverse, mean), statistics[::-1], strict=False):
        if spoil:  # sums of rows that are done again go another way
            np.testing.assert_allclose(array, expected, rtol=1e-14)
        else:
            np.testing.assert_array_equal(array, expected)
    mean, inverse = statistics[0] if norm == "layer" else None, statistics[-1]
    found, lowest = dy.copy(), [extremes.LOWEST[size]]
    arrays = [found, x, gamma, mean, inverse, found]
    run(cuda.backward(norm, stored, dtype), arrays, rows, columns, [columns, 1], lowest)
    assert recipes.same(found, dx)
    grain = max(1, cuda.ELEMENTS // columns, min(cuda.ROWS, -(-rows // cuda.PARTS)))
    grains, per = -(-rows // grain), -(-grain // 32)
    sums, whole = np.zeros((2, grains * per * columns), dtype), np.zeros(grains * columns)
    units, dims = grains * per * columns, [columns, grain, per, rows]
    run(cuda.block_sums(norm, stored, dtype), [dy, x, mean, inverse, *sums], units, 32, dims, lowest)
    for part, slope in zip(sums[::-1], slopes, strict=False):
        made = np.zeros(columns, dtype)
        run(cuda.added(dtype, "float64"), [part, whole], grains * columns, per, [columns, per], [])
        run(cuda.added("float64", dtype), [whole, made], columns, grains, [columns, grains], [])
        assert recipes.same(made, slope)


def by_ptx(kernel, *rest):
    ptx.run_rows(ptx.of(kernel), kernel, *rest)


@pytest.mark.parametrize("norm", FUNCTIONS)
@pytest.mark.parametrize(
    "options",
    [{"rows": 150, "columns": 40}, {"rows": 7, "columns": 2500, "spoil": True},
     {"rows": 9, "columns": 7, "kind": "bfloat16"}],
    ids=["short", "extreme", "bfloat16"],
)  # fmt: skip
def test_ptx_has_the_bits_of_the_cpu(norm, options):
    compare(by_ptx, norm, **options)


def test_text_of_float64_has_the_bits_of_the_cpu():
    compare(host.run_rows, "layer", rows=70, columns=1030, dtype="float64")


@pytest.mark.parametrize(("shape", "groups"), [((3, 6, 5, 7), 3), ((40, 8, 9), 2)])
def test_ptx_of_group_norm_has_the_bits_of_the_cpu(shape, groups):
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(mean, 3, shape).astype(np.float32) for mean in (10, 0))
    gamma, beta = rng.standard_normal((2, shape[1])).astype(np.float32)
    (samples, channels), inner = shape[:2], int(np.prod(shape[2:]))
    rows, width, y, dx = samples * groups, channels // groups, np.empty_like(x), np.empty_like(x)
    found = cpu.sample_forward("cython", "group", x, gamma, beta, y, (samples, groups), (channels,), groups, 1e-5)
    slopes = cpu.sample_backward("cython", "group", dy, x, gamma, found, dx, (channels,), groups)
    own, (mean, inverse), dims = x.copy(), np.zeros((2, samples, groups)), [groups, width, inner]
    limits, lowest = [1e-5, extremes.HIGHEST[4]], [extremes.LOWEST[4]]
    kernel = cuda.forward("group", "float32", "float32")
    by_ptx(kernel, [own, gamma, beta, own, mean, inverse], rows, width * inner, [width * inner, 1, 1, *dims], limits)
    assert all(recipes.same(a, b) for a, b in zip((own, mean, inverse), (y, *found), strict=True))
    sums, means, own = np.zeros((2, samples * channels)), np.zeros((2, rows)), dy.copy()
    arrays = [dy, x, *found, *sums]
    by_ptx(cuda_groups.plane_sums("float32", "float32"), arrays, samples * channels, inner, [inner, width], lowest)
    by_ptx(cuda_groups.group_means("float32"), [gamma, *sums, *means], rows, width, [*dims, 1], [])
    kernel = cuda_groups.group_slopes("float32", "float32")
    by_ptx(kernel, [own, x, gamma, *found, *means, own], rows, width * inner, [width * inner, 1, *dims], lowest)
    assert recipes.same(own, dx)
    grain = max(1, cuda.ELEMENTS // (width * inner), min(cuda.ROWS, -(-rows // cuda.PARTS)))
    for part, slope in zip(sums[::-1], slopes, strict=True):
        whole = np.zeros(channels)
        dims = [channels, groups, width, grain, rows]
        by_ptx(cuda_groups.grain_sums(), [part, whole], channels, samples, dims, [])
        np.testing.assert_array_equal(whole.astype(np.float32), slope)


@pytest.mark.parametrize("kernel", [*cuda.common(), *cuda_groups.common()], ids=lambda kernel: kernel.name)
def test_ptx_holds_nothing_inexact(kernel):
    facts = ptx.facts(ptx.of(kernel))
    facts.pop("float64")  # statistics
    assert facts == dict.fromkeys(facts, 0)


# ---- as people call them


@pytest.mark.parametrize("norm", FUNCTIONS)
def test_forward_and_backward(gpu, norm):
    (x, dy, gamma, beta), (y, statistics, dx, slopes) = case(norm, 6, 35)
    weights = [gamma] if beta is None else [gamma, beta]
    forward, backward = FUNCTIONS[norm]
    with fo.target("cuda"):
        given, weights = control.Array(x), control.on_device(weights)
        found, *made = forward(given, *weights, eps=1e-5)
        slope = control.Array(dy.copy())
        back, *gradients = backward(slope, given, weights[0], *made, out=slope)
    np.testing.assert_array_equal(found.copy(), y)
    np.testing.assert_array_equal(back.array, dx)
    for own, expected in zip([*made, *gradients], [*statistics, *slopes], strict=True):
        np.testing.assert_array_equal(own.copy(), expected)


def test_check_walks_the_table(gpu):
    for name in ("layer_norm_forward", "rms_norm_backward", "group_norm_backward"):
        verdict = check.check(next(op for op in OPS if op.name == name), ["cuda"])[0]
        assert verdict.passed, verdict.failure
        assert verdict.missing == (6 if name == "group_norm_backward" else 0)  # channels along another axis


X = np.ones((2, 3, 4), np.float32)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": X.astype(np.int64)}, "x: expected float32 or .*, got int64"),
        (
            {"gamma": np.ones(3, np.float32)},
            r"gamma: expected the shape of the last axes of x, \(2, 3, 4\), got \(3,\)",
        ),
        ({"beta": np.ones(3, np.float32)}, r"beta: expected shape \(4,\), got \(3,\)"),
        ({"gamma": np.ones(4)}, "gamma: expected float32, got float64"),
        ({"out": X[:1].copy()}, r"out: expected shape \(2, 3, 4\), got \(1, 3, 4\)"),
    ],
)
def test_calls_that_are_refused(gpu, arrays, words):
    given = {name: control.Array(array) for name, array in ({"x": X} | arrays).items()}
    with fo.target("cuda"), pytest.raises((TypeError, ValueError), match=words):
        fo.normalization.layer_norm_forward(given.pop("x"), **given)
