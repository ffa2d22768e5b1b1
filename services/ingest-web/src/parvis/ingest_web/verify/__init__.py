"""What comes in, checked before it is believed: our own pages and tokens, and how much one source may send."""

from parvis.ingest_web.verify.guard import Guard
from parvis.ingest_web.verify.sources import Crowd, client_of, networks

__all__ = ["Crowd", "Guard", "client_of", "networks"]
