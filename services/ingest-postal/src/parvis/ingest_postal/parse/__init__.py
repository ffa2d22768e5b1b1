"""A letter's reading and its facts in, ContactReceived out. Pure; no I/O."""

from parvis.ingest_postal.parse.letter import Facts, parse, text_of

__all__ = ["Facts", "parse", "text_of"]
