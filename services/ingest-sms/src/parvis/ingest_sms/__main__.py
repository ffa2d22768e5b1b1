"""Start ingest-sms."""

from parvis.common.runtime.service import run
from parvis.ingest_sms.app import build

run("ingest-sms", build)
