from collections.abc import Callable
from typing import Any

import numpy as np

TYPES: dict[str, int]

def connect(
    tensor_class: type, classes: tuple[type, ...], unwrap: Callable[[Any], Any], use_table: bool = True
) -> bool: ...
def is_flat(*tensors: Any) -> bool: ...
def is_bound(seen: list[Any], groups: list[Any], seen_state: dict[Any, Any], state: Any) -> bool: ...
def any_gradient(params: list[Any]) -> bool: ...

class Table:
    params: list[Any]
    states: list[Any]
    grads: list[Any]
    odd: list[Any]
    settings: list[Any]
    stepped: list[Any]
    own: bool
    pointers: np.ndarray
    units: np.ndarray
    rows: np.ndarray
    active: np.ndarray
    counts: np.ndarray
    columns: tuple[str, ...]
    counters: tuple[str, ...]
    def __init__(
        self,
        params: list[Any],
        states: list[Any],
        columns: tuple[Any, ...],
        counters: tuple[Any, ...],
        groups: list[Any],
        counts: list[Any],
        slots: int,
    ) -> None: ...
    def read(self, given: list[Any] | None = None) -> int: ...
    def release(self) -> None: ...
    def write(self, table: np.ndarray) -> None: ...
