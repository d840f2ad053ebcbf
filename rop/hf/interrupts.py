"""Ctrl-C that is never lost."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def remembered() -> Iterator[Callable[[], bool]]:
    """Remember Ctrl-C, besides raising KeyboardInterrupt as usual.

    Python drops an exception that is raised while it deletes an object, even KeyboardInterrupt.

    Yields
    ------
    callable, () -> bool
        Whether Ctrl-C was pressed. Always False outside of the main thread, which gets the signal.
    """
    pressed = threading.Event()
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield pressed.is_set
        return

    def handler(number: int, frame: FrameType | None) -> object:
        pressed.set()
        return usual(number, frame)

    signal.signal(signal.SIGINT, handler)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, usual)
