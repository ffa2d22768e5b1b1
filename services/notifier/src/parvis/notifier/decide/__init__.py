"""Decides where a reply goes, when, how often, and how it goes on. Pure; no I/O."""
