"""Starts ingest-email."""

from parvis.common.runtime.service import run_service

run_service("ingest-email", "parvis.ingest_email.app")
