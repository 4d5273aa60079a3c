"""The Gaussian negative log likelihood, whose variances are predictions too: two gradients."""

from typing import Annotated, Any

import numpy as np

from fastopt import expect
from fastopt.kernels.losses import formulas
from fastopt.kernels.runtime.targets import way
from fastopt.losses import checks
from fastopt.losses.base import Axes, Loss, Reduction, filled
from fastopt.losses.options import function_of


@filled
class GaussianNLL(Loss):
    """Gaussian negative log likelihood: mean over a sample of (log var + (y_pred − y_true)² / var) / 2, in nats.

    Call it as ``loss(y_true, y_pred, var, sample_weight=None, mask=None)``, var being the predicted variances.

    Parameters
    ----------
    full : bool, default False
        Add the constant log(2 π) / 2.
    eps : float > 0, default 1e-6
        Variances below it are taken for it, in squared units of the data.
    {shared}

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

    full: bool
    eps: float

    def __init__(
        self,
        full: bool = False,
        eps: Annotated[float, expect.POSITIVE] = 1e-6,
        *,
        reduction: Reduction = "mean",
        axis: Axes = -1,
    ):
        super().__init__(reduction, axis=axis, full=full, eps=eps)

    def __call__(  # type: ignore[override]
        self,
        y_true: np.ndarray,
        y_pred: np.ndarray,
        var: np.ndarray,
        sample_weight: np.ndarray | None = None,
        *,
        mask: np.ndarray | None = None,
    ) -> Any:
        """Return the value. Parameters and errors are those of `value_and_grad`."""
        return self._of_three(y_true, y_pred, var, sample_weight, mask, None, None, False)[0]

    def value_and_grad(  # type: ignore[override]
        self,
        y_true: np.ndarray,
        y_pred: np.ndarray,
        var: np.ndarray,
        sample_weight: np.ndarray | None = None,
        *,
        out: np.ndarray | None = None,
        out_var: np.ndarray | None = None,
        mask: np.ndarray | None = None,
    ) -> tuple[Any, np.ndarray, np.ndarray]:
        """Return the value and its gradients with respect to `y_pred` and to `var`, in one pass.

        Parameters
        ----------
        y_true, y_pred, var : arrays
            As the class says. Any strides.
        sample_weight, mask
            As in :meth:`Loss.value_and_grad`. Variances of masked samples are checked all the same.
        out, out_var : arrays, shape and dtype of `y_pred`
            Where the gradients are written; may be `y_pred` and `var` themselves. None: new arrays.

        Returns
        -------
        value : float, or with reduction "none" an array of the shape without `axis`
        gradient, gradient_var : arrays

        Raises
        ------
        TypeError, ValueError
            If an argument is not as it should be; nothing has been written then.
        """
        return self._of_three(y_true, y_pred, var, sample_weight, mask, out, out_var, True)

    def _of_three(self, y_true, y_pred, var, sample_weight, mask, out, out_var, wanted):
        by = way("losses")
        evaluate, samples = by.gaussian_nll, self._samples(y_pred)
        leading, rows = samples.leading, samples.rows
        expect.arrays(y_pred.dtype, y_pred.shape, y_true=y_true, var=var)
        weight = None if sample_weight is None else checks.weight(by, sample_weight, y_pred.dtype, leading)
        if mask is not None:
            checks.mask(mask, leading)
        if wanted:
            apart = {"y_true": y_true, "sample_weight": sample_weight}
            out = self._expect_out(out, "out", {"y_pred": y_pred, "var": var, **apart})
            out_var = self._expect_out(out_var, "out_var", {"var": var, "y_pred": y_pred, **apart, "out": out})
        largest = checks.LARGEST[y_pred.dtype]
        checks.within(by, var, "var", 0.0, largest, "finite variances ≥ 0", nan=True)
        gradients = (rows(out), rows(out_var)) if wanted else (None, None)
        value = evaluate(
            formulas.gaussian_nll(self.full, self.eps), rows(y_true), rows(y_pred), rows(var), *gradients,
            leading=leading, factor=self._factor(leading, 0, mask), reduced=self.reduction != "none", weight=weight,
            mask=mask,
        )  # fmt: skip
        return value, out, out_var


gaussian_nll = function_of(GaussianNLL, "gaussian_nll")
