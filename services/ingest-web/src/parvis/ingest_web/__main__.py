"""Starts the web forms: `python -m parvis.ingest_web`."""

from parvis.common.runtime.service import run_service

run_service("ingest-web", "parvis.ingest_web.app")
