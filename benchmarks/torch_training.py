"""fastopt.torch beside torch, interleaved in one process: p20, p50 and p80 in microseconds, as Markdown.

    python benchmarks/torch_training.py [--rounds 60] [--only NAME] [--memory]

Run it on a quiet machine. A row's contenders take turns, so that each finds the caches as the others leave them.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch_networks as networks
from torch.nn import functional as theirs

from fastopt.torch import functional as ours
from fastopt.torch import optim

Contenders = dict[str, Callable[[], object]]
RESNET = [(64, 3, 7, 7)] + [(256, 128, 3, 3)] * 40 + [(512, 512, 3, 3)] * 4 + [(256,)] * 106 + [(1000, 2048), (1000,)]


def params_of(shapes: list[tuple[int, ...]], channels_last: bool = False) -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    found = []
    for shape in shapes:
        value = torch.randn(shape)
        if channels_last and len(shape) == 4:
            value = value.to(memory_format=torch.channels_last)
        found.append(torch.nn.Parameter(value))
        found[-1].grad = torch.randn_like(value)
    return found


def steps(name: str, shapes: list[tuple[int, ...]], channels_last: bool = False, fused: bool = True) -> Contenders:
    own, peer = getattr(optim, name), getattr(torch.optim, name)
    contenders: Contenders = {"fastopt": own(params_of(shapes, channels_last)).step}
    if fused:
        contenders["torch fused"] = peer(params_of(shapes, channels_last), fused=True).step
    contenders["torch foreach"] = peer(params_of(shapes, channels_last), foreach=True).step
    return contenders


def both(call: Callable, *inputs: torch.Tensor) -> Contenders:
    """Forward and backward through both packages' functions."""

    def run(functions: object) -> Callable[[], object]:
        own = [one.detach().clone().requires_grad_(one.is_floating_point()) for one in inputs]

        def step() -> None:
            for one in own:
                one.grad = None
            value = call(functions, *own)
            value.backward(torch.ones_like(value))

        return step

    return {"fastopt": run(ours), "torch": run(theirs)}


def embedding(zipf: bool) -> Contenders:
    ids = torch.randint(0, 1_000_000, (4096,))
    if zipf:
        ids = (torch.rand(4096) ** 8 * 1_000_000).long()
    grad = torch.sparse_coo_tensor(ids.unsqueeze(0), torch.randn(4096, 64), (1_000_000, 64), check_invariants=False)
    contenders: Contenders = {}
    for name, kind in (("fastopt", optim.SparseAdam), ("torch", torch.optim.SparseAdam)):
        table = torch.nn.Parameter(torch.randn(1_000_000, 64))
        table.grad = grad.clone()
        contenders[name] = kind([table]).step
    return contenders


def batch_norm(functions: object, x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return functions.batch_norm(x, None, None, w, b, training=True)  # type: ignore[attr-defined]


def batch_norm_relu(functions: object, x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    if functions is ours:
        return ours.batch_norm(x, None, None, w, b, training=True, relu=True)
    return torch.relu(batch_norm(functions, x, w, b))


def cross_entropy(rows: int, classes: int) -> Contenders:
    labels = torch.randint(0, classes, (rows,))
    return both(lambda functions, x: functions.cross_entropy(x, labels), torch.randn(rows, classes))


CASES: dict[str, Callable[[], Contenders]] = {
    "AdamW, 100 of 10": lambda: steps("AdamW", [(10,)] * 100),
    "AdamW, 1000 of 1000": lambda: steps("AdamW", [(1000,)] * 1000),
    "AdamW, a ResNet's sizes (23M)": lambda: steps("AdamW", RESNET),
    "AdamW, the same, channels-last": lambda: steps("AdamW", RESNET, channels_last=True),
    **{f"{name}, a ResNet's sizes (23M)": lambda name=name: steps(name, RESNET, fused=False)
       for name in ("RMSprop", "NAdam", "Adadelta")},
    "cross-entropy, 4096 of 1000": lambda: cross_entropy(4096, 1000),
    "cross-entropy, 2048 of 32000": lambda: cross_entropy(2048, 32000),
    "batch norm, (32, 64, 56, 56)": lambda: both(
        batch_norm, torch.randn(32, 64, 56, 56), torch.ones(64), torch.zeros(64)
    ),
    "the same, with ReLU": lambda: both(
        batch_norm_relu, torch.randn(32, 64, 56, 56), torch.ones(64), torch.zeros(64)
    ),
    "layer norm, (4096, 1024)": lambda: both(
        lambda functions, x, w, b: functions.layer_norm(x, [1024], w, b),
        torch.randn(4096, 1024), torch.ones(1024), torch.zeros(1024),
    ),
    "mean squared error, 10 by 10": lambda: both(
        lambda functions, x: functions.mse_loss(x, torch.zeros(10, 10)), torch.randn(10, 10)
    ),
    "cross-entropy along axis 1, (2, 150, 256, 256)": lambda: both(
        lambda functions, x: functions.cross_entropy(x, torch.zeros(2, 256, 256, dtype=torch.long)),
        torch.randn(2, 150, 256, 256),
    ),
    "embedding 1M by 64, uniform": lambda: embedding(False),
    "embedding 1M by 64, zipf": lambda: embedding(True),
    "a GPT's step, 4 layers of 256, 32k words": lambda: networks.gpt(narrow=False, compiled=True),
    "the same, bfloat16 autocast": lambda: networks.gpt(narrow=True, compiled=False),
    "a ResNet-18's step, 32 images of 64": lambda: networks.images(64),
    "the same, images of 160": lambda: networks.images(160),
    "the same, images of 64, channels-last": lambda: networks.images(64, torch.channels_last),
    "a tabular network's step, 12 layers of 32": networks.tabular,
    "offload, GPT-2's arrays": networks.offload,
}  # fmt: skip


def measure(contenders: Contenders, rounds: int) -> dict[str, list[float]]:
    """Return each contender's times in microseconds, sorted; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 2):
        for name, run in contenders.items():
            begun = time.perf_counter()
            run()
            if turn >= 2:
                times[name].append(1e6 * (time.perf_counter() - begun))
    return {name: sorted(own) for name, own in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--only", default="", help="cases whose names hold this")
    parser.add_argument("--memory", action="store_true", help="what a step adds to the memory, instead of times")
    chosen = parser.parse_args()
    if chosen.memory:
        networks.memory()
        return
    print("| work | contender | p20 µs | p50 µs | p80 µs | fastopt is faster by |")
    print("|---|---|--:|--:|--:|--:|")
    for case, make in CASES.items():
        if chosen.only not in case:
            continue
        times = measure(make(), chosen.rounds)
        own = statistics.median(times["fastopt"])
        for name, found in times.items():
            low, middle, high = (found[int(share * (len(found) - 1))] for share in (0.2, 0.5, 0.8))
            print(f"| {case} | {name} | {low:.0f} | {middle:.0f} | {high:.0f} | {middle / own:.2f}x |")


if __name__ == "__main__":
    main()
