"""The threads that calls from here run on: torch's own workers, as many as torch uses.

Where fastopt was told a number of threads (`set_num_threads`, FASTOPT_NUM_THREADS), that number holds.
"""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import torch

from fastopt.kernels.runtime.launch import Crew

F = TypeVar("F", bound=Callable[..., Any])
CREW = Crew(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))


def on_torchs_workers(function: F) -> F:
    """Run the kernels that a function calls on torch's workers, and keep `torch.compile` out of it.

    A compiled graph breaks around the call, and `fullgraph=True` is refused by torch.
    """

    @wraps(function)
    def run(*args: Any, **keywords: Any) -> Any:
        with CREW:
            return function(*args, **keywords)

    return torch._disable_dynamo(run)  # type: ignore[attr-defined, return-value]
