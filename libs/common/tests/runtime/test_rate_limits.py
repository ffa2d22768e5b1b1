"""Sources are let through at their own pace, each for itself."""

import pytest

from parvis.common.runtime.rate_limits import RateLimiter, source_network


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_then_one_waits() -> None:
    sources = RateLimiter(per_minute=60, burst=3, clock=Clock())
    assert [sources.seconds_until_allowed("a") for _ in range(4)] == [0, 0, 0, pytest.approx(1.0)]


def test_waiting_as_told_is_enough_and_asking_again_costs_nothing() -> None:
    clock = Clock()
    sources = RateLimiter(per_minute=30, burst=1, clock=clock)
    sources.seconds_until_allowed("a")
    waits = [sources.seconds_until_allowed("a") for _ in range(100)]
    clock.now += waits[-1]
    assert waits[-1] == pytest.approx(2.0)
    assert sources.seconds_until_allowed("a") == 0


def test_a_flood_slows_no_other() -> None:
    sources = RateLimiter(per_minute=60, burst=1, clock=Clock())
    for _ in range(10_000):
        sources.seconds_until_allowed("flood")
    assert sources.seconds_until_allowed("citizen") == 0


def test_a_long_silence_saves_no_more_than_the_burst() -> None:
    clock = Clock()
    sources = RateLimiter(per_minute=60, burst=2, clock=clock)
    sources.seconds_until_allowed("a")
    clock.now += 86_400
    assert [sources.seconds_until_allowed("a") > 0 for _ in range(3)] == [False, False, True]


def test_memory_is_bounded_and_the_busy_one_stays_known() -> None:
    sources = RateLimiter(per_minute=60, burst=1, most=100, clock=Clock())
    sources.seconds_until_allowed("flood")
    for number in range(10_000):
        sources.seconds_until_allowed(str(number))
        assert sources.seconds_until_allowed("flood") > 0
    assert len(sources._buckets) == 100  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
    ],
)
def test_a_network_is_one_source(address: str, network: str) -> None:
    assert source_network(address) == network
