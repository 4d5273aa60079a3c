"""Backends whose arrays have no address that a kernel could read: all is left to Keras. by_torch.py has the same."""

from typing import Any, TypeVar

F = TypeVar("F")


def opaque(function: F) -> F:
    return function


def taken(grads: list[Any], variables: list[Any]) -> None:
    return None
