"""The command line: fastopt demo | bench | check | info.

`info` and `check` need nothing but fastopt. `demo` and `bench` are Typer's, and are imported when they are called.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from fastopt import report
from fastopt.cli import check, verdict
from fastopt.cli.extras import EXTRAS, need
from fastopt.table import FAMILIES
from fastopt.version import __version__

ABOUT = """Fused training kernels for CPUs.

  fastopt info     what this machine has, and what fastopt uses of it
  fastopt check    every kernel against the reference
  fastopt demo     a network learns handwritten digits (pip install 'fastopt[cli]')
  fastopt bench    how fast every op is, beside what else is installed (pip install 'fastopt[bench]')

Examples:
  fastopt info --json
  fastopt check --op adamw
  fastopt bench losses --peers
  fastopt bench --help              the options of a command

Two variables hold for every command: FASTOPT_NUM_THREADS (threads that a call may use) and FASTOPT_TARGET
(cython, numba or reference)."""

INFO = """Show what this machine has: targets, instruction set, threads, versions.

Examples:
  fastopt info
  fastopt info --json"""

CHECK = """Check every kernel against the float64 reference, on this machine.

Each op of the table runs with all its options, in float32 and float64, at a few sizes, on the compiled targets that
are installed. Numba compiles its kernels on the way: the first run takes a minute or two.

Examples:
  fastopt check                          everything
  fastopt check losses                   one family
  fastopt check --op adamw --target numba
  fastopt check --json > verdicts.json

The exit code is 1 if anything is wrong."""


def parsers() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Return the parser of the command line, and that of `check` for its later refusals."""
    style: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    whole = argparse.ArgumentParser("fastopt", description=ABOUT, **style)
    whole.add_argument("--version", action="version", version=f"fastopt {__version__}", help="print the version")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", help="info, check, demo or bench")
    info = commands.add_parser("info", description=INFO, **style)
    checked = commands.add_parser("check", description=CHECK, **style)
    for command in EXTRAS:
        commands.add_parser(command, add_help=False)  # parsed by Typer
    for parser, what in ((info, "it"), (checked, "the verdicts")):
        parser.add_argument("--json", action="store_true", help=f"print {what} as JSON")
    checked.add_argument("family", nargs="?", help=f"one of {', '.join(FAMILIES)}; default: all")
    checked.add_argument("--op", action="append", metavar="NAME", help=verdict.NAMES)
    checked.add_argument(
        "--target", action="append", metavar="NAME", help="cython, numba, reference or cuda; default: the first two"
    )
    return whole, checked


def typed(command: str) -> Any:
    """Return the Typer application of a command that comes with an extra."""
    app = need("typer", command).Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command(command)(need(f"fastopt.cli.{command}.command", command).run)
    return app


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line; `words` are those behind `fastopt`."""
    words = sys.argv[1:] if words is None else list(words)
    whole, checked = parsers()
    extra = words[0] if words and words[0] in EXTRAS else None
    options = None if extra else whole.parse_args(words)
    try:
        found = report.config()
    except (ValueError, RuntimeError) as error:  # a wrong FASTOPT_ variable
        whole.error(str(error))
    if extra:
        typed(extra)(words[1:], prog_name=f"fastopt {extra}")
    elif options is None or options.command is None:
        whole.print_help()
    elif options.command == "info":
        if options.json:
            print(json.dumps(found, indent=2))
        else:
            report.show_config()
    else:
        try:
            rows = verdict.choose(options.family, options.op or ())
            targets = check.usable(options.target or ())
        except ValueError as error:
            checked.error(str(error))
        sys.exit(check.run(rows, targets, options.json))
