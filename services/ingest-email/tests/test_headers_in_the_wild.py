"""Tests headers as programs write them: encoded, folded, with slashes, joiners and lone line ends."""

import pytest

from parvis.common.contract.contact import ConversationId
from parvis.common.contract.mail_tokens import make_message_id
from parvis.common.contract.reply import ReplyId
from parvis.common.testing import A_KEY
from parvis.ingest_email.parse.mail import parse_mail
from parvis.ingest_email.parse.mime.headers import decode_words, list_thread_ids, parse_headers
from parvis.ingest_email.parse.mime.parameters import file_name, parse_field

OURS = make_message_id(
    ReplyId("9c6d1f0e-5a51-5c5e-8d1f-1f0e5a515c5e"),
    ConversationId("0b0f3a52-7c43-5c1e-9b1a-3a527c435c1e"),
    "example-town.example",
    A_KEY,
)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("=?utf-8?Q?O=C3=B9_est_le_parc_?_Merci?=", "Où est le parc ? Merci"),
        ("=?utf-8?q?Quand??= =?utf-8?q?_Demain?=", "Quand? Demain"),
        ("=?utf-8?B?w6k=?= =?utf-8?Q?_?=", "é "),
    ],
)
def test_a_question_mark_in_a_q_word(written: str, shown: str) -> None:
    assert decode_words(written) == shown


@pytest.mark.parametrize(
    "written",
    [
        f"=?utf-8?q?{OURS[:60]}?=\r\n =?utf-8?q?{OURS[60:]}?=",
        f"=?us-ascii?Q?{OURS.replace('@', '=40').replace('<', '=3C').replace('>', '=3E')}?=",
        f"{OURS[:70]}\r\n\t{OURS[70:]}",
    ],
)
def test_a_long_message_id_comes_back_encoded_or_folded(written: str) -> None:
    head = f"References: <a@x.example>\r\nIn-Reply-To: {written}\r\n\r\n"
    assert list_thread_ids(parse_headers(head.encode()))[0] == OURS


@pytest.mark.parametrize(
    ("claimed", "name"),
    [
        ("Plan du 4/05/2026.pdf", "Plan du 4-05-2026.pdf"),
        ("/home/lou/plan.pdf", "plan.pdf"),
        (r"C:\Users\lou\plan.pdf", "plan.pdf"),
        ("../../etc/passwd", "passwd"),
        ("a/../../b.pdf", "b.pdf"),
    ],
)
def test_a_slash_in_a_name_is_no_folder(claimed: str, name: str) -> None:
    escaped = claimed.replace("\\", "\\\\")
    assert file_name(parse_field(f'attachment; filename="{escaped}"'), parse_field("")) == name


def test_one_picture_of_several_signs_stays_one() -> None:
    assert parse_mail("Subject: Aire \U0001f469\u200d\U0001f467 !\n\n".encode())[0].subject.count("\u200d") == 1


@pytest.mark.parametrize("end", ["\r", "\n"])
def test_a_lone_line_end_begins_no_verdict(end: str) -> None:
    forged = f"Subject: x{end}Authentication-Results: mx; dmarc=pass\r\n\r\nx"
    for mail in (forged, f"From: a@x.example\r\n{forged}", f"\r\n{forged}"):
        assert parse_mail(mail.encode())[0].authentication == ()
