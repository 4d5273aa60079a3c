"""A language model's last layer and its loss, forward and backward, beside torch.

python benchmarks/linear_cross_entropy.py [--docs .]

Times are taken in turn (A B A B). Peak memory is taken in a process for each way: by how much the call raised the
largest resident size, gradients included.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tables
import torch
import typer
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import fastopt as fo
from fastopt.cli.bench import pages
from fastopt.cli.bench.clock import Job, interleave

SAMPLES, FEATURES, CLASSES, ROUNDS = 2048, 768, 50257, 3
CHUNK = 256  # samples of the chunked way in torch


def arrays() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = fo.initializers.normal((SAMPLES, FEATURES), seed=0, std=1.0)
    weight = fo.initializers.normal((CLASSES, FEATURES), seed=1, std=0.02)
    return x, weight, np.random.default_rng(0).integers(0, CLASSES, SAMPLES)


def ours() -> Callable:
    x, weight, labels = arrays()
    loss = fo.losses.LinearCrossEntropy()
    return lambda: loss.value_and_grad(x, weight, labels)


def tensors() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, weight, labels = map(torch.from_numpy, arrays())
    return x.requires_grad_(), weight.requires_grad_(), labels


def torch_plain() -> Callable:
    x, weight, labels = tensors()

    def run():
        value = functional.cross_entropy(functional.linear(x, weight), labels)
        return value.item(), torch.autograd.grad(value, (x, weight))

    return run


def torch_in_chunks() -> Callable:
    """The same with logits of a chunk at a time, formed again on the way back."""
    x, weight, labels = tensors()

    def part(x, labels):
        return functional.cross_entropy(functional.linear(x, weight), labels, reduction="sum")

    def run():
        chunks = zip(x.split(CHUNK), labels.split(CHUNK), strict=True)
        value = sum(checkpoint(part, *chunk, use_reentrant=False) for chunk in chunks) / SAMPLES
        return value.item(), torch.autograd.grad(value, (x, weight))

    return run


WAYS = {"fastopt": ours, "torch": torch_plain, "torch, in chunks": torch_in_chunks}


def peak(name: str) -> float:
    """Return by how many MiB a call in a process of its own grew it."""
    asked = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
    return float(asked.stdout)


def grown(name: str) -> float:
    """Return by how many MiB the first call grows this process."""
    torch.set_num_threads(fo.get_num_threads())
    call = WAYS[name]()
    small = np.ones((64, 64), np.float32)
    torch.from_numpy(small @ small).mm(torch.ones(64, 64))  # both libraries' threads have begun
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak starts anew from here
    before = resident_peak()
    call()
    return (resident_peak() - before) / 1024


def resident_peak() -> int:
    """Return the process's largest resident size so far, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main(docs: tables.Docs = None) -> None:
    """Measure all ways, and print the table."""
    if docs is not None:
        pages.refuse_early(docs, "linear cross-entropy")
    torch.set_num_threads(fo.get_num_threads())
    calls = {name: make() for name, make in WAYS.items()}
    found = {name: call() for name, call in calls.items()}
    for name, (value, gradients) in found.items():
        np.testing.assert_allclose(value, found["fastopt"][0], rtol=1e-5, err_msg=name)
        for own, other in zip(found["fastopt"][1][:2], gradients[:2], strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-3, atol=1e-7, err_msg=name)
    del found
    measured = interleave([Job(call, list) for call in calls.values()], ROUNDS)
    products, gradients = 6 * SAMPLES * FEATURES * CLASSES / 1e9, (SAMPLES + CLASSES) * FEATURES * 4 / 2**20
    rows = []
    for name, own in zip(WAYS, measured, strict=True):
        p50, grew = float(np.median(own)), peak(name)
        beside = f"{np.median(own / measured[0]):.2f}"
        rows.append(
            [name, tables.times(own), beside, f"{products / p50:.0f}", f"{grew:.0f}", f"{grew - gradients:.0f}"]
        )
    introduction = (
        f"`linear_cross_entropy`, value and gradients, {SAMPLES} tokens, {FEATURES} features, {CLASSES} classes, "
        f"{fo.get_num_threads()} threads (p20 / p50 / p80). Gradients alone are {gradients:.0f} MiB."
    )
    headings = ["way", "time", "beside fastopt", "GFLOP/s", "memory, MiB", "without gradients"]
    tables.show("linear cross-entropy", introduction, headings, rows, docs)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in WAYS:
        print(grown(sys.argv[1]))
    else:
        typer.run(main)
