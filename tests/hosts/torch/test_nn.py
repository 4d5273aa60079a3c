"""Modules, and swapping them."""

import copy

import pytest
import torch

import fastopt.torch
from fastopt.torch import nn


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 3), torch.nn.BatchNorm2d(6), torch.nn.ReLU(), torch.nn.GroupNorm(3, 6),
        torch.nn.Flatten(), torch.nn.Linear(24, 8), torch.nn.LayerNorm(8), torch.nn.RMSNorm(8),
        torch.nn.BatchNorm1d(8, momentum=None), torch.nn.Linear(8, 4),
    )  # fmt: skip


def test_an_accelerated_model_trains_as_torchs():
    mine, yours = model(), model()
    report = fastopt.torch.accelerate(mine, also=[torch.nn.LayerNorm])
    assert len(report.swapped) == 5
    assert not report.left
    a = fastopt.torch.optim.SGD(mine.parameters(), lr=0.1, momentum=0.9)
    b = torch.optim.SGD(yours.parameters(), lr=0.1, momentum=0.9)
    losses = fastopt.torch.nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss()
    for _ in range(5):
        x, y = torch.randn(16, 1, 4, 4), torch.randint(0, 4, (16,))
        for net, optimizer, loss in ((mine, a, losses[0]), (yours, b, losses[1])):
            optimizer.zero_grad()
            loss(net(x), y).backward()
            optimizer.step()
    for (name, p), q in zip(mine.state_dict().items(), yours.state_dict().values(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4, msg=name)
    mine.eval()
    yours.eval()
    torch.testing.assert_close(mine(x), yours(x), rtol=1e-3, atol=1e-3)
    report.undo()
    assert [type(m) for m in mine.modules()] == [type(m) for m in yours.modules()]


def test_copies_and_states_of_swapped_modules():
    mine = model()
    fastopt.torch.accelerate(mine)
    other = copy.deepcopy(mine)
    assert type(other[1]) is nn.BatchNorm2d
    model().load_state_dict(mine.state_dict())


class Own(torch.nn.BatchNorm2d):
    pass


def test_what_is_left_is_told():
    report = fastopt.torch.accelerate(torch.nn.Sequential(Own(3), torch.nn.LayerNorm(3), torch.nn.BatchNorm1d(2)))
    assert list(report.left) == ["0", "1"]
    assert "left 0: Own is a class of its own" in str(report)
    with pytest.raises(ValueError, match="also: expected"):
        fastopt.torch.accelerate(model(), also=[torch.nn.Linear])


LOSSES = {
    "MSELoss": {}, "L1Loss": {}, "HuberLoss": {"delta": 0.5}, "SmoothL1Loss": {"beta": 0.5},
    "BCEWithLogitsLoss": {"pos_weight": torch.tensor([2.0, 0.5, 1.0])}, "BCELoss": {"reduction": "sum"},
    "SoftMarginLoss": {}, "HingeEmbeddingLoss": {"margin": 0.4}, "KLDivLoss": {"reduction": "batchmean"},
    "PoissonNLLLoss": {"full": True},
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES, ids=str)
def test_losses(name):
    x, y = torch.rand(5, 3), torch.rand(5, 3)
    mine, yours = getattr(nn, name)(**LOSSES[name]), getattr(torch.nn, name)(**LOSSES[name])
    torch.testing.assert_close(mine(x, y), yours(x, y))


def test_batch_norm_without_statistics():
    x = torch.randn(6, 3)
    for keywords in ({"track_running_stats": False}, {"affine": False}, {"momentum": None}):
        mine, yours = nn.BatchNorm1d(3, **keywords), torch.nn.BatchNorm1d(3, **keywords)
        for training in (True, False):
            mine.train(training)
            yours.train(training)
            torch.testing.assert_close(mine(x), yours(x))
        for p, q in zip(mine.buffers(), yours.buffers(), strict=True):
            torch.testing.assert_close(p, q)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("tracked", [False, True])
def test_instance_norm(axes, tracked):
    keywords = {"affine": True, "track_running_stats": tracked}
    mine, yours = (getattr(part, f"InstanceNorm{axes}d")(4, **keywords) for part in (nn, torch.nn))
    for training in (True, False):
        mine.train(training)
        yours.train(training)
        x = torch.randn(2, 4, *[5] * axes)
        torch.testing.assert_close(mine(x), yours(x), rtol=1e-4, atol=1e-5)
    for p, q in zip(mine.buffers(), yours.buffers(), strict=True):
        torch.testing.assert_close(p, q)


def test_synchronized_batch_norm_of_one_process_is_batch_norm():
    net = torch.nn.SyncBatchNorm.convert_sync_batchnorm(torch.nn.Sequential(torch.nn.BatchNorm1d(3)))
    fastopt.torch.accelerate(net)
    assert type(net[0]) is nn.SyncBatchNorm
    x = torch.randn(6, 3)
    torch.testing.assert_close(net(x), torch.nn.BatchNorm1d(3)(x))
