"""Starts the notifier."""

from parvis.common.runtime.service import run_service

run_service("notifier", "parvis.notifier.app")
