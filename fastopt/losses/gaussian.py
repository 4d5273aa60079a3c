"""The Gaussian negative log likelihood, whose variances are predictions too: two gradients."""

import math
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.losses import reference
from fastopt.kernels.losses.kernels import KERNELS
from fastopt.kernels.runtime import pipeline
from fastopt.kernels.runtime.settings import get_num_threads, get_target
from fastopt.losses.base import (
    DROP,
    LARGEST,
    MEANS,
    NAMES,
    TOTAL,
    WEIGH,
    Loss,
    check_mask,
    check_within,
    needs_staging,
    rows_in_a_block,
)

BUFFERS = ("y_true", "y_pred", "var", "gradient", "gradient_var", "value")
WEIGH_BOTH = (*WEIGH, (KERNELS["weigh_gradient"], ("weight", "gradient_var"), 1))
DROP_BOTH = (DROP, (KERNELS["drop_rows"], ("mask", "values", "gradient_var"), 1))
HALF_LOG_2_PI = 0.9189385332046727


class GaussianNLL(Loss):
    """Gaussian negative log likelihood: mean over a sample of (log var + (y_pred − y_true)² / var) / 2, in nats.

    Call it as ``loss(y_true, y_pred, var, sample_weight=None, mask=None)``, var being the predicted variances.

    Parameters
    ----------
    full : bool, default False
        Add the constant log(2 π) / 2.
    eps : float > 0, default 1e-6
        Variances below it are taken for it, in squared units of the data.
    reduction : {"mean", "sum", "none"}, default "mean"
        What becomes of the samples' values.
    axis : int, default -1
        Which axis of y_pred makes up a sample; the others number the samples. Others than the last are read and
        written with strides.

    Raises
    ------
    TypeError, ValueError
        If an argument is outside its domain.

    Notes
    -----
    y_true, y_pred, var: float32 or float64 arrays of one shape (..., features); variances ≥ 0. NaN and Inf travel.
    torch.nn.GaussianNLLLoss is the same: the gradient of var is that at the raised variance. It also takes one variance
    a row: give ``np.broadcast_to`` of it, and sum its gradient. Keras has no such loss.

    References
    ----------
    Nix and Weigend, "Estimating the mean and variance of the target probability distribution", ICNN 1994, equation 5.

    Examples
    --------
    >>> import numpy as np, fastopt as fo
    >>> loss = fo.losses.GaussianNLL()
    >>> y_true, y_pred, var = np.array([[1.0, 2.0]]), np.array([[3.0, 2.0]]), np.array([[1.0, 1.0]])
    >>> loss.value_and_grad(y_true, y_pred, var)
    (1.0, array([[1., 0.]]), array([[-0.75,  0.25]]))
    """

    def __init__(self, full: bool = False, eps: float = 1e-6, reduction: str = "mean", axis: int = -1):
        super().__init__(reduction, axis)
        self.full = expect.flag(full, "full")
        self.eps = expect.number(eps, "eps", expect.POSITIVE)

    def _options(self) -> dict[str, Any]:
        return {"full": self.full, "eps": self.eps}

    def __call__(  # type: ignore[override]
        self,
        y_true: np.ndarray,
        y_pred: np.ndarray,
        var: np.ndarray,
        sample_weight: np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> Any:
        """Return the value. Parameters and errors are those of `value_and_grad`."""
        return self._of_three(y_true, y_pred, var, sample_weight, None, None, mask, False)[0]

    def value_and_grad(  # type: ignore[override]
        self,
        y_true: np.ndarray,
        y_pred: np.ndarray,
        var: np.ndarray,
        sample_weight: np.ndarray | None = None,
        out: np.ndarray | None = None,
        out_var: np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> tuple[Any, np.ndarray, np.ndarray]:
        """Return the value and its gradients with respect to `y_pred` and to `var`, in one pass.

        Parameters
        ----------
        y_true, y_pred, var : arrays
            As the class says. Any strides.
        sample_weight : array, the shape of `y_pred` without `axis`, or its first axes; >= 0; dtype of `y_pred`
            Multiplies the samples' values and gradients.
        out, out_var : arrays, shape and dtype of `y_pred`
            Where the gradients are written; may be `y_pred` and `var` themselves. None: new arrays.
        mask : bool array, the shape of `y_pred` without `axis`, or None
            Samples where it is False don't count: value 0 and gradients 0, and "mean" divides by the number of the
            others. Their variances are checked all the same.

        Returns
        -------
        value : float, or with reduction "none" an array of the shape without `axis`
        gradient, gradient_var : arrays

        Raises
        ------
        TypeError, ValueError
            If an argument is not as it should be; nothing has been written then.
        """
        return self._of_three(y_true, y_pred, var, sample_weight, out, out_var, mask, True)

    def _of_three(self, y_true, y_pred, var, sample_weight, out, out_var, mask, wanted):
        if self.axis != -1:
            return self._three_turned(y_true, y_pred, var, sample_weight, out, out_var, mask, wanted)
        leading, y_true, weight = self._begin(y_true, y_pred, sample_weight)
        expect.array(var, "var", dtype=y_pred.dtype, shape=y_pred.shape)
        if mask is not None:
            check_mask(mask, leading)
        if wanted:
            like = {"dtype": y_pred.dtype, "shape": y_pred.shape}
            apart = {"y_pred": y_pred, "y_true": y_true, "var": var, "sample_weight": sample_weight}
            out = expect.output(out, "out", apart=apart, same="y_pred", **like)
            out_var = expect.output(out_var, "out_var", apart=apart | {"out": out}, same="var", **like)
        check_within(var, "var", 0.0, LARGEST[y_pred.dtype], "finite variances ≥ 0", nan=True)
        counted = math.prod(leading) if mask is None else max(1, int(np.count_nonzero(mask)))
        run = self._by_reference if get_target() == "reference" else self._by_kernels
        return run(y_true, y_pred, var, weight, leading, out, out_var, mask, counted)

    def _three_turned(self, y_true, y_pred, var, sample_weight, out, out_var, mask, wanted):
        """Evaluate views with the samples' axis last; the gradients lie in memory as `y_pred` does."""
        same, last = self._of_last_axis(y_pred)
        if wanted:
            out, out_var = (np.empty_like(y_pred, subok=False) if array is None else array for array in (out, out_var))
        arrays = {"y_true": y_true, "y_pred": y_pred, "var": var}
        places = (last(out, "out"), last(out_var, "out_var")) if wanted else (None, None)
        views = (last(array, name) for name, array in arrays.items())
        return same._of_three(*views, sample_weight, *places, mask, wanted)[0], out, out_var

    def _by_kernels(self, y_true, y_pred, var, weight, leading, out, out_var, mask, counted):
        samples, size, reduced = math.prod(leading), y_pred.itemsize, self.reduction != "none"
        columns = y_pred.size // samples
        values = size if reduced else np.empty(leading, y_pred.dtype)
        slots = {
            "y_true": y_true,
            "y_pred": y_pred,
            "var": var,
            "gradient": columns * size if out is None else out,
            "gradient_var": columns * size if out_var is None else out_var,
            "value": columns * size,
            "values": values,
        }
        stages = ((KERNELS["gaussian_likelihood"], BUFFERS, columns), MEANS)
        if weight is not None:
            slots["weight"] = weight
            stages += WEIGH_BOTH if out is not None else WEIGH[:1]
        if mask is not None:
            slots["mask"] = mask.view(np.uint8)
            stages += DROP_BOTH
        factor = 1.0 / counted if self.reduction == "mean" else 1.0
        pairs = (("gradient", out, y_pred), ("gradient_var", out_var, var))
        sums = pipeline.run(
            stages + (TOTAL,) if reduced else stages,
            slots,
            samples,
            dtype=NAMES[y_pred.dtype],
            target=get_target(),
            threads=get_num_threads(),
            grain=max(1, pipeline.GRAIN // columns),
            block=rows_in_a_block(columns),
            dims=(columns, columns),
            scalars=(factor / columns, self.eps, HALF_LOG_2_PI if self.full else 0.0),
            partials=1,
            staged=tuple(name for name, array, given in pairs if needs_staging(array, given)),
            streamed=("gradient", "gradient_var"),
        )
        return float(sums[0]) * factor if reduced else values, out, out_var

    def _by_reference(self, y_true, y_pred, var, weight, leading, out, out_var, mask, counted):
        rows = [array.astype(np.float64).reshape(math.prod(leading), -1) for array in (y_true, y_pred, var)]
        with np.errstate(all="ignore"):  # NaN and Inf travel, in rows that a mask drops too
            value, *gradients = reference.gaussian_nll(*rows, **self._options())
        weight = None if weight is None else weight.astype(np.float64).reshape(-1)
        for gradient, array in zip(gradients, (out, out_var), strict=True):
            found = value
            if mask is not None:
                found, gradient = reference.dropped(value, gradient, mask.reshape(-1))
            found, gradient = reference.weighted_and_reduced(found, gradient, weight, self.reduction, counted)
            if array is not None:
                array[...] = gradient.reshape(y_pred.shape)
        found = found.astype(y_pred.dtype).reshape(leading) if self.reduction == "none" else float(found)
        return found, out, out_var
