"""The table: every op of every family, in order. Tests, benchmarks and `fastopt check` walk it."""

from importlib import import_module

from fastopt.table.op import Op

FAMILIES = ("optimizers", "normalization", "losses", "initializers", "metrics", "arrays")

OPS: tuple[Op, ...] = tuple(op for family in FAMILIES for op in import_module(f"fastopt.table.{family}").OPS)
