"""What all metrics share: a state that updates and merges, and a result."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.docstrings import filler
from fastopt.kernels.runtime.targets import way

State = Any

RAISES = """\
Raises
------
TypeError, ValueError
    As the function; `result()` also before any update."""
filled = filler(raises=RAISES)


class Metric(expect.Named):
    """Base of all metrics: sums of what came, from which the result is made.

    `update_state` takes a batch, `result` gives the metric of all batches, `merge_state` takes the batches of another
    object over, `reset_state` forgets them. A function beside each class gives the metric of one batch.

    Parameters
    ----------
    **options
        What tells metrics of a class apart: two merge if their options are equal.

    Raises
    ------
    TypeError, ValueError
        If what comes is no valid batch; each metric says what it takes.

    Notes
    -----
    An update that is refused leaves the state as it was. Merging parts gives what the whole gives: to the last bit for
    counts and for ranks without weights, to rounding (float64) otherwise. An object is not to be updated by two
    threads at once: give each its own, and merge. Keras's `merge_state` takes a list; this one takes one metric.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> one, other = fo.metrics.Accuracy(), fo.metrics.Accuracy()
    >>> one.update_state(np.array([0, 1]), np.array([0, 1]))
    >>> other.update_state(np.array([1, 1]), np.array([0, 0]))
    >>> one.merge_state(other)
    >>> one.result()
    0.5
    """

    def __init__(self, **options: Any):
        self._options = options
        self._state: State = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name[0] != "_":
            raise AttributeError(f"{name}: expected the options that the metric was made with; make another {self!r}")
        super().__setattr__(name, value)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take a batch, with the arguments of the metric's function."""
        self._state = self._joined(self._state, self._measured(way("metrics"), y_true, y_pred, sample_weight))

    def result(self) -> Any:
        """Return the metric of all batches.

        Raises
        ------
        ValueError
            If there was none, or the metric is not defined for them (no weight, a class that never came).
        """
        if self._state is None:
            raise ValueError(f"{type(self).__name__}.result: expected at least one update before it, got none")
        return self._value(way("metrics"), self._state)

    def merge_state(self, other: "Metric") -> None:
        """Take over what another metric of the same class and options has seen; `other` stays as it is.

        Raises
        ------
        TypeError, ValueError
            If `other` is of another class, or has other options.
        """
        if type(other) is not type(self):
            raise TypeError(f"other: expected another {type(self).__name__}, got {type(other).__name__}")
        if repr(other) != repr(self):  # NaN is equal to itself here
            raise ValueError(f"other: expected the same options as in {self}, got {other}")
        if other._state is not None:
            self._state = self._joined(self._state, other._state)

    def reset_state(self) -> None:
        """Forget all batches."""
        self._state = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._options.items())})"

    def _once(self, y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
        """The metric of one batch alone."""
        by = way("metrics")
        return self._value(by, self._measured(by, y_true, y_pred, sample_weight))

    def _joined(self, state: State, more: State) -> State:
        if state is None:
            return more
        with np.errstate(invalid="ignore"):  # infinite errors of both signs travel silently
            return state + more

    def _measured(self, by: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> State:
        raise NotImplementedError("Metric: expected one of the metrics, such as Accuracy(), got their base")

    def _value(self, by: Any, state: State) -> Any:
        raise NotImplementedError("Metric: expected one of the metrics, such as Accuracy(), got their base")


class Mean(Metric):
    """A metric that is a weighted mean; its state is the sum of weight times value, and of weights."""

    def _value(self, by: Any, state: np.ndarray) -> float:
        total, weight = state.tolist()
        if weight == 0:
            raise ValueError("sample_weight: expected a positive sum, got 0.0")
        return total / weight


def metric_of(kind: Callable[..., Metric], *options: Any) -> Metric:
    """Return a metric with these options, for a function: they are checked once, and the state is left alone."""
    try:
        return _kept(kind, *options)
    except Exception:  # something without a hash among the options, as a list, or a refused one
        return kind(*options)


@lru_cache(maxsize=256, typed=True)
def _kept(kind: Callable[..., Metric], *options: Any) -> Metric:
    return kind(*options)
