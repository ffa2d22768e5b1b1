"""Starts ingest-sms."""

from parvis.common.runtime.service import run_service
from parvis.ingest_sms.app import build

run_service("ingest-sms", build)
