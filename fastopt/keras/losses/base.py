"""What losses share: how a function and a class are made of what the kernels are to compute."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from keras.src.backend.common.masking import get_keras_mask

from fastopt.keras.losses.leniency import host, kept_by_name
from fastopt.kernels.losses.formulas import Formula

Prepared = tuple[Formula, Any, Any] | None  # a formula, labels and predictions; None: it is Keras's to compute
MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


def by_kernels(theirs: Callable[..., Any]) -> Callable[[Callable[..., Prepared]], Any]:
    """Make a loss's function of one that says what the kernels are to compute; `theirs` is Keras's own.

    It returns the samples' values, and has what it is made of as `prepared`.
    """

    def make(prepared: Callable[..., Prepared]) -> Any:
        @wraps(prepared)
        def loss(*args: Any, **keywords: Any) -> Any:
            found = prepared(*args, **keywords)
            return theirs(*args, **keywords) if found is None else host.values(*found)

        loss.prepared = prepared  # type: ignore[attr-defined]
        return kept_by_name(host.opaque(loss))

    return make


class Reduced:
    """Base of the losses, before Keras's class: where nothing is masked, the kernel weighs and reduces as well.

    The gradient is then what the backward pass wants; Keras's own products, sums and quotients would take as long as a
    small loss, and their backward pass a pass over the gradient.
    """

    def __call__(self: Any, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        found = None
        if self.reduction in (*MEANS, "sum") and host.bare(y_true, y_pred, self.dtype):
            found = self._reduced(y_true, y_pred, sample_weight)
        return super().__call__(y_true, y_pred, sample_weight) if found is None else found  # type: ignore[misc]

    @host.opaque
    def _reduced(self: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
        """Return the loss of bare tensors; None: there are masks, or the kernels don't take them."""
        if get_keras_mask(y_pred) is not None or self._fn_kwargs.get("ignore_class") is not None:
            return None
        found = self.fn.prepared(y_true, y_pred, **self._fn_kwargs)
        return None if found is None else host.reduced(*found, sample_weight, self.reduction)
