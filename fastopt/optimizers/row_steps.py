"""Steps of single rows: a table of embeddings, of which a batch touches few. Each row is a job of its own."""

import math
from typing import Any, NamedTuple

import numpy as np

from fastopt import expect
from fastopt.kernels.optimizers.batch import Asked, Batch, Setting
from fastopt.kernels.optimizers.recipe import FLOATS, Recipe
from fastopt.kernels.runtime.jobs import Call
from fastopt.kernels.runtime.kinds import GROUP
from fastopt.kernels.runtime.targets import way
from fastopt.optimizers.copies import check_lent
from fastopt.optimizers.options import Stats
from fastopt.optimizers.refusals import refuse_overlap
from fastopt.optimizers.store import STEPS, Store, of_rows


class Rows(NamedTuple):
    """What one step touches: each row once, in ascending order."""

    i: int  # the parameter
    rows: np.ndarray  # int64
    grads: np.ndarray  # packed, a row for each
    recipe: Recipe
    length: int  # elements of a row
    columns: dict[str, np.ndarray]  # of the pointer table, whole


def checked(store: Store, index: Any, rows: Any, values: Any) -> Rows:
    """Return what a step touches, or raise."""
    if store.rule.layers is not None:
        raise TypeError(f"step_rows: expected an optimizer that knows no layers, got {store.rule.name}")
    i = expect.integer(index, "index", 0, len(store.params))
    name, param = store.names[i], store.params[i]
    expect.writable(expect.array(param, name, shape=store.shapes[i], among=FLOATS), name)
    check_lent(store)
    if param.ndim == 0:
        raise ValueError(f"{name}: expected an array that has rows, got shape ()")
    if isinstance(rows, np.ma.MaskedArray):
        raise TypeError("rows: expected a plain NumPy array (a mask is not looked at), got a masked array")
    if not isinstance(rows, np.ndarray) or rows.dtype.kind not in "iu":
        raise TypeError(f"rows: expected an array of integers, got {expect.describe(rows)}")
    if rows.ndim != 1:
        raise ValueError(f"rows: expected one axis, got shape {rows.shape}")
    rows = np.asarray(rows)  # whatever its class: plain from here on
    outside = rows[(rows < 0) | (rows >= len(param))]
    if outside.size:
        raise ValueError(f"rows: expected numbers in [0, {len(param)}), got {outside[0]}")
    expect.array(values, "values", shape=(len(rows), *param.shape[1:]), among=FLOATS)
    refuse_overlap(store, "values", values)
    unique, grads = summed(rows.astype(np.int64), values, "float64" if param.dtype == np.float64 else "float32")
    recipe, length = store.recipe(i, str(grads.dtype)), math.prod(param.shape[1:])
    if length % GROUP and {"mean8", "square8"} & set(recipe.state):
        raise ValueError(f"{name}: expected rows of a multiple of {GROUP} elements for 8-bit state, got {length}")
    arrays = {"param": param, "grad": grads} | ({"copy": store.copies[i]} if recipe.copy else {})
    columns = {column: arrays[column] if column in arrays else store.state[i][column] for column in recipe.columns}
    return Rows(i, unique, grads, recipe, length, columns)


def summed(rows: np.ndarray, values: np.ndarray, compute: str) -> tuple[np.ndarray, np.ndarray]:
    """Return each row once, and the sum of its values, one after the other, in the compute type."""
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    if len(first) == len(rows):
        return rows, values[order]
    return rows[first], np.add.reduceat(values[order].astype(compute, copy=False), first, axis=0)


def step(
    store: Store, index: Any, rows: Any, values: Any, grad_scale: float | None, skip_nonfinite: bool,
    return_stats: bool,
) -> Stats | None:  # fmt: skip
    """Carry out `Optimizer.step_rows`."""
    factor = 1.0 if grad_scale is None else 1.0 / expect.number(grad_scale, "grad_scale", expect.POSITIVE)
    skip_nonfinite = expect.flag(skip_nonfinite, "skip_nonfinite")
    return_stats = expect.flag(return_stats, "return_stats")
    with np.errstate(all="ignore"):
        work = checked(store, index, rows, values)
    options, norm, door = store.options, 0.0, way("optimizers")
    group = store.digested()[store.group_of[work.i]]
    counted = _counted(store, work.i)
    # Rows that have come as far have the same scalars.
    numbers, which = _distinct([array[work.rows] for array in counted])
    settings = [_setting(store, group, int(steps) + 1, carried) for steps, *carried in numbers.tolist()]
    batch = _batch(work, which)
    if return_stats or skip_nonfinite or options.clip_norm is not None or options.clip_each is not None:
        norm, finite = door.norm([batch])
        norm *= factor
        if skip_nonfinite and not finite:
            return Stats(norm, 0.0, True) if return_stats else None
        length = norm
        for limit in (options.clip_norm, options.clip_each):
            if limit is not None and not length <= limit:
                factor, length = factor * (limit / length), limit
    counts = np.array([(one.step, *one.after.values()) for one in settings]).reshape(-1, len(counted))
    done: list[Call] = [(setattr, (store, "steps", store.steps + 1), {})]
    if not store.by_rows:
        counts_of_all = [store.new_counts(k) for k in range(len(store.params))]
        counted = [counts_of_all[work.i][name] for name in _names(store)]
        done += [(state.update, (own,), {}) for state, own in zip(store.state, counts_of_all, strict=True)]
        done.append((setattr, (store, "by_rows", True), {}))
    done += [
        (array.__setitem__, (work.rows, counts[which, k].astype(array.dtype)), {}) for k, array in enumerate(counted)
    ]
    asked = Asked(
        factor, store.steps + 1, options.clip_value, options.ema_decay, options.seed, False, return_stats, tuple(done)
    )  # fmt: skip
    update = door.step([batch], store.rule, settings, asked)
    return Stats(norm, math.sqrt(update), False) if return_stats else None


def _distinct(columns: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows of a table of these columns, and which one each row is."""
    if len(columns) == 1:  # sorted as numbers, which takes a fraction of the time that rows do
        numbers, which = np.unique(columns[0], return_inverse=True)
        return numbers[:, None], which
    numbers, which = np.unique(np.stack(columns, 1), axis=0, return_inverse=True)
    return numbers, which.reshape(-1).astype(np.int64)


def _names(store: Store) -> list[str]:
    return [of_rows(name) for name in (STEPS, *store.rule.carries)]


def _counted(store: Store, i: int) -> list[np.ndarray]:
    """Return what the rows of a parameter have counted by themselves, or would have."""
    state = store.state[i] if store.by_rows else store.new_counts(i)
    return [state[name] for name in _names(store)]


def _setting(store: Store, group: dict[str, Any], step: int, carried: list[float]) -> Setting:
    before = dict(zip(store.rule.carries, carried, strict=True))
    return Setting(group, step, before, store.rule.carry({**group, **before}, step))


def _batch(work: Rows, which: np.ndarray) -> Batch:
    """Return the rows as jobs: of addresses where rows are packed, else of arrays."""
    # A number for each row that no other row of any parameter has: stochastic rounding draws by it.
    numbers, count = work.rows * 65_521 + work.i + 1, len(work.rows)
    widths = {name: work.length // GROUP if name.endswith("_scale") else 1 for name in work.columns}
    if not all(array[:1].flags.c_contiguous for array in work.columns.values()):
        own = {
            name: [array[at * widths[name] : (at + 1) * widths[name]] for at in _places(work, name).tolist()]
            for name, array in work.columns.items()
        }
        batch = Batch(work.recipe, own, which.tolist(), numbers.tolist())
        batch.packed = False
        return batch
    batch = Batch.of_pointers(work.recipe, count)
    for k, (name, array) in enumerate(work.columns.items()):
        width = array.strides[0] if not name.endswith("_scale") else widths[name] * array.itemsize
        batch.jobs.pointers[:, k] = array.ctypes.data + (_places(work, name) * width).astype(np.uintp)
    batch.jobs.units[:], batch.jobs.numbers[:, 0], batch.jobs.rows[:] = work.length, numbers, which
    return batch


def _places(work: Rows, name: str) -> np.ndarray:
    """Return where each job's part of a column begins, in rows."""
    return np.arange(len(work.rows)) if name == "grad" else work.rows
