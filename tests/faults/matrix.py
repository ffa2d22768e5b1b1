"""The scenarios there are. Data only."""

from tests.faults import (
    f01_router_killed,
    f08_brokers_down,
    f11_cut_after_produce,
    f18_crash_before_commit,
    f26_webhook_times_out,
    f27_webhook_dropped,
    f28_cut_before_yes,
    f29_three_recipients,
    f30_exception_in_handler,
    f31_mailbox,
    f32_double_click,
    f33_scanner_folder,
    f35_mail_loop,
    f36_flood,
)

SCENARIOS = tuple(
    module.SCENARIO
    for module in (
        f01_router_killed,
        f08_brokers_down,
        f11_cut_after_produce,
        f18_crash_before_commit,
        f26_webhook_times_out,
        f27_webhook_dropped,
        f28_cut_before_yes,
        f29_three_recipients,
        f30_exception_in_handler,
        f31_mailbox,
        f32_double_click,
        f33_scanner_folder,
        f35_mail_loop,
        f36_flood,
    )
)
