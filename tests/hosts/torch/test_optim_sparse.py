"""Sparse gradients beside torch's own."""

import copy

import pytest
import torch

from fastopt.torch import optim


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # torch's own Adagrad
@pytest.mark.parametrize("name", ["SparseAdam", "SGD", "Adagrad"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sparse_gradients(name, dtype):
    torch.manual_seed(0)
    mine = torch.nn.Embedding(50, 7, sparse=True, dtype=dtype)
    yours = copy.deepcopy(mine)
    a, b = getattr(optim, name)(mine.parameters(), lr=0.1), getattr(torch.optim, name)(yours.parameters(), lr=0.1)
    for step in range(4):
        ids = torch.randint(0, 50, (30 if step != 2 else 0,))
        for table, optimizer in ((mine, a), (yours, b)):
            optimizer.zero_grad()
            (table(ids) ** 2).sum().backward()
            optimizer.step()
    torch.testing.assert_close(mine.weight, yours.weight, rtol=1e-5, atol=1e-6)
    for key, value in b.state[yours.weight].items():
        torch.testing.assert_close(a.state[mine.weight][key], value, rtol=1e-5, atol=1e-6)


def test_sparse_and_dense_gradients_take_turns():
    torch.manual_seed(0)
    mine = torch.nn.Parameter(torch.randn(6, 2))
    yours = torch.nn.Parameter(mine.detach().clone())
    a, b = optim.Adagrad([mine], lr=0.1), torch.optim.Adagrad([yours], lr=0.1)
    for step in range(4):
        grad = torch.randn(6, 2)
        mine.grad, yours.grad = (grad.to_sparse(1), grad.to_sparse(1)) if step % 2 else (grad, grad.clone())
        a.step()
        b.step()
    torch.testing.assert_close(mine, yours)
    assert a.state[mine]["step"] == 4


def test_sparse_gradients_beside_options_are_right_or_refused():
    """Nothing is stepped where a rule's momentum would move rows that a gradient doesn't name."""
    decay = {"weight_decay": 0.1}
    for name, keywords in (("SGD", {"momentum": 0.9}), ("SGD", decay), ("Adagrad", decay)):
        table = torch.nn.Parameter(torch.ones(6, 2))
        dense = torch.nn.Parameter(torch.ones(3))
        optimizer = getattr(optim, name)([dense, table], lr=0.1, **keywords)
        table.grad, dense.grad = torch.ones(6, 2).to_sparse(1), torch.ones(3)
        with pytest.raises(RuntimeError, match=r"dense gradient where there is momentum|not compatible with sparse"):
            optimizer.step()
        assert (table == 1.0).all()
        assert (dense == 1.0).all()
    for keywords in ({"maximize": True}, {"lr": 0.5, "maximize": True}):
        mine, yours = (torch.nn.Parameter(torch.ones(6, 2)) for _ in range(2))
        a, b = optim.SGD([mine], **keywords), torch.optim.SGD([yours], **keywords)
        for _ in range(3):
            for p, o in ((mine, a), (yours, b)):
                p.grad = torch.arange(12.0).reshape(6, 2).to_sparse(1)
                o.step()
        torch.testing.assert_close(mine, yours)
