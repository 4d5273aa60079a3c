"""A large embedding that stays in a file, of which a step reads and writes the rows of its batch alone.

    python examples/torch/embedding.py [--steps 200] [--rows 1000000] [--plot curves.png]

Each place of the standard library's sources is told by hashes of the bytes before it; the next byte is learnt. The
table is mapped from a file, and its state begins as zeros that take no memory until a row is touched.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from both_ways import NAMES, parser, report, sources, train
from torch.nn import functional as F

import fastopt.torch

BATCH, WIDTH, BEFORE = 1024, 64, (1, 2, 3, 4)


def hashed(text: torch.Tensor, places: torch.Tensor, rows: int) -> torch.Tensor:
    """Return the rows that tell the last 1, 2, 3 and 4 bytes before each place."""
    found = []
    for count in BEFORE:
        number = torch.full_like(places, count)
        for back in range(1, count + 1):
            number = (number * 1_000_003 + text[places - back]) % 2_147_483_647
        found.append(number % rows)
    return torch.stack(found, 1)


def trained(name: str, text: torch.Tensor, steps: int, rows: int, folder: Path) -> tuple[list[float], float]:
    """Train one way; return the curve and the time of a step."""
    file = np.memmap(folder / f"{name}.table", np.float32, "w+", shape=(rows, WIDTH))
    table = torch.nn.Embedding.from_pretrained(torch.from_numpy(file), freeze=False, sparse=True)
    torch.manual_seed(0)
    head = torch.nn.Linear(WIDTH, 256)
    package = fastopt.torch.optim if name == "fastopt" else torch.optim
    cross_entropy = (fastopt.torch.functional if name == "fastopt" else F).cross_entropy
    optimizers = package.SparseAdam(table.parameters(), lr=0.02), package.AdamW(head.parameters(), lr=0.02)

    def step(number: int) -> torch.Tensor:
        torch.manual_seed(number)
        places = torch.randint(max(BEFORE), len(text), (BATCH,))
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = cross_entropy(head(table(hashed(text, places, rows)).sum(1)), text[places])
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        return loss

    return train(step, steps)


def main(arguments: list[str] | None = None) -> dict[str, list[float]]:
    """Train both ways; return the curves."""
    flags = parser(__doc__)
    flags.add_argument("--steps", type=int, default=200)
    flags.add_argument("--rows", type=int, default=1_000_000)
    chosen = flags.parse_args(arguments)
    text, curves, times = sources(400_000), {}, {}
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder:
            curves[name], times[name] = trained(name, text, chosen.steps, chosen.rows, Path(folder))
    report(curves, times, chosen.plot)
    return curves


if __name__ == "__main__":
    main()
