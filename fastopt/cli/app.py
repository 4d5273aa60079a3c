"""The command line: fastopt demo | bench | check | info."""

import json
import sys
from typing import Annotated

try:
    import typer
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table
except ImportError as error:
    raise SystemExit(
        f"fastopt: the command line needs {error.name}; install it with: pip install 'fastopt[cli]'"
    ) from None

from fastopt import __version__, report
from fastopt.cli import check
from fastopt.cli.bench import command as bench
from fastopt.cli.demo import command as demo

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"fastopt {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Fused training kernels for CPUs.

    \b
    Examples:
      fastopt info                      what this machine has, and what fastopt uses of it
      fastopt check                     every kernel against the reference
      fastopt bench losses --peers      how fast, beside what else is installed
      fastopt bench --help              the options of a command

    Two variables hold for every command: FASTOPT_NUM_THREADS (threads that a call may use) and FASTOPT_TARGET
    (cython, numba or reference).
    """
    try:
        report.config()
    except (ValueError, RuntimeError) as error:  # a wrong FASTOPT_ variable
        raise typer.BadParameter(str(error)) from None


@app.command("info")
def info(as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False) -> None:
    """Show what this machine has: targets, instruction set, threads, versions.

    \b
    Examples:
      fastopt info
      fastopt info --json
    """
    found = report.config()
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return
    drawn = Table(show_header=False, title=f"fastopt {found['fastopt']}")
    for name, value in report.lines(found)[1:]:
        colour = {"available": "[green]", "not installed": "[dim]"}.get(value, "")
        drawn.add_row(name, f"{colour}{escape(value)}")
    Console().print(drawn)


app.command("demo")(demo.run)
app.command("check")(check.run)
app.command("bench")(bench.run)


def main() -> None:
    """Run the command line."""
    app(prog_name="fastopt")
