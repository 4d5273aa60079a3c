"""State that outlives the process: as a dict, and as a safetensors file that is moved to its place whole."""

import errno
import glob
import json
import os
import platform
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastopt import expect
from fastopt.kernels.runtime.jobs import Call
from fastopt.kernels.runtime.whole import whole
from fastopt.optimizers.copies import copy_call
from fastopt.optimizers.rule import Group
from fastopt.optimizers.store import STEPS, Store, of_rows

FORMAT = "fastopt.optimizer.1"
PART = ".part"  # the end of an unfinished file's name
SEPARATOR = "\n"  # between a parameter's name and its state's


# ---- as a dict


def state_dict(store: Store) -> dict[str, Any]:
    """Return a copy of what a later run needs."""
    state = {
        name: {key: array.copy() for key, array in state.items()}
        for name, state in zip(store.names, store.state, strict=True)
    }
    carried = {"carried": [dict(numbers) for numbers in store.carried]} if store.rule.carries else {}
    groups = [{**group, "lr": None if callable(group["lr"]) else group["lr"]} for group in store.groups]
    found = {"optimizer": store.rule.name, "steps": store.steps, "groups": groups, "state": state, **carried}
    if store.behind:
        found["behind"] = {store.names[i]: [steps, dict(own)] for i, (steps, own) in store.behind.items()}
    return found


def load_state_dict(store: Store, given: Any, done: Sequence[Call] = ()) -> None:
    """Take over what `state_dict` returned, and make the calls `done`, or raise before anything is changed."""
    carries = store.rule.carries
    wanted = {"optimizer", "steps", "groups", "state", *(["carried"] if carries else [])}
    if not isinstance(given, Mapping) or not wanted <= given.keys():
        raise ValueError(f"state_dict: expected the keys {sorted(wanted)}, got {expect.describe(given)}")
    if given["optimizer"] != store.rule.name:
        raise ValueError(f"state_dict: expected the state of {store.rule.name}, got {expect.shown(given['optimizer'])}")
    steps, state = given["steps"], given["state"]
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise ValueError(f"state_dict['steps']: expected an integer ≥ 0, got {expect.shown(steps)}")
    groups = _groups(store, given["groups"])
    carried = _carried(store, given["carried"]) if carries else store.carried
    if not isinstance(state, Mapping) or list(state) != store.names:
        raise ValueError(f"state_dict['state']: expected the parameters {store.names}, got {expect.describe(state)}")
    behind = _behind(store, given.get("behind", {}))
    by_rows = any(of_rows(STEPS) in own for own in state.values() if isinstance(own, Mapping))
    kept = [store.whole_state(i) | (store.new_counts(i) if by_rows else {}) for i in range(len(store.params))]
    writes: list[Call] = []
    for name, own in zip(store.names, kept, strict=True):
        if not isinstance(state[name], Mapping) or state[name].keys() != own.keys():
            raise ValueError(
                f"state_dict['state'][{name!r}]: expected the keys {sorted(own)}, got {expect.describe(state[name])}"
            )
        for key, array in own.items():
            _alike(state[name][key], array, f"state_dict['state'][{name!r}][{key!r}]")
            writes.append(store.put(array, state[name][key]))
    if store.copies:
        store.check_params()
    writes += [copy_call(store, i) for i in range(len(store.copies))]
    writes += [(setattr, (store, "behind", behind), {}), (setattr, (store, "state", kept), {}), *done]
    adopt(store, groups, steps, carried, writes, by_rows)


def adopt(
    store: Store, groups: list[Group], steps: int, carried: list[dict[str, float]], writes: list[Call], by_rows: bool
) -> None:
    """Make writes, and take over groups and counts, as a whole."""
    whole(
        [
            *writes,
            *((own.update, (group,), {}) for own, group in zip(store.groups, groups, strict=True)),
            (setattr, (store, "seen", [dict(group) for group in groups]), {}),
            (setattr, (store, "scheduled", any(callable(group["lr"]) for group in groups)), {}),
            (setattr, (store, "steps", steps), {}),
            (setattr, (store, "carried", carried), {}),
            (setattr, (store, "by_rows", by_rows), {}),
        ]
    )


def _alike(value: Any, own: np.ndarray, name: str) -> None:
    expect.plain(value, name)
    if value.dtype != own.dtype:
        raise TypeError(f"{name}: expected {own.dtype}, got {value.dtype}")
    if value.shape != own.shape:
        raise ValueError(f"{name}: expected shape {own.shape}, got {value.shape}")


def _groups(store: Store, groups: Any) -> list[Group]:
    """Return the groups as a state_dict has them, checked; one whose lr is None keeps its own."""
    if not isinstance(groups, list | tuple) or len(groups) != len(store.groups):
        raise ValueError(f"state_dict['groups']: expected {len(store.groups)} groups, got {expect.describe(groups)}")
    fresh = []
    for k, (group, own) in enumerate(zip(groups, store.groups, strict=True)):
        name = f"state_dict['groups'][{k}]"
        if not isinstance(group, Mapping) or group.keys() != own.keys():
            raise ValueError(f"{name}: expected the keys {sorted(own)}, got {expect.describe(group)}")
        lr = own["lr"] if group["lr"] is None else group["lr"]
        checked = store.rule.checked({**group, "lr": lr}, store.compute(k))
        store.keeps_state(checked, store.seen[k], name)
        fresh.append({key: checked[key] for key in own})
    return fresh


def _carried(store: Store, carried: Any) -> list[dict[str, float]]:
    """Return what the groups carry as a state_dict has it, checked."""
    if not isinstance(carried, list | tuple) or len(carried) != len(store.groups):
        raise ValueError(f"state_dict['carried']: expected {len(store.groups)} groups, got {expect.describe(carried)}")
    fresh = []
    for k, numbers in enumerate(carried):
        name, wanted = f"state_dict['carried'][{k}]", store.rule.carries
        if not isinstance(numbers, Mapping) or numbers.keys() != wanted.keys():
            raise ValueError(f"{name}: expected the keys {sorted(wanted)}, got {expect.describe(numbers)}")
        fresh.append(
            {key: expect.number(numbers[key], f"{name}[{key!r}]", expect.NOT_NEGATIVE) for key in wanted}
        )  # fmt: skip
    return fresh


def _behind(store: Store, given: Any) -> dict[int, tuple[int, dict[str, float]]]:
    """Return which parameters are behind their group as a state_dict has it, checked."""
    name, wanted = "state_dict['behind']", store.rule.carries
    if not isinstance(given, Mapping) or not set(given) <= set(store.names):
        raise ValueError(f"{name}: expected parameters among {store.names}, got {expect.describe(given)}")
    found = {}
    for key, entry in given.items():
        own = f"{name}[{key!r}]"
        if not isinstance(entry, list | tuple) or len(entry) != 2 or not isinstance(entry[1], Mapping):
            raise ValueError(f"{own}: expected steps and what is carried, got {expect.describe(entry)}")
        if entry[1].keys() != wanted.keys():
            raise ValueError(f"{own}: expected the keys {sorted(wanted)}, got {expect.describe(entry[1])}")
        numbers = {key: expect.number(entry[1][key], own, expect.NOT_NEGATIVE) for key in wanted}
        found[store.names.index(key)] = expect.integer(entry[0], own, 0), numbers
    return found


# ---- as a file


def _safetensors() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise ImportError("saving needs the package safetensors: pip install 'fastopt[save]'") from None
    return safetensors


def save(state_dict: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a state dict; a crash at any moment leaves the old file or the new one."""
    safetensors = _safetensors()
    numpy_format = safetensors.numpy
    place = Path(path)
    tensors = {
        f"{name}{SEPARATOR}{key}": array
        for name, state in state_dict["state"].items()
        for key, array in state.items()
    }  # fmt: skip
    rest = {key: value for key, value in state_dict.items() if key not in ("optimizer", "state")}
    metadata = {
        "format": FORMAT,
        "optimizer": state_dict["optimizer"],
        "names": json.dumps(list(state_dict["state"])),
        "carried": "null",
        **{key: json.dumps(value) for key, value in rest.items()},
    }
    _remove_leftovers(place)
    beside = place.with_name(f".{place.name}.{_host()}.{os.getpid()}.{secrets.token_hex(8)}{PART}")
    try:
        beside.touch(exist_ok=False)
        mode = (place if place.exists() else beside).stat().st_mode  # a new file's is as the umask says
        numpy_format.save_file(tensors, beside, metadata=metadata)
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(beside, mode & 0o777)
        os.replace(beside, place)
    except safetensors.SafetensorError as error:
        beside.unlink(missing_ok=True)
        found = re.search(r"os error (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, f"{os.strerror(number)} (while the state was written)", os.fspath(path)) from None
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _host() -> str:
    return re.sub(r"[^\w-]", "_", platform.node())


def _remove_leftovers(place: Path) -> None:
    """Remove what processes of this machine left behind that were killed while they wrote this file."""
    for left in place.parent.glob(f".{glob.escape(place.name)}.{_host()}.*{PART}"):
        number = left.name.removesuffix(PART).split(".")[-2]
        if number.isdecimal() and not _runs(int(number)):
            left.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the state dict in a file that `save` wrote."""
    safetensors = _safetensors()
    if not Path(path).is_file():
        raise FileNotFoundError(f"path: expected a file that Optimizer.save wrote, got no file at {os.fspath(path)!r}")
    try:
        with safetensors.safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            ours = metadata.get("format") == FORMAT
            names = json.loads(metadata["names"]) if ours else []
            state: dict[str, dict[str, np.ndarray]] = {name: {} for name in names}
            for tensor in file.keys() if ours else ():
                name, key = tensor.rsplit(SEPARATOR, 1)
                state[name][key] = file.get_tensor(tensor)
            plain = ("format", "optimizer", "names")
            rest = {key: json.loads(value) for key, value in metadata.items() if ours and key not in plain}
    except (safetensors.SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"path: expected a whole file that Optimizer.save wrote, got one that errs: {error}") from None
    if metadata.get("format") != FORMAT:
        raise ValueError(f"path: expected a file of the format {FORMAT!r}, got {metadata.get('format', 'another')!r}")
    found = {"optimizer": metadata.get("optimizer"), "state": state, **rest}
    return {key: value for key, value in found.items() if value is not None}
