"""Swapping a model's modules for those that run on fastopt's kernels."""

from dataclasses import dataclass, field

import torch

from fastopt.torch import nn

SWAPS: dict[type, type] = {
    getattr(torch.nn, name): getattr(nn, name)
    for name in (
        "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm", "InstanceNorm1d", "InstanceNorm2d",
        "InstanceNorm3d", "GroupNorm", "RMSNorm", "MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss", "BCELoss",
        "BCEWithLogitsLoss", "SoftMarginLoss", "HingeEmbeddingLoss", "KLDivLoss", "PoissonNLLLoss", "GaussianNLLLoss",
        "CrossEntropyLoss", "MultiMarginLoss",
    )
}  # fmt: skip
LEFT = {torch.nn.LayerNorm: "torch's own may be faster on a given CPU; `also=[torch.nn.LayerNorm]` swaps it"}
OPTIONAL: dict[type, type] = {torch.nn.LayerNorm: nn.LayerNorm}


@dataclass
class Report:
    """What `accelerate` has done.

    Attributes
    ----------
    swapped : dict of str to str
        The names of the modules that were swapped, and of their classes.
    left : dict of str to str
        Those that could have been, and why they were not.
    """

    swapped: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    _modules: list[tuple[torch.nn.Module, type]] = field(default_factory=list, repr=False)

    def undo(self) -> None:
        """Give every module its own class back."""
        for module, own in self._modules:
            module.__class__ = own
        self._modules.clear()

    def __str__(self) -> str:
        lines = [f"swapped {name}: {kind}" for name, kind in self.swapped.items()]
        return "\n".join([*lines, *(f"left {name}: {why}" for name, why in self.left.items())])


def accelerate(model: torch.nn.Module, *, also: tuple[type, ...] | list[type] = ()) -> Report:
    """Let a model's norms and losses run on fastopt's kernels, in place; parameters and names stay.

    A module is swapped by its class alone: subclasses of torch's modules, which may do something else, are left.

    Parameters
    ----------
    model : torch.nn.Module
    also : sequence of types
        Modules that are left unless they are named here: `torch.nn.LayerNorm`.

    Returns
    -------
    Report
        What was swapped, and what was left and why; `undo()` takes it back.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.LayerNorm(6))
    >>> report = fastopt.torch.accelerate(model)
    >>> report.swapped, list(report.left)
    ({'1': 'BatchNorm2d'}, ['2'])
    >>> report.undo()
    >>> type(model[1]) is torch.nn.BatchNorm2d
    True
    """
    wrong = [one for one in also if one not in OPTIONAL]
    if wrong:
        raise ValueError(f"also: expected some of {[one.__name__ for one in OPTIONAL]}, got {wrong[0]}")
    report, swaps = Report(), {**SWAPS, **{one: OPTIONAL[one] for one in also}}
    for name, module in model.named_modules():
        own = type(module)
        if own in swaps:
            devices = {tensor.device.type for tensor in (*module.parameters(), *module.buffers())}
            if devices - {"cpu"}:
                report.left[name] = f"its parameters are on {', '.join(sorted(devices))}"
                continue
            module.__class__ = swaps[own]
            report.swapped[name] = own.__name__
            report._modules.append((module, own))
        elif own in LEFT:
            report.left[name] = LEFT[own]
        elif isinstance(module, tuple(swaps)) and not isinstance(module, tuple(swaps.values())):
            report.left[name] = f"{own.__name__} is a class of its own"
    return report
