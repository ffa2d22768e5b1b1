"""Start ingest-email."""

from parvis.common.runtime.service import run
from parvis.ingest_email.app import build

run("ingest-email", build)
