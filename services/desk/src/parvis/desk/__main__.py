"""Starts the desk: `python -m parvis.desk`."""

from parvis.common.runtime.service import run_service

run_service("desk", "parvis.desk.app")
