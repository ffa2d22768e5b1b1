"""`python -m parvis.ingest_web`: the web door."""

from parvis.common.runtime.service import run
from parvis.ingest_web.app import build

run("ingest-web", build)
