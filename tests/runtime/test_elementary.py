"""exp, log, log1p and tanh: the same formulas in simd.h and in elementary_*.py, right over the whole range."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fastopt.kernels.runtime import jit
from fastopt.kernels.runtime.kernel import DTYPES
from fastopt.kernels.runtime.launch import Pipeline
from fastopt.kernels.runtime.tables import address

RUNTIME = Path(__file__).parents[2] / "kernels" / "runtime"  # wheels don't hold the headers


LIMIT = {"exp": 1.0, "log": 0.9, "log1p": 1.5, "tanh": 1.8}  # ulp, over the whole range; stated in kernels/README.md
FLAGS = ["-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-shared", "-fPIC"]  # as in setup.py
COMPILER = shutil.which(os.environ.get("CC", "cc").split()[0])


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    """Return y = f(x) for each function, type and target, run through the launcher."""
    folder = tmp_path_factory.mktemp("elementary")
    kernels = {}
    source = ['#include "simd.h"']
    for name in (*LIMIT, "exp_nonpositive"):
        path = folder / f"{name}_rule.py"
        path.write_text(
            f"from math import {name.partition('_')[0]} as {name}\n\n\ndef apply_{name}(x):\n    return {name}(x)\n"
        )
        names: dict = {}
        exec(path.read_text(), names)
        loop = jit.elementwise_loop(names[f"apply_{name}"], ("x", "y"), ("y",), ())
        for dtype in DTYPES:
            loaded = jit.load(f"apply_{name}", dtype, jit.typed_source(path), loop)
            kernels[name, dtype, "numba"] = loaded.kernel.address
            real = {"float32": "float", "float64": "double"}[dtype]
            source.append(
                f"CLONED void {name}_{dtype}(void **buffers, const int64_t *dims, const double *scalars, int64_t start,"
                f" int64_t stop, double *partials)\n{{ const {real} *x = buffers[0]; {real} *y = buffers[1];\n"
                f"  for (int64_t i = start; i < stop; i++) y[i] = {name}_{real}(x[i]); }}"
            )
    if COMPILER:
        (folder / "elementary.c").write_text("\n".join(source))
        command = [COMPILER, *FLAGS, f"-I{RUNTIME}", str(folder / "elementary.c"), "-o", str(folder / "elementary.so")]
        subprocess.run([*command, "-lm"], check=True)
        library = ctypes.CDLL(str(folder / "elementary.so"))
        for name in (*LIMIT, "exp_nonpositive"):
            for dtype in DTYPES:
                function = ctypes.cast(getattr(library, f"{name}_{dtype}"), ctypes.c_void_p)
                kernels[name, dtype, "cython"] = function.value
        kernels["library"] = library  # kept as long as its addresses are

    def apply(name, dtype, target, x):
        if target == "cython" and not COMPILER:
            pytest.skip("no C compiler here")
        y = np.empty_like(x)
        plan = Pipeline([(kernels[name, dtype, target], (0, 1), 1, 0, 0)], (0, 0))
        plan.run(np.array([[address(x), address(y)]], np.uintp), np.array([x.size]), 1 << 20)
        return y

    return apply


def whole_range(dtype, name):
    """Return every exponent with every sign and many mantissas; and where the function does something, far more."""
    rng = np.random.default_rng(0)
    bits = {"float32": np.uint32, "float64": np.uint64}[dtype]
    digits = np.finfo(dtype).nmant
    exponents = np.arange(2 ** (np.finfo(dtype).bits - digits), dtype=bits) << bits(digits)
    mantissas = np.concatenate([[0, 1, 2**digits - 1], rng.integers(0, 2**digits, 97)]).astype(bits)
    everywhere = (exponents[:, None] | mantissas).ravel().view(dtype)
    low, high = {"exp": (-750, 715), "log": (0.3, 3), "log1p": (-1, 3), "tanh": (-3, 3)}[name]
    return np.concatenate([everywhere, rng.uniform(low, high, 400_000).astype(dtype)])


def ulp(got, exact, dtype):
    """Return the error in units of the last place of the exact result (those of subnormals are the smallest)."""
    with np.errstate(over="ignore"):
        rounded = exact.astype(dtype)
    return np.abs(got.astype(np.longdouble) - exact) / np.spacing(np.abs(rounded)).astype(np.longdouble)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("target", ["cython", "numba"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LIMIT)
def test_elementary_functions_are_right_over_the_whole_range(functions, name, dtype, target):
    x = whole_range(dtype, name)
    got, exact = functions(name, dtype, target, x), getattr(np, name)(x.astype(np.longdouble))
    with np.errstate(all="ignore"):
        rounded = exact.astype(dtype)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(rounded))
    largest = np.abs(rounded) > np.finfo(dtype).max * (1 - 4 * np.finfo(dtype).eps)  # one side may round to Inf
    finite = np.isfinite(rounded) & np.isfinite(got)
    special = ~finite & ~np.isnan(rounded) & ~largest
    np.testing.assert_array_equal(got[special], rounded[special])
    error = ulp(got[finite], exact[finite], dtype)
    worst = error.argmax()
    assert error[worst] <= LIMIT[name], f"{error[worst]:.2f} ulp at {x[finite][worst]!r}"


@pytest.mark.parametrize("target", ["cython", "numba"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_of_what_is_not_positive_has_the_bits_of_exp(functions, dtype, target):
    x = -np.abs(whole_range(dtype, "exp"))
    got, wanted = functions("exp_nonpositive", dtype, target, x), functions("exp", dtype, target, x)
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("target", ["cython", "numba"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(functions, dtype, target):
    inf, nan, tiny = np.inf, np.nan, float(np.finfo(dtype).smallest_subnormal)
    cases = {
        "exp": [(0.0, 1.0), (-0.0, 1.0), (inf, inf), (-inf, 0.0), (nan, nan), (1e4, inf), (-1e4, 0.0), (tiny, 1.0)],
        "log": [(1.0, 0.0), (0.0, -inf), (-0.0, -inf), (inf, inf), (-inf, nan), (-1.0, nan), (nan, nan), (-tiny, nan)],
        "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -inf), (-2.0, nan), (inf, inf), (-inf, nan), (nan, nan)],
        "tanh": [(0.0, 0.0), (-0.0, -0.0), (inf, 1.0), (-inf, -1.0), (tiny, tiny), (-tiny, -tiny), (nan, nan)],
    }  # fmt: skip
    for name, pairs in cases.items():
        x, expected = (np.array(values, dtype) for values in zip(*pairs, strict=True))
        got = functions(name, dtype, target, x)
        np.testing.assert_array_equal(got, expected, err_msg=name)
        numbers = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(got)[numbers], np.signbit(expected)[numbers], err_msg=name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LIMIT)
def test_both_targets_give_the_same_bits(functions, name, dtype):
    x = whole_range(dtype, name)
    x = x[~np.isnan(x)]  # the bits of a NaN are nobody's promise
    one, other = (functions(name, dtype, target, x) for target in ("cython", "numba"))
    same = (one == other) & (np.signbit(one) == np.signbit(other)) | (np.isnan(one) & np.isnan(other))
    assert same.all(), f"{name}({x[~same][0]!r}): {one[~same][0]!r} and {other[~same][0]!r}"
