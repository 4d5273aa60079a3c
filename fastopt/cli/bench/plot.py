"""The picture: every op's bytes per second against what this machine's memory moves."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from fastopt.cli.bench.results import Row, counted, folder

FORMATS = (".png", ".svg", ".pdf")
MARKS = {"cython": ("o", "#1b6ca8"), "numba": ("D", "#e08e0b")}
PEER = ("|", "#444444")


def check(path: Path) -> None:
    """Refuse a picture that could not be drawn."""
    folder(path, "--plot")
    if path.suffix not in FORMATS:
        raise ValueError(f"--plot: expected a name that ends in {', '.join(FORMATS)}, got {path}")
    if find_spec("matplotlib") is None:
        raise ValueError("--plot: expected matplotlib, which is not installed: pip install 'fastopt[bench]'")


def plot(path: Path, rows: Sequence[Row]) -> None:
    """Write a picture with a line for each case: its GB/s on each target and of its best peer."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter

    cases: dict[str, dict[str, Row]] = {}
    for row in rows:
        cases.setdefault(f"{row.family}.{row.op}  {row.what}", {})[row.candidate] = row
    figure, axes = plt.subplots(figsize=(10, 1.8 + 0.24 * len(cases)), layout="constrained")
    seen = set()
    for y, found in enumerate(cases.values()):
        best = found.get(next(iter(found.values())).best_peer)
        shown = [(found[name], *MARKS[name], name) for name in MARKS if name in found]
        if best is not None:
            shown.append((best, *PEER, "best peer"))
        speeds = [row.gb_s for row, *_ in shown]
        axes.plot([min(speeds), max(speeds)], [y, y], color="#cccccc", zorder=1)
        for row, mark, colour, label in shown:
            axes.scatter(
                row.gb_s, y, marker=mark, color=colour, s=70 if mark == "|" else 28, zorder=2,
                label=None if label in seen else label,
            )  # fmt: skip
            seen.add(label)
    first = rows[0]
    for speed, style, label in ((first.copy_gb_s, "--", "copy"), (first.in_place_gb_s, "-", "in place")):
        axes.axvline(speed, color="#b03030", linestyle=style, linewidth=1, label=f"memory, {label}: {speed:.0f} GB/s")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("GB/s: bytes that must cross memory / median time (above memory's: it stayed in cache)", fontsize=8)
    axes.set_yticks(range(len(cases)), list(cases), fontsize=7)
    axes.set_ylim(len(cases) - 0.4, -0.6)
    axes.grid(axis="x", which="major", color="#eeeeee")
    axes.set_title(
        f"fastopt {first.fastopt} on {first.device}, {counted(first.threads)}, {first.dtype}", fontsize=10, loc="left"
    )
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
