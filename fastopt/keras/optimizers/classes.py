"""The optimizers: Keras's classes, and of each what its numbers are to fastopt's rule."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import optimizers as theirs

from fastopt.keras.optimizers import rules
from fastopt.keras.optimizers.base import Fused, Rule, host
from fastopt.optimizers.rule import Group

kept_by_name = keras.saving.register_keras_serializable("fastopt")  # what a saved model names, loading finds


@kept_by_name
class SGD(Fused, theirs.SGD):
    """:class:`keras.optimizers.SGD`.

    Examples
    --------
    >>> import keras, fastopt.keras
    >>> model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(1)])
    >>> model.compile(fastopt.keras.optimizers.SGD(0.1, momentum=0.9, clipnorm=1.0), "mse")
    """

    rules = (Rule(rules.SGD, {"momentum_buffer": "momentums"}),)

    def _said(self, number: int) -> Group:
        return {"momentum": self.momentum, "nesterov": bool(self.nesterov) and self.momentum != 0}


@kept_by_name
class Adam(Fused, theirs.Adam):
    """:class:`keras.optimizers.Adam`."""

    rules = (Rule(rules.ADAM, {
        "exp_avg": "_momentums", "exp_avg_sq": "_velocities", "max_exp_avg_sq": "_velocity_hats",
    }),)  # fmt: skip

    def _said(self, number: int) -> Group:
        return {**_moments(self), "amsgrad": bool(self.amsgrad), "eps_hat": True}


@kept_by_name
class AdamW(Adam, theirs.AdamW):
    """:class:`keras.optimizers.AdamW`."""


@kept_by_name
class RMSprop(Fused, theirs.RMSprop):
    """:class:`keras.optimizers.RMSprop`. A variance that rounding takes below 0 is 0 here, and NaN in Keras."""

    rules = (Rule(rules.RMSPROP, {
        "square_avg": "_velocities", "grad_avg": "_average_gradients", "momentum_buffer": "_momentums",
    }),)  # fmt: skip

    def _said(self, number: int) -> Group:
        return {
            "alpha": self.rho, "eps": self.epsilon, "momentum": max(self.momentum, 0.0),
            "centered": bool(self.centered), "eps_in_root": True, "lr_in_momentum": True,
        }  # fmt: skip


@kept_by_name
class Adagrad(Fused, theirs.Adagrad):
    """:class:`keras.optimizers.Adagrad`."""

    rules = (Rule(rules.ADAGRAD, {"sum_of_squares": "_accumulators"}),)

    def _said(self, number: int) -> Group:
        return {"eps": self.epsilon, "lr_decay": 0.0, "eps_in_root": True}


@kept_by_name
class Adadelta(Fused, theirs.Adadelta):
    """:class:`keras.optimizers.Adadelta`."""

    rules = (Rule(rules.ADADELTA, {"square_avg": "_accumulated_grads", "acc_delta": "_accumulated_delta_vars"}),)

    def _said(self, number: int) -> Group:
        return {"rho": self.rho, "eps": self.epsilon}


@kept_by_name
class Adamax(Fused, theirs.Adamax):
    """:class:`keras.optimizers.Adamax`."""

    rules = (Rule(rules.ADAMAX, {"exp_avg": "_m", "exp_inf": "_u"}),)

    def _said(self, number: int) -> Group:
        return {**_moments(self), "eps_in_divisor": True}


@kept_by_name
class Nadam(Fused, theirs.Nadam):
    """:class:`keras.optimizers.Nadam`."""

    rules = (Rule(rules.NADAM, {"exp_avg": "_momentums", "exp_avg_sq": "_velocities"}),)

    def _said(self, number: int) -> Group:
        return {**_moments(self), "momentum_decay": 1.0}

    def _carried(self, step: int) -> dict[str, float]:
        return {"mu_product": host.number(self._u_product)}

    def _carry(self, numbers: Mapping[str, float]) -> None:
        self._u_product.assign(numbers["mu_product"])


@kept_by_name
class Ftrl(Fused, theirs.Ftrl):
    """:class:`keras.optimizers.Ftrl`."""

    rules = (Rule(rules.FTRL, {"z": "_linears", "n": "_accumulators"}),)

    def _said(self, number: int) -> Group:
        l1, l2 = self.l1_regularization_strength, self.l2_regularization_strength
        found = {"beta": self.beta, "l1": l1, "l2": 2.0 * l2, "lr_power": self.learning_rate_power}
        return {**found, "l2_shrinkage": 2.0 * self.l2_shrinkage_regularization_strength}


@kept_by_name
class Lion(Fused, theirs.Lion):
    """:class:`keras.optimizers.Lion`. A NaN stays one, where Keras under torch takes its sign for 0."""

    rules = (Rule(rules.LION, {"exp_avg": "_momentums"}),)

    def _said(self, number: int) -> Group:
        return {"betas": (self.beta_1, self.beta_2)}


@kept_by_name
class Lamb(Fused, theirs.Lamb):
    """:class:`keras.optimizers.Lamb`."""

    rules = (Rule(rules.LAMB, {"exp_avg": "_momentums", "exp_avg_sq": "_velocities"}),)

    def _said(self, number: int) -> Group:
        return _moments(self)


@kept_by_name
class Adafactor(Fused, theirs.Adafactor):
    """:class:`keras.optimizers.Adafactor`.

    Squares are kept above `epsilon_1`, where Keras adds it to them; one above 1e-30 is Keras's to compute. Keras's
    `velocity` of a matrix, which follows from its rows and columns, isn't written.
    """

    rules = (Rule(rules.ADAFACTOR, {"row_var": "_r", "col_var": "_c", "variance": "_v"}),)

    def _said(self, number: int) -> Group:
        eps = self.epsilon_1**0.5, self.epsilon_2
        return {"beta2_decay": self.beta_2_decay, "eps": eps, "d": self.clip_threshold}

    def _lacks(self) -> bool:
        return not 0.0 <= self.epsilon_1 <= 1e-30


@kept_by_name
class Muon(Fused, theirs.Muon):
    """:class:`keras.optimizers.Muon`. Products of matrices are the backend's; the rest runs in the kernels."""

    rules = (
        Rule(rules.MUON, {"momentum_buffer": "momentums"}),
        Rule(rules.MUONS_ADAM, {"exp_avg": "momentums", "exp_avg_sq": "adam_velocities"}),
    )

    def _rule_of(self, variable: Any) -> int:
        return int(self._should_use_adamw(variable))

    def _decay_of(self, number: int) -> float | None:
        decay: float | None = (self.weight_decay, self.adam_weight_decay)[number]
        return decay

    def _said(self, number: int) -> Group:
        if number == 1:
            betas = self.adam_beta_1, self.adam_beta_2
            rest = {"amsgrad": False, "eps_hat": True, "lr_ratio": self.adam_lr_ratio}
            return {"betas": betas, "eps": self.epsilon, **rest}
        return {
            "momentum": self.momentum, "nesterov": bool(self.nesterov), "rms_rate": self.rms_rate,
            "orthogonalize": self._orthogonalized,
        }  # fmt: skip

    def _orthogonalized(self, update: Any) -> Any:
        return self.zeropower_via_newtonschulz5(keras.ops.convert_to_tensor(update), self.ns_steps)


@kept_by_name
class ScheduleFreeAdamW(Fused, theirs.ScheduleFreeAdamW):
    """:class:`keras.optimizers.ScheduleFreeAdamW`.

    Keras's own, under torch, takes `momentum` after its step where it means the one before (its tensor has been written
    by then); here, as in the paper and under Keras's other backends, it is the one before.
    """

    rules = (Rule(rules.SCHEDULE_FREE, {"exp_avg_sq": "_velocities", "z": "_momentums"}),)

    def _said(self, number: int) -> Group:
        return {**_moments(self), "warmup_steps": float(self.warmup_steps), "r": 0.0, "weight_lr_power": 0.0}

    def _carried(self, step: int) -> dict[str, float]:
        return {"weight_sum": step - 1.0, "lr_max": 0.0}  # every step weighs the same


def _moments(optimizer: Any) -> Group:
    return {"betas": (optimizer.beta_1, optimizer.beta_2), "eps": optimizer.epsilon}
