"""The bits of every op's results, so that a change which should not alter them is seen to alter none.

`python tests/table/test_bits.py` writes the file anew, after a change that is meant to alter bits. Ops that
multiply matrices are left out: those bits are the BLAS library's.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import fastopt as fo
from fastopt.kernels.runtime.kernel import DTYPES
from fastopt.table import OPS

FILE = Path(__file__).with_name("bits.json")
PRODUCTS = ("muon", "linear_cross_entropy", "orthogonal")


def middle(op):
    """Return a shape of middle size, or the one before the largest."""
    by_size = sorted(op.shapes, key=lambda shape: np.prod(shape, dtype=int))
    return by_size[max(0, len(by_size) - 2)]


def digest(op, options, dtype):
    """Return a hash of the results' names, shapes, dtypes and bits; every NaN counts as the same."""
    arrays = op.inputs(np.random.default_rng(7), middle(op), dtype, options)
    with fo.target("cython"):
        results = op.call(options, arrays)
    told = hashlib.sha256()
    for name, value in sorted(results.items()):
        array = np.asarray(value)
        if array.dtype.kind == "f":
            array = np.where(np.isnan(array), array.dtype.type("nan"), array)
        told.update(f"{name} {array.shape} {array.dtype}".encode())
        told.update(np.ascontiguousarray(array).tobytes())
    return told.hexdigest()[:16]


def digests(op):
    return [digest(op, options, dtype) for options in op.options for dtype in DTYPES]


@pytest.mark.parametrize("op", [pytest.param(op, id=f"{op.family}.{op.name}") for op in OPS if op.name not in PRODUCTS])
def test_the_bits_are_those_of_the_file(op):
    assert digests(op) == json.loads(FILE.read_text())[f"{op.family}.{op.name}"]


if __name__ == "__main__":
    FILE.write_text(
        json.dumps({f"{op.family}.{op.name}": digests(op) for op in OPS if op.name not in PRODUCTS}, indent=0) + "\n"
    )
