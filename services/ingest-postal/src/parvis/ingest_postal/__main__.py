"""Starts ingest-postal."""

from parvis.common.runtime.service import run_service
from parvis.ingest_postal.app import NAME, build

run_service(NAME, build)
