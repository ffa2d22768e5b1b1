"""A letter's reading and its facts in, ContactReceived out. Pure; no I/O."""

from parvis.ingest_postal.parse.batch import Part, separate
from parvis.ingest_postal.parse.letter import Facts, parse, text_of
from parvis.ingest_postal.parse.town import Town

__all__ = ["Facts", "Part", "Town", "parse", "separate", "text_of"]
