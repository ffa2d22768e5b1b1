"""Start ingest-postal."""

from parvis.common.runtime.service import run
from parvis.ingest_postal.app import NAME, build

run(NAME, build)
