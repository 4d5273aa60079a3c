"""Work on many arrays at once, under one parallel region: scaling, sums, norms, and whether all is finite.

What apex's multi-tensor kernels are to GPUs. Everything gives the same bits for any number of threads, reads arrays of
any strides, and takes float64, float32, bfloat16 (of ml_dtypes) and float16 arrays mixed: those of the same types share
a launch.
"""

from typing import Any

import numpy as np

from fastopt import expect
from fastopt.arrays import sets
from fastopt.kernels.runtime.settings import get_target
from fastopt.kernels.runtime.targets import way_of

__all__ = ["all_finite", "axpby", "global_norm", "norms", "scale"]


@expect.nearest
def scale(arrays: Any, factor: float, out: Any = None, return_finite: bool = False) -> Any:
    """Multiply every array by a number: out = factor · array.

    Parameters
    ----------
    arrays : array, sequence or mapping of arrays
        float64, float32, bfloat16 or float16, of any shapes and strides.
    factor : float in (-∞, ∞)
        Rounded to the type that is computed in: float64 if the array or its output is of that type, otherwise float32.
    out : same structure as `arrays`, or None, default None
        Where the results go, of the same shapes and any of these types; may be `arrays` themselves. None: new arrays
        of the inputs' types.
    return_finite : bool, default False
        Whether to tell if every element of the results, as it was stored, is finite: an overflow of float16 counts.

    Returns
    -------
    same structure as `arrays`, or (that, bool)
        The results (`out`, where it is given), and whether all of them are finite, with `return_finite`.

    Raises
    ------
    TypeError, ValueError
        If an array is of another type, an output isn't writable, of another shape, or shares memory with another array
        without being its own input, or the factor isn't finite. Nothing has been written then.

    References
    ----------
    apex, `amp_C.multi_tensor_scale`. torch's `_foreach_mul_` doesn't change types and doesn't look for overflow;
    apex looks at the inputs alone.

    Examples
    --------
    Gradients out of a loss scale, in place:

    >>> import numpy as np, fastopt as fo
    >>> grads = {"w": np.array([2.0, 4.0]), "b": np.array([8.0, np.inf])}
    >>> _, finite = fo.arrays.scale(grads, 1 / 4, out=grads, return_finite=True)
    >>> grads["w"], finite
    (array([0.5, 1. ]), False)
    """
    numbers = {"factor": expect.number(factor, "factor", expect.FINITE)}
    checks = expect.flag(return_finite, "return_finite")
    target = get_target()
    if target == "cuda":
        from fastopt.arrays import device

        return device.with_output("scale", {"arrays": arrays}, ("x", "out"), numbers, out, checks)
    out, columns, groups = sets.with_output({"arrays": arrays}, out)
    finite = way_of("arrays", target).scale(columns, groups, numbers, checks)
    return (out, finite) if checks else out


@expect.nearest
def axpby(a: float, x: Any, b: float, y: Any, out: Any = None) -> Any:
    """Add two sets of arrays, each times a number: out = a x + b y.

    Parameters
    ----------
    a, b : float in (-∞, ∞)
        Rounded to the type that is computed in: float64 if one of the three arrays is of that type, otherwise float32.
        0 hides no NaN: 0 · NaN is NaN.
    x : array, sequence or mapping of arrays
        float64, float32, bfloat16 or float16, of any shapes and strides.
    y : same structure and shapes as `x`
        Of any of these types.
    out : same structure and shapes as `x`, or None, default None
        Where the results go, of any of these types; may be `x` or `y` themselves. None: new arrays of x's types.

    Returns
    -------
    same structure as `x`
        The results: `out`, where it is given.

    Raises
    ------
    TypeError, ValueError
        If an array is of another type or shape, an output isn't writable or shares memory with another array without
        being its own input, or a number isn't finite. Nothing has been written then.

    References
    ----------
    apex, `amp_C.multi_tensor_axpby`. torch needs two passes, `_foreach_mul_` and `_foreach_add_`, or `_foreach_lerp_`
    where a + b = 1.

    Examples
    --------
    A running average, in place:

    >>> import numpy as np, fastopt as fo
    >>> average, now = [np.zeros(2), np.ones(3)], [np.ones(2), np.zeros(3)]
    >>> fo.arrays.axpby(0.25, now, 0.75, average, out=average)
    [array([0.25, 0.25]), array([0.75, 0.75, 0.75])]
    """
    numbers = {"a": expect.number(a, "a", expect.FINITE), "b": expect.number(b, "b", expect.FINITE)}
    target = get_target()
    if target == "cuda":
        from fastopt.arrays import device

        return device.with_output("axpby", {"x": x, "y": y}, ("x", "y", "out"), numbers, out, False)
    out, columns, groups = sets.with_output({"x": x, "y": y}, out)
    way_of("arrays", target).axpby(columns, groups, numbers)
    return out


@expect.nearest
def global_norm(arrays: Any) -> float:
    """Return the Euclidean norm of all arrays together.

    Parameters
    ----------
    arrays : array, sequence or mapping of arrays
        float64, float32, bfloat16 or float16, of any shapes and strides.

    Returns
    -------
    float
        0 for no arrays. Squares are summed in float64; where that is too narrow for them, the sums are done again with
        scale, so the norm is right as long as it is a float64 number.

    Raises
    ------
    TypeError, ValueError
        If an array is of another type.

    References
    ----------
    apex, `amp_C.multi_tensor_l2norm`; `torch.nn.utils.get_total_norm`, which sums in the arrays' own type.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.arrays.global_norm([np.array([3.0, 0.0]), np.array(4.0)])
    5.0
    """
    target = get_target()
    if target == "cuda":
        from fastopt.arrays import device

        return device.read_only("global_norm", arrays)
    return way_of("arrays", target).global_norm(*sets.read_only(arrays))


@expect.nearest
def norms(arrays: Any) -> np.ndarray:
    """Return the Euclidean norm of every array.

    Parameters
    ----------
    arrays : array, sequence or mapping of arrays
        float64, float32, bfloat16 or float16, of any shapes and strides.

    Returns
    -------
    float64 array of shape (arrays,)
        In the order of the arrays. Squares are summed as in `global_norm`.

    Raises
    ------
    TypeError, ValueError
        If an array is of another type.

    References
    ----------
    apex, `amp_C.multi_tensor_l2norm` with `per_tensor=True`; `torch._foreach_norm`, which sums in the arrays' own type.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.arrays.norms({"w": np.array([3.0, 4.0]), "b": np.array([-1.0])})
    array([5., 1.])
    """
    target = get_target()
    if target == "cuda":
        from fastopt.arrays import device

        return device.read_only("norms", arrays)
    return way_of("arrays", target).norms(*sets.read_only(arrays))


@expect.nearest
def all_finite(arrays: Any) -> bool:
    """Return whether no element of any array is NaN or infinite.

    Parameters
    ----------
    arrays : array, sequence or mapping of arrays
        float64, float32, bfloat16 or float16, of any shapes and strides.

    Returns
    -------
    bool
        True for no arrays.

    Raises
    ------
    TypeError, ValueError
        If an array is of another type.

    References
    ----------
    IEEE 754-2019, isFinite. `torch.isfinite` makes an array of flags, of one array at a time.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> fo.arrays.all_finite([np.ones(3), np.array([1.0, np.nan])])
    False
    """
    target = get_target()
    if target == "cuda":
        from fastopt.arrays import device

        return device.read_only("all_finite", arrays)
    return way_of("arrays", target).all_finite(*sets.read_only(arrays))
