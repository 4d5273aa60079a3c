"""Whole training steps of torch_training.py: networks with torch's parts, and with fastopt's in their place."""

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise

import torch
from torch.nn import functional as F

import fastopt.torch
from fastopt.torch import optim

Contenders = dict[str, Callable[[], object]]
VOCABULARY, WIDTH, LAYERS, HEADS, SAMPLES, LENGTH = 32_000, 256, 4, 8, 8, 128
GPT2 = [(50257, 768), (1024, 768)] + 12 * [
    (768,), (768,), (768, 2304), (2304,), (768, 768), (768,), (768,), (768,), (768, 3072), (3072,), (3072, 768), (768,),
] + [(768,), (768,)]  # fmt: skip


# ---- a transformer


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.mixed, self.out = torch.nn.Linear(WIDTH, 3 * WIDTH), torch.nn.Linear(WIDTH, WIDTH)
        self.up, self.down = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.mixed(self.first(x)).view(*x.shape[:2], 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(x.shape))
        return x + self.down(F.gelu(self.up(self.second(x))))


class GPT(torch.nn.Module):
    """Returns the loss; `fused` says whether head and loss are fastopt's one function."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.places = torch.nn.Embedding(VOCABULARY, WIDTH), torch.nn.Embedding(LENGTH, WIDTH)
        self.blocks = torch.nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.last, self.head = torch.nn.LayerNorm(WIDTH), torch.nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.fused = fused

    def forward(self, words: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        x = self.last(self.blocks(self.words(words) + self.places.weight)).flatten(0, 1)
        if self.fused:
            return fastopt.torch.functional.linear_cross_entropy(x, self.head.weight, wanted, max_bytes=2**28)
        return F.cross_entropy(self.head(x), wanted)


def gpt(narrow: bool, compiled: bool) -> Contenders:
    """A whole step; `narrow`: under autocast to bfloat16."""
    words, wanted = torch.randint(VOCABULARY, (SAMPLES, LENGTH)), torch.randint(VOCABULARY, (SAMPLES * LENGTH,))

    def made(fused: bool, through: Callable) -> Callable[[], object]:
        model = GPT(fused)
        optimizer = (optim if fused else torch.optim).AdamW(model.parameters(), **({} if fused else {"fused": True}))
        run = through(model)

        def step() -> None:
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=narrow):
                loss = run(words, wanted)
            loss.backward()
            optimizer.step()

        return step

    def plain(model: torch.nn.Module) -> torch.nn.Module:
        return model

    contenders: Contenders = {"fastopt": made(True, plain), "torch": made(False, plain)}
    return contenders | ({"torch.compile": made(False, torch.compile)} if compiled else {})


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


def resnet18(fused: bool) -> torch.nn.Sequential:
    torch.manual_seed(0)
    widths = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 64, 7, 2, 3, bias=False), torch.nn.BatchNorm2d(64), torch.nn.ReLU(),
        torch.nn.MaxPool2d(3, 2, 1), *[Residual(*sizes, fused) for sizes in [*widths, (512, 512, 1)]],
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(512, 1000),
    )  # fmt: skip


def images(size: int, layout: torch.memory_format = torch.contiguous_format) -> Contenders:
    x = torch.randn(32, 3, size, size).to(memory_format=layout)
    labels = torch.randint(1000, (32,))

    def made(fused: bool) -> Callable[[], object]:
        model = resnet18(fused).to(memory_format=layout)
        loss = (fastopt.torch.nn if fused else torch.nn).CrossEntropyLoss()
        if fused:
            fastopt.torch.accelerate(model)
        options = {} if fused else {"fused": True}
        optimizer = (optim if fused else torch.optim).SGD(model.parameters(), lr=0.1, momentum=0.9, **options)
        return steps_of(model, loss, optimizer, x, labels)

    return {"fastopt": made(True), "torch": made(False)}


def steps_of(model: Callable, loss: Callable, optimizer, x: torch.Tensor, labels: torch.Tensor) -> Callable[[], object]:
    def step() -> None:
        optimizer.zero_grad()
        loss(model(x), labels).backward()
        optimizer.step()

    return step


# ---- many tiny calls


def tabular() -> Contenders:
    x, labels = torch.randn(32, 20), torch.randint(2, (32,))

    def made(optimizer: Callable, accelerated: bool, **options: object) -> Callable[[], object]:
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

    return {
        "fastopt": made(optim.AdamW, False), "fastopt, accelerate": made(optim.AdamW, True),
        "torch fused": made(torch.optim.AdamW, False, fused=True), "torch": made(torch.optim.AdamW, False),
    }  # fmt: skip


# ---- gradients in bfloat16, masters in float32, copies in bfloat16


def offload() -> Contenders:
    torch.manual_seed(0)
    grads = [torch.randn(shape).bfloat16() for shape in GPT2]

    def masters() -> list[torch.nn.Parameter]:
        found = [torch.nn.Parameter(torch.randn(shape)) for shape in GPT2]
        for param in found:
            param.grad_dtype = None  # any type
        return found

    mine, given, yours = masters(), masters(), masters()
    copies = [torch.empty_like(param, dtype=torch.bfloat16) for param in given]
    theirs = [torch.empty_like(param, dtype=torch.bfloat16) for param in yours]
    peer = torch.optim.AdamW(yours, fused=True)

    def step_of_torch() -> None:
        for param, grad in zip(yours, grads):
            param.grad = grad.float()
        peer.step()
        for param, copy in zip(yours, theirs):
            copy.copy_(param.detach())

    for params in (mine, given):
        for param, grad in zip(params, grads):
            param.grad = grad
    return {
        "fastopt": optim.AdamW(mine, copy_to="bfloat16").step,
        "fastopt, copies given": optim.AdamW(given, copies=copies).step,
        "torch fused and casts": step_of_torch,
    }


# ---- memory

PEAK = """
import torch, fastopt.torch
from fastopt.torch import optim
torch.manual_seed(0)
def made(layers, width):
    return torch.nn.Sequential(*[torch.nn.Linear(width, width) for _ in range(layers)]), torch.randn(4, width)
def told(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
def measure(way):
    way(*made(1, 8))  # what every first step asks for
    model, x = made(32, 1024)
    before = told("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # the peak is counted from here
    way(model, x)
    print(round(told("VmHWM") - before))
def fused(model, x):
    optimizer = torch.optim.SGD(model.parameters(), fused=True)
    model(x).sum().backward()
    optimizer.step()
def ours(model, x):
    optimizer = optim.SGD(model.parameters())
    model(x).sum().backward()
    optimizer.step()
def in_backward(model, x):
    optim.step_in_backward(model, optim.SGD)
    model(x).sum().backward()
"""
WAYS = {"torch fused": "fused", "fastopt": "ours", "fastopt, step_in_backward": "in_backward"}


def memory() -> None:
    """Print how much memory one step takes at the most, of a model of 128 MiB: each in a process of its own."""
    print("| one step of 32 layers, 128 MiB | most memory added, MiB |")
    print("|---|--:|")
    for name, way in WAYS.items():
        command = [sys.executable, "-c", f"{PEAK}\nmeasure({way})"]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"| {name} | {found.stdout.strip()} |")
