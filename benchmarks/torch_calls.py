"""Single calls of torch_training.py: steps of optimizers, and losses and norms forward and backward."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn import functional as theirs
from torch_row import Row, Run, named

from fastopt.torch import functional as ours
from fastopt.torch import optim

Ways = tuple[Run, dict[str, tuple[Run, float]]]
RESNET = [(64, 3, 7, 7)] + [(256, 128, 3, 3)] * 40 + [(512, 512, 3, 3)] * 4 + [(256,)] * 106 + [(1000, 2048), (1000,)]


def rows(small: bool) -> Iterator[Callable[[], Row]]:
    """Yield what makes each row."""
    few, resnet = (5, [(16, 3, 3, 3), (16,)]) if small else (1000, RESNET)
    n, classes, words = (8, 10, 50) if small else (2048, 1000, 32_000)
    image, layers, places = ((2, 4, 5, 5), (6, 8), (2, 5, 4, 4)) if small else (
        (32, 64, 56, 56), (4096, 1024), (2, 150, 256, 256)
    )  # fmt: skip
    table = (100, 8, 32) if small else (1_000_000, 64, 4096)
    yield named("AdamW, 100 of 10", lambda: steps("AdamW", [(10,)] * (few // 10 or 1), {"fused": 12, "foreach": 0}))
    yield named("AdamW, 1000 of 1000", lambda: steps("AdamW", [(few,)] * few, {"fused": 10, "foreach": 0}))
    yield named("AdamW, a ResNet's sizes (23M)", lambda: steps("AdamW", resnet, {"fused": 1, "foreach": 0}))
    yield named("AdamW, the same, channels-last", lambda: steps("AdamW", resnet, {"fused": 1.5}, channels_last=True))
    for name in ("RMSprop", "NAdam", "Adadelta"):
        yield named(f"{name}, a ResNet's sizes (23M)", lambda name=name: steps(name, resnet, {"foreach": 4}))
    yield named("cross-entropy, 4096 of 1000", lambda: both(cross_entropy(2 * n, classes), 2.4))
    yield named("cross-entropy, 2048 of 32000", lambda: both(cross_entropy(n, words), 7))
    yield named("cross-entropy along axis 1, (2, 150, 256, 256)", lambda: both(along_axis_1(*places), 1))
    yield named("batch norm, (32, 64, 56, 56)", lambda: both(batch_norm(*image), 2))
    yield named("batch norm and ReLU, (32, 64, 56, 56)", lambda: both(batch_norm(*image, relu=True), 3.5))
    yield named("layer norm, (4096, 1024)", lambda: both(layer_norm(*layers), 0))
    yield named("mean squared error, 10 by 10", lambda: both(squares(), 0))
    yield named("embedding 1M by 64, 4096 ids, uniform", lambda: embedding(*table, 1, 1.8))
    yield named("embedding 1M by 64, 4096 ids, zipf", lambda: embedding(*table, 8, 1.2))


def params_of(shapes: list[tuple[int, ...]], channels_last: bool) -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    found = []
    for shape in shapes:
        value = torch.randn(shape)
        if channels_last and len(shape) == 4:
            value = value.to(memory_format=torch.channels_last)
        found.append(torch.nn.Parameter(value))
        found[-1].grad = torch.randn_like(value)
    return found


def steps(name: str, shapes: list[tuple[int, ...]], goals: dict[str, float], channels_last: bool = False) -> Ways:
    own, peer = getattr(optim, name), getattr(torch.optim, name)
    peers = {
        f"torch {way}": (peer(params_of(shapes, channels_last), **{way: True}).step, goal)
        for way, goal in goals.items()
    }
    return own(params_of(shapes, channels_last)).step, peers


def both(work: tuple[Any, ...], goal: float) -> Ways:
    """Forward and backward through both packages' functions."""
    call, *inputs = work

    def run(functions: object) -> Run:
        own = [one.detach().clone().requires_grad_(one.is_floating_point()) for one in inputs]

        def step() -> None:
            for one in own:
                one.grad = None
            value = call(functions, *own)
            value.backward(torch.ones_like(value))

        return step

    return run(ours), {"torch": (run(theirs), goal)}


def cross_entropy(samples: int, classes: int) -> tuple[Any, ...]:
    labels = torch.randint(0, classes, (samples,))
    return lambda functions, x: functions.cross_entropy(x, labels), torch.randn(samples, classes)


def along_axis_1(*shape: int) -> tuple[Any, ...]:
    labels = torch.zeros(shape[:1] + shape[2:], dtype=torch.long)
    return lambda functions, x: functions.cross_entropy(x, labels), torch.randn(shape)


def batch_norm(*shape: int, relu: bool = False) -> tuple[Any, ...]:
    def call(functions: Any, x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        if functions is ours:
            return ours.batch_norm(x, None, None, w, b, training=True, relu=relu)
        y = functions.batch_norm(x, None, None, w, b, training=True)
        return torch.relu(y) if relu else y

    return call, torch.randn(shape), torch.ones(shape[1]), torch.zeros(shape[1])


def layer_norm(samples: int, width: int) -> tuple[Any, ...]:
    inputs = torch.randn(samples, width), torch.ones(width), torch.zeros(width)
    return lambda functions, x, w, b: functions.layer_norm(x, [width], w, b), *inputs


def squares() -> tuple[Any, ...]:
    wanted = torch.zeros(10, 10)
    return lambda functions, x: functions.mse_loss(x, wanted), torch.randn(10, 10)


def embedding(words: int, width: int, ids: int, skew: int, goal: float) -> Ways:
    """SparseAdam's step; ids are uniform to the power of `skew`, most of them small ones if that is large."""
    torch.manual_seed(0)
    chosen = (torch.rand(ids) ** skew * words).long()
    grad = torch.sparse_coo_tensor(chosen.unsqueeze(0), torch.randn(ids, width), (words, width), check_invariants=False)

    def made(kind: Any) -> Run:
        table = torch.nn.Parameter(torch.randn(words, width))
        table.grad = grad.clone()
        return kind([table]).step

    return made(optim.SparseAdam), {"torch": (made(torch.optim.SparseAdam), goal)}
