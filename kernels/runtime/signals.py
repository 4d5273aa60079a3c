"""Signals that wait: for work that is several of Python's instructions long, and is to be done as a whole."""

import _signal  # without the enumerations of `signal`, which take microseconds
import threading
from collections.abc import Iterator
from contextlib import contextmanager

NUMBERS = range(1, _signal.NSIG)


@contextmanager
def signals_wait() -> Iterator[None]:
    """Let handlers of signals that are Python's run behind a `with` block, in the order in which the signals came.

    They run in the main thread alone, so nothing is to be done in others.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    found = zip(NUMBERS, map(_signal.getsignal, NUMBERS), strict=True)
    handlers = [(number, handler) for number, handler in found if callable(handler)]
    try:
        for number, _ in handlers:
            _signal.signal(number, lambda number, frame: came.append(number))
        yield
    finally:
        for number, handler in handlers:
            _signal.signal(number, handler)
        for number in came:
            _signal.raise_signal(number)
