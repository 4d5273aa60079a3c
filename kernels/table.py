"""THE table: every op of every room, in order. Tests, benchmarks and `fastopt check` walk it; each room keeps
its own rows, so that adding an op touches one folder."""

from importlib import import_module

from fastopt.kernels.op import Op

FAMILIES = ("optimizers", "normalization", "losses", "initializers", "metrics", "arrays")

OPS: tuple[Op, ...] = tuple(op for family in FAMILIES for op in import_module(f"fastopt.kernels.{family}.table").OPS)
