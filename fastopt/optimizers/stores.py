"""Which store an optimizer gets: of the host's memory, or of a GPU's."""

from typing import Any

from fastopt.kernels.runtime.settings import get_target
from fastopt.optimizers.options import Options, Overrides
from fastopt.optimizers.rule import Group, Rule
from fastopt.optimizers.store import Store


def new_store(
    rule: Rule, options: Options, params: Any, hyper: Group, overrides: Overrides | None = None, copies: Any = None
) -> Store:
    """Return a store for arrays where the target in force works."""
    if get_target() != "cuda":
        return Store(rule, options, params, hyper, overrides, copies)
    if copies is not None:
        raise TypeError("copies: expected None under target 'cuda', where copy_to keeps them on the GPU, got arrays")
    from fastopt.optimizers.device_store import DeviceStore

    return DeviceStore(rule, options, params, hyper, overrides)
