"""`fastopt bench`: what it times is what the table says, and every number goes where it should."""

import csv
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fastopt import report
from fastopt.cli import app, verdict
from fastopt.cli.bench import blas, clock, goals, pages, peers, results
from fastopt.cli.bench.cases import CHECKED, FAMILIES, Case, cases
from fastopt.cli.bench.clock import Bandwidth, Job
from fastopt.cli.bench.command import candidates, measure, selection, verify
from fastopt.cli.bench.results import Row
from fastopt.kernels.runtime import settings
from fastopt.table import OPS

ADAMW = next(op for op in OPS if op.name == "adamw")
SHARED = results.circumstances(Bandwidth(1e9, 2e9))
KINDS = [pytest.param(Case(op, options, shape), id=f"{op.family}.{op.name}-{k}")
         for op in OPS for k, (options, shape) in enumerate(op.bench)
         if options not in [before for before, _ in op.bench[:k]]]  # fmt: skip


@pytest.fixture(autouse=True)
def _quick_bandwidth(monkeypatch):
    """No test waits for the memory's bandwidth, and none leaves another number of threads behind."""
    monkeypatch.setattr("fastopt.cli.bench.command.measure_bandwidth", lambda *arguments: Bandwidth(1e9, 2e9))
    settings.get_num_threads()
    before = settings.threads_cell[:]
    yield
    settings.threads_cell[:] = before
    peers.set_num_threads(settings.get_num_threads())


def call(*words, code=0):
    done = CliRunner().invoke(app.typed("bench"), [*map(str, words)])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split())


@pytest.fixture(scope="module")
def rows():
    few = Case(ADAMW, {}, (100,))
    return measure(few, "float32", 3, True, SHARED, Bandwidth(1e9, 2e9))[0]


# ---- what is timed


@pytest.mark.parametrize("case", KINDS)
def test_the_very_calls_that_are_timed_match_the_reference(case):
    errors, wrong = verify(case.smaller(), "float32", peers=True)
    assert not wrong
    assert {"cython", "numba"} <= errors.keys()
    assert all(errors[target] is not None for target in ("cython", "numba"))


def test_every_op_is_on_the_bench():
    assert {op.family for op in OPS} <= FAMILIES.keys() & peers.MAKERS.keys()
    for op in OPS:
        assert cases(op), op.name


def test_a_step_of_many_arrays_is_judged_array_by_array():
    errors, wrong = verify(Case(ADAMW, {}, (33,), 5), "float64", peers=True)
    assert not wrong
    assert "cython" in errors


@pytest.mark.parametrize(
    ("shape", "count", "expected", "few"),
    [
        ((20_000_000,), 1, (CHECKED,), 1),
        ((1000,), 1000, (1000,), 131),
        ((2048, 32_000), 1, (4, 32_000), 1),
        ((4, 32, 224, 224), 1, (1, 32, 56, 56), 1),
        ((17, 3), 1, (17, 3), 1),
    ],
)
def test_large_cases_are_judged_at_a_smaller_size(shape, count, expected, few):
    smaller = Case(ADAMW, {}, shape, count).smaller()
    assert (smaller.shape, smaller.count) == (expected, few)
    assert smaller.size <= CHECKED


def test_a_quick_run_takes_one_small_case_of_each_op():
    chosen = selection(OPS, quick=True)
    assert [case.op for case in chosen] == list(OPS)
    assert all(case.size < 5_000_000 for case in chosen)


def test_a_wrong_kernel_is_named_and_not_timed():
    wrong = replace(ADAMW, expect=lambda o, a: {name: value + 1e-3 for name, value in ADAMW.expect(o, a).items()})
    rows, sentences = measure(Case(wrong, {}, (33,)), "float32", 1, False, SHARED, Bandwidth(1e9, 2e9))
    assert not rows
    assert "off by" in sentences["cython"]


def test_a_wrong_kernel_is_the_exit_code(monkeypatch):
    wrong = replace(ADAMW, expect=lambda o, a: {name: value + 1e-3 for name, value in ADAMW.expect(o, a).items()})
    monkeypatch.setattr(verdict, "OPS", (wrong,))
    assert "not timed" in call("--quick", "--rounds", 1, "--op", "adamw", code=1)


def test_a_peer_that_does_other_work_is_named_and_not_timed(monkeypatch):
    def lazy(op, options, sets):
        return Job(lambda: None, lambda: [{"param": arrays["param"]} for arrays in sets])

    monkeypatch.setitem(peers.MAKERS["optimizers"], "numpy", lazy)
    _, sentences = measure(Case(ADAMW, {}, (33,)), "float32", 1, True, SHARED, Bandwidth(1e9, 2e9))
    assert "numpy does other work" in sentences["numpy"]


def test_a_peer_that_is_not_installed_is_left_out_and_named(monkeypatch):
    monkeypatch.setitem(peers.MODULES, "torch", "a_package_that_is_not_there")
    assert "torch" not in candidates(Case(ADAMW, {}, (33,)), Case(ADAMW, {}, (33,)).inputs("float32"), True)
    assert "not installed, left out: torch" in call("--quick", "--rounds", 1, "--op", "adamw", "--peers")


# ---- the clock


def test_jobs_are_timed_in_turn(monkeypatch):
    order = []
    monkeypatch.setattr(clock, "_calls_per_sample", lambda job: 1)
    jobs = [Job(lambda name=name: order.append(name)) for name in "ab"]
    samples = clock.interleave(jobs, 3)
    assert "".join(order) == "aabb" * 3  # each once untimed, then once timed
    assert [sample.shape for sample in samples] == [(3,), (3,)]


def test_short_work_is_repeated_until_the_clock_can_see_it():
    assert clock._calls_per_sample(Job(lambda: None)) > 1000


def test_bandwidth_is_measured():
    found = clock.measure_bandwidth(2, megabytes=8, rounds=2)
    assert 1e8 < found.copy < 1e13
    assert 1e8 < found.in_place < 1e13


# ---- where the numbers go


def test_rows_say_all_that_a_judge_needs(rows):
    assert [row.candidate for row in rows[:2]] == ["cython", "numba"]
    for row in rows:
        assert 0 < row.p20_us <= row.p50_us <= row.p80_us
        assert row.gb_s == pytest.approx(100 * 4 * 7 / row.p50_us / 1e3, abs=2e-3)  # 4 reads, 3 writes of 4 bytes
        assert row.device == report.device()
        assert row.threads >= 1
        assert row.verified_on == "100"
    peer = rows[-1]
    if peer.candidate == "torch":
        assert rows[0].times_faster_than_best_peer == pytest.approx(peer.p50_us / rows[0].p50_us, rel=1e-2)


def test_csv_is_begun_once_and_then_grows(tmp_path, rows):
    path = tmp_path / "runs.csv"
    results.append_csv(path, rows)
    results.append_csv(path, rows)
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == [field.name for field in fields(Row)]
    assert [line["candidate"] for line in lines] == 2 * [row.candidate for row in rows]
    path.write_text("op,time\n")
    with pytest.raises(ValueError, match="--csv: expected a file with the columns"):
        results.append_csv(path, rows)
    assert path.read_text() == "op,time\n"


def checkout(folder):
    """Return a folder with the two pages, as a checkout has them."""
    (folder / "docs").mkdir()
    tables = "\n".join(
        f"<!-- {name}: begin -->\nstale\n<!-- {name}: end -->"
        for name in dict.fromkeys(shown[0] for shown in pages.SHOWN)
    )
    (folder / "docs" / "results.md").write_text(f"# before\n{tables}\nafter\n")
    (folder / "README.md").write_text(f"first\n<!-- {pages.README}: begin -->\n<!-- {pages.README}: end -->\nlast\n")
    return folder


def test_pages_keep_all_but_their_tables(tmp_path, rows):
    folder = checkout(tmp_path)
    sgd = [replace(row, op="sgd") for row in rows]
    lost = [replace(row, times_faster_than_best_peer=0.5) for row in sgd]
    for given in (sgd, lost):
        pages.write(folder, pages.RESULTS, results.markdown(given, ["a note"]))
    text = (folder / "docs" / "results.md").read_text()
    assert text.startswith("# before\n<!-- ")
    assert text.endswith("-->\nafter\n")
    assert text.count("stale") == 3  # of the other tables
    assert "`optimizers.sgd`" in text
    assert "**0.50×**" in text  # a loss is there, and stands out
    assert "- a note" in text
    (folder / "README.md").write_text("# no markers\n")
    with pytest.raises(ValueError, match="--docs: expected the lines"):
        pages.write(folder, pages.RESULTS, "text")


def test_rows_that_matter_stand_in_the_readme_with_the_numbers_of_the_results(tmp_path):
    folder = checkout(tmp_path)
    pages.write(
        folder,
        "steps",
        "| work | fastopt | torch fused | faster by | goal |\n| --- | --: | --: | --: | --: |\n"
        "| one array of 20M | 9 / 9.9 / 11 ms | 10 / 12 / 13 ms | 1.21× | 0.97× |\n",
    )
    pages.write(
        folder,
        "losses and norms",
        "| work | fastopt | torch | torch.compile | jax.jit |\n| --- | --: | --: | --: | --: |\n"
        "| layer norm, 4096×1024 | 3 / 4 / 5 ms | 1.50× | 0.90× | – |\n",
    )
    text = (folder / "README.md").read_text()
    assert "| AdamW step, one array of 20 million | 9.9 ms | torch, fused | 1.21× |" in text
    assert "| layer norm, forward and backward, 4096×1024 | 4 ms | torch.compile | **0.90×** |" in text
    assert text.startswith("first\n")
    assert text.endswith("last\n")


def test_the_readme_shows_the_numbers_of_the_results():
    results_page, readme = pages.places(Path(__file__).parents[2])
    assert pages.split(readme, pages.README)[1].strip() == pages.rows_that_matter(results_page).strip()
    assert pages.rows_that_matter(results_page).count("\n") == len(pages.SHOWN) + 2


def test_from_end_to_end(tmp_path):
    table, picture, folder = tmp_path / "runs.csv", tmp_path / "roofline.png", checkout(tmp_path)
    text = call(
        "optimizers", "--op", "adamw", "--op", "sgd", "--quick", "--rounds", 2, "--threads", 1,
        "--csv", table, "--plot", picture, "--docs", folder,
    )  # fmt: skip
    assert "optimizers.adamw" in text
    assert len(table.read_text().splitlines()) >= 5
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 10_000
    assert "| `optimizers.sgd` | 1M |" in (folder / "docs" / "results.md").read_text()


def test_no_ratio_beside_a_blas_that_the_environment_chose(monkeypatch):
    pytest.importorskip("torch")
    muon = Case(next(op for op in OPS if op.name == "muon"), {}, (8, 8))
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    with_it = measure(muon, "float32", 1, True, SHARED, Bandwidth(1e9, 2e9))[0]
    assert all(row.times_faster_than_best_peer is None for row in with_it)
    assert "OPENBLAS_CORETYPE=Haswell gives NumPy another kernel" in call(
        "--op", "orthogonal", "--quick", "--rounds", 1, "--peers"
    )
    for name in blas.CHOOSE:
        monkeypatch.delenv(name, raising=False)
    without = measure(muon, "float32", 1, True, SHARED, Bandwidth(1e9, 2e9))[0]
    assert all(row.times_faster_than_best_peer is not None for row in without)
    assert blas.kernels()


@pytest.mark.parametrize(
    ("option", "name", "expected"),
    [
        ("--csv", "no/file.csv", "--csv: expected a file in a folder that exists"),
        ("--plot", "no/file.png", "--plot: expected a file in a folder that exists"),
        ("--plot", "file.docx", "--plot: expected a name that ends in .png"),
        ("--docs", "", "--docs: expected a folder with"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch, option, name, expected):
    monkeypatch.setattr("fastopt.cli.bench.command.measure", None)
    text = CliRunner().invoke(app.typed("bench"), ["--op", "sgd", option, str(tmp_path / name)])
    assert text.exit_code == 2
    assert expected in " ".join(text.output.replace("│", " ").split())


def test_times_have_a_unit_that_suits_them():
    assert [results.microseconds(value) for value in (0.25, 12.34, 2345.6, 7.5e6)] == [
        "0.25 µs", "12.3 µs", "2.35 ms", "7.5 s",
    ]  # fmt: skip


def test_commit_is_of_this_checkout_or_none():
    assert re.fullmatch(r"([0-9a-f]{7,}\+?)?", results.commit())


# ---- the goals


def test_goals_are_judged(rows):
    cython = next(row for row in rows if row.candidate == "cython")
    many = replace(cython, arrays=1000, shape="1000", best_peer="torch", times_faster_than_best_peer=12.0)
    large = replace(cython, shape="20000000", best_peer="torch", times_faster_than_best_peer=0.9)
    sentences = goals.judge([many, large], with_import=False)
    assert "12.0× as fast as torch (goal: 10×; met)" in sentences[0]
    assert "1.11 of torch's time (goal: 1.05; MISSED)" in sentences[1]


def test_import_times_are_measured_and_no_step_imports_numba():
    numpy, ours, numba = goals.import_times(rounds=1)
    assert numpy > 0
    assert ours > 0
    assert not numba


def test_peers_get_the_same_threads():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    try:
        for count in (2, 1):
            peers.set_num_threads(count)
            assert torch.get_num_threads() == count
    finally:
        peers.set_num_threads(before)


def test_inputs_are_the_same_every_time():
    case = Case(ADAMW, {}, (33,))
    first, second = case.inputs("float32")[0], case.inputs("float32")[0]
    assert all(np.array_equal(first[name], second[name]) for name in first)
