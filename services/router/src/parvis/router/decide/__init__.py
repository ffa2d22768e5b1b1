"""Decides what happens to contacts and departments' requests. Pure; no I/O."""
