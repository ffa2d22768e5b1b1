"""Starts the router."""

from parvis.common.runtime.service import run_service
from parvis.router.app import build

run_service("router", build)
