"""Calls over many arrays on a GPU: their form, and every check."""

from collections.abc import Mapping
from typing import Any

from fastopt import trees
from fastopt.device_arrays import FLOATS, place
from fastopt.kernels.arrays import cuda
from fastopt.kernels.runtime import kinds
from fastopt.kernels.runtime.cuda_arrays import DeviceArray, OwnArray, stream_of
from fastopt.kernels.runtime.driver import driver


def with_output(
    name: str, inputs: Mapping[str, Any], buffers: tuple[str, ...], numbers: Mapping[str, float], out: Any, checks: bool
) -> Any:
    """Run a kernel over sets of arrays; return its results, and whether they are finite, if it `checks`."""
    form, given, columns = _columns(inputs)
    first = next(iter(columns))
    if out is None:
        made = [OwnArray(driver().device(p.ordinal), p.shape, kinds.dtype(p.dtype)) for p in columns[first]]
        results, out = [own.place for own in made], trees.built(form, iter(made))
    else:
        arrays = trees.alike(form, out, "out", "arrays")
        results = _places(form, "out", arrays, columns[first])
        _check_memory(form, columns, results)
    stream = stream_of(given[0]) if given else 0
    named = dict(zip(buffers, [*columns.values(), results], strict=True))
    cuda.elementwise(name, named, numbers, stream)
    return (out, cuda.all_finite(results, stream)) if checks else out


def read_only(name: str, arrays: Any) -> Any:
    """Return what a function of the room says of arrays: "norms", "global_norm" or "all_finite"."""
    _, given, columns = _columns({"arrays": arrays})
    return getattr(cuda, name)(columns["arrays"], stream_of(given[0]) if given else 0)


def _columns(inputs: Mapping[str, Any]) -> tuple[trees.Form, list[Any], dict[str, list[DeviceArray]]]:
    """Return the form of the first argument, its arrays, and where all arrays are."""
    form = trees.form_of(next(iter(inputs.values())))
    arrays = {name: trees.alike(form, tree, name, "arrays") for name, tree in inputs.items()}
    first = next(iter(arrays))
    columns: dict[str, list[DeviceArray]] = {}
    for name, column in arrays.items():
        columns[name] = _places(form, name, column, columns.get(first))
    return form, arrays[first], columns


def _places(form: trees.Form, argument: str, arrays: list[Any], like: list[DeviceArray] | None) -> list[DeviceArray]:
    found = []
    for k, (name, array) in enumerate(zip(trees.names(form, argument), arrays, strict=True)):
        other = None if like is None else like[k]
        shape, beside = (None, None) if other is None else (other.shape, ("its input", other))
        found.append(place(array, name, FLOATS, shape=shape, beside=beside))
        if argument == "out" and not found[-1].writable:
            raise ValueError(f"{name}: expected a writable array, got a read-only one")
    return found


def _check_memory(form: trees.Form, columns: Mapping[str, list[DeviceArray]], results: list[DeviceArray]) -> None:
    """Raise if an output shares memory with another array, unless it is an input of its own set."""
    names = trees.names(form, "out")
    every = [(array, name, k) for argument, column in {**columns, "out": results}.items()
             for k, (array, name) in enumerate(zip(column, trees.names(form, argument), strict=True))]  # fmt: skip
    bounds = sorted(
        (array.address, array.address + array.nbytes, k, name, array) for array, name, k in every if array.size
    )
    reach: list[Any] = []
    for start, stop, k, name, array in bounds:
        reach = [other for other in reach if other[1] > start]
        for other in reach:
            own = other[2] == k and other[0] == start and other[4].dtype == array.dtype
            if (name in names or other[3] in names) and not own:
                out, taken = (name, other[3]) if name in names else (other[3], name)
                raise ValueError(f"{out}: expected memory apart from {taken}, got arrays that overlap")
        reach.append((start, stop, k, name, array))
