"""A form in over HTTP: looked at once more or sent; yes (303) once it is committed, and never before."""

from parvis.ingest_web.receive.door import Door
from parvis.ingest_web.receive.flow import routes

__all__ = ["Door", "routes"]
