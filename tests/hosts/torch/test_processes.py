"""Processes of torchrun, on PyTorch's own engines: they come to where one process comes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fastopt import metrics

WORKER = Path(__file__).with_name("worker.py")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own modules
CASES = {"ddp": 0.5, "zero": None, "fsdp": None, "clipped": 0.5, "resumed": None}


def of_one_process(clip):
    """Train with torch's own optimizer on whole batches."""
    sys.path.insert(0, str(WORKER.parent))
    try:
        import worker
    finally:
        sys.path.pop(0)
    net = worker.model()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.05)
    for step in range(worker.STEPS):
        x, y = worker.batch(step)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimizer.step()
    return worker.whole(net)


def run(case, folder, processes=2, number=0):
    """Return what the first process of `worker.py CASE` found."""
    result = folder / f"{number}.pt"
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", str(WORKER),
        case, str(result),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(result, weights_only=False)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_two_processes_come_to_where_one_comes(case, tmp_path):
    found = [run(case, tmp_path, number=number) for number in range(2)]
    assert torch.equal(*found)  # the same bits from run to run
    torch.testing.assert_close(found[0], of_one_process(CASES[case]), rtol=1e-4, atol=1e-5)


def test_a_checkpoint_of_four_processes_goes_on_in_two(tmp_path):
    run("saved", tmp_path, processes=4)
    torch.testing.assert_close(run("loaded", tmp_path), of_one_process(0.5), rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    return run("several", tmp_path_factory.mktemp("several"))


def test_parameters_that_wait_on_the_cpu(several):
    torch.testing.assert_close(several["offloaded"], of_one_process(None), rtol=1e-4, atol=1e-5)


def test_synchronized_batch_norm_is_that_of_the_whole_batch(several):
    """Outputs, gradients of inputs, running statistics; gradients of parameters add up."""
    net = torch.nn.BatchNorm1d(8)
    torch.manual_seed(100)
    x = torch.randn(16, 8, requires_grad=True)
    y = net(x)
    (y * torch.arange(8.0)).square().sum().backward()
    (one, other) = several["synced"]
    tolerance = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(torch.cat([one[0], other[0]]), y.detach(), **tolerance)
    torch.testing.assert_close(torch.cat([one[1], other[1]]), x.grad, **tolerance)
    for k, param in enumerate(net.parameters(), 2):
        torch.testing.assert_close(one[k] + other[k], param.grad, **tolerance)
    for mine, theirs, buffer in zip(one[4:], other[4:], net.buffers(), strict=True):
        assert torch.equal(mine, theirs)
        torch.testing.assert_close(mine, buffer)


def test_metrics_of_all_processes(several):
    torch.manual_seed(101)
    x, y = torch.randn(16, 8), torch.randint(0, 4, (16,))
    scores, labels = (x[:, 0] / 4 + 0.5).clamp(0, 1).double().numpy(), (y > 1).double().numpy()
    wanted = [call(labels, scores) for call in (metrics.accuracy, metrics.auc, metrics.mean_squared_error)]
    assert several["measured"] == pytest.approx(wanted, rel=1e-12)


def test_one_thread_a_process(several):
    assert several["threads"] == (1, 0)


def test_whole_layers_are_asked_for(several):
    assert set(several["refused"]) == {"LAMB", "LARS", "Adafactor", "Muon"}
    for message, untouched in several["refused"].values():
        assert "expected whole parameters" in message
        assert untouched
