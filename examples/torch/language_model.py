"""A small transformer that learns the standard library's sources byte by byte, with and without fastopt.

    python examples/torch/language_model.py [--steps 100] [--plot curves.png]
    torchrun --standalone --nproc-per-node 2 examples/torch/language_model.py

Started by torchrun, each process takes a part of every batch. The fused parts are the norms, the head with its loss
(whose logits are never all in memory), and the step, which clips the gradients' norm in the same pass.
"""

import os

import torch
from both_ways import NAMES, parser, report, sources, train
from torch.nn import functional as F

import fastopt.torch

BATCH, LENGTH, CLIP = 8, 64, 1.0


class Block(torch.nn.Module):
    """Attention to what came before, and a layer for each place."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.first, self.second = torch.nn.RMSNorm(width), torch.nn.RMSNorm(width)
        self.mixed, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.up, self.down = torch.nn.Linear(width, 4 * width), torch.nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        samples, length, width = x.shape
        parts = self.mixed(self.first(x)).view(samples, length, 3, self.heads, width // self.heads)
        seen = F.scaled_dot_product_attention(*parts.permute(2, 0, 3, 1, 4), is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(samples, length, width))
        return x + self.down(F.gelu(self.up(self.second(x))))


class Model(torch.nn.Module):
    """Returns the loss of the next bytes; `fused` says whose."""

    def __init__(self, width: int, layers: int, fused: bool):
        super().__init__()
        self.bytes, self.places = torch.nn.Embedding(256, width), torch.nn.Embedding(LENGTH, width)
        self.blocks = torch.nn.Sequential(*[Block(width, 4) for _ in range(layers)])
        self.last, self.head = torch.nn.RMSNorm(width), torch.nn.Linear(width, 256, bias=False)
        self.fused = fused

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        x, wanted = given[:, :-1], given[:, 1:].reshape(-1)
        x = self.last(self.blocks(self.bytes(x) + self.places(torch.arange(x.shape[1]))))
        x = x.flatten(0, 1)
        if self.fused:
            return fastopt.torch.functional.linear_cross_entropy(x, self.head.weight, wanted)
        return F.cross_entropy(self.head(x), wanted)


def trained(name: str, text: torch.Tensor, steps: int, width: int, layers: int) -> tuple[list[float], float]:
    """Train one way; return the curve and the time of a step."""
    torch.manual_seed(0)
    model: torch.nn.Module = Model(width, layers, name == "fastopt")
    if name == "fastopt":
        fastopt.torch.accelerate(model)
        optimizer = fastopt.torch.optim.AdamW(model.parameters(), lr=2e-3, clip_norm=CLIP)
    else:
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    rank, world = 0, 1
    if torch.distributed.is_initialized():
        rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        model = torch.nn.parallel.DistributedDataParallel(model)

    def step(number: int) -> torch.Tensor:
        torch.manual_seed(number)
        begins = torch.randint(len(text) - LENGTH, (BATCH,)).tolist()[rank::world]
        optimizer.zero_grad()
        loss = model(torch.stack([text[begin : begin + LENGTH + 1] for begin in begins]))
        loss.backward()
        if name == "torch":
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        return loss

    return train(step, steps)


def main(arguments: list[str] | None = None) -> dict[str, list[float]]:
    """Train both ways; return the curves."""
    flags = parser(__doc__)
    flags.add_argument("--steps", type=int, default=100)
    flags.add_argument("--width", type=int, default=128)
    flags.add_argument("--layers", type=int, default=3)
    chosen = flags.parse_args(arguments)
    together = "RANK" in os.environ  # started by torchrun
    if together:
        torch.distributed.init_process_group("gloo")
    text, curves, times = sources(400_000), {}, {}
    for name in NAMES:
        curves[name], times[name] = trained(name, text, chosen.steps, chosen.width, chosen.layers)
    if not together or torch.distributed.get_rank() == 0:
        report(curves, times, chosen.plot)
    if together:
        torch.distributed.destroy_process_group()
    return curves


if __name__ == "__main__":
    main()
