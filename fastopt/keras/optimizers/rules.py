"""fastopt's rules as Keras's optimizers use them: where a buffer or a rate is scaled otherwise, and nothing else."""

from collections.abc import Mapping
from dataclasses import replace
from math import sqrt
from typing import Any

import keras
import numpy as np

from fastopt import optimizers
from fastopt.kernels.optimizers import layers, reference, scalars


def _sgd(group: Mapping[str, Any], step: int) -> tuple[float, ...]:
    """Keras's buffer is minus fastopt's with `lr_in_momentum`: it holds steps that are added."""
    if group["momentum"] == 0.0:
        return group["lr"], 0.0, scalars.grad_scale(group)
    return -1.0, group["momentum"], 1.0, float(group["nesterov"]), 0.0, -group["lr"], scalars.grad_scale(group)


def _sgd_reference(param: Any, grad: Any, momentum_buffer: Any = None, *, t: int, **group: Any) -> tuple[Any, ...]:
    if momentum_buffer is None:
        return reference.sgd(param, grad, t=t, **group)
    param, buffer = reference.sgd(param, grad, -momentum_buffer, lr_in_momentum=True, t=t + 1, **group)
    return param, -buffer


class _Adafactor(layers.Adafactor):
    """Adafactor whose mean of rows is kept above the same number as squares, not above its root."""

    def settle(
        self, number: int, group: Mapping[str, Any], arrays: Mapping[str, np.ndarray], sums: np.ndarray,
        scalars: np.ndarray, scales: tuple[float, ...] = (1.0, 1.0),
    ) -> None:  # fmt: skip
        floor, smallest = group["eps"]
        super().settle(number, {**group, "eps": (floor**2, smallest)}, arrays, sums, scalars, scales)


def _muon(group: Mapping[str, Any], step: int) -> tuple[float, ...]:
    """Keras's buffer holds sums of gradients, which aren't weighed."""
    return group["lr"], group["momentum"], 1.0, float(group["nesterov"]), 1.0, scalars.grad_scale(group)


def _muon_rate(rate: float | None, shape: tuple[int, ...]) -> float:
    return 1.0 if rate is None else rate * sqrt(max(shape))


class _Muon(layers.Muon):
    """Muon whose products of matrices are Keras's."""

    def settle(
        self, number: int, group: Mapping[str, Any], arrays: Mapping[str, np.ndarray], sums: np.ndarray,
        scalars: np.ndarray, scales: tuple[float, ...] = (1.0, 1.0),
    ) -> None:  # fmt: skip
        update = arrays["update"]
        update[...] = keras.ops.convert_to_numpy(group["orthogonalize"](update))
        scalars[0] *= _muon_rate(group["rms_rate"], update.shape)


def _muon_reference(
    param: Any, grad: Any, momentum_buffer: Any, *, lr: float, momentum: float, nesterov: bool, rms_rate: float | None,
    orthogonalize: Any, weight_decay: float = 0.0, maximize: bool = False, t: int,
) -> tuple[Any, ...]:  # fmt: skip
    buffer = momentum * momentum_buffer + grad
    update = keras.ops.convert_to_numpy(orthogonalize(grad + momentum * buffer if nesterov else buffer))
    return param - lr * _muon_rate(rms_rate, np.shape(param)) * update, buffer


def _scaled(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the group of Muon's Adam, whose rate is scaled while its decay is not."""
    return {
        **{name: value for name, value in group.items() if name != "lr_ratio"},
        "lr": group["lr"] * group["lr_ratio"],
    }


def _muons_adam(group: Mapping[str, Any], step: int) -> tuple[float, ...]:
    return scalars.adam(_scaled(group), step)


def _muons_adam_reference(*arrays: Any, t: int, **group: Any) -> tuple[Any, ...]:
    return reference.adam(*arrays, **_scaled(group), t=t)


SGD = replace(optimizers.SGD.rule, scalars=_sgd, reference=_sgd_reference)
ADAM = optimizers.Adam.rule
RMSPROP = optimizers.RMSprop.rule
ADAGRAD = optimizers.Adagrad.rule
ADADELTA = optimizers.Adadelta.rule
ADAMAX = optimizers.Adamax.rule
NADAM = optimizers.NAdam.rule
FTRL = optimizers.FTRL.rule
LION = optimizers.Lion.rule
LAMB = optimizers.LAMB.rule
ADAFACTOR = replace(optimizers.Adafactor.rule, layers=_Adafactor())
MUON = replace(optimizers.Muon.rule, scalars=_muon, reference=_muon_reference, layers=_Muon())
MUONS_ADAM = replace(
    ADAM,
    scalars=_muons_adam,
    reference=_muons_adam_reference,
    hyper={**ADAM.hyper, "lr_ratio": ADAM.hyper["weight_decay"]},
)
SCHEDULE_FREE = optimizers.AdamWScheduleFree.rule
