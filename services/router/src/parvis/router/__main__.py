"""Start the router."""

from parvis.common.runtime.service import run
from parvis.router.app import build

run("router", build)
