"""Work on many arrays by the reference: the functions of cpu.py over reference.py, in float64."""

import numpy as np

from fastopt.kernels.arrays import reference


def scale(columns, groups, numbers, checks=False):
    return _elementwise(reference.scale, columns, numbers)


def axpby(columns, groups, numbers, checks=False):
    return _elementwise(reference.axpby, columns, numbers)


def norms(columns, groups):
    return reference.norms(_wide(columns))


def global_norm(columns, groups):
    return reference.global_norm(_wide(columns))


def all_finite(columns, groups):
    return reference.all_finite(_wide(columns))


def _elementwise(function, columns, numbers):
    finite = True
    *inputs, outputs = columns
    with np.errstate(all="ignore"):
        for *given, out in zip(*inputs, outputs, strict=True):
            out[...] = function(*(array.astype(np.float64) for array in given), **numbers).astype(out.dtype)
            finite &= bool(np.isfinite(out.astype(np.float64)).all())
    return finite


def _wide(columns):
    return [array.astype(np.float64) for array in columns[0]]
