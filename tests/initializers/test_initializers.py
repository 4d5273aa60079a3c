"""Initializers: the generator against known answers, distributions, fans, promises about bits."""

import ctypes
import math

import numpy as np
import pytest
import torch

import fastopt as fo
from fastopt.kernels.initializers import reference
from fastopt.kernels.runtime.kernel import address
from fastopt.table.initializers import KERNELS

COMPILED = ("cython", "numba")
SIZE = 200_003
# Kolmogorov and Smirnov's distance times √n exceeds c with probability at most 2 exp(-2 c²): 7e-7 for this c.
# Moments may be 5 standard errors off: 6e-7. Seeds are fixed, so a failure is no accident of the day.
KOLMOGOROV = 2.73
SIGMAS = 5.0


@pytest.fixture(autouse=True)
def _keep_threads():
    threads = fo.get_num_threads()
    yield
    fo.set_num_threads(threads)


def normal_cdf(x):
    return 0.5 * reference.erfc(-x / math.sqrt(2)).astype(np.float64)


def kolmogorov(values, cdf):
    """√n times the largest distance of the values' distribution from cdf."""
    x = np.sort(values.astype(np.float64))
    expected, n = cdf(x), len(x)
    steps = np.arange(n + 1) / n
    return math.sqrt(n) * max(np.max(steps[1:] - expected), np.max(expected - steps[:-1]))


# ---- the generator


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)  # fmt: skip
def test_reference_philox_gives_the_known_answers_of_random123(counter, key, answer):
    assert [int(word) for word in reference.philox(counter, key)] == answer


@pytest.mark.parametrize("target", COMPILED)
def test_kernels_give_the_known_answer_of_counter_0_and_key_0(target):
    with fo.target(target):
        values = fo.initializers.uniform((64,), 0, low=0.0, high=1.0)
    assert [int(v) for v in values[::16] * 2.0**24] == [0x6627E8, 0xE169C5, 0xBC57AC, 0x9B00DB]


@pytest.mark.parametrize("target", COMPILED)
def test_counters_above_32_bits_and_all_of_the_seed_count(target):
    """A kernel called by hand far into an array that is not there: only the values start:stop are touched."""
    seed, start = 2**64 - 3, 4 * (2**33 - 32)  # two groups of 16 counters before counter 2^33
    values = np.zeros(64 * 5, np.float32)
    prototype = ctypes.CFUNCTYPE(
        None, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(ctypes.c_double),
        ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p,
    )  # fmt: skip
    kernel = prototype(address(KERNELS["uniform"], "float32", target))
    buffers = (ctypes.c_void_p * 1)(values.ctypes.data - start * 4)
    dims = (ctypes.c_int64 * 2)(seed & 0xFFFFFFFF, seed >> 32)
    kernel(buffers, dims, (ctypes.c_double * 3)(0.0, 1.0, 1.0), start, start + len(values), None)
    expected = (reference.random_words(len(values), seed, start) >> np.uint64(8)) / 2.0**24
    assert (start // 4) < 2**33 < (start + len(values)) // 4
    np.testing.assert_array_equal(values, expected)


# ---- distributions


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_uniform_is_uniform(dtype, seed):
    x = fo.initializers.uniform((SIZE,), seed, low=-1.0, high=3.0, dtype=dtype)
    assert x.dtype == dtype
    assert x.min() >= -1.0
    assert x.max() < 3.0
    assert kolmogorov(x, lambda x: (x + 1) / 4) < KOLMOGOROV
    assert abs(x.mean(dtype=np.float64) - 1) < SIGMAS * 4 / math.sqrt(12 * SIZE)
    deviation = (x.astype(np.float64) - 1) ** 2
    assert abs(deviation.mean() - 16 / 12) < SIGMAS * deviation.std() / math.sqrt(SIZE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_normal_is_normal(dtype, seed):
    x = fo.initializers.normal((SIZE,), seed, mean=2.0, std=3.0, dtype=dtype)
    z = (x.astype(np.float64) - 2) / 3
    assert kolmogorov(z, normal_cdf) < KOLMOGOROV
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        assert abs((z**power).mean() - moment) < SIGMAS * (z**power).std() / math.sqrt(SIZE), power
    for beyond in (3.0, 3.5, 4.0):  # both tails hold as much as they should
        share = 0.5 * math.erfc(beyond / math.sqrt(2))
        for tail in (z > beyond, z < -beyond):
            assert abs(tail.sum() - SIZE * share) < SIGMAS * math.sqrt(SIZE * share) + 1
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) < SIGMAS / math.sqrt(SIZE)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_truncated_normal_ends_at_two_standard_deviations(dtype):
    x = fo.initializers.truncated_normal((SIZE,), 1, mean=0.0, std=3.0, dtype=dtype)
    assert 5.99 < np.abs(x).max() <= 6.0
    inside = 1 - 2 * reference.TAIL
    assert kolmogorov(x / 3.0, lambda z: (normal_cdf(z) - reference.TAIL) / inside) < KOLMOGOROV
    assert abs(x.std() / 3 - reference.KERAS_STD) < SIGMAS / math.sqrt(2 * SIZE)


def test_truncated_glorot_keeps_its_standard_deviation():
    plain = fo.initializers.glorot_normal((500, 300), 1)
    cut = fo.initializers.glorot_normal((500, 300), 1, truncated=True)
    std = math.sqrt(2 / 800)
    assert abs(plain.std() / std - 1) < SIGMAS / math.sqrt(2 * plain.size)
    assert abs(cut.std() / std - 1) < SIGMAS / math.sqrt(2 * cut.size)
    assert np.abs(cut).max() <= np.float32(2 * std / reference.KERAS_STD) < np.abs(plain).max()


def test_a_standard_deviation_cut_at_two_is_what_keras_divides_by():
    density = math.exp(-2.0) / math.sqrt(2 * math.pi)
    assert abs(math.sqrt(1 - 4 * density / (1 - 2 * reference.TAIL)) - reference.KERAS_STD) < 1e-15


def test_uniform_never_reaches_high_even_where_rounding_would():
    low, high = 1.0, 1.0 + 2.0**-22  # four float32 numbers: sums round to the fifth
    x = fo.initializers.uniform((10_000,), 0, low=low, high=high)
    assert set(np.unique(x)) == {np.float32(low + k * 2.0**-23) for k in range(2)}


def test_reference_quantile_inverts_the_distribution():
    p = np.array([0.5, 0.499999, 0.3, 0.1, 0.02275013194817921, 1e-5, 1e-11, 1e-19])
    z = reference.quantile(p, 0.5 - p)
    np.testing.assert_allclose(0.5 * reference.erfc(z / math.sqrt(2)).astype(float), p, rtol=2e-14)
    assert z[0] == 0
    assert abs(z[4] - 2) < 1e-14


@pytest.mark.parametrize("target", COMPILED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_reach_the_accuracy_of_as_241_in_all_its_regions(target, dtype):
    with fo.target(target):
        x = fo.initializers.normal((SIZE,), 5, std=1.0, dtype=dtype).astype(np.float64)
    expected = reference.normal((SIZE,), 5, 0.0, 1.0, dtype)
    assert np.abs(x).max() > 4
    assert np.abs(x).min() < 1e-4
    assert np.max(np.abs(x / expected - 1)) < {"float32": 1e-6, "float64": 2e-15}[dtype]


# ---- the same bits


GOLDEN = {  # of a float, in hexadecimal; results of the same seed must stay the same from version to version
    ("uniform", "float32"): [
        "0x1.1824120000000p-5",
        "0x1.913a220000000p-5",
        "0x1.cc039c0000000p-6",
        "0x1.ddbc6c0000000p-6",
    ],
    ("uniform", "float64"): [
        "0x1.182413bdc0026p-5",
        "0x1.913a233986786p-5",
        "0x1.cc039a70ad36cp-6",
        "0x1.1a207a7d0cd38p-5",
    ],
    ("normal", "float32"): [
        "-0x1.4d7e1e0000000p-6",
        "-0x1.4fd73a0000000p-10",
        "-0x1.db97260000000p-6",
        "-0x1.c18a2e0000000p-6",
    ],
    ("normal", "float64"): [
        "-0x1.4d7e2082f28cep-6",
        "-0x1.4fd73944fe18fp-10",
        "-0x1.db972430e8375p-6",
        "-0x1.48177ffcac1a3p-6",
    ],
    ("truncated_normal", "float32"): [
        "-0x1.3d83b60000000p-6",
        "-0x1.408e880000000p-10",
        "-0x1.c38cd60000000p-6",
        "-0x1.ab12060000000p-6",
    ],
    ("truncated_normal", "float64"): [
        "-0x1.3d83ba558eecep-6",
        "-0x1.408e879b92934p-10",
        "-0x1.c38cd5f497cf0p-6",
        "-0x1.38660705fe116p-6",
    ],
}


@pytest.mark.parametrize("target", COMPILED)
@pytest.mark.parametrize(("name", "dtype"), GOLDEN)
def test_golden_values_never_change(name, dtype, target):
    with fo.target(target):
        values = getattr(fo.initializers, name)((4, 17), 20250101, dtype=dtype)
    assert [float(v).hex() for v in values.ravel()[[0, 1, 16, 67]]] == GOLDEN[name, dtype]


@pytest.mark.parametrize("name", ["uniform", "normal", "truncated_normal"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_shape_layout_and_target_change_no_bit(name, dtype):
    function = getattr(fo.initializers, name)
    flat = function((SIZE - 3,), 7, dtype=dtype)
    for threads in (1, 2, 3, 7):
        fo.set_num_threads(threads)
        for target in COMPILED:
            with fo.target(target):
                np.testing.assert_array_equal(function((SIZE - 3,), 7, dtype=dtype), flat)
                strided = np.zeros((100, 2 * 2000), dtype)[:, ::2]
                assert function((100, 2000), 7, dtype=dtype, out=strided) is strided
                np.testing.assert_array_equal(strided.ravel(), flat)
                fortran = np.zeros((100, 2000), dtype, order="F")
                np.testing.assert_array_equal(function((100, 2000), 7, dtype=dtype, out=fortran).ravel(), flat)
    np.testing.assert_array_equal(function((1001,), 7, dtype=dtype), flat[:1001])  # the prefix of a longer array


def test_seeds_differ_in_both_halves_and_none_is_fresh():
    arrays = [fo.initializers.uniform((1000,), seed) for seed in (0, 1, 2**32, 2**32 + 1, 2**63, None, None)]
    for i, first in enumerate(arrays):
        for second in arrays[:i]:
            assert np.mean(first == second) < 0.01
            assert abs(np.corrcoef(first, second)[0, 1]) < SIGMAS / math.sqrt(1000)


def test_numpy_integers_are_seeds_and_lengths():
    expected = fo.initializers.normal((3, 4), 5)
    np.testing.assert_array_equal(fo.initializers.normal((np.int64(3), np.uint8(4)), np.uint64(5)), expected)
    np.testing.assert_array_equal(fo.initializers.normal([3, 4], 5, dtype=np.float32), expected)


# ---- fans


@pytest.mark.parametrize("shape", [(5, 7), (6, 3, 4), (6, 3, 4, 5), (6, 3, 2, 4, 5)])
def test_fans_are_those_of_torch_and_keras(shape):
    from fastopt.initializers.base import fans

    expected = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
    assert fans(shape, "out_in") == expected
    outputs, inputs, *spatial = shape
    assert fans((*spatial, inputs, outputs), "in_out") == expected  # the same layer, as Keras stores it


def test_fans_of_a_vector_are_its_length_as_in_keras():
    from fastopt.initializers.base import fans

    assert fans((7,), "in_out") == fans((7,), "out_in") == (7, 7)


@pytest.mark.parametrize(
    ("name", "options", "theirs"),
    [
        ("glorot_uniform", {"gain": 2.0}, lambda w: torch.nn.init.xavier_uniform_(w, gain=2.0)),
        ("xavier_normal", {}, torch.nn.init.xavier_normal_),
        ("he_uniform", {}, lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="relu")),
        ("kaiming_normal", {"mode": "fan_out", "gain": 5 / 3},
         lambda w: torch.nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="tanh")),
        ("fan_in_uniform", {}, lambda w: torch.nn.init.kaiming_uniform_(w, a=math.sqrt(5))),
        ("truncated_normal", {"std": 1.0}, torch.nn.init.trunc_normal_),
    ],
)  # fmt: skip
def test_same_distribution_as_torch(name, options, theirs):
    """Two samples of n = 120 000: their distributions are apart by less than c √(2 / n), as above."""
    torch.manual_seed(0)
    shape = (40, 30, 10, 10)
    if name != "truncated_normal":
        options = {**options, "layout": "out_in"}
    ours = np.sort(getattr(fo.initializers, name)(shape, 3, **options).ravel())
    their = np.sort(theirs(torch.empty(shape)).numpy().ravel())
    everywhere = np.concatenate([ours, their])
    distance = np.searchsorted(ours, everywhere, "right") - np.searchsorted(their, everywhere, "right")
    assert np.abs(distance).max() / len(ours) < KOLMOGOROV * math.sqrt(2 / len(ours))


# ---- orthogonal


@pytest.mark.parametrize("layout", ["in_out", "out_in"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(64, 64), (100, 30), (30, 100), (3, 3, 8, 16)])
def test_orthogonal_matrices_are_orthogonal(shape, dtype, layout):
    q = fo.initializers.orthogonal(shape, 3, gain=2.0, layout=layout, dtype=dtype)
    assert q.dtype == dtype
    matrix = q.astype(np.float64).reshape((-1, shape[-1]) if layout == "in_out" else (shape[0], -1)) / 2.0
    small = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    assert np.abs(small - np.eye(len(small))).max() < {"float32": 1e-7, "float64": 1e-14}[dtype]


def test_orthogonal_matrices_are_uniform_over_the_group():
    """The trace of a Haar orthogonal matrix has mean 0 and variance 1 (Diaconis and Shahshahani 1994)."""
    traces = np.array([np.trace(fo.initializers.orthogonal((4, 4), seed, dtype="float64")) for seed in range(2000)])
    assert abs(traces.mean()) < SIGMAS / math.sqrt(len(traces))
    assert abs(traces.var() - 1) < SIGMAS * math.sqrt(2 / len(traces))


# ---- what is written


@pytest.mark.parametrize("name", fo.initializers.__all__)
def test_out_is_filled_and_returned_and_a_failed_call_leaves_it_alone(name):
    function = getattr(fo.initializers, name)
    out = np.full((6, 5), 9.0, np.float32)
    with pytest.raises(TypeError, match="out: expected float64, got float32"):
        function((6, 5), dtype="float64", out=out)
    with pytest.raises(ValueError, match=r"out: expected shape \(5, 6\), got \(6, 5\)"):
        function((5, 6), out=out)
    assert (out == 9).all()
    assert function((6, 5), out=out) is out
    assert (out != 9).all()


@pytest.mark.parametrize("target", [*COMPILED, "reference"])
@pytest.mark.parametrize("name", fo.initializers.__all__)
def test_size_zero_gives_an_empty_array(name, target):
    with fo.target(target):
        for shape in ((0, 3), (3, 0)):
            assert getattr(fo.initializers, name)(shape, dtype="float64").shape == shape


def test_scales_that_the_dtype_cannot_hold_are_refused_by_name():
    assert fo.initializers.normal((2,), 0, std=1e100, dtype="float64").dtype == np.float64
    with pytest.raises(ValueError, match="std: expected a scale that float32 can hold"):
        fo.initializers.normal((2,), 0, std=1e100)
    with pytest.raises(ValueError, match="gain: expected a scale that float32 can hold"):
        fo.initializers.he_normal((2, 2), 0, gain=1e-50)
    with pytest.raises(ValueError, match="gain: expected bounds that float32 can tell apart"):
        fo.initializers.he_uniform((2, 2), 0, gain=1e-50)
    with pytest.raises(ValueError, match="high: expected bounds that float32 can tell apart"):
        fo.initializers.uniform((2,), 0, low=1.0, high=1.0 + 1e-12)
