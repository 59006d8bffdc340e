"""Where networks can compute."""

from __future__ import annotations

from dataclasses import dataclass

from . import _synfire

__all__ = ["Device", "devices"]


@dataclass(frozen=True)
class Device:
    """A device of this machine, or a way that leads to none.

    - `name`: as `Network` takes it.
    - `description`: what it calls itself.
    - `problem`: why it cannot be used; None if it can.
    """

    name: str
    description: str | None
    problem: str | None


def devices() -> list[Device]:
    """Every device of this machine, and why one is not usable. Each is tried."""
    return [Device(*told) for told in _synfire.devices()]
