# mypy cannot follow the map fastopt.kernels -> kernels/; this says: a package, of anything.
from typing import Any

def __getattr__(name: str) -> Any: ...
