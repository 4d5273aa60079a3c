"""An optimizer's state in a file: safetensors, written beside its place and moved there whole."""

import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastopt.optimizers.checkpoint import StateDict

FORMAT = "fastopt.optimizer.1"
SEPARATOR = "\n"  # between a parameter's name and its state's


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise ImportError("saving needs the package safetensors: pip install 'fastopt[save]'") from None
    return safetensors


def save(optimizer: "StateDict", path: str | os.PathLike) -> None:
    """Write the optimizer's state; a crash at any moment leaves the old file or the new one."""
    numpy_format = _safetensors().numpy
    place = Path(path)
    tensors = {
        f"{name}{SEPARATOR}{key}": array
        for name, state in zip(optimizer._names, optimizer.state, strict=True)
        for key, array in state.items()
    }
    metadata = {
        "format": FORMAT,
        "optimizer": type(optimizer).__name__,
        "steps": str(optimizer.steps),
        "groups": json.dumps(optimizer._saved_groups()),
        "names": json.dumps(optimizer._names),
        "carried": json.dumps(optimizer.carried if optimizer._carries else None),
    }
    beside = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
    try:
        numpy_format.save_file(tensors, beside, metadata=metadata)
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike) -> dict[str, Any]:
    """Return the state dict in a file that `save` wrote."""
    safetensors = _safetensors()
    if not Path(path).is_file():
        raise FileNotFoundError(f"path: expected a file that Optimizer.save wrote, got no file at {os.fspath(path)!r}")
    try:
        with safetensors.safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(
                    f"path: expected a file of the format {FORMAT!r}, got {metadata.get('format', 'another')!r}"
                )
            names = json.loads(metadata["names"])
            state: dict[str, dict[str, np.ndarray]] = {name: {} for name in names}
            for tensor in file.keys():  # noqa: SIM118, it is no mapping
                name, key = tensor.rsplit(SEPARATOR, 1)
                state[name][key] = file.get_tensor(tensor)
            groups = json.loads(metadata["groups"])
            steps = int(metadata["steps"])
            carried = json.loads(metadata["carried"])
    except (safetensors.SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"path: expected a whole file that Optimizer.save wrote, got one that errs: {error}") from None
    more = {} if carried is None else {"carried": carried}
    return {"optimizer": metadata.get("optimizer"), "steps": steps, "groups": groups, "state": state, **more}
