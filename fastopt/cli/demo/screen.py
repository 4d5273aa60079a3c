"""What `fastopt demo` shows in a terminal: a table that grows by epoch over a progress bar, and the comparison."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

import fastopt as fo

if TYPE_CHECKING:
    from fastopt.cli.demo.runs import Plan, Run

ROWS = 20  # of the table by epoch; of more epochs, every second, third, … is shown
COLUMNS = {
    "train\nloss": ("train_loss", "{:.4f}"),
    "test\nloss": ("test_loss", "{:.4f}"),
    "train\nacc.": ("train_accuracy", "{:.4f}"),
    "test\nacc.": ("test_accuracy", "{:.4f}"),
    "preci-\nsion": ("precision", "{:.4f}"),
    "\nrecall": ("recall", "{:.4f}"),
    "\nAUC": ("auc", "{:.4f}"),
    "\ntop-3": ("top_3", "{:.4f}"),
}


class Screen:
    """The terminal of one demo."""

    def __init__(self, plan: "Plan", target: str):
        self.plan, self.console = plan, Console(highlight=False)
        count = sum(array.size for array in plan.network().parameters.values())
        self.console.print("[bold]Handwritten digits[/]: 1347 to learn from, 450 to test on, 8 × 8 pixels each")
        self.console.print(f"network   {' → '.join(map(str, plan.widths))}, {count:,} parameters")
        self.console.print(f"training  {plan}")
        self.console.print(f"target    {target}, {fo.get_num_threads()} threads\n")

    def follow(self, target: str, table: bool) -> "Watch":
        return Watch(self, target, table)

    def conclude(
        self,
        run: "Run",
        reference: "Run | None",
        difference: dict[str, Any] | None,
        remarks: list[str],
        plot: Path | None,
    ) -> None:
        """Print the comparison, what should be known, and where the picture is."""
        if reference and difference:
            self.console.print(self._comparison(run, reference, difference))
        for remark in remarks:
            self.console.print(f"[yellow]Note:[/] {remark}")
        if plot:
            self.console.print(f"Curves: {plot}", soft_wrap=True)

    def _comparison(self, run: "Run", reference: "Run", difference: dict[str, Any]) -> Group:
        table = Table(box=box.SIMPLE_HEAD, title="The same network, once more on the reference", title_justify="left")
        table.add_column("")
        for name in (run.target, "reference", "difference"):
            table.add_column(name, justify="right")
        ours, theirs = run.epochs[-1], reference.epochs[-1]
        apart = {name: f"{value:.1e}" if value else "0" for name, value in difference.items()}
        for name, key in (("test loss", "test_loss"), ("test accuracy", "test_accuracy")):
            table.add_row(name, f"{ours[key]:.6f}", f"{theirs[key]:.6f}", apart[key])
        table.add_row("parameters, after the first epoch", "", "", apart["parameters_after_first_epoch"])
        table.add_row("parameters, at the end", "", "", apart["parameters"], end_section=True)
        fast, slow = run.time(), reference.time()
        ratios = {"epoch_ms": difference["faster"], "rest_ms": difference["faster_without_products"]}
        for name, key in (
            ("one epoch of training", "epoch_ms"),
            ("  matrix products (NumPy in both)", "products_ms"),
            ("  kernels, and the Python around them", "rest_ms"),
        ):
            table.add_row(
                name, f"{fast[key]:.1f} ms", f"{slow[key]:.1f} ms", _times(ratios[key]) if key in ratios else ""
            )
        told = Text(
            "The differences are the largest between two values. Both runs start from the same seed and see the "
            "same batches, in float32; what they round differently grows with every step. Times are of the middle "
            "epoch; the watching isn't in them.",
            style="dim",
        )
        return Group(table, told)


def _times(ratio: float) -> str:
    return f"[bold]{ratio:.1f}×[/] faster" if ratio >= 1 else f"[bold]{1 / ratio:.1f}×[/] slower"


class Watch:
    """A progress bar over one run, with or without a table by epoch. Called after each epoch.

    Nothing is drawn while an epoch runs: no thread of the terminal's takes time from the kernels.
    """

    def __init__(self, screen: Screen, target: str, table: bool):
        self.every = -(-screen.plan.epochs // ROWS)
        self.table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        for name in ("\nepoch", *COLUMNS, "\nms"):
            self.table.add_column(name, justify="right")
        bar = (BarColumn(30), MofNCompleteColumn(), TextColumn("epochs"), TimeElapsedColumn())
        self.progress = Progress(TextColumn(f"{target:<9}"), *bar, auto_refresh=False)
        self.task = self.progress.add_task("", total=screen.plan.epochs)
        shown = Group(self.table, Text(), self.progress) if table else self.progress
        self.live = Live(shown, console=screen.console, auto_refresh=False)

    def __enter__(self) -> Callable[["Run"], None]:
        self.live.start(refresh=True)
        return self.update

    def __exit__(self, *error: object) -> None:
        self.live.stop()
        if not self.live.console.is_terminal:
            self.live.console.print()  # ends the bar's line

    def update(self, run: "Run") -> None:
        row = run.epochs[-1]
        epoch, last = int(row["epoch"]), self.progress.tasks[0].total
        self.progress.update(self.task, completed=epoch)
        if epoch == 1 or epoch % self.every == 0 or epoch == last:
            values = [form.format(row[key]) for key, form in COLUMNS.values()]
            self.table.add_row(str(epoch), *values, f"{1e3 * run.seconds[-1]:.1f}")
        self.live.refresh()
