"""Defines how much memory and time one job may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ResourceLimits:
    """What one job may take; its worker is ended when it wants more."""

    memory_bytes: int
    cpu_s: int
    wall_s: float
    answer_bytes: int = 256 * 1024 * 1024  # all frames together: what a file has taken over cannot fill our memory
