"""Starts the notifier."""

from parvis.common.runtime.service import run_service
from parvis.notifier.app import build

run_service("notifier", build)
