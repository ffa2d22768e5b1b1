"""A form out: as canonical bytes, as a contact, as pages. Pure; no I/O."""
