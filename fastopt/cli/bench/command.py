"""`fastopt bench`: every op of the table, verified, then timed beside its peers in the same run."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

import fastopt
from fastopt import report
from fastopt.cli import verdict
from fastopt.cli.bench import blas, company, goals, pages, results
from fastopt.cli.bench import peers as frameworks
from fastopt.cli.bench import plot as roofline
from fastopt.cli.bench.cases import FAMILIES, Case, cases, prepare
from fastopt.cli.bench.clock import Bandwidth, Job, interleave, measure_bandwidth
from fastopt.cli.bench.results import Row
from fastopt.table import FAMILIES as TABLE
from fastopt.table.op import Arrays

TARGETS = ("cython", "numba")
OTHER_WORK = 1e-3  # a peer that is further from the reference, relative to the largest value, does other work
BUSY = 0.3  # of its CPUs: others are at work here
QUICK_SIZE = 2_000_000  # elements


def candidates(case: Case, sets: Sequence[Arrays], peers: bool) -> dict[str, Job]:
    """Return what is timed of a case, ready to run: our targets, then the peers present."""
    jobs = {}
    for target in TARGETS:
        if report.why_not(target) is None:
            jobs[target] = prepare(case, sets, target)
    jobs["cython, fresh outputs"] = prepare(case, sets, "cython", fresh=True)
    if peers:
        jobs |= frameworks.prepare(case, sets)
    return {name: job for name, job in jobs.items() if job is not None}


def verify(case: Case, dtype: str, peers: bool) -> tuple[dict[str, float | None], dict[str, str]]:
    """Run the very calls that will be timed, and judge what they made by the op's reference.

    Returns each candidate's error in tolerances (None: nothing to compare), and what is wrong with the others.
    """
    sets = case.inputs(dtype)
    expected = [case.op.expect(case.options, arrays) for arrays in sets]
    errors: dict[str, float | None] = {}
    wrong = {}
    for name, job in candidates(case, sets, peers).items():
        with fastopt.target(job.target or fastopt.get_target()):
            for _ in range(FAMILIES[case.op.family].calls):
                job.run()
            found = None if job.results is None else job.results()
        if found is None:
            errors[name] = None
            continue
        worst = furthest = 0.0
        for got, want in zip(found, expected, strict=True):
            want = {key: want[key] for key in got}
            worst = max(worst, verdict.miss(got, want, case.op.tolerance[dtype]))
            furthest = max(furthest, verdict.apart(got, want))
        if job.target and worst > 1:
            wrong[name] = f"{case.name}: {name} is off by {worst:.3g} tolerances; not timed"
        elif not job.target and furthest > OTHER_WORK:
            wrong[name] = f"{case.name}: {name} does other work (off by {furthest:.1%}); not timed"
        else:
            errors[name] = worst
    return errors, wrong


def measure(
    case: Case, dtype: str, rounds: int, peers: bool, shared: dict[str, Any], bandwidth: Bandwidth
) -> tuple[list[Row], dict[str, str]]:
    """Verify a case, time its candidates in turn, and return their rows and what was wrong."""
    judged = case.smaller()
    errors, wrong = verify(judged, dtype, peers)
    sets = case.inputs(dtype)
    traffic = sum(case.op.traffic(case.options, arrays) for arrays in sets)
    jobs = {name: job for name, job in candidates(case, sets, peers).items() if name in errors}
    times = {
        name: np.percentile(seconds, (20, 50, 80)) * 1e6
        for name, seconds in zip(jobs, interleave(list(jobs.values()), rounds), strict=True)
    }
    comparable = not (case.op.name in blas.PRODUCTS and blas.chosen())
    rivals = {name: times[name][1] for name, job in jobs.items() if job.target is None and comparable}
    best = min(rivals, key=lambda name: rivals[name], default="")
    rows = []
    for name, (p20, p50, p80) in times.items():
        rate = traffic / (p50 * 1e-6)
        rows.append(
            Row(
                **shared,
                family=case.op.family,
                op=case.op.name,
                options=verdict.words(case.options),
                shape="×".join(map(str, case.shape)) or "1",
                arrays=case.count,
                dtype=dtype,
                candidate=name,
                version=shared["fastopt"] if jobs[name].target else report.installed(name.split()[0]) or "",
                rounds=rounds,
                p20_us=round(p20, 3),
                p50_us=round(p50, 3),
                p80_us=round(p80, 3),
                gb_s=round(rate / 1e9, 3),
                bandwidth_fraction=round(rate / bandwidth.best, 4),
                best_peer=best,
                times_faster_than_best_peer=round(rivals[best] / p50, 4) if best else None,
                verified_on=judged.what,
                error_in_tolerances=None if errors[name] is None else round(errors[name] or 0.0, 4),
            )
        )
    return rows, wrong


def selection(rows: Any, quick: bool) -> list[Case]:
    """Return the cases of these ops; in a quick run one each, the largest that is small."""
    chosen = []
    for op in rows:
        listed = cases(op)
        if quick and listed:
            small = [case for case in listed if case.size <= QUICK_SIZE]
            listed = [max(small, key=lambda case: case.size) if small else min(listed, key=lambda case: case.size)]
        chosen += listed
    return chosen


Family = Annotated[str | None, typer.Argument(help=f"One of {', '.join(TABLE)}; default: all.")]
Names = Annotated[list[str] | None, typer.Option("--op", help=f"{verdict.NAMES.capitalize()}.")]
Peers = Annotated[bool, typer.Option("--peers", help="Time torch, scikit-learn and NumPy beside, where installed.")]
Plot = Annotated[Path | None, typer.Option(help="Draw every op against the memory's bandwidth (PNG, SVG, PDF).")]
Csv = Annotated[Path | None, typer.Option(help="Append a line for each candidate to this file.")]
Docs = Annotated[
    Path | None, typer.Option(help="Rewrite docs/results.md and README.md of this checkout; implies --peers.")
]
Quick = Annotated[bool, typer.Option("--quick", help="One small size each, few rounds: a look, not a judgement.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads for fastopt and for its peers.")]
Rounds = Annotated[int | None, typer.Option(min=1, help="Samples of each candidate: default 21, or 5 with --quick.")]
Dtype = Annotated[str, typer.Option(help="float32 or float64")]


def run(
    family: Family = None,
    op: Names = None,
    peers: Peers = False,
    plot: Plot = None,
    csv: Csv = None,
    docs: Docs = None,
    quick: Quick = False,
    threads: Threads = None,
    rounds: Rounds = None,
    dtype: Dtype = "float32",
) -> None:
    """Time the kernels on this machine, beside their peers.

    First the memory's bandwidth is measured. Then, for each op of the table: the calls to be timed are verified
    against the reference, and the candidates are timed in turn (A B A B). "vs best peer" is the peer's median
    over ours: 2.00× is twice as fast, below 1 we lose. GB/s counts the bytes that must cross memory at the least.

    \b
    Examples:
      fastopt bench --quick --peers                  a look at everything
      fastopt bench optimizers --peers               one family
      fastopt bench --op adamw --peers --threads 1
      fastopt bench --peers --csv runs.csv --plot roofline.png

    The exit code is 1 if a kernel of ours fails its verification.
    """
    try:
        verdict.one_of(dtype, "--dtype", ("float32", "float64"))
        todo = selection(verdict.choose(family, op or ()), quick)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    peers, rounds = peers or docs is not None, rounds or (5 if quick else 21)
    _check_files(csv, docs, plot)
    if threads is not None:
        fastopt.set_num_threads(threads)
    frameworks.set_num_threads(fastopt.get_num_threads())
    console = Console()
    bandwidth = measure_bandwidth(fastopt.get_num_threads(), 64 if quick else 256)
    shared = results.circumstances(bandwidth)
    console.print(
        f"{shared['device']}, {shared['instruction_set']}, {results.counted(shared['threads'])}: memory moves "
        f"{bandwidth.copy / 1e9:.1f} GB/s in a copy, {bandwidth.in_place / 1e9:.1f} GB/s in place",
        highlight=False,
    )
    if shared["load"] > BUSY * (os.cpu_count() or 1):
        console.print(
            f"[yellow]this machine is busy (load {shared['load']}): a look at the figures, not a judgement[/]"
        )
    if peers and frameworks.missing():
        console.print(f"not installed, left out: {', '.join(frameworks.missing())}", highlight=False)
    if any(case.op.name in blas.PRODUCTS for case in todo):
        console.print(f"products of matrices by {blas.kernels()}", highlight=False)
        if peers and blas.chosen():
            console.print(
                f"[yellow]{', '.join(blas.chosen())} gives NumPy another kernel than this CPU's: unset it; "
                f"no ratio to a peer for {', '.join(blas.PRODUCTS)}[/]"
            )
    rows: list[Row] = []
    wrong: dict[str, list[str]] = {}
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("timing", total=len(todo))
        for case in todo:
            progress.update(task, description=case.name)
            timed, failed = measure(case, dtype, rounds, peers, shared, bandwidth)
            rows += timed
            for name, sentence in failed.items():
                wrong.setdefault(name, []).append(sentence)
            progress.advance(task)
    if rows:
        console.print(f"{rounds} rounds of each, {dtype}; more than 100% of the bandwidth: it stayed in cache")
        for line in results.lines(rows):
            console.print(line, highlight=False, soft_wrap=True)
    everything = family is None and not op
    notes = goals.judge(rows, with_import=everything)
    if everything:
        for sentence in company.lines(rounds):
            console.print(sentence, highlight=False)
    for sentence in (*notes, *(sentence for sentences in wrong.values() for sentence in sentences)):
        console.print(escape(sentence), highlight=False)
    _write(rows, notes, csv, docs, plot)
    raise typer.Exit(1 if any(name in wrong for name in results.OURS) else 0)


def _check_files(csv: Path | None, docs: Path | None, plot: Path | None) -> None:
    """Refuse files that could not be written at the end, before anything has been measured."""
    try:
        if csv is not None:
            results.check_csv(csv)
        if docs is not None:
            pages.refuse_early(docs, pages.RESULTS)
        if plot is not None:
            roofline.check(plot)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None


def _write(rows: Sequence[Row], notes: Sequence[str], csv: Path | None, docs: Path | None, plot: Path | None) -> None:
    if not rows:
        return
    if csv is not None:
        results.append_csv(csv, rows)
    if docs is not None:
        pages.write(docs, pages.RESULTS, results.markdown(rows, notes))
    if plot is not None:
        roofline.plot(plot, rows)
