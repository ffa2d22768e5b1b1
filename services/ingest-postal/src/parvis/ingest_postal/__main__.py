"""Start the postal door."""

from parvis.common.service import run
from parvis.ingest_postal.app import NAME, build

if __name__ == "__main__":
    run(NAME, build)
