"""The scenarios there are. Data only."""

from tests.faults import (
    f01_router_killed,
    f08_brokers_down,
    f18_crash_before_commit,
    f30_exception_in_handler,
    f31_mailbox,
    f32_double_click,
    f33_scanner_folder,
)

SCENARIOS = tuple(
    module.SCENARIO
    for module in (
        f01_router_killed,
        f08_brokers_down,
        f18_crash_before_commit,
        f30_exception_in_handler,
        f31_mailbox,
        f32_double_click,
        f33_scanner_folder,
    )
)
