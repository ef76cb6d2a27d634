"""How far a call has come: told by who serves it, heard by the task that made it.

Only calls that ride the stream (`multiplex`) tell it by themselves.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextvars import ContextVar

Told = Callable[[int, int], None]  # done, goal

_heard: ContextVar[weakref.WeakMethod[Told] | None] = ContextVar("progress", default=None)


def hear(told: Told) -> None:
    """From now on, in this task: call a method for each progress of the task's calls.

    It is not kept alive: tasks that outlive this one inherit what it hears.
    """
    _heard.set(weakref.WeakMethod(told))


def listener() -> Told | None:
    """Who is told of this task's calls."""
    method = _heard.get()
    return method() if method is not None else None


def untold(_done: int, _goal: int) -> None:
    """For calls whose progress nobody hears."""
