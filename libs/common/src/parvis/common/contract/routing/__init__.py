"""Which department has a conversation, and why: the events of the router, and of the desk towards it. Pure; no I/O."""
