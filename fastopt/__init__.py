"""Fused training kernels for CPUs: optimizers, batch normalization, losses with gradients, initializers, metrics."""

from fastopt import initializers, metrics, optimizers
from fastopt._config import get_num_threads, get_target, set_num_threads, target
from fastopt._report import show_config

__version__ = "0.1.0"

__all__ = [
    "get_num_threads",
    "get_target",
    "initializers",
    "metrics",
    "optimizers",
    "set_num_threads",
    "show_config",
    "target",
]
