"""Decides what an event or an agent's action changes in a case. No I/O."""
