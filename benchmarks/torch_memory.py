"""How much memory one step of a model adds: torch_training.py's second table."""

import subprocess
import sys

PEAK = """
import torch, fastopt.torch
from fastopt.torch import optim
torch.manual_seed(0)
def made(layers, width):
    return torch.nn.Sequential(*[torch.nn.Linear(width, width) for _ in range(layers)]), torch.randn(4, width)
def told(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
def measure(way, layers, width):
    way(*made(1, 8))  # what every first step asks for
    model, x = made(layers, width)
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


def memory(small: bool) -> list[list[str]]:
    """Return how much memory one step takes at the most, in MiB: gradients, and what the step adds."""
    layers, width, found = (2, 256, []) if small else (32, 1024, [])
    for name, way in WAYS.items():
        command = [sys.executable, "-c", f"{PEAK}\nmeasure({way}, {layers}, {width})"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append([f"{name}, {layers} layers of {width} ({layers * width * width >> 18} MiB)", done.stdout.strip()])
    return found
