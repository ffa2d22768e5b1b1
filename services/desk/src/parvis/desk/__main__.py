"""`python -m parvis.desk`: where departments live."""

from parvis.common.runtime.service import run
from parvis.desk.app import build

run("desk", build)
