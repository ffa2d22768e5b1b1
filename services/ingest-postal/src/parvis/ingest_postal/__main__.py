"""Starts ingest-postal."""

from parvis.common.runtime.service import run_service

run_service("ingest-postal", "parvis.ingest_postal.app")
