"""Calls of fastopt.torch run on torch's own workers, as many as torch uses."""

import os
import subprocess
import sys

import pytest

PRELUDE = """
import os, torch, fastopt as fo, fastopt.torch
from fastopt.kernels.runtime import launch
F = fastopt.torch.functional
def threads():
    return len(os.listdir("/proc/self/task"))
def stepped():
    w = torch.nn.Parameter(torch.linspace(-1, 1, 1_000_003))
    optimizer = fastopt.torch.optim.AdamW([w], lr=0.1, clip_norm=1.0)
    for _ in range(3):
        w.grad = torch.cos(w.detach())
        optimizer.step()
    return w.detach()
def lost():
    x = torch.linspace(-1, 1, 1_000_000).reshape(1000, 1000).requires_grad_()
    F.cross_entropy(x, torch.arange(1000)).backward()
    return x.grad
def normed():
    x = torch.linspace(-1, 1, 2_000_000).reshape(2, 8, 125_000).requires_grad_()
    for call in (
        lambda x: F.batch_norm(x, None, None, training=True),
        lambda x: F.layer_norm(x, [125_000]),
    ):
        call(x).square().sum().backward()
    return x.grad
def filled():
    torch.manual_seed(3)
    return fastopt.torch.init.normal_(fastopt.torch.init.uniform_(torch.empty(1_000_000)))
CALLS = [stepped, lost, normed, filled]
def bits():
    return [call().numpy().tobytes() for call in CALLS]
"""


def python(code, **environment):
    """Return what a fresh interpreter prints."""
    clean = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code], env=clean | environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_call_starts_a_worker_of_ours_and_bits_are_those_of_one_thread():
    code = """
torch.set_num_threads(3)
many = bits()
torch.set_num_threads(1)
print(launch.workers(), many == bits())
"""
    assert python(code) == "0 True"


@pytest.mark.parametrize(("threads", "told", "more"), [(4, {}, 0), (1, {}, 0), (2, {"FASTOPT_NUM_THREADS": "3"}, 1)])
def test_torchs_number_of_threads_holds_unless_fastopt_was_told_one(threads, told, more):
    """Counted by the threads that there are, once torch has started its own."""
    code = f"""
torch.set_num_threads({threads})
w = torch.nn.Parameter(torch.zeros(1_000_003))
w.grad = torch.ones(1_000_003).cos()
optimizer = fastopt.torch.optim.AdamW([w])
before = threads()
optimizer.step()
print(threads() - before, launch.workers())
"""
    assert python(code, **told) == f"{more} 0"


def test_a_forked_loaders_worker_can_call():
    code = """
class Items(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, i):
        x = torch.linspace(-1, 1, 200_000).reshape(400, 500).requires_grad_()
        loss = F.cross_entropy(x, torch.full((400,), i))
        loss.backward()
        return loss.detach(), x.grad.square().sum()
if __name__ == "__main__":
    torch.set_num_threads(2)
    bits()
    ours = [Items()[i] for i in range(4)]
    loader = torch.utils.data.DataLoader(Items(), batch_size=None, num_workers=1, multiprocessing_context="fork")
    print([tuple(map(float, one)) for one in loader] == [tuple(map(float, one)) for one in ours])
"""
    assert python(code) == "True"
