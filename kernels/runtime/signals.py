"""Signals that wait: for work that is several of Python's instructions long, and is to be done as a whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def signals_wait() -> Iterator[None]:
    """Let handlers of signals that are Python's run behind a `with` block, in the order in which the signals came.

    They run in the main thread alone, so nothing is to be done in others.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers: dict[int, Any] = {number: signal.getsignal(number) for number in signal.valid_signals()}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    try:
        for number in handlers:
            signal.signal(number, lambda signum, frame: came.append(signum))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)
