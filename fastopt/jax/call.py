"""How a JAX program runs our kernels: XLA's foreign function interface, and no Python on the way."""

import random
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fastopt.kernels.runtime import pipeline, xla
from fastopt.kernels.runtime.launch import Pipeline
from fastopt.kernels.runtime.settings import get_target

NAME = "fastopt_run"
PROCESS = random.SystemRandom().getrandbits(62)  # programs hold addresses: another process, that gets one, refuses it
jax.ffi.register_ffi_target(NAME, xla.handler(PROCESS), platform="cpu")


@cache  # for ever: compiled programs hold addresses; there is one for each kernel, type and options that were used
def program(
    stages: tuple[Any, ...],
    arrays: tuple[str, ...],
    scratch: tuple[tuple[str, int], ...],
    dtype: str,
    target: str,
    decoded: tuple[pipeline.Packed, ...] = (),
) -> Pipeline:
    """Return the pipeline of these stages over packed arrays, and blocks of scratch memory behind them.

    `decoded` are the arrays of 16-bit numbers, which the kernels see in blocks of `dtype`.
    """
    names, sizes = (*arrays, *dict(scratch)), (*(0 for _ in arrays), *dict(scratch).values())
    return pipeline.plan(stages, names, sizes, decoded, dtype, target)


def compiled_target() -> str:
    """Return the target in force, where its kernels can be part of a compiled program."""
    target = get_target()
    if target not in ("cython", "numba"):
        raise RuntimeError(
            f"target: expected 'cython' or 'numba' inside a JAX program, got {target!r}: trace it outside of that block"
        )
    return target


def run(
    pipe: Pipeline,
    arguments: Sequence[Any],
    results: Sequence[jax.ShapeDtypeStruct],
    slots: Sequence[Sequence[int]],
    *,
    per_unit: Sequence[int],
    grain: int,
    block: int,
    dims: Sequence[Sequence[int]] = ((),),
    scalars: Sequence[float] = (),
    dims_at: int = -1,
    scalars_at: int = -1,
    scalars_of_a_job: int = 0,
    sums: int = 0,
    aliases: Mapping[int, int] | None = None,
    vmap_method: str | None = None,
) -> Sequence[Any]:
    """Run a pipeline's jobs as one operation of a JAX program, and return its results.

    Parameters
    ----------
    pipe : Pipeline
        Kept for as long as the process lives (see `program`).
    arguments : sequence of arrays; results : sequence of jax.ShapeDtypeStruct
        In C order, as XLA hands them over.
    slots : a sequence for each job
        What each of the pipeline's arrays is: an argument's index, or −1 − a result's.
    per_unit : sequence of int
        For each job: elements of its first array in one unit of work, or minus its units.
    grain, block, dims, scalars : as the launcher takes them; dims for each job, scalars for all
    dims_at, scalars_at : int
        Which argument holds the dims (int64, of the one job) or the scalars (their bits as uint32) instead.
    scalars_of_a_job : int
        How many scalars each job has for itself; 0: all have the same.
    sums : int
        How many sums each job adds up: they are a result more, uint32 (jobs, sums, 2), see `floats`.
    aliases : mapping
        Which argument's memory a result may take: XLA copies an argument that is needed later.
    vmap_method : str or None
        As in `jax.ffi.ffi_call`.
    """
    numbers = [pipe.address, pipe.slots, len(slots[0]), grain, block, len(dims[0]), dims_at, scalars_at]
    numbers += [scalars_of_a_job, sums, PROCESS]
    if sums:
        results = (*results, jax.ShapeDtypeStruct((len(slots), sums, 2), np.uint32))
    call = jax.ffi.ffi_call(NAME, tuple(results), vmap_method=vmap_method, input_output_aliases=dict(aliases or {}))
    return call(
        *arguments,
        dims=_integers(dims),
        numbers=_integers(numbers),
        per_unit=_integers(per_unit),
        scalars=np.array(tuple(scalars) or (0.0,), np.float64),
        slots=_integers(slots),
    )


def floats(bits: jax.Array) -> jax.Array:
    """Return a call's sums (jobs, sums) as float64: inside of `jax.enable_x64(True)`."""
    return jax.lax.bitcast_convert_type(bits, np.float64)


def bits(numbers: Any) -> jax.Array:
    """Return float64 numbers as a call takes its scalars: inside of `jax.enable_x64(True)`."""
    return jax.lax.bitcast_convert_type(jnp.asarray(numbers, np.float64), np.uint32)


def _integers(values: Any) -> np.ndarray:
    flat = np.array(values, np.int64).ravel()
    return flat if flat.size else np.zeros(1, np.int64)  # XLA knows no empty attribute
