"""Decides channel, time, limits and next state of a delivery. Pure; no I/O."""
