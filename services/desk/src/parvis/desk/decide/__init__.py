"""A case and what happens to it in, the changed case with its rows and events out. Pure; no I/O."""
