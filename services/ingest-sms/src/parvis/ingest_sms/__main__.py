"""Starts ingest-sms."""

from parvis.common.runtime.service import run_service

run_service("ingest-sms", "parvis.ingest_sms.app")
