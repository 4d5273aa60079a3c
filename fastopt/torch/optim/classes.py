"""The optimizers that torch has: torch's own classes, stepped by fastopt's kernels."""

import torch

from fastopt.torch.optim import rules
from fastopt.torch.optim.base import Fused


class SGD(Fused, torch.optim.SGD):
    """:class:`torch.optim.SGD`, fused; the keywords of :class:`Fused` beside torch's arguments.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> optimizer = fastopt.torch.optim.SGD([w], lr=0.5, momentum=0.9)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w.detach(), optimizer.state[w]["momentum_buffer"]
    (tensor([0.5000, 0.5000]), tensor([1., 1.]))
    """

    rule = rules.SGD


class Adam(Fused, torch.optim.Adam):
    """:class:`torch.optim.Adam`, fused."""

    rule = rules.ADAM


class AdamW(Fused, torch.optim.AdamW):
    """:class:`torch.optim.AdamW`, fused."""

    rule = rules.ADAM


class RMSprop(Fused, torch.optim.RMSprop):
    """:class:`torch.optim.RMSprop`, fused."""

    rule = rules.RMSPROP


class Adagrad(Fused, torch.optim.Adagrad):
    """:class:`torch.optim.Adagrad`, fused."""

    rule = rules.ADAGRAD


class Adadelta(Fused, torch.optim.Adadelta):
    """:class:`torch.optim.Adadelta`, fused."""

    rule = rules.ADADELTA


class Adamax(Fused, torch.optim.Adamax):
    """:class:`torch.optim.Adamax`, fused."""

    rule = rules.ADAMAX


class NAdam(Fused, torch.optim.NAdam):
    """:class:`torch.optim.NAdam`, fused."""

    rule = rules.NADAM


class RAdam(Fused, torch.optim.RAdam):
    """:class:`torch.optim.RAdam`, fused."""

    rule = rules.RADAM


class Rprop(Fused, torch.optim.Rprop):
    """:class:`torch.optim.Rprop`, fused."""

    rule = rules.RPROP


class ASGD(Fused, torch.optim.ASGD):
    """:class:`torch.optim.ASGD`, fused."""

    rule = rules.ASGD


class Adafactor(Fused, torch.optim.Adafactor):
    """:class:`torch.optim.Adafactor`, fused."""

    rule = rules.ADAFACTOR


class Muon(Fused, torch.optim.Muon):
    """:class:`torch.optim.Muon`, fused but for the products of matrices, which are torch's."""

    rule = rules.MUON


class SparseAdam(Fused, torch.optim.SparseAdam):
    """:class:`torch.optim.SparseAdam`: Adam on the rows that a sparse gradient names.

    Examples
    --------
    >>> import torch, fastopt.torch
    >>> table = torch.nn.Embedding(4, 2, sparse=True)
    >>> optimizer = fastopt.torch.optim.SparseAdam(table.parameters(), lr=0.5)
    >>> before = table.weight.detach().clone()
    >>> table(torch.tensor([2, 2])).sum().backward()
    >>> optimizer.step()
    >>> before - table.weight.detach()
    tensor([[0.0000, 0.0000],
            [0.0000, 0.0000],
            [0.5000, 0.5000],
            [0.0000, 0.0000]])
    """

    rule = rules.SPARSE_ADAM
