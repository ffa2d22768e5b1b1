"""Facts about contacts built from the reading of a letter."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.contact import ClaimCheck, ConversationId, make_contact_id
from parvis.common.contract.letter_qr import encode_letter_qr
from parvis.common.contract.references import make_reference
from parvis.common.contract.reply import ReplyId
from parvis.common.testing import A_KEY
from parvis.ingest_postal.models.page import Barcode, ScannedPage, TextLine, Word
from parvis.ingest_postal.models.scan import ScanReading
from parvis.ingest_postal.parse.letter_to_contact import LetterMetadata, build_contact, join_text
from parvis.ingest_postal.parse.own_addresses import OwnAddresses
from parvis.ingest_postal.parse.separator_sheets import split_at_separators

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ID = make_contact_id("post", "mail-room", "0" * 64)
FACTS = LetterMetadata(
    contact_id=ID,
    drop_box="mail-room",
    received_at=AT,
    recorded_at=AT,
    original=ClaimCheck(blob=f"{ID}/{'0' * 64}", sha256="0" * 64, size_bytes=9, media_type="application/pdf"),
    own_addresses=OwnAddresses(key=A_KEY, departments=frozenset({"00"})),
)
SENDER = ("Mme Céleste EXEMPLE", "12 rue de la Fontaine", "00100 VAL-EXEMPLE")
ADDRESSEE = ("Mairie de Val-Exemple", "1 place du Parvis", "00100 VAL-EXEMPLE")
ADDRESS = "Mme Céleste EXEMPLE\n12 rue de la Fontaine\n00100 VAL-EXEMPLE"


def a_line(text: str, *, left: float, top: float, confidence: float = 0.95, block: int = 0) -> TextLine:
    """Words of 12 points: a hundredth of the width for each character, a hundredth of the height a line."""
    words: list[Word] = []
    for part in text.split():
        right = left + 0.01 * len(part)
        words.append(Word(text=part, confidence=confidence, left=left, top=top, right=right, bottom=top + 0.01))
        left = right + 0.008
    return TextLine(block=block, words=tuple(words))


def a_block(
    lines: tuple[str, ...], *, left: float, top: float, confidence: float = 0.95, block: int = 0
) -> list[TextLine]:
    return [
        a_line(text, left=left, top=top + 0.017 * row, confidence=confidence, block=block)
        for row, text in enumerate(lines)
    ]


def a_reading(*blocks: list[TextLine], trouble: str | None = None, confidence: float = 0.95) -> ScanReading:
    lines = tuple(line for block in blocks for line in block)
    page = ScannedPage(number=1, lines=lines, confidence=confidence, source="reading", language="fra")
    return ScanReading(pages=(page,), page_count=1, trouble=trouble)


def test_the_address_at_the_top_left_is_the_senders():
    reading = a_reading(a_block(SENDER, left=0.1, top=0.08), a_block(ADDRESSEE, left=0.55, top=0.16))

    contact = build_contact(reading, FACTS)

    assert contact.personal.from_ is not None
    assert contact.personal.from_.value == ADDRESS
    assert contact.personal.display_name == "Mme Céleste EXEMPLE"
    assert [(reply_address.channel, reply_address.address) for reply_address in contact.personal.reply_channels] == [
        ("post", ADDRESS)
    ]


def test_two_columns_read_as_one_line_are_separated():
    both = [
        TextLine(block=0, words=(*left.words, *right.words))
        for left, right in zip(
            a_block(SENDER, left=0.1, top=0.08), a_block(ADDRESSEE, left=0.55, top=0.08), strict=True
        )
    ]

    sender = build_contact(a_reading(both), FACTS).personal.from_

    assert sender is not None
    assert sender.value == ADDRESS


def test_a_telephone_line_is_not_part_of_the_address():
    lines = (SENDER[0], SENDER[1], "Tél. : 06 39 98 00 01", SENDER[2])

    sender = build_contact(a_reading(a_block(lines, left=0.1, top=0.08)), FACTS).personal.from_

    assert sender is not None
    assert sender.value == ADDRESS


def test_street_and_town_on_one_line_become_two():
    lines = ("Céleste EXEMPLE", "12 rue de la Fontaine, 00100 VAL-EXEMPLE")

    sender = build_contact(a_reading(a_block(lines, left=0.1, top=0.08)), FACTS).personal.from_

    assert sender is not None
    assert sender.value == "Céleste EXEMPLE\n12 rue de la Fontaine\n00100 VAL-EXEMPLE"


@pytest.mark.parametrize(
    ("why", "block"),
    [
        ("the addressee's address", a_block(ADDRESSEE, left=0.1, top=0.08)),
        ("at the right", a_block(SENDER, left=0.6, top=0.08)),
        ("in the body", a_block(SENDER, left=0.1, top=0.6)),
        ("no name", a_block(SENDER[1:], left=0.1, top=0.08)),
        ("no street", a_block((SENDER[0], SENDER[2]), left=0.1, top=0.08)),
        ("no town", a_block(SENDER[:2], left=0.1, top=0.08)),
        ("badly read", a_block(SENDER, left=0.1, top=0.08, confidence=0.65)),
    ],
)
def test_a_doubtful_address_is_not_used(why: str, block: list[TextLine]):
    contact = build_contact(a_reading(block), FACTS)

    assert contact.personal.from_ is None, why
    assert contact.personal.reply_channels == (), why


def test_two_addresses_at_the_left_leave_the_sender_open():
    reading = a_reading(
        a_block(SENDER, left=0.1, top=0.05),
        a_block(("M. Hector EXEMPLE", "3 rue du Lac", "00100 VAL-EXEMPLE"), left=0.1, top=0.2),
    )

    assert build_contact(reading, FACTS).personal.from_ is None


def test_a_letter_is_keyed_by_its_own_id_whatever_was_read():
    contact = build_contact(a_reading(a_block(SENDER, left=0.1, top=0.08)), FACTS)

    assert contact.contact_point_hash is None
    assert contact.sender.level == "none"
    assert contact.reference == make_reference(ID)


@pytest.mark.parametrize("beginning", ["Objet : ", "OBJET: ", "Objet. ", "Subject: "])
def test_the_subject_line_is_the_subject(beginning: str):
    reading = a_reading(a_block((f"{beginning}nid-de-poule rue du Lac",), left=0.1, top=0.3))

    assert build_contact(reading, FACTS).personal.subject == "nid-de-poule rue du Lac"


def test_the_text_has_an_empty_line_between_blocks():
    reading = a_reading(
        a_block(("Madame,", "Monsieur,"), left=0.1, top=0.3, block=1),
        a_block(("Bonjour.",), left=0.1, top=0.5, block=2),
    )

    assert join_text(reading) == "Madame,\nMonsieur,\n\nBonjour."


def test_a_quoted_reference_is_a_thread_reference():
    quoted = make_reference(make_contact_id("post", "mail-room", "1"))
    reading = a_reading(a_block((f"Votre référence : {quoted}",), left=0.1, top=0.3))

    assert build_contact(reading, FACTS).thread.reference == quoted


REPLY = ReplyId("0b8e1c5a-13d4-5f6a-8f10-6d2f6a7b9c01")
CONVERSATION = ConversationId("5f3f7a0e-5a0c-5c3e-9a53-2f0d9c1b7e11")


def a_code(text: str) -> Barcode:
    return Barcode(text=text, format="QRCode", left=0.8, top=0.05, right=0.9, bottom=0.12)


def with_codes(*texts: str) -> ScanReading:
    page = a_reading(a_block(("Bonjour",), left=0.1, top=0.3)).pages[0]
    return ScanReading(pages=(page.model_copy(update={"codes": tuple(map(a_code, texts))}),), page_count=1)


def test_an_answer_on_our_own_paper_names_its_conversation():
    ours = encode_letter_qr("P-7F3K-2Q9X-M4TC", CONVERSATION, REPLY, "www.example-town.example", A_KEY)

    assert build_contact(with_codes("https://elsewhere.example/", ours), FACTS).thread.conversation_id == CONVERSATION


@pytest.mark.parametrize(
    "codes",
    [
        (encode_letter_qr("P-7F3K-2Q9X-M4TC", CONVERSATION, REPLY, "www.example-town.example", b"somebody else's key"),),
        ("https://www.example-town.example/#P-7F3K-2Q9X-M4TC/Xz96DloMXD6aUy8NnBt-EQuOHFoT1F9qjxBtL2p7nAE.aaaaaaaaaaaaaaaa",),
        tuple(encode_letter_qr("P-7F3K-2Q9X-M4TC", ConversationId(f"5f3f7a0e-5a0c-5c3e-9a53-2f0d9c1b7e1{n}"), REPLY, "t.example", A_KEY) for n in (1, 2)),
    ],
    ids=["another key", "forged", "two conversations in one letter"],
)  # fmt: skip
def test_an_invalid_code_names_no_conversation(codes: tuple[str, ...]):
    assert build_contact(with_codes(*codes), FACTS).thread.conversation_id is None


def test_pages_read_with_little_confidence_are_named():
    pages = tuple(
        a_reading(a_block(("Bonjour",), left=0.1, top=0.3), confidence=confidence).pages[0].model_copy(update=update)
        for confidence, update in ((0.9, {}), (0.7, {"number": 2}), (0.0, {"number": 3, "is_read": False, "lines": ()}))
    )
    worth = build_contact(ScanReading(pages=pages, page_count=3), FACTS).ocr

    assert worth is not None
    assert (worth.pages, worth.page_confidences, worth.low_pages) == (2, (0.9, 0.7), (2, 3))


def test_blank_pages_are_counted_and_hide_nothing():
    blank = ScannedPage(number=1, lines=(), confidence=0, source="reading", is_blank=True)
    written = a_reading(a_block(SENDER, left=0.1, top=0.08)).pages[0].model_copy(update={"number": 2})

    contact = build_contact(ScanReading(pages=(blank, written), page_count=2), FACTS)

    assert contact.remarks == ("blank-pages:1",)
    assert contact.personal.from_ is not None
    assert contact.ocr is not None
    assert contact.ocr.low_pages == ()


@pytest.mark.parametrize(
    ("sentence", "channel", "address"),
    [
        ("Merci de me répondre par SMS au 06 39 98 00 01.", "sms", "+33639980001"),
        ("Répondez-moi par texto au 06.39.98.00.01, merci", "sms", "+33639980001"),
        ("Je préfère une réponse par courriel : celeste@citizen.example", "email", "celeste@citizen.example"),
        ("Vous pouvez me joindre par téléphone au 05 36 49 12 34.", "phone", "+33536491234"),
        ("Rappelez-moi au +33 6 39 98 00 01", "phone", "+33639980001"),
        ("Please answer by text message to 06 39 98 00 01", "sms", "+33639980001"),
    ],
)
def test_a_requested_reply_channel_is_found(sentence: str, channel: str, address: str):
    reading = a_reading(a_block(SENDER, left=0.1, top=0.08), a_block((sentence,), left=0.1, top=0.5))

    reply_channels = [
        (channel_request.channel, channel_request.address)
        for channel_request in build_contact(reading, FACTS).personal.reply_channels
    ]

    assert reply_channels == [(channel, address), ("post", ADDRESS)]


@pytest.mark.parametrize(
    "sentence",
    [
        "Ne me répondez pas par SMS au 06 39 98 00 01.",
        "Mon voisin a le 06 39 98 00 01.",
        "Je ne reçois plus de réponse par courriel à celeste@citizen.example",
        "Répondez-moi par SMS. Mon dossier : 0639980001234567",
    ],
)
def test_a_number_without_a_request_is_not_a_reply_channel(sentence: str):
    assert build_contact(a_reading(a_block((sentence,), left=0.1, top=0.5)), FACTS).personal.reply_channels == ()


def test_a_number_read_with_low_confidence_is_not_a_reply_channel():
    sentence = a_block(("Répondez-moi par SMS au 06 39 98 00 01",), left=0.1, top=0.5, confidence=0.7)

    assert build_contact(a_reading(sentence), FACTS).personal.reply_channels == ()


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        (ScanReading(trouble="encrypted PDF"), "encrypted PDF"),
        (ScanReading(), "no text was found on the paper"),
        (a_reading(), "no text was found on the paper"),
        (
            a_reading(a_block(("Bnjr mdm",), left=0.1, top=0.3), confidence=0.4),
            "the text was read with little confidence",
        ),
        (a_reading(a_block(("Bonjour madame",), left=0.1, top=0.3)), None),
    ],
)
def test_an_unreadable_letter_has_a_reason(reading: ScanReading, why: str | None):
    assert build_contact(reading, FACTS).unreadable == why


def test_a_text_layer_has_no_ocr_result():
    page = ScannedPage(number=1, lines=tuple(a_block(("Bonjour",), left=0.1, top=0.1)), confidence=1.0, source="layer")

    assert build_contact(ScanReading(pages=(page,), page_count=1), FACTS).ocr is None


words = st.builds(
    Word,
    text=st.text(max_size=30),
    confidence=st.floats(0, 1),
    left=st.floats(-1, 2),
    top=st.floats(-1, 2),
    right=st.floats(-1, 2),
    bottom=st.floats(-1, 2),
)
lines = st.builds(TextLine, block=st.integers(0, 5), words=st.lists(words, max_size=6).map(tuple))
pages = st.builds(
    ScannedPage,
    number=st.integers(1, 3),
    lines=st.lists(lines, max_size=6).map(tuple),
    confidence=st.floats(0, 1),
    source=st.sampled_from(["reading", "layer"]),
)
readings = st.builds(
    ScanReading, pages=st.lists(pages, max_size=3).map(tuple), trouble=st.none() | st.text(max_size=300).filter(bool)
)


@given(readings)
def test_no_reading_makes_the_letter_fail(reading: ScanReading):
    contact = build_contact(reading, FACTS)

    assert contact.channel == "post"
    assert contact.model_dump_json(by_alias=True)


def a_page(number: int, *texts: str) -> ScannedPage:
    codes = tuple(
        Barcode(text=text, format="QRCode", left=0.1, top=0.1 * at, right=0.2, bottom=0.1 * at + 0.1)
        for at, text in enumerate(texts)
    )
    return ScannedPage(number=number, lines=(), confidence=0.9, source="reading", codes=codes)


def test_a_written_page_with_a_code_on_it_separates_and_stays_in_a_letter():
    pages = [
        a_page(1),
        a_page(2, "PARVIS-SEPARATOR"),
        a_page(3),
        a_page(4, "PARVIS-SEPARATOR", "PARVIS-SEPARATOR"),
        a_page(5),
    ]
    assert [part.pages for part in split_at_separators(pages, A_KEY) or ()] == [(1,), (2, 3), (5,)]


def test_the_words_that_ocr_is_not_sure_of_are_named_once():
    sure = a_block(("Le trottoir est",), left=0.1, top=0.3)
    unsure = a_block(("carsé, carsé,",), left=0.1, top=0.4, confidence=0.4)
    reading = a_reading(sure, unsure)
    personal = build_contact(reading, FACTS).personal
    assert personal.doubtful_words == ("carsé,",)
    assert "carsé," in personal.text.split()

    (page,) = reading.pages
    own_text = ScanReading(pages=(page.model_copy(update={"source": "layer"}),), page_count=1)
    assert build_contact(own_text, FACTS).personal.doubtful_words == ()
