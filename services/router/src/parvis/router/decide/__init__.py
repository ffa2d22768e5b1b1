"""A contact and what is known in, the department and everything that follows from it out. Pure; no I/O."""
