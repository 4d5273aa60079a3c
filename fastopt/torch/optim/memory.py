"""Steps during the backward pass, and groups of parameters by name: what people write by hand around an optimizer."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

Params = list[dict[str, Any]]
Named = list[tuple[str, torch.Tensor]]


class StepInBackward:
    """Optimizers that step each parameter, and free its gradient, as soon as the gradient is accumulated.

    Made by :func:`step_in_backward`. A scheduler can be built on each of `optimizers`.
    """

    def __init__(self, optimizers: dict[str, torch.optim.Optimizer], handles: list[Any]):
        self.optimizers, self._handles = optimizers, handles

    def remove(self) -> None:
        """Step in backward no more."""
        for handle in self._handles:
            handle.remove()

    def state_dict(self) -> dict[str, Any]:
        """Return each optimizer's state by the parameter's name."""
        return {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        if state_dict.keys() != self.optimizers.keys():
            different = sorted(state_dict.keys() ^ self.optimizers.keys())
            raise ValueError(f"state_dict: expected the model's parameters, got a difference in {different}")
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state_dict[name])


def step_in_backward(model: torch.nn.Module, optimizer_class: Any, **options: Any) -> StepInBackward:
    """Step each parameter within `backward`, as soon as its gradient is there, and free the gradient.

    The gradients of a model are never all in memory. `loss.backward()` is the step: call neither `step` nor
    `zero_grad`.
    Not for accumulated gradients, nor for options that look at all gradients together (`clip_norm`).

    Parameters
    ----------
    model : torch.nn.Module
    optimizer_class : type
        Of this package or of torch's.
    **options
        Its arguments.

    Raises
    ------
    ValueError
        For `clip_norm`, or a model without parameters to train.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> before = model.weight.detach().clone()
    >>> steps = fastopt.torch.optim.step_in_backward(model, fastopt.torch.optim.SGD, lr=1.0)
    >>> model(torch.ones(1, 2)).sum().backward()
    >>> before - model.weight.detach(), model.weight.grad
    (tensor([[1., 1.]]), None)
    """
    if options.get("clip_norm") is not None:
        raise ValueError(
            "clip_norm: expected None, as gradients are never there together, got a number; use clip_value"
        )
    params = {name: param for name, param in model.named_parameters() if param.requires_grad}
    if not params:
        raise ValueError("model: expected parameters that require a gradient, got none")
    optimizers = {name: optimizer_class([param], **options) for name, param in params.items()}

    def hook(optimizer: torch.optim.Optimizer) -> Callable[[torch.Tensor], None]:
        def step(param: torch.Tensor) -> None:
            optimizer.step()
            optimizer.zero_grad()

        return step

    handles = [
        param.register_post_accumulate_grad_hook(hook(optimizers[name])) for name, param in params.items()
    ]  # fmt: skip
    return StepInBackward(optimizers, handles)


def is_bias_or_norm(name: str, param: torch.Tensor) -> bool:
    """Return whether a parameter has fewer than two axes: biases, and gains of norms."""
    return param.ndim < 2


def decay_groups(
    model: torch.nn.Module, weight_decay: float, no_decay: Callable[[str, torch.Tensor], bool] = is_bias_or_norm
) -> Params:
    """Return two groups of named parameters: with weight decay, and without.

    Parameters
    ----------
    model : torch.nn.Module
    weight_decay : float
    no_decay : callable (name, parameter) -> bool
        Which parameters don't decay; by default those of fewer than two axes.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> groups = fastopt.torch.optim.decay_groups(torch.nn.Linear(2, 3), 0.1)
    >>> [(group["weight_decay"], [name for name, _ in group["params"]]) for group in groups]
    [(0.1, ['weight']), (0.0, ['bias'])]
    """
    decaying: Named = []
    others: Named = []
    for name, param in _trained(model):
        (others if no_decay(name, param) else decaying).append((name, param))
    groups = [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def layerwise_rates(model: torch.nn.Module, lr: float, decay: float) -> Params:
    """Return a group for each layer of a model, with rates that fall from the last layer to the first.

    A layer is a module's child, in the order of `named_children`; those of a child that is a `Sequential` or a
    `ModuleList` count one by one. Parameters of the model itself go with the last layer.

    Parameters
    ----------
    model : torch.nn.Module
    lr : float
        Of the last layer.
    decay : float > 0
        What the rate is multiplied by from a layer to the one before it.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    >>> groups = fastopt.torch.optim.layerwise_rates(model, 1.0, 0.5)
    >>> [(group["lr"], [name for name, _ in group["params"]]) for group in groups]
    [(0.5, ['0.weight', '0.bias']), (1.0, ['2.weight', '2.bias'])]
    """
    if not decay > 0.0:
        raise ValueError(f"decay: expected a number above 0, got {decay}")
    names = [name for name, _ in _layers(model)]
    layers: dict[str, Named] = {name: [] for name in names}
    for name, param in _trained(model):
        owner = next((layer for layer in names if name.startswith(f"{layer}.")), names[-1] if names else "")
        layers.setdefault(owner, []).append((name, param))
    used = [params for params in layers.values() if params]
    return [{"params": params, "lr": lr * decay ** (len(used) - 1 - k)} for k, params in enumerate(used)]


def _layers(module: torch.nn.Module, prefix: str = "") -> Iterator[tuple[str, torch.nn.Module]]:
    for name, child in module.named_children():
        if isinstance(child, torch.nn.Sequential | torch.nn.ModuleList):
            yield from _layers(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def _trained(model: torch.nn.Module) -> Named:
    found: Named = [(name, param) for name, param in model.named_parameters() if param.requires_grad]
    if not found:
        raise ValueError("model: expected parameters that require a gradient, got none")
    return found
