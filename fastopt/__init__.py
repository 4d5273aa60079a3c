"""Fused training kernels for CPUs: optimizers, batch normalization, losses with gradients, initializers, metrics."""

from fastopt import initializers, losses, metrics, normalization, optimizers, schedules
from fastopt._config import get_num_threads, get_target, set_num_threads, target
from fastopt._report import show_config

__version__ = "0.1.0"

__all__ = [
    "get_num_threads",
    "get_target",
    "initializers",
    "losses",
    "metrics",
    "normalization",
    "optimizers",
    "schedules",
    "set_num_threads",
    "show_config",
    "target",
]
