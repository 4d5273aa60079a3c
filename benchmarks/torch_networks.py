"""Whole training steps of torch_training.py: networks with torch's parts, and with fastopt's in their place."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch.nn import functional as F
from torch_row import Row, Run, named

import fastopt.torch
from fastopt.torch import optim

Ways = tuple[Run, dict[str, tuple[Run, float]]]


class Size(NamedTuple):
    """A transformer's."""

    words: int
    width: int
    layers: int
    heads: int
    samples: int
    length: int


GPT2 = [(50257, 768), (1024, 768)] + 12 * [
    (768,), (768,), (768, 2304), (2304,), (768, 768), (768,), (768,), (768,), (768, 3072), (3072,), (3072, 768), (768,),
] + [(768,), (768,)]  # fmt: skip


def rows(small: bool) -> Iterator[Callable[[], Row]]:
    """Yield what makes each row."""
    size = Size(50, 16, 1, 2, 2, 8) if small else Size(32_000, 256, 4, 8, 8, 128)
    few, near, far, width = (2, 32, 32, 16) if small else (32, 64, 160, 64)
    arrays = [(30, 8), (8,)] if small else GPT2
    compiled = {} if small else {"torch.compile": 1.05}
    yield named("a GPT's step, 4 layers of 256, 32k words", lambda: gpt(size, False, {"torch": 1.3, **compiled}))
    yield named("the same GPT's step, bfloat16 autocast", lambda: gpt(size, True, {"torch": 1.8}))
    yield named("a ResNet-18's step, 32 images of 64", lambda: images(few, near, width, 1.0))
    yield named("a ResNet-18's step, 32 images of 160", lambda: images(few, far, width, 1.1))
    yield named(
        "a ResNet-18's step, images of 64, channels-last", lambda: images(few, near, width, 1.0, torch.channels_last)
    )
    yield named("a tabular network's step, 12 layers of 32", lambda: tabular(False, {"torch fused": 1.1, "torch": 1.2}))
    yield named("the same network's step, accelerated", lambda: tabular(True, {"torch fused": 0, "torch": 0}))
    yield named("offload, GPT-2's arrays", lambda: offload(arrays, False, 1.6))
    yield named("offload, copies in the caller's memory", lambda: offload(arrays, True, 1.4))


# ---- a transformer


class Block(torch.nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.first, self.second = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.mixed, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)
        self.heads = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.mixed(self.first(x)).view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(x.shape))
        return x + self.down(F.gelu(self.up(self.second(x))))


class GPT(torch.nn.Module):
    """Returns the loss; `fused` says whether head and loss are fastopt's one function."""

    def __init__(self, size: Size, fused: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        width = size.width
        self.words, self.places = torch.nn.Embedding(size.words, width), torch.nn.Embedding(size.length, width)
        self.blocks = torch.nn.Sequential(*[Block(width, size.heads) for _ in range(size.layers)])
        self.last, self.head = torch.nn.LayerNorm(width), torch.nn.Linear(width, size.words, bias=False)
        self.fused = fused

    def forward(self, words: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        x = self.last(self.blocks(self.words(words) + self.places.weight)).flatten(0, 1)
        if self.fused:
            return fastopt.torch.functional.linear_cross_entropy(x, self.head.weight, wanted, max_bytes=2**28)
        return F.cross_entropy(self.head(x), wanted)


def gpt(size: Size, narrow: bool, goals: dict[str, float]) -> Ways:
    """A whole step; `narrow`: under autocast to bfloat16."""
    words = torch.randint(size.words, (size.samples, size.length))
    wanted = torch.randint(size.words, (size.samples * size.length,))

    def made(fused: bool, compiled: bool = False) -> Run:
        model = GPT(size, fused)
        optimizer = (optim if fused else torch.optim).AdamW(model.parameters(), **({} if fused else {"fused": True}))
        run = torch.compile(model) if compiled else model

        def step() -> None:
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=narrow):
                loss = run(words, wanted)
            loss.backward()
            optimizer.step()

        return step

    return made(True), {name: (made(False, name == "torch.compile"), goal) for name, goal in goals.items()}


# ---- a convolutional network


class Residual(torch.nn.Module):
    """A basic block of a ResNet; `fused`: batch norm, residual and ReLU are one call."""

    def __init__(self, before: int, width: int, stride: int, fused: bool) -> None:
        super().__init__()
        norm = fastopt.torch.nn.BatchNorm2d if fused else torch.nn.BatchNorm2d
        self.one = torch.nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.two = torch.nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.first, self.second = norm(width), norm(width)
        self.beside = torch.nn.Sequential()
        if stride > 1:
            self.beside = torch.nn.Sequential(torch.nn.Conv2d(before, width, 1, stride, bias=False), norm(width))
        self.fused = fused

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.fused:
            return self.second(self.two(self.first(self.one(x), relu=True)), residual=self.beside(x), relu=True)
        return F.relu(self.second(self.two(F.relu(self.first(self.one(x))))) + self.beside(x))


def resnet18(fused: bool, width: int) -> torch.nn.Sequential:
    """Return a ResNet-18, whose `width` is 64."""
    torch.manual_seed(0)
    blocks, before = [], width
    for wider in (1, 2, 4, 8):
        for stride in (1 if wider == 1 else 2, 1):
            blocks.append(Residual(before, wider * width, stride, fused))
            before = wider * width
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, width, 7, 2, 3, bias=False), torch.nn.BatchNorm2d(width), torch.nn.ReLU(),
        torch.nn.MaxPool2d(3, 2, 1), *blocks, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(8 * width, 1000),
    )  # fmt: skip


def images(
    count: int, size: int, width: int, goal: float, layout: torch.memory_format = torch.contiguous_format
) -> Ways:
    x = torch.randn(count, 3, size, size).to(memory_format=layout)
    labels = torch.randint(1000, (count,))

    def made(fused: bool) -> Run:
        model = resnet18(fused, width).to(memory_format=layout)
        loss = (fastopt.torch.nn if fused else torch.nn).CrossEntropyLoss()
        if fused:
            fastopt.torch.accelerate(model)
        options = {} if fused else {"fused": True}
        optimizer = (optim if fused else torch.optim).SGD(model.parameters(), lr=0.1, momentum=0.9, **options)
        return steps_of(model, loss, optimizer, x, labels)

    return made(True), {"torch": (made(False), goal)}


def steps_of(model: Any, loss: Any, optimizer: Any, x: torch.Tensor, labels: torch.Tensor) -> Run:
    def step() -> None:
        optimizer.zero_grad()
        loss(model(x), labels).backward()
        optimizer.step()

    return step


# ---- many tiny calls


def tabular(accelerated: bool, goals: dict[str, float]) -> Ways:
    x, labels = torch.randn(32, 20), torch.randint(2, (32,))

    def made(optimizer: Callable, accelerated: bool, **options: object) -> Run:
        torch.manual_seed(0)
        sizes = [20, *[32] * 12]
        layers = [
            layer for a, b in pairwise(sizes)
            for layer in (torch.nn.Linear(a, b), torch.nn.BatchNorm1d(b), torch.nn.ReLU())
        ]  # fmt: skip
        model, loss = torch.nn.Sequential(*layers, torch.nn.Linear(32, 2)), torch.nn.CrossEntropyLoss()
        if accelerated:
            fastopt.torch.accelerate(model)
        return steps_of(model, loss, optimizer(model.parameters(), **options), x, labels)

    options: dict[str, Any] = {"torch fused": {"fused": True}, "torch": {}}
    peers = {name: (made(torch.optim.AdamW, False, **options[name]), goal) for name, goal in goals.items()}
    return made(optim.AdamW, accelerated), peers


# ---- gradients in bfloat16, masters in float32, copies in bfloat16


def offload(shapes: list[tuple[int, ...]], given: bool, goal: float) -> Ways:
    """A step of AdamW; `given`: copies are written into memory that stands there."""
    torch.manual_seed(0)
    grads = [torch.randn(shape).bfloat16() for shape in shapes]

    def masters() -> list[torch.nn.Parameter]:
        found = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
        for param in found:
            param.grad_dtype = None  # any type
        return found

    mine, yours = masters(), masters()
    copies, theirs = ([torch.empty(shape, dtype=torch.bfloat16) for shape in shapes] for _ in range(2))
    peer = torch.optim.AdamW(yours, fused=True)

    def step_of_torch() -> None:
        for param, grad in zip(yours, grads):
            param.grad = grad.float()
        peer.step()
        for param, copy in zip(yours, theirs):
            copy.copy_(param.detach())

    for param, grad in zip(mine, grads):
        param.grad = grad
    own = optim.AdamW(mine, copies=copies) if given else optim.AdamW(mine, copy_to="bfloat16")
    return own.step, {"torch fused and casts": (step_of_torch, goal)}
