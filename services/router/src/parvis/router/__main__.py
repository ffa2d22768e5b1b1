"""Starts the router."""

from parvis.common.runtime.service import run_service

run_service("router", "parvis.router.app")
