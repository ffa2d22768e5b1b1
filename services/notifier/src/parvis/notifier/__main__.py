from parvis.common.runtime.service import run
from parvis.notifier.app import build

run("notifier", build)
