"""A whole step on real models, with options and compressed state, beside torch.

python benchmarks/steps.py [--docs .]

Every row is measured in turn (A B A B) with its rival, after both were seen to give the same parameters. bitsandbytes
is measured where it is installed.
"""

import importlib.util
from collections.abc import Callable

import numpy as np
import tables
import torch
import typer

import fastopt as fo
from fastopt.cli.bench import pages
from fastopt.cli.bench.clock import Job, interleave, measure_bandwidth

ROUNDS = 15
LARGE = [(20_000_000,)]


def resnet50() -> list[tuple[int, ...]]:
    """Return the shapes of ResNet-50's 161 parameters (He et al. 2015, table 1)."""
    shapes: list[tuple[int, ...]] = [(64, 3, 7, 7), (64,), (64,)]
    inputs = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            for out, into, size in ((width, inputs, 1), (width, width, 3), (4 * width, width, 1)):
                shapes += [(out, into, size, size), (out,), (out,)]
            if block == 0:
                shapes += [(4 * width, inputs, 1, 1), (4 * width,), (4 * width,)]
            inputs = 4 * width
    return [*shapes, (1000, 2048), (1000,)]


def gpt2() -> list[tuple[int, ...]]:
    """Return the shapes of the 148 parameters of GPT-2 with 124 million (Radford et al. 2019, table 2)."""
    d = 768
    block: list[tuple[int, ...]] = [
        (d,), (d,), (d, 3 * d), (3 * d,), (d, d), (d,), (d,), (d,), (d, 4 * d), (4 * d,), (4 * d, d), (d,),
    ]  # fmt: skip
    return [(50257, d), (1024, d), *(12 * block), (d,), (d,)]


def arrays(shapes: list[tuple[int, ...]], seed: int) -> list[np.ndarray]:
    return [fo.initializers.normal(shape, seed=seed + k, std=0.02) for k, shape in enumerate(shapes)]


def ours(shapes: list[tuple[int, ...]], zero: bool = False, **options) -> tuple[Callable, list[np.ndarray]]:
    params, grads = arrays(shapes, 0), arrays(shapes, 10_000)
    optimizer = fo.optimizers.AdamW(params, lr=1e-3, **options)
    return lambda: optimizer.step(grads, zero_grads=zero), params


def fused(shapes: list[tuple[int, ...]]) -> tuple[Callable, list[np.ndarray]]:
    params = [torch.from_numpy(array).requires_grad_() for array in arrays(shapes, 0)]
    for param, grad in zip(params, arrays(shapes, 10_000), strict=True):
        param.grad = torch.from_numpy(grad)
    return torch.optim.AdamW(params, lr=1e-3, fused=True).step, [param.detach().numpy() for param in params]


def fused_with_all(shapes: list[tuple[int, ...]]) -> tuple[Callable, list[np.ndarray]]:
    """Return torch's best way to clip, step, average and zero."""
    params = [torch.from_numpy(array).requires_grad_() for array in arrays(shapes, 0)]
    grads = arrays(shapes, 10_000)
    for param, grad in zip(params, grads, strict=True):
        param.grad = torch.from_numpy(grad)
    averages = [param.detach().clone() for param in params]
    optimizer = torch.optim.AdamW(params, lr=1e-3, fused=True)

    def step():
        torch.nn.utils.clip_grad_norm_(params, 1.0, foreach=True)
        optimizer.step()
        torch._foreach_lerp_(averages, [param.detach() for param in params], 1e-3)
        optimizer.zero_grad(set_to_none=False)

    return step, [param.detach().numpy() for param in params]


def bitsandbytes(shapes: list[tuple[int, ...]]) -> tuple[Callable, list[np.ndarray]]:
    import bitsandbytes

    params = [torch.from_numpy(array).requires_grad_() for array in arrays(shapes, 0)]
    for param, grad in zip(params, arrays(shapes, 10_000), strict=True):
        param.grad = torch.from_numpy(grad)
    return bitsandbytes.optim.AdamW8bit(params, lr=1e-3).step, [param.detach().numpy() for param in params]


ALL = {"clip_norm": 1.0, "ema_decay": 0.999}
BESIDE = "beside bitsandbytes"
MODEL = "GPT-2's 148 arrays (124M)"
# what, the goal, bytes moved an element, ours, the rival
WORKS = (
    ("one array of 1000", 4.0, 28, lambda: ours([(1000,)]), lambda: fused([(1000,)])),
    ("1000 arrays of 1000", 20.0, 28, lambda: ours([(1000,)] * 1000), lambda: fused([(1000,)] * 1000)),
    ("one array of 20M", 0.97, 28, lambda: ours(LARGE), lambda: fused(LARGE)),
    ("ResNet-50's 161 arrays (25.6M)", 1.15, 28, lambda: ours(resnet50()), lambda: fused(resnet50())),
    (MODEL, 1.0, 28, lambda: ours(gpt2()), lambda: fused(gpt2())),
    (f"{MODEL}, clipped, averaged, zeroed", 1.5, 44, lambda: ours(gpt2(), True, **ALL), lambda: fused_with_all(gpt2())),
    ("20M, bfloat16 state", 1.25, 20, lambda: ours(LARGE, state_dtype="bfloat16"), lambda: fused(LARGE)),
    ("20M, 8-bit state", 1.25, 16, lambda: ours(LARGE, state_dtype="8bit"), lambda: fused(LARGE)),
    (f"20M, 8-bit state, {BESIDE}", 30.0, 16, lambda: ours(LARGE, state_dtype="8bit"), lambda: bitsandbytes(LARGE)),
)


def main(docs: tables.Docs = None) -> None:
    """Measure all works, and print the table."""
    if docs is not None:
        pages.refuse_early(docs, "steps")
    threads = fo.get_num_threads()
    torch.set_num_threads(threads)
    rows = []
    for what, goal, moved, make, rival in WORKS:
        if BESIDE in what and importlib.util.find_spec("bitsandbytes") is None:
            print(f"{what}: not measured, since bitsandbytes is not installed.")
            continue
        bandwidth = measure_bandwidth(threads).in_place  # it drifts: taken anew for every row
        (step, params), (other, theirs) = make(), rival()
        step()
        other()
        for one, two in zip(params, theirs, strict=True):
            np.testing.assert_allclose(one, two, atol=2e-5, err_msg=what)
        mine, its = interleave([Job(step, target="cython"), Job(other)], ROUNDS)
        ratio, size = float(np.median(its / mine)), sum(param.size for param in params)
        part = f"{moved * size / float(np.median(mine)) / bandwidth:.0%}" if size > 10_000_000 else "in cache"
        met = "met" if ratio >= goal else "**missed**"
        rows.append([what, tables.times(mine), tables.times(its), f"{ratio:.2f}×", f"{goal:g}×", met, part])
        del step, params, other, theirs
    introduction = f"A whole AdamW step in float32, p20 / p50 / p80. {tables.machine(threads)}"
    headings = ["work", "fastopt", "torch fused (or as said)", "faster by", "goal", "", "of the bandwidth in place"]
    tables.show("steps", introduction, headings, rows, docs)


if __name__ == "__main__":
    typer.run(main)
