"""Tests letters with an independent validator: PDF/UA-1 for accessibility, PDF/A-2a for archiving."""

from dataclasses import replace
from pathlib import Path

import pytest
from services.notifier.tests import validator
from services.notifier.tests.parts import MakeReply

from parvis.common.contract.contact import ContactPoint
from parvis.common.contract.errors import Unavailable
from parvis.common.testing import AN_INSTANT
from parvis.notifier.decide.channel_choice import ChannelChooser
from parvis.notifier.render.message_renderer import MessageRenderer

HOME = ContactPoint(kind="post", value="Mme Céleste EXEMPLE\n12 rue de la Fontaine-aux-Lièvres\n99999 VILLE-EXEMPLE")
VARIABLES = {
    "received_on": "2 mars 2026",
    "procedure": "Voirie",
    "answer_due_on": "2 mai 2026",
    "silence_rule": "Rien.",
}
LONG = "\n\n".join(["« Une phrase de plus » : 100 % de ce qu’il faut, pour 12 €. " * 8] * 30)


@pytest.fixture(scope="module")
def letters(
    make_reply: MakeReply,
    renderer: MessageRenderer,
    addressing: ChannelChooser,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Every kind, language and size of letter, and one file that is none of it."""
    folder = tmp_path_factory.mktemp("letters")
    for kind in ("answer", "registration", "receipt"):
        for language in ("fr", "en"):
            for large in (False, True):
                personal = {"text": LONG if large else "Votre acte est prêt.", "variables": VARIABLES}
                reply = make_reply(kind=kind, channel="post", points=(HOME,), language=language, personal=personal)
                delivery = replace(addressing.build_delivery(reply, addressing.choose(reply, {})), large_print=large)
                pdf = renderer.render(reply, delivery, AN_INSTANT).content
                (folder / f"{kind}-{language}-{large}.pdf").write_bytes(pdf)
    untagged = (folder / "answer-fr-False.pdf").read_bytes().replace(b"/MarkInfo", b"/MarkNone")
    (folder / "wrong.pdf").write_bytes(untagged)
    return folder


@pytest.mark.parametrize("flavour", ["ua1", "2a"])
def test_a_validator_of_others_finds_nothing_wrong_with_our_letters(letters: Path, flavour: str) -> None:
    try:
        jar = validator.ensure()
    except Unavailable as error:
        pytest.skip(f"veraPDF is not here: {error}")
    rules_by_file = validator.broken_rules(jar, flavour, letters)
    assert rules_by_file.pop("wrong.pdf"), "the validator sees what is wrong"
    assert len(rules_by_file) == 12
    assert {name: rules for name, rules in rules_by_file.items() if rules} == {}
