"""The optimizers that torch lacks, in torch's manner: groups, state, `state_dict`."""

from typing import Any

import torch

from fastopt.torch.optim import rules
from fastopt.torch.optim.base import Fused

Pair = tuple[float, float]


class _Own(Fused):
    """An optimizer whose hyper-parameters fastopt's rule checks, in every group."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, as torch does; its hyper-parameters are checked first."""
        taken = {**self.defaults, **param_group}
        if callable(taken["lr"]):
            raise TypeError(f"lr: expected a number, with torch's schedulers beside it, got {taken['lr']!r}")
        self.rule.of(taken).checked({**self.rule.fixed, **self.rule.hyper(taken)})
        super().add_param_group(param_group)


class Momentum(_Own):
    """Gradient descent along a running average of gradients: see :class:`fastopt.optimizers.Momentum`.

    Parameters
    ----------
    params : iterable of tensors, of (name, tensor), or of groups
    lr, beta, weight_decay, maximize
        As there.
    **options
        Keywords of :class:`Fused`.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> optimizer = fastopt.torch.optim.Momentum([w], lr=0.5, beta=0.5)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.7500, 0.7500])
    """

    rule = rules.MOMENTUM

    def __init__(
        self, params: Any, lr: float = 1e-2, beta: float = 0.9, weight_decay: float = 0.0, *, maximize: bool = False,
        **options: Any,
    ):  # fmt: skip
        super().__init__(
            params, {"lr": lr, "beta": beta, "weight_decay": weight_decay, "maximize": maximize}, **options
        )


class Lion(_Own):
    """Steps of one length, along the sign of an average: see :class:`fastopt.optimizers.Lion`.

    Parameters
    ----------
    params : iterable of tensors, of (name, tensor), or of groups
    lr, betas, weight_decay, maximize
        As there.
    **options
        Keywords of :class:`Fused`.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> optimizer = fastopt.torch.optim.Lion([w], lr=0.5)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.5000, 0.5000])
    """

    rule = rules.LION

    def __init__(
        self, params: Any, lr: float = 1e-4, betas: Pair = (0.9, 0.99), weight_decay: float = 0.0, *,
        maximize: bool = False, **options: Any,
    ):  # fmt: skip
        super().__init__(
            params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize}, **options
        )


class AdEMAMix(_Own):
    """AdamW along a fast and a slow average of the gradient: see :class:`fastopt.optimizers.AdEMAMix`.

    Parameters
    ----------
    params : iterable of tensors, of (name, tensor), or of groups
    lr, betas, alpha, beta3_warmup, alpha_warmup, eps, weight_decay, maximize
        As there.
    **options
        Keywords of :class:`Fused`.
    """

    rule = rules.ADEMAMIX

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        alpha: float = 5.0, beta3_warmup: float = 0.0, alpha_warmup: float = 0.0, eps: float = 1e-8,
        weight_decay: float = 0.0, *, maximize: bool = False, **options: Any,
    ):  # fmt: skip
        defaults = {
            "lr": lr, "betas": betas, "alpha": alpha, "beta3_warmup": beta3_warmup, "alpha_warmup": alpha_warmup,
            "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, **options)


class FTRL(_Own):
    """Follow the regularized leader, proximal: see :class:`fastopt.optimizers.FTRL`.

    Parameters
    ----------
    params : iterable of tensors, of (name, tensor), or of groups
    lr, beta, l1, l2, initial_accumulator_value, weight_decay, lr_power, l2_shrinkage, maximize
        As there.
    **options
        Keywords of :class:`Fused`.
    """

    rule = rules.FTRL

    def __init__(
        self, params: Any, lr: float = 1e-2, beta: float = 1.0, l1: float = 0.0, l2: float = 0.0,
        initial_accumulator_value: float = 0.0, weight_decay: float = 0.0, lr_power: float = -0.5,
        l2_shrinkage: float = 0.0, *, maximize: bool = False, **options: Any,
    ):  # fmt: skip
        defaults = {
            "lr": lr, "beta": beta, "l1": l1, "l2": l2, "initial_accumulator_value": initial_accumulator_value,
            "weight_decay": weight_decay, "lr_power": lr_power, "l2_shrinkage": l2_shrinkage, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, **options)


class LARS(_Own):
    """SGD with momentum whose rate is set layer by layer: see :class:`fastopt.optimizers.LARS`.

    Parameters
    ----------
    params : iterable of tensors, of (name, tensor), or of groups
    lr, momentum, weight_decay, trust_coefficient, eps, nesterov, maximize
        As there.
    **options
        Keywords of :class:`Fused`.
    """

    rule = rules.LARS

    def __init__(
        self, params: Any, lr: float = 1.0, momentum: float = 0.9, weight_decay: float = 0.0,
        trust_coefficient: float = 0.001, eps: float = 0.0, *, nesterov: bool = False, maximize: bool = False,
        **options: Any,
    ):  # fmt: skip
        defaults = {
            "lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust_coefficient": trust_coefficient,
            "eps": eps, "nesterov": nesterov, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults, **options)


class LAMB(_Own):
    """Adam's direction, layer by layer as long as the parameter itself: see :class:`fastopt.optimizers.LAMB`.

    Parameters
    ----------
    params : iterable of tensors, of (name, tensor), or of groups
    lr, betas, eps, weight_decay, maximize
        As there.
    **options
        Keywords of :class:`Fused`.
    """

    rule = rules.LAMB

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: Pair = (0.9, 0.999), eps: float = 1e-6, weight_decay: float = 0.0,
        *, maximize: bool = False, **options: Any,
    ):  # fmt: skip
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults, **options)


class AdamWScheduleFree(_Own):
    """AdamW whose steps need no schedule of lr: see :class:`fastopt.optimizers.AdamWScheduleFree`.

    Call `eval()` before the parameters are measured or saved, and `train()` before training goes on. Whether they are
    as `train()` leaves them stands in each group as `train_mode`, and so in `state_dict`.

    Parameters
    ----------
    params : iterable of tensors, of (name, tensor), or of groups
    lr, betas, eps, weight_decay, warmup_steps, r, weight_lr_power, maximize
        As there.
    **options
        Keywords of :class:`Fused`, but for `decoupled_weight_decay`: the decay is.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> w = torch.nn.Parameter(torch.ones(1))
    >>> optimizer = fastopt.torch.optim.AdamWScheduleFree([w], lr=0.5, betas=(0.75, 0.999))
    >>> for _ in range(3):
    ...     w.grad = torch.ones(1)
    ...     optimizer.step()
    >>> optimizer.eval()
    >>> w.detach().abs() < 1e-6  # the average of 0.5, 0 and -0.5
    tensor([True])
    """

    rule = rules.SCHEDULE_FREE

    def __init__(
        self, params: Any, lr: float = 2.5e-3, betas: Pair = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0,
        warmup_steps: float = 0.0, r: float = 0.0, weight_lr_power: float = 2.0, *, maximize: bool = False,
        **options: Any,
    ):  # fmt: skip
        if options.get("decoupled_weight_decay"):
            raise ValueError("decoupled_weight_decay: expected False, for the decay is decoupled as it is, got True")
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "warmup_steps": warmup_steps, "r": r,
            "weight_lr_power": weight_lr_power, "maximize": maximize, "train_mode": True,
        }  # fmt: skip
        super().__init__(params, defaults, **options)

    def step(self, closure: Any = None) -> Any:
        """Update every parameter that has a gradient: see :meth:`Fused.step`; a RuntimeError after `eval()`."""
        if not all(group["train_mode"] for group in self.param_groups):
            raise RuntimeError("step: expected parameters as train() leaves them, got them as eval() does")
        return super().step(closure)

    @torch.no_grad()
    def eval(self) -> None:
        """Turn the parameters from y into the average x, in place; nothing if they are."""
        self._move(False, lambda beta1: 1.0 - 1.0 / beta1)

    @torch.no_grad()
    def train(self) -> None:
        """Turn the parameters from x back into y, in place; nothing if they are."""
        self._move(True, lambda beta1: 1.0 - beta1)

    def _move(self, to: bool, share: Any) -> None:
        """Move every parameter by a share of its way to z."""
        for group in self.param_groups:
            if group["train_mode"] != to:
                weight = share(float(group["betas"][0]))
                for param in group["params"]:
                    if "z" in self.state[param]:
                        param.lerp_(self.state[param]["z"].to(param.dtype), weight)
            group["train_mode"] = to
