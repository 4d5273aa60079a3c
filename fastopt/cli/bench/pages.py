"""The pages that show results: docs/results.md holds every table between two markers, README.md a few rows of them."""

import re
from collections.abc import Sequence
from pathlib import Path

RESULTS, README = "results", "rows that matter"  # of `fastopt bench`; of README.md
SHOWN = (  # table, its first cells, and what the README calls the row
    ("steps", ("1000 arrays of 1000",), "AdamW step, 1000 arrays of 1000"),
    ("steps", ("one array of 20M",), "AdamW step, one array of 20 million"),
    (
        "steps", ("GPT-2's 148 arrays (124M), clipped, averaged, zeroed",),
        "GPT-2's arrays: clip, AdamW step, average, zero",
    ),
    (
        "training_step", ("256-wide network", "scikit-learn"),
        "a whole training step with NumPy's products, network 256 wide, batch 256",
    ),
    ("losses and norms", ("sparse softmax cross-entropy, 4096×1000",), "softmax cross-entropy and gradient, 4096×1000"),
    ("losses and norms", ("BCE from logits, 10000000",), "binary cross-entropy and gradient, 10 million"),
    ("losses and norms", ("batch norm, 32×64×56×56",), "batch norm, forward and backward, 32×64×56×56"),
    ("losses and norms", ("layer norm, 4096×1024",), "layer norm, forward and backward, 4096×1024"),
    ("results", ("`initializers.he_normal`", "4096×4096"), "he_normal, 4096×4096"),
    ("results", ("`metrics.auc`", "1M"), "area under the ROC curve, 1 million scores"),
    ("results", ("`optimizers.muon`", "768×768"), "Muon step, 768×768"),
)  # fmt: skip


def places(folder: Path) -> tuple[Path, Path]:
    """Return the files of a checkout that hold all results, and a few rows of them."""
    return folder / "docs" / "results.md", folder / "README.md"


def split(path: Path, name: str) -> tuple[str, str, str]:
    """Return what stands before, between and behind the two markers of a table, markers outside."""
    if not path.is_file():
        raise ValueError(f"--docs: expected a folder with {path}, got none")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = path.read_text().partition(begin)
    between, last, after = rest.partition(end)
    if not found or not last:
        raise ValueError(f"--docs: expected the lines {begin} and {end} in {path}, got none")
    return before + begin, between, end + after


def refuse_early(folder: Path, name: str) -> None:
    """Raise now, not after the work, if a folder has no place for a table."""
    results, readme = places(folder)
    split(results, name)
    split(readme, README)


def write(folder: Path, name: str, text: str) -> None:
    """Put a table into docs/results.md, and its rows that matter into README.md."""
    results, readme = places(folder)
    _put(results, name, text)
    _put(readme, README, rows_that_matter(results))


def _put(path: Path, name: str, text: str) -> None:
    before, _, after = split(path, name)
    path.write_text(f"{before}\n{text}{after}")


def rows_that_matter(results: Path) -> str:
    """Return the README's table, read from the tables of docs/results.md; rows that were not measured are left out."""
    lines = ["| work | fastopt | best peer | faster by |", "|---|--:|---|--:|"]
    for name, first, label in SHOWN:
        cells = next((cells for cells in _cells(split(results, name)[1]) if _starts(cells, first)), None)
        if cells is not None:
            lines.append("| " + " | ".join((label, *_SUMMARIES[name](cells))) + " |")
    return "\n".join(lines) + "\n"


def _cells(table: str) -> list[dict[str, str]]:
    """Return the rows of a table in Markdown, each by its headings."""
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines() if line[:1] == "|"]
    return [dict(zip(rows[0], row)) for row in rows[2:]]


def _starts(cells: dict[str, str], first: Sequence[str]) -> bool:
    return tuple(cells.values())[: len(first)] == tuple(first)


def _of_results(cells: dict[str, str]) -> tuple[str, str, str]:
    return cells["cython"], cells["best peer"].split(" ")[0], cells["faster by"]


def _of_steps(cells: dict[str, str]) -> tuple[str, str, str]:
    return _median(cells["fastopt"]), "torch, fused", _bold(cells["faster by"])


def _of_training_step(cells: dict[str, str]) -> tuple[str, str, str]:
    return _median(cells["fastopt and NumPy"]), cells["beside"], _bold(cells["faster by"])


def _of_losses_and_norms(cells: dict[str, str]) -> tuple[str, str, str]:
    peers = [name for name in ("torch", "torch.compile", "jax.jit") if cells.get(name, "–") != "–"]
    best = min(peers, key=lambda name: float(cells[name].rstrip("×")))
    return _median(cells["fastopt"]), best, _bold(cells[best])


_SUMMARIES = {
    "results": _of_results,
    "steps": _of_steps,
    "training_step": _of_training_step,
    "losses and norms": _of_losses_and_norms,
}


def _median(times: str) -> str:
    """Return the middle of `p20 / p50 / p80 unit`, with its unit."""
    found = re.fullmatch(r"\S+ / (\S+) / \S+ (\S+)", times)
    assert found, times
    return f"{found[1]} {found[2]}"


def _bold(ratio: str) -> str:
    return ratio if float(ratio.strip("×*")) >= 1 else f"**{ratio.strip('*')}**"
