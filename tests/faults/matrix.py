"""The scenarios there are. Data only."""

from tests.faults import (
    f01_router_killed,
    f02_zombie,
    f03_rolling_restart,
    f04_rebalance_storm,
    f08_brokers_down,
    f11_cut_after_produce,
    f12_late_and_twice,
    f15_database_killed,
    f16_conflicts,
    f17_unknown_commit,
    f18_crash_before_commit,
    f19_crash_before_produce,
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
        f02_zombie,
        f03_rolling_restart,
        f04_rebalance_storm,
        f08_brokers_down,
        f11_cut_after_produce,
        f12_late_and_twice,
        f15_database_killed,
        f16_conflicts,
        f17_unknown_commit,
        f18_crash_before_commit,
        f19_crash_before_produce,
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
