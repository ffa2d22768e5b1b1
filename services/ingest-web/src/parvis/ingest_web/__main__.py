"""Starts the web forms: `python -m parvis.ingest_web`."""

from parvis.common.runtime.service import run_service
from parvis.ingest_web.app import build

run_service("ingest-web", build)
