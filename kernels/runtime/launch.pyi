from collections.abc import Sequence
from typing import Any

import numpy as np

Stage = tuple[int, Sequence[int], int, int, int]  # address, slots, elements a unit, first of its dims, of its scalars

crews: dict[str, Crew]

def instruction_set() -> str: ...
def product(a: float, b: float) -> float: ...
def workers() -> int: ...

class FloatMode:
    def __enter__(self) -> None: ...
    def __exit__(self, *unused: object) -> None: ...

class Crew:
    found_in: str | None
    def __init__(self, library: str) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *unused: object) -> None: ...

SUBMIT: int

class Pipeline:
    @property
    def address(self) -> int: ...
    @property
    def slots(self) -> int: ...
    def __init__(self, stages: Sequence[Stage], scratch_bytes: Sequence[int]) -> None: ...
    def run(
        self,
        pointers: np.ndarray,
        units: np.ndarray,
        grain: int,
        block: int = 0,
        *,
        dims: np.ndarray | None = None,
        scalars: np.ndarray | None = None,
        scalars_row: np.ndarray | None = None,
        partials: int = 0,
        threads: int = 0,
        per_grain: bool = False,
    ) -> np.ndarray: ...
    def run_one(
        self,
        arrays: list[Any],
        units: int,
        grain: int,
        block: int,
        dims: tuple[int, ...],
        scalars: tuple[float, ...],
        partials: int = 0,
        threads: int = 0,
        per_grain: bool = False,
    ) -> np.ndarray: ...
