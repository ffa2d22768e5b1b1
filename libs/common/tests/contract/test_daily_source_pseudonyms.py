"""Facts about the sources of contacts, which bound what one of them can make the town pay."""

from datetime import UTC, datetime, timedelta

import pytest

from parvis.common.contract.daily_source_pseudonyms import hash_sources, mail_sources, network_sources

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("address", "sources"),
    [
        ("203.0.113.9", ("203.0.113.9/32", "203.0.113.0/24", "203.0.0.0/16")),
        ("::ffff:203.0.113.9", ("203.0.113.9/32", "203.0.113.0/24", "203.0.0.0/16")),
        ("2001:db8:1:2::9", ("2001:db8:1:2::/64", "2001:db8:1::/48", "2001:db8::/32")),
        ("2001:db8:1:2::/64", ("2001:db8:1:2::/64", "2001:db8:1::/48", "2001:db8::/32")),
        ("fe80::1%eth0", ("fe80::/64", "fe80::/48", "fe80::/32")),
        ("unix socket", ("unix socket",)),
    ],
)
def test_whoever_has_many_addresses_is_one_source_of_a_wider_network(address: str, sources: tuple[str, ...]) -> None:
    assert network_sources(address) == sources


def test_whoever_owns_a_domain_is_one_source_with_all_its_subdomains() -> None:
    one, other = mail_sources("a@x.flood.example"), mail_sources("b@y.flood.example")
    assert one[-1] == other[-1]
    assert not set(one[:-1]) & set(other[:-1])


def test_a_source_has_another_pseudonym_every_day_and_with_every_key() -> None:
    names = network_sources("203.0.113.9")
    today = hash_sources(names, AT, b"k")
    assert len(set(today)) == 3
    assert today == hash_sources(names, AT + timedelta(hours=3), b"k")
    assert not set(today) & set(hash_sources(names, AT + timedelta(days=1), b"k"))
    assert not set(today) & set(hash_sources(names, AT, b"l"))
