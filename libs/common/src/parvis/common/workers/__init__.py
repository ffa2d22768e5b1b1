"""Hostile bytes in, answers out: jobs done in processes with limits, kept warm, watched, killed and replaced."""

from parvis.common.workers.frames import Frame
from parvis.common.workers.limits import Limits
from parvis.common.workers.pool import Answer, Workers

__all__ = ["Answer", "Frame", "Limits", "Workers"]
