"""What each process of test_processes.py runs: `torchrun … worker.py CASE FOLDER`."""

import os
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import (
    get_optimizer_state_dict,
    get_state_dict,
    set_optimizer_state_dict,
    set_state_dict,
)
from torch.distributed.fsdp import CPUOffloadPolicy, fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

import fastopt
import fastopt.torch
from fastopt.torch import optim

STEPS, BATCH = 6, 16


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 33), torch.nn.Tanh(), torch.nn.Linear(33, 4))


def batch(step):
    torch.manual_seed(100 + step)
    return torch.randn(BATCH, 8), torch.randint(0, 4, (BATCH,))


def train(net, optimizer, rank, world, steps=range(STEPS)):
    for step in steps:
        x, y = (part.chunk(world)[rank] for part in batch(step))
        optimizer.zero_grad()
        fastopt.torch.functional.cross_entropy(net(x), y).backward()
        optimizer.step()


def whole(net):
    found = [p.detach() for p in net.parameters()]
    return torch.cat([(p.full_tensor() if hasattr(p, "full_tensor") else p).flatten() for p in found])


def ddp(rank, world):
    net = DistributedDataParallel(model())
    train(net, optim.AdamW(net.parameters(), lr=0.05, clip_norm=0.5), rank, world)
    return whole(net)


def zero(rank, world):
    net = DistributedDataParallel(model())
    train(net, ZeroRedundancyOptimizer(net.parameters(), optim.AdamW, lr=0.05), rank, world)
    return whole(net)


def fsdp(rank, world):
    net = fully_shard(model())
    train(net, optim.AdamW(net.parameters(), lr=0.05), rank, world)
    return whole(net)


def clipped(rank, world):
    net = fully_shard(model())
    train(net, optim.AdamW(net.parameters(), lr=0.05, clip_norm=0.5, clip_group=dist.group.WORLD), rank, world)
    return whole(net)


def resumed(rank, world):
    net = fully_shard(model())
    optimizer = optim.AdamW(net.parameters(), lr=0.05)
    train(net, optimizer, rank, world, range(3))
    state = get_optimizer_state_dict(net, optimizer)
    other = optim.AdamW(net.parameters(), lr=0.5)
    set_optimizer_state_dict(net, other, state)
    train(net, other, rank, world, range(3, STEPS))
    return whole(net)


def clipped_within(net):
    return optim.AdamW(net.parameters(), lr=0.05, clip_norm=0.5, clip_group=dist.group.WORLD)


def saved(rank, world):
    """The first half of a run, and a distributed checkpoint beside the result."""
    net = fully_shard(model())
    optimizer = clipped_within(net)
    train(net, optimizer, rank, world, range(3))
    of_net, of_optimizer = get_state_dict(net, optimizer)
    checkpoint.save({"net": of_net, "optimizer": of_optimizer}, checkpoint_id=Path(sys.argv[2]).parent / "checkpoint")
    return whole(net)


def loaded(rank, world):
    """The second half, with another number of processes."""
    net = fully_shard(model())
    optimizer = clipped_within(net)
    of_net, of_optimizer = get_state_dict(net, optimizer)
    found = {"net": of_net, "optimizer": of_optimizer}
    checkpoint.load(found, checkpoint_id=Path(sys.argv[2]).parent / "checkpoint")
    set_state_dict(net, optimizer, model_state_dict=found["net"], optim_state_dict=found["optimizer"])
    train(net, optimizer, rank, world, range(3, STEPS))
    return whole(net)


def several(rank, world):
    """What needs several processes, and is over soon: a result for each."""
    return {name: call(rank, world) for name, call in SEVERAL.items()}


def offloaded(rank, world):
    net = fully_shard(model(), offload_policy=CPUOffloadPolicy(pin_memory=False))
    train(net, optim.AdamW(net.parameters(), lr=0.05), rank, world)
    return whole(net)


def synced(rank, world):
    """Batch norm over both processes' batches, of different sizes."""
    torch.manual_seed(1)
    net = torch.nn.SyncBatchNorm.convert_sync_batchnorm(torch.nn.Sequential(torch.nn.BatchNorm1d(8)))
    assert list(fastopt.torch.accelerate(net).swapped) == ["0"]
    x = batch(0)[0][:5] if rank == 0 else batch(0)[0][5:]
    x.requires_grad_()
    y = net(x)
    (y * torch.arange(8.0)).square().sum().backward()
    found = [y.detach(), x.grad, *(p.grad for p in net.parameters()), *net.buffers()]
    every = [None] * world
    dist.all_gather_object(every, found)
    return every


def measured(rank, world):
    x, y = batch(1)
    scores = (x[:, 0] / 4 + 0.5).clamp(0, 1).double().numpy()
    found = []
    for metric in (fastopt.metrics.Accuracy(), fastopt.metrics.AUC(), fastopt.metrics.MeanSquaredError()):
        metric.update_state(*(np.array_split(one, world)[rank] for one in ((y > 1).double().numpy(), scores)))
        fastopt.torch.merge_metric(metric)
        found.append(metric.result())
    return found


def threads(rank, world):
    """torchrun gives a process one thread: torch's, which a call of ours keeps to."""
    x = torch.randn(1000, 1000, requires_grad=True)
    before = len(os.listdir("/proc/self/task"))
    fastopt.torch.functional.cross_entropy(x, torch.zeros(1000, dtype=torch.long)).backward()
    return torch.get_num_threads(), len(os.listdir("/proc/self/task")) - before


def refused(rank, world):
    """Steps that look at whole layers are refused on shards, and nothing is stepped."""
    net, found = fully_shard(model()), {}
    for name in ("LAMB", "LARS", "Adafactor", "Muon"):
        params = [p for p in net.parameters() if p.ndim == 2]
        optimizer, before = getattr(optim, name)(params, lr=0.1), whole(net)
        for p in params:
            p.grad = torch.ones_like(p)
        try:
            optimizer.step()
        except RuntimeError as error:
            found[name] = str(error), torch.equal(whole(net), before)
    return found


SEVERAL = {call.__name__: call for call in (offloaded, synced, measured, threads, refused)}

if __name__ == "__main__":
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    result = globals()[sys.argv[1]](rank, world)
    if rank == 0:
        torch.save(result, sys.argv[2])
    dist.destroy_process_group()
    sys.stdout.flush()
    # Without the interpreter's own end: a thread of gloo that drops a tensor meanwhile aborts the process
    # (https://github.com/pytorch/pytorch/issues/190489).
    os._exit(0)
