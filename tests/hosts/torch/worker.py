"""What each process of test_processes.py runs: `torchrun … worker.py CASE FOLDER`."""

import os
import sys

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
from torch.distributed.fsdp import fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

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
