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
    """Nothing is stepped where a decay would move rows that a gradient doesn't name, or another kernel lacks rows."""
    decay, averaged = {"weight_decay": 0.1}, {"momentum": 0.9, "ema_decay": 0.9}
    for name, keywords in (("SGD", averaged), ("SGD", decay), ("Adagrad", decay)):
        table = torch.nn.Parameter(torch.ones(6, 2))
        dense = torch.nn.Parameter(torch.ones(3))
        optimizer = getattr(optim, name)([dense, table], lr=0.1, **keywords)
        table.grad, dense.grad = torch.ones(6, 2).to_sparse(1), torch.ones(3)
        with pytest.raises(RuntimeError, match=r"dense gradient beside momentum|not compatible with sparse"):
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


MOMENTUM = [
    {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.8, "dampening": 0.3, "maximize": True},
]  # fmt: skip


@pytest.mark.parametrize("keywords", MOMENTUM, ids=str)
def test_sparse_momentum_is_torchs(keywords):
    """Rows that were named once go on moving; the state is torch's, and goes on in a copy and in torch."""
    mine, yours = (torch.nn.Parameter(torch.arange(14.0).reshape(7, 2)) for _ in range(2))
    a, b = optim.SGD([mine], lr=0.1, **keywords), torch.optim.SGD([yours], lr=0.1, **keywords)

    def step(seed, *pairs):
        torch.manual_seed(seed)
        rows = torch.randint(0, 7, (3,))
        values = torch.randn(3, 2)
        for param, optimizer in pairs:
            param.grad = torch.sparse_coo_tensor(rows[None], values, (7, 2), check_invariants=False)
            optimizer.step()

    for seed in range(4):
        step(seed, (mine, a), (yours, b))
        torch.testing.assert_close(mine, yours)
    momenta = [o.state[p]["momentum_buffer"] for p, o in ((mine, a), (yours, b))]
    torch.testing.assert_close(*[one.to_dense() for one in momenta])
    mine.grad = None
    a.step()
    torch.testing.assert_close(mine, yours)
    mine.grad = torch.ones(7, 2)
    with pytest.raises(RuntimeError, match="expected a sparse gradient beside sparse momentum"):
        a.step()
    other = torch.optim.SGD([mine], lr=0.1, **keywords)
    other.load_state_dict(copy.deepcopy(a.state_dict()))
    step(9, (mine, other), (yours, b))
    torch.testing.assert_close(mine, yours)


def test_sparse_gradients_with_momentum_are_clipped():
    table, dense = torch.nn.Parameter(torch.zeros(4, 1)), torch.nn.Parameter(torch.zeros(1))
    optimizer = optim.SGD([table, dense], lr=1.0, momentum=0.5, clip_norm=5.0)
    table.grad = torch.sparse_coo_tensor([[1, 1, 3]], [[3.0], [3.0], [0.0]], (4, 1), check_invariants=False)
    dense.grad = torch.tensor([8.0])
    optimizer.step()
    torch.testing.assert_close(table.detach(), torch.tensor([[0.0], [-3.0], [0.0], [0.0]]))
    torch.testing.assert_close(dense.detach(), torch.tensor([-4.0]))
