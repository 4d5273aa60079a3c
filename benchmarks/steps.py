"""A whole step on real models, with options and compressed state, beside torch: python benchmarks/steps.py

Every row is measured in turn (A B A B) with its rival, after both were seen to give the same parameters.
"""

from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import fastopt as fo
from fastopt._bench_clock import Job, interleave, measure_bandwidth

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


ALL = {"clip_norm": 1.0, "ema_decay": 0.999}
WORKS = (  # what, the bar, ours, the rival
    ("one array of 1000", 4.0, lambda: ours([(1000,)]), lambda: fused([(1000,)])),
    ("1000 arrays of 1000", 20.0, lambda: ours([(1000,)] * 1000), lambda: fused([(1000,)] * 1000)),
    ("one array of 20M", 0.97, lambda: ours(LARGE), lambda: fused(LARGE)),
    ("ResNet-50's 161 arrays (25.6M)", 1.15, lambda: ours(resnet50()), lambda: fused(resnet50())),
    ("GPT-2's 148 arrays (124M)", 1.0, lambda: ours(gpt2()), lambda: fused(gpt2())),
    ("the same, clipped, averaged, zeroed", 1.5, lambda: ours(gpt2(), True, **ALL), lambda: fused_with_all(gpt2())),
    ("20M, bfloat16 state", 1.25, lambda: ours(LARGE, state_dtype="bfloat16"), lambda: fused(LARGE)),
    ("20M, 8-bit state", 1.25, lambda: ours(LARGE, state_dtype="8bit"), lambda: fused(LARGE)),
)


def main() -> None:
    console, threads = Console(), fo.get_num_threads()
    torch.set_num_threads(threads)
    bandwidth = measure_bandwidth(threads)
    console.print(f"{threads} threads; memory moves {bandwidth.in_place / 1e9:.0f} GB/s in place")
    table = Table("AdamW, float32", "fastopt p20 / p50 / p80", "torch fused p20 / p50 / p80", "faster by", "bar", "")
    for what, bar, make, rival in WORKS:
        (step, params), (other, theirs) = make(), rival()
        step()
        other()
        for one, two in zip(params, theirs, strict=True):
            np.testing.assert_allclose(one, two, atol=2e-5, err_msg=what)
        mine, its = interleave([Job(step, target="cython"), Job(other)], ROUNDS)
        ratio = float(np.median(its / mine))
        table.add_row(
            what, _times(mine), _times(its), f"{ratio:.2f}×", f"{bar:g}×", "met" if ratio >= bar else "MISSED"
        )
        del step, params, other, theirs
    console.print(table)


def _times(seconds: np.ndarray) -> str:
    unit, name = (1e3, "ms") if np.median(seconds) > 1e-3 else (1e6, "µs")
    return " / ".join(f"{unit * t:.3g}" for t in np.percentile(seconds, (20, 50, 80))) + f" {name}"


if __name__ == "__main__":
    main()
