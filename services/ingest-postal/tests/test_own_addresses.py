"""Tests how the town's own names are compared with what stands on a letter."""

from parvis.ingest_postal.parse.own_addresses import fold


def test_both_apostrophes_end_a_word() -> None:
    assert fold("Régie de l’eau") == fold("REGIE DE L'EAU") == "regie de l eau"
