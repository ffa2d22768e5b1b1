"""Raw mail in, what it says out. Pure; no I/O."""
