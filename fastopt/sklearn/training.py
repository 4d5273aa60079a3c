"""What a network of dense layers does with a batch: forward, loss, backward, step; in memory that is kept."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.linalg import get_blas_funcs
from scipy.special import expit, xlogy

from fastopt import optimizers
from fastopt.kernels.losses import formulas
from fastopt.kernels.losses.formulas import Formula
from fastopt.kernels.runtime.targets import way

ACTIVATIONS: dict[str, Callable[[np.ndarray], object]] = {  # in place
    "identity": lambda h: h,
    "logistic": lambda h: expit(h, out=h),
    "tanh": lambda h: np.tanh(h, out=h),
    "relu": lambda h: np.maximum(h, 0, out=h),
}
ELEMENTWISE = {
    "absolute_error": formulas.mean_absolute_error(),
    "huber": formulas.huber(1.0),
    "log_cosh": formulas.log_cosh(),
}
OPTIMIZERS = tuple(name for name in optimizers.__all__ if name != "Optimizer")
Loss = Callable[[np.ndarray, np.ndarray, np.ndarray | None, float, np.ndarray], float]


class _SGD(optimizers.SGD):
    """SGD whose momentum may be 1, as scikit-learn's may."""


_SGD.rule = replace(_SGD.rule, hyper={**_SGD.rule.hyper, "momentum": _SGD.rule.hyper["dampening"]})


def _times_slope(activation: str, h: np.ndarray, delta: np.ndarray) -> None:
    """Multiply a gradient, in place, by the slope of the activation whose value is h."""
    if activation == "relu":
        np.multiply(delta, h > 0, out=delta)
    elif activation == "tanh":
        delta *= 1 - h * h
    elif activation == "logistic":
        delta *= h * (1 - h)


def _product(a: Any, b: np.ndarray, out: np.ndarray) -> np.ndarray:
    if type(a) is np.ndarray:
        return np.matmul(a, b, out)
    out[...] = a @ b  # a is sparse
    return out


# ---- losses: the mean over samples, of a weight altogether, and its gradient by the last layer before its activation


def _by_kernels(formula: Formula, summed: bool) -> Loss:
    """Return a loss that adds up a sample's outputs, or takes their mean; weights may be negative in scikit-learn."""

    def of(y: np.ndarray, z: np.ndarray, w: np.ndarray | None, weight: float, out: np.ndarray) -> float:
        factor = (z.shape[1] if summed else 1) / weight
        return float(way("losses").evaluate(formula, y, z, out, leading=z.shape[:1], weight=w, factor=factor))

    return of


def _squared(y: np.ndarray, z: np.ndarray, w: np.ndarray | None, weight: float, out: np.ndarray) -> float:
    np.subtract(z, y, out=out)
    if w is None:
        value = 0.5 * float(np.vdot(out, out)) / z.shape[1]
    else:
        value = 0.5 * float(np.sum(out * out * w[:, None])) / z.shape[1]
        out *= w[:, None]
    out /= weight
    return value / weight


def _poisson(y: np.ndarray, z: np.ndarray, w: np.ndarray | None, weight: float, out: np.ndarray) -> float:
    np.exp(z, out=out)
    values = xlogy(y, y / out) - y + out
    out -= y
    if w is not None:
        values *= w[:, None]
        out *= w[:, None]
    out /= weight
    return float(values.sum()) / weight


def loss_of(name: str, output: str, outputs: int) -> Loss:
    """Return the loss of a model's `loss`, output activation and number of outputs."""
    if output == "softmax":
        return _by_kernels(formulas.sparse_categorical_crossentropy(outputs, True, None), summed=False)
    if output == "logistic":
        return _by_kernels(formulas.binary_crossentropy(True, 0.0), summed=True)
    if name in ELEMENTWISE:
        return _by_kernels(ELEMENTWISE[name], summed=False)
    return _poisson if name == "poisson" else _squared


class Batches:
    """Forward and backward of a network over batches of up to so many samples."""

    def __init__(self, model: Any, batch: int, dtype: Any):
        self.coefs, self.intercepts, self.norms = model.coefs_, model.intercepts_, model.norms_
        self.activation, self.alpha = model.activation, model.alpha
        self.loss = loss_of(model.loss, model.out_activation_, len(self.intercepts[-1]))
        widths = [len(b) for b in self.intercepts]
        self.sums = [np.empty((batch, width), dtype) for width in widths]  # before the norm
        self.hidden = [np.empty_like(h) for h in self.sums[:-1]] if self.norms else self.sums[:-1]
        self.deltas = [np.empty_like(h) for h in self.sums]
        self.add = get_blas_funcs("axpy", dtype=dtype)
        self.grads = [np.empty_like(array) for array in (*self.coefs, *self.intercepts)]

    def parameters(self) -> list[np.ndarray]:
        scales = [array for norm in self.norms for array in (norm.gamma, norm.beta)]
        return [*self.coefs, *self.intercepts, *scales]

    def gradients(self) -> list[np.ndarray]:
        return [*self.grads, *(array for norm in self.norms for array in (norm.grad_gamma, norm.grad_beta))]

    def run(self, x: Any, y: np.ndarray, w: np.ndarray | None) -> float:
        """Return the loss of a batch, the mean over samples with the penalty; leave the gradients."""
        n, last = x.shape[0], len(self.coefs) - 1
        inputs = [x]
        for i, (coef, intercept) in enumerate(zip(self.coefs, self.intercepts, strict=True)):
            z = _product(inputs[i], coef, self.sums[i][:n])
            z += intercept
            if i < last:
                h = self.norms[i].forward(z, out=self.hidden[i][:n]) if self.norms else z
                ACTIVATIONS[self.activation](h)
                inputs.append(h)
        weight = float(n if w is None else w.sum())
        delta = self.deltas[last][:n]
        if weight == 0.0:
            raise ZeroDivisionError("sample_weight: expected weights of a sum other than 0 in every batch, got 0")
        value = self.loss(y, z, w, weight, delta)
        for i in range(last, -1, -1):
            _product(inputs[i].T, delta, self.grads[i])
            if self.alpha > 0:
                coef = self.coefs[i].reshape(-1)
                self.add(coef, self.grads[i].reshape(-1), a=self.alpha / weight)  # in place
                value += 0.5 * self.alpha / weight * float(np.vdot(coef, coef))
            np.add.reduce(delta, 0, None, self.grads[last + 1 + i])
            if i:
                before = np.matmul(delta, self.coefs[i].T, out=self.deltas[i - 1][:n])
                _times_slope(self.activation, inputs[i], before)
                delta = self.norms[i - 1].backward(before, out=before) if self.norms else before
        return value


class Steps:
    """An optimizer between calls of `fit`: what it is, its learning rate, and its state."""

    def __init__(self, model: Any):
        self.name = model.optimizer or {"sgd": "SGD", "adam": "Adam"}[model.solver]
        self.learning_rate_init, self.learning_rate = model.learning_rate_init, float(model.learning_rate_init)
        self.schedule = model.learning_rate if model.solver == "sgd" else "constant"
        self.power_t = model.power_t
        self.state: dict[str, Any] | None = None
        self.how: dict[str, Any] = {}
        if model.optimizer is None and model.solver == "sgd":
            nesterov = bool(model.nesterovs_momentum) and model.momentum > 0
            self.how = {"momentum": float(model.momentum), "nesterov": nesterov, "lr_in_momentum": True}
        elif model.optimizer is None:
            betas = (float(model.beta_1), float(model.beta_2))
            self.how = {"betas": betas, "eps": float(model.epsilon), "eps_hat": True}

    def bind(self, params: list[np.ndarray]) -> optimizers.Optimizer:
        """Return the optimizer of these parameters, in the state of the call before."""
        kind = _SGD if self.name == "SGD" else getattr(optimizers, self.name)
        optimizer = kind(params, lr=self.learning_rate, **self.how)
        if self.state is not None:
            optimizer.load_state_dict(self.state)
            optimizer.lr = self.learning_rate
        return optimizer

    def iteration_ends(self, time_step: int) -> None:
        if self.schedule == "invscaling":
            self.learning_rate = float(self.learning_rate_init) / (time_step + 1) ** self.power_t

    def trigger_stopping(self, message: str, verbose: Any) -> bool:
        """Return whether to stop; with an adaptive rate, lower it instead while that helps."""
        if self.schedule != "adaptive" or self.learning_rate <= 1e-6:
            if verbose:
                print(
                    message + (" Learning rate too small. Stopping." if self.schedule == "adaptive" else " Stopping.")
                )
            return True
        self.learning_rate /= 5.0
        if verbose:
            print(message + f" Setting learning rate to {self.learning_rate:f}")
        return False
