"""Losses and norms, value and gradients, beside the best of torch, torch.compile and jax.jit.

python benchmarks/losses_and_norms.py [--docs .]

Every row is measured in turn (A B A B): fastopt into arrays that are used again, fastopt into new ones, and each peer
that is installed. Before it is timed, every peer's gradient was seen to be ours.
"""

import importlib.util
import os

# before torch is imported: its compilers' processes would run beside what is timed
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

from collections.abc import Callable

import numpy as np
import tables
import torch
import typer
from torch.nn import functional

import fastopt as fo
from fastopt.cli.bench import pages
from fastopt.cli.bench.clock import Job, interleave, measure_bandwidth

ROUNDS = 15
NORMS = fo.normalization
LOSSES = fo.losses
JAX = importlib.util.find_spec("jax") is not None
Works = dict[str, Callable[[], object]]


def normal(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


# ---- losses: value and gradient


def cross_entropy_jax(x, labels):
    from jax import numpy as jnp
    from jax.nn import logsumexp

    return (logsumexp(x, axis=-1) - jnp.take_along_axis(x, labels[:, None], -1)[:, 0]).mean()


def bce_jax(x, t):
    from jax import numpy as jnp

    return (jnp.maximum(x, 0) - x * t + jnp.log1p(jnp.exp(-jnp.abs(x)))).mean()


def huber_jax(x, t):
    from jax import numpy as jnp

    size = jnp.abs(x - t)
    return jnp.where(size < 1, 0.5 * size**2, size - 0.5).mean()


FORMULAS = {  # ours, torch's, jax's
    "sparse softmax cross-entropy": (
        LOSSES.SparseCategoricalCrossentropy(from_logits=True), functional.cross_entropy, cross_entropy_jax,
    ),
    "BCE from logits": (
        LOSSES.BinaryCrossentropy(from_logits=True), functional.binary_cross_entropy_with_logits, bce_jax,
    ),
    "MSE": (LOSSES.MeanSquaredError(), functional.mse_loss, lambda x, t: ((x - t) ** 2).mean()),
    "MAE": (LOSSES.MeanAbsoluteError(), functional.l1_loss, lambda x, t: abs(x - t).mean()),
    "Huber": (LOSSES.Huber(), functional.huber_loss, huber_jax),
}  # fmt: skip


def loss(name: str, shape: tuple[int, ...]) -> tuple[Works, int]:
    """Return the ways to the value and the gradient, and the bytes that must move."""
    ours, torchs, jaxs = FORMULAS[name]
    rng = np.random.default_rng(1)
    sparse = name.startswith("sparse")
    true = rng.integers(0, shape[1], shape[0]) if sparse else (rng.random(shape) < 0.5).astype(np.float32)
    pred, out = normal(shape, 0), np.empty(shape, np.float32)
    given, prediction = torch.from_numpy(true), torch.from_numpy(pred.copy()).requires_grad_()

    def by_torch(function):
        def run():
            value = function(prediction, given)
            return value, torch.autograd.grad(value, prediction)[0].numpy()

        return lambda: run()[1]

    works: Works = {
        "fastopt": lambda: ours.value_and_grad(true, pred, out=out)[1],
        "fresh": lambda: ours.value_and_grad(true, pred)[1],
        "torch": by_torch(torchs),
        "torch.compile": by_torch(torch.compile(torchs, dynamic=False)),
    }
    if JAX:
        import jax

        there, here = jax.numpy.asarray(true), jax.numpy.asarray(pred)
        step = jax.jit(jax.value_and_grad(jaxs))
        works["jax.jit"] = lambda: step(here, there)[1].block_until_ready()
    return works, 2 * pred.nbytes + true.nbytes


# ---- norms: forward and backward


def statistics_jax(x, axes):
    mean = x.mean(axes, keepdims=True)
    return mean, ((x - mean) ** 2).mean(axes, keepdims=True)


def norm(name: str, shape: tuple[int, ...], axis: int = 1) -> tuple[Works, int]:
    """Return the ways to y and to the gradients, and the bytes that must move: forward 2, backward 3 arrays. A channel
    whose values lie all over the arrays stays in no cache between its passes: x and dy are read twice then."""
    rows = not name.startswith("batch")
    axis = len(shape) - 1 if rows else axis % len(shape)
    x, dy, channels = normal(shape, 0), normal(shape, 1), shape[axis]
    gamma, beta = normal((channels,), 2) + 2, normal((channels,), 3)
    y, dx = np.empty_like(x), np.empty_like(x)
    activation = "relu" if "ReLU" in name else None
    wide = [-1 if k == axis else 1 for k in range(len(shape))]

    def ours(y=None, dx=None):
        if name == "layer norm":
            _, *kept = NORMS.layer_norm_forward(x, gamma, beta, out=y)
            return NORMS.layer_norm_backward(dy, x, gamma, *kept, out=dx)[0]
        if name == "RMS norm":
            _, invrms = NORMS.rms_norm_forward(x, gamma, out=y)
            return NORMS.rms_norm_backward(dy, x, gamma, invrms, out=dx)[0]
        options = {"channel_axis": axis, "activation": activation}
        _, *kept = NORMS.batch_norm_forward(x, gamma, beta, out=y, **options)
        return NORMS.batch_norm_backward(dy, x, gamma, *kept, beta=beta, out=dx, **options)[0]

    def turned(array):
        return array if rows or axis == 1 else array.movedim(axis, 1)

    def formula(x, gamma, beta):
        if name == "layer norm":
            return functional.layer_norm(x, (channels,), gamma, beta)
        if name == "RMS norm":
            return functional.rms_norm(x, (channels,), gamma, 1e-5)
        y = functional.batch_norm(x, None, None, gamma, beta, True)
        return functional.relu(y) if activation else y

    leaves = [turned(torch.from_numpy(x.copy())), torch.from_numpy(gamma), torch.from_numpy(beta)]
    leaves = [leaf.detach().requires_grad_() for leaf in leaves][: 2 if name == "RMS norm" else 3]
    slope = turned(torch.from_numpy(dy))

    def by_torch(function):
        def run():
            given = leaves if len(leaves) == 3 else [*leaves, None]
            dx = torch.autograd.grad(function(*given), leaves, slope)[0]
            return (dx if rows or axis == 1 else dx.movedim(1, axis)).numpy()

        return run

    works: Works = {
        "fastopt": lambda: ours(y, dx),
        "fresh": ours,
        "torch": by_torch(formula),
        "torch.compile": by_torch(torch.compile(formula, dynamic=False)),
    }
    if JAX:
        import jax

        axes = (axis,) if rows else tuple(k for k in range(len(shape)) if k != axis)

        def forward(x, gamma, beta):
            if name == "RMS norm":
                return x / jax.numpy.sqrt((x**2).mean(axes, keepdims=True) + 1e-5) * gamma.reshape(wide)
            mean, variance = statistics_jax(x, axes)
            y = (x - mean) / jax.numpy.sqrt(variance + 1e-5) * gamma.reshape(wide) + beta.reshape(wide)
            return jax.numpy.maximum(y, 0) if activation else y

        @jax.jit
        def both(x, gamma, beta, dy):
            y, backward = jax.vjp(forward, x, gamma, beta)
            return y, backward(dy)

        there = [jax.numpy.asarray(array) for array in (x, gamma, beta, dy)]
        works["jax.jit"] = lambda: jax.block_until_ready(both(*there))[1][0]
    spread = not rows and axis == len(shape) - 1
    return works, (8 if spread else 5) * x.nbytes


CE = "sparse softmax cross-entropy"
ROWS = (  # name, shape, channel axis (None: a loss), goal beside the best peer
    (CE, (4096, 1000), None, 1.7), (CE, (2048, 32_000), None, 4), (CE, (65_536, 10), None, 1.5),
    (CE, (128, 10), None, 3),
    *((name, (10_000_000,), None, 4) for name in ("BCE from logits", "MSE", "MAE", "Huber")),
    ("batch norm", (32, 64, 56, 56), 1, 2.5), ("batch norm", (4, 32, 224, 224), 1, 2.5),
    ("batch norm", (64, 256, 14, 14), 1, 2), ("batch norm", (32, 56, 56, 64), -1, 1.7),
    ("batch norm", (4096, 1024), 1, 1.4), ("batch norm + ReLU", (32, 64, 56, 56), 1, 2),
    ("layer norm", (4096, 1024), -1, 1.4), ("RMS norm", (4096, 1024), -1, 1.4),
    (CE, (10, 10), None, 3), ("MSE", (100,), None, 3), ("batch norm", (10, 10), 1, 3), ("layer norm", (10, 10), -1, 3),
)  # fmt: skip


def main(docs: tables.Docs = None) -> None:
    """Measure all rows, and print the table. A call of 100 elements is held against eager torch, as users call it."""
    if docs is not None:
        pages.refuse_early(docs, "losses and norms")
    threads = fo.get_num_threads()
    torch.set_num_threads(threads)
    lines = []
    for name, shape, axis, goal in ROWS:
        bandwidth = measure_bandwidth(threads).copy  # none of these works in place
        torch.compiler.reset()  # else a function of many rows is compiled for none of the last
        works, moved = loss(name, shape) if axis is None else norm(name, shape, axis)
        small = int(np.prod(shape)) == 100
        judged = np.array(works["fastopt"]())
        for way, work in works.items():
            np.testing.assert_allclose(
                np.asarray(work()), judged, rtol=1e-3, atol=1e-4, err_msg=f"{way}: {name} {shape}"
            )
        times = dict(zip(works, interleave([Job(work) for work in works.values()], ROUNDS), strict=True))
        medians = {way: float(np.median(seconds)) for way, seconds in times.items()}
        peers = [way for way in medians if way not in ("fastopt", "fresh")]
        best = "torch" if small else min(peers, key=medians.__getitem__)
        part = moved / medians["fastopt"] / bandwidth
        ratio = medians[best] / medians["fastopt"]
        met = "met" if ratio >= goal else "met by bandwidth" if part >= 0.85 and not small else "**missed**"
        last = ", channels last" if axis == -1 and name.startswith("batch") else ""
        lines.append([
            f"{name}, {'×'.join(map(str, shape))}{last}",
            tables.times(times["fastopt"]), f"{medians['fastopt'] / medians['fresh']:.2f}×",
            *(f"{medians[way] / medians['fastopt']:.2f}×" if way in medians else "–" for way in PEERS),
            f"{goal:g}×", met, f"{part:.0%}" if not small else "in cache",
        ])  # fmt: skip
        print(*lines[-1], sep=" | ", flush=True)
    introduction = f"Value and gradients in float32, p20 / p50 / p80; peers' times over ours. {tables.machine(threads)}"
    headings = ["work", "fastopt", "fresh outputs", *PEERS, "goal", "", "of a copy's bandwidth"]
    tables.show("losses and norms", introduction, headings, lines, docs)


PEERS = ("torch", "torch.compile", "jax.jit")

if __name__ == "__main__":
    typer.run(main)
