"""What a file is by its content, whether it can be opened without harm, what it may be called. Pure; no I/O."""
