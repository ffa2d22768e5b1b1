"""Starts the desk: `python -m parvis.desk`."""

from parvis.common.runtime.service import run_service
from parvis.desk.app import build

run_service("desk", build)
