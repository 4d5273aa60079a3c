"""Two processes of torchrun, on PyTorch's own engines: they come to where one process comes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

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


@pytest.mark.parametrize("case", CASES, ids=str)
def test_two_processes_come_to_where_one_comes(case, tmp_path):
    found = []
    for run in range(2):
        result = tmp_path / f"{run}.pt"
        command = [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(WORKER), case,
            str(result),
        ]  # fmt: skip
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        found.append(torch.load(result))
    assert torch.equal(*found)  # the same bits from run to run
    torch.testing.assert_close(found[0], of_one_process(CASES[case]), rtol=1e-4, atol=1e-5)
