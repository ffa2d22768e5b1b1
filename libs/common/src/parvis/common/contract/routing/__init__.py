"""Defines the events about the routing of a conversation: decision, transfer, split, link and history. Pure; no I/O."""
