"""What every normalization layer is: arrays of its own, settings that are checked when they are set, and a state."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from fastopt import expect
from fastopt.kernels.runtime import kinds

DTYPES = ("float32", "float64", "bfloat16", "float16")
Check = Callable[[Any, str], Any]


class Layer(expect.Named):
    """Parameters, their gradients, and what a backward needs of the last forward; for one thread at a time.

    Arrays can be assigned to: values are checked and copied into the layer's own array, which an optimizer may hold.
    Numbers in `_numbers` are checked when they are set. All else is as the layer was made.
    """

    dtype: np.dtype
    affine: bool
    eps: Any
    gamma: Any  # an array or None, as all of these
    beta: Any
    grad_gamma: Any
    grad_beta: Any
    _numbers: dict[str, Check]  # a setting -> what checks a new value
    _saved: ClassVar[tuple[str, ...]] = ("gamma", "beta")  # what a checkpoint needs
    _kept: tuple[Any, ...] | None  # of the last forward: x, statistics, options
    _parameter_dtype: np.dtype

    def __init__(
        self, shape: tuple[int, ...], affine: Any, bias: Any, dtype: Any, made: Mapping[str, Any], **numbers: Any
    ):
        """Make a layer with parameters of this shape, what it was `made` with, and numbers: (value, its check) each."""
        affine, bias = expect.flag(affine, "affine"), expect.flag(bias, "bias")
        name = expect.choice(str(dtype), "dtype", DTYPES)
        wide = self._parameter_dtype = np.dtype(name if name == "float64" else "float32")
        arrays: dict[str, Any] = dict.fromkeys(("gamma", "grad_gamma", "beta", "grad_beta"))
        if affine:
            arrays |= {"gamma": np.ones(shape, wide), "grad_gamma": np.zeros(shape, wide)}
        if affine and bias:
            arrays |= {"beta": np.zeros(shape, wide), "grad_beta": np.zeros(shape, wide)}
        vars(self).update(made, affine=affine, dtype=kinds.dtype(name), **arrays)
        self._numbers = {name: check for name, (_, check) in numbers.items()}
        self._kept = None
        for name, (value, check) in numbers.items():
            vars(self)[name] = check(value, name)

    def _eps(self, value: Any, name: str) -> float:
        return expect.eps(value, self.dtype)

    def __setattr__(self, name: str, value: Any) -> None:
        own = vars(self).get(name)
        if name[0] == "_":
            vars(self)[name] = value
        elif isinstance(own, np.ndarray):
            own[...] = expect.array(value, name, dtype=own.dtype, shape=own.shape)
        elif name in self._numbers:
            vars(self)[name] = self._numbers[name](value, name)
        elif name in vars(self):
            wanted = f"no change of what the layer was made with ({own}); make another {type(self).__name__}"
            raise AttributeError(f"{name}: expected {wanted}, got {expect.describe(value)}")
        else:
            known = sorted(key for key in vars(self) if key[0] != "_")
            raise AttributeError(f"{name}: {expect.unknown(name, known)}")

    def state_dict(self) -> dict[str, Any]:
        """Return copies of all that a later run needs: parameters, and running statistics where there are some."""
        return {name: np.array(vars(self)[name]) for name in self._saved if vars(self)[name] is not None}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned, into the layer's own arrays.

        Parameters
        ----------
        state : mapping
            Name -> array, the names being those of this layer's `state_dict`.

        Raises
        ------
        TypeError, ValueError
            If it is no mapping, a name is missing or unknown, or an array is of another dtype or shape. The layer is as
            it was then.
        """
        own = self.state_dict()
        if not isinstance(state, Mapping):
            raise TypeError(f"state: expected a mapping of {', '.join(own)}, got {expect.describe(state)}")
        if set(state) != set(own):
            raise ValueError(f"state: expected the names {', '.join(own)}, got {', '.join(map(str, state))}")
        for name, array in own.items():
            value = state[name] if array.shape else np.asarray(state[name])
            if not isinstance(value, np.ndarray):
                raise TypeError(f"state[{name!r}]: expected a NumPy array, got {expect.describe(value)}")
            if value.dtype != array.dtype:
                raise TypeError(f"state[{name!r}]: expected {array.dtype}, got {value.dtype}")
            if value.shape != array.shape:
                raise ValueError(f"state[{name!r}]: expected shape {array.shape}, got {value.shape}")
            if not array.shape:
                self._numbers[name](int(value), name)
        for name, array in own.items():
            setattr(self, name, state[name] if array.shape else int(state[name]))

    def _last_forward(self) -> tuple[Any, ...]:
        if self._kept is None:
            raise ValueError("backward: expected a forward before it, with an `out` other than x, got none")
        return self._kept

    def _write_gradients(self, dgamma: np.ndarray, dbeta: np.ndarray | None = None) -> None:
        for own, gradient in ((self.grad_gamma, dgamma), (self.grad_beta, dbeta)):
            if own is not None:
                own[...] = gradient
