"""What it takes to hand a call's work to a worker of the pool, awake or asleep: without Python, beside OpenMP's region.

python benchmarks/dispatch.py [--docs .]

dispatch.c is compiled with the pool's own header. A worker that had work less than 30 µs ago is awake.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import tables
import typer

import fastopt as fo
from fastopt.cli.bench import pages

HERE = Path(__file__).parent
GOALS = {"0 µs": "2 µs", "100 µs": "10 µs"}


def main(docs: tables.Docs = None) -> None:
    """Measure, and print the table."""
    if docs is not None:
        pages.refuse_early(docs, "dispatch")
    compiler = os.environ.get("CC") or shutil.which("cc") or "gcc"
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder, "dispatch"))
        include = f"-I{HERE.parent / 'kernels' / 'runtime'}"
        command = [compiler, "-O2", "-pthread", "-fopenmp", include, str(HERE / "dispatch.c"), "-o", program, "-ldl"]
        subprocess.run(command, check=True)
        lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
    rows = []
    for line in lines:
        pause, *columns = line.split(", ")
        rows.append([pause, *columns, GOALS.get(pause, "")])
    introduction = f"p20 / p50 / p80 in nanoseconds. {tables.machine(fo.get_num_threads())}"
    headings = ["pause before the call", "until the worker runs", "an empty call", "an empty OpenMP region", "goal"]
    tables.show("dispatch", introduction, headings, rows, docs)


if __name__ == "__main__":
    typer.run(main)
