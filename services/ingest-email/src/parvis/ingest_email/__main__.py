"""Starts ingest-email."""

from parvis.common.runtime.service import run_service
from parvis.ingest_email.app import build

run_service("ingest-email", build)
