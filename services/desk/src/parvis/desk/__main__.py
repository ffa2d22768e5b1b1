"""`python -m parvis.desk`: where departments live."""

from parvis.common.runtime.service import run_service
from parvis.desk.app import build

run_service("desk", build)
