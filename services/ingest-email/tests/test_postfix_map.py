"""Tests `parvis mail recipients`."""

import argparse
from pathlib import Path

import pytest

from parvis.common.town.loading import load_town_config
from parvis.ingest_email.commands.postfix_map import register
from parvis.ingest_email.decide.recipients import TownMailboxes

FOLDER = Path(__file__).parents[3] / "config" / "example-town"


def test_the_map_has_every_address_that_the_door_takes(capsys: pytest.CaptureFixture[str]):
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    arguments = parser.parse_args(["mail", "recipients", str(FOLDER)])

    assert arguments.run(arguments) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    mailboxes = TownMailboxes(load_town_config(FOLDER), b"a key for tests only")
    assert {address for address, _ in lines} >= mailboxes.own_addresses
    assert all(mailboxes.find_recipient(address) for address, _ in lines)
    assert {verdict for _, verdict in lines} == {"OK"}
