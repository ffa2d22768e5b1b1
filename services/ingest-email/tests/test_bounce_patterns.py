"""Tests bounces in the wording of many mail systems: who is meant, and which failure class."""

import pytest

from parvis.ingest_email.parse.bounce.diagnosis import classify_failure
from parvis.ingest_email.parse.mail import parse_mail

CAT = "cat@a.example"

# name, From, Subject, body, failure
WORDS = [
    pytest.param(
        "Mail Delivery Subsystem <MAILER-DAEMON@n.example>",
        "DELIVERY FAILURE: User cat (cat@a.example) not listed in public Name & Address Book",
        (
            "------- Failure Reasons  --------\n"
            "\n"
            "User not listed in public Name & Address Book\n"
            "cat@a.example\n"
            "\n"
            "\n"
            "------- Returned Message --------\n"
            "\n"
            "Received: from x\n"
            "Message-ID: <1@town.example>\n"
            "To: cat@a.example\n"
        ),
        "permanent",
        id="notes",
    ),
    pytest.param(
        '"Courier mail server at m.example" <@>',
        "NOTICE: mail delivery status.",
        (
            "This is a delivery status notification from m.example,\n"
            "running the Courier mail server, version 0.65.2.\n"
            "\n"
            "The original message was received on Thu\n"
            "from x\n"
            "\n"
            "---------------------------------------------------------------------------\n"
            "\n"
            "                           UNDELIVERABLE MAIL\n"
            "\n"
            "Your message to the following recipients cannot be delivered:\n"
            "\n"
            "<cat@a.example>:\n"
            "    mx.a.example [192.0.2.1]:\n"
            "    >>> RCPT TO:<cat@a.example>\n"
            "    <<< 550 User does not exist -- cat@a.example\n"
            "\n"
            "---------------------------------------------------------------------------\n"
        ),
        "permanent",
        id="courier",
    ),
    pytest.param(
        "System Administrator <postmaster@e.example>",
        "Undeliverable: Nyaan",
        (
            "Your message\n"
            "\n"
            "  To:      cat@a.example\n"
            "  Subject: Nyaan\n"
            "  Sent:    Thu, 29 Apr 1999\n"
            "\n"
            "did not reach the following recipient(s):\n"
            "\n"
            "cat@a.example on Thu, 29 Apr 1999\n"
            "    The recipient name is not recognized\n"
            "\tThe MTS-ID of the original message is: c=jp;a= ;p=n\n"
            "    MSEXCH:IMS:A:B:C 0 (000C05A6) Unknown Recipient\n"
        ),
        "permanent",
        id="ex55",
    ),
    pytest.param(
        "MAILER-DAEMON@x.example",
        'Undeliverable Mail: "Nyaan"',
        (
            "Your message:\n"
            "   From:    me@town.example\n"
            "   Subject: Nyaan\n"
            "Could not be delivered because of\n"
            "\n"
            "550 5.1.1 User unknown\n"
            "\n"
            "The following recipients were affected: \n"
            "    cat@a.example\n"
            "\n"
            "Additional Information\n"
            "======================\n"
            "Original Sender:    <me@town.example>\n"
            "Sender-MTA:    <192.0.2.9>\n"
        ),
        "permanent",
        id="mailmarshal",
    ),
    pytest.param(
        "post_master@vtext.example",
        "Undeliverable Message",
        ("Message to cat undeliverable\n\nError: No valid recipients for this MM\n\nRCPT TO: cat@a.example\n"),
        "permanent",
        id="verizon",
    ),
    pytest.param(
        "postmaster@b.example",
        "Returned mail: Mail Delivery Problem",
        (
            "   ----- The following addresses had delivery problems -----\n"
            "cat@a.example\n"
            "\n"
            "   ----- Non-delivered information -----\n"
            "The number of messages in recipient's mailbox exceeded the local limit.\n"
            "\n"
            "-----\n"
            "Received: x\n"
            "Message-Id: <a@b>\n"
        ),
        "temporary",
        id="biglobe",
    ),
    pytest.param(
        "Mail Delivery System <mailer-daemon@kundenserver.example>",
        "Mail delivery failed: returning message to sender",
        (
            "This message was created automatically by mail delivery software.\n"
            "\n"
            "A message that you sent could not be delivered to one or more of\n"
            "its recipients. The following addresses failed:\n"
            "\n"
            "  <cat@a.example>\n"
            "\n"
            "SMTP error from remote server in greeting:\n"
            "host: mx-ha.a.example \n"
            "554 Nemesis ESMTP Service not available No SMTP service Bad DNS PTR resource record.\n"
            "\n"
            "--- The header of the original message is following. ---\n"
            "\n"
            "Received: x\n"
        ),
        "refused",
        id="1und1",
    ),
    pytest.param(
        "Postmaster <postmaster@i.example>",
        "Undeliverable Mail",
        ("Unknown user: cat@a.example\n\nOriginal message follows.\n\nReceived: x\nTo: cat@a.example\n"),
        "permanent",
        id="imail",
    ),
    pytest.param(
        "Mail Delivery Subsystem <MAILER-DAEMON@aol.example>",
        "Returned mail: User unknown",
        (
            "The original message was received at Thu\n"
            "from x\n"
            "\n"
            "\n"
            "*** ATTENTION ***\n"
            "\n"
            "Your e-mail is being returned to you because there was a problem with its\n"
            "delivery.  The address which was undeliverable is listed in the section\n"
            'labeled: "----- The following addresses had permanent fatal errors -----".\n'
            "\n"
            "\n"
            "  --AOL Postmaster\n"
            "\n"
            "   ----- The following addresses had permanent fatal errors -----\n"
            "<cat@a.example>\n"
            "\n"
            "   ----- Transcript of session follows -----\n"
            "... while talking to air-yj02.mail.aol.example.:\n"
            ">>> RCPT To:<cat@a.example>\n"
            "<<< 550 MAILBOX NOT FOUND\n"
            "550 <cat@a.example>... User unknown\n"
        ),
        "permanent",
        id="aol",
    ),
    pytest.param(
        "MAILER-DAEMON@yahoo.example",
        "Failure Notice",
        (
            "Sorry, we were unable to deliver your message to the following address.\n"
            "\n"
            "<cat@a.example>:\n"
            "Remote host said: 550 5.1.1 <cat@a.example>... User Unknown [RCPT_TO]\n"
            "\n"
            "--- Below this line is a copy of the message.\n"
            "\n"
            "Received: x\n"
        ),
        "permanent",
        id="yahoo",
    ),
    pytest.param(
        '"Mail Delivery System" <MAILER-DAEMON@x.example>',
        "=?iso-2022-jp?B?GyRCJSglaSE8GyhC?=",
        ("Your message was not delivered.\nTo: <cat@a.example>\nReason: 550 recipient unknown\n"),
        "refused",
        id="x5",
    ),
    pytest.param(
        "postmaster@es.example",
        "No se puede entregar: Hola",
        ("No se pudo entregar el mensaje a cat@a.example.\nNo se encontró a cat en a.example.\n"),
        "permanent",
        id="spanish",
    ),
    pytest.param(
        "Mail Delivery Subsystem <mailer-daemon@google.example>",
        "Delivery Status Notification (Failure)",
        (
            "** Adresse introuvable **\n"
            "\n"
            "Votre message n'est pas parvenu à cat@a.example, car l'adresse est introuvable ou ne peut pas recevoir de courrier.\n"
            "\n"
            "La réponse est la suivante :\n"
            "\n"
            "550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking\n"
        ),
        "permanent",
        id="google-fr",
    ),
    pytest.param(
        "MAILER-DAEMON@relay.example",
        "Undelivered Mail Returned to Sender",
        (
            "<cat@a.example>: host mx.orange.example said: 552 5.1.1 Boite du destinataire pleine. Recipient overquota. OFR_417 [417] (in reply to RCPT TO command)\n"
        ),
        "temporary",
        id="orange-full",
    ),
    pytest.param(
        "MAILER-DAEMON@relay.example",
        "Undelivered Mail Returned to Sender",
        (
            "<cat@a.example>: host mx.free.example[192.0.2.3] said: 550 5.2.1 This mailbox has been blocked due to inactivity (UserSearch) (in reply to RCPT TO command)\n"
        ),
        "refused",
        id="free",
    ),
    pytest.param(
        "MAILER-DAEMON@relay.example",
        "Undelivered Mail Returned to Sender",
        (
            "<cat@a.example>: host mx.sfr.example said: 550 5.1.1 <cat@a.example>: Recipient address rejected: User unknown (in reply to RCPT TO command)\n"
        ),
        "permanent",
        id="sfr",
    ),
    pytest.param(
        "postmaster@x.example",
        "Non remis : Bonjour",
        (
            "La boîte aux lettres du destinataire est pleine et ne peut pas accepter de messages pour l'instant.\n"
            "cat@a.example\n"
        ),
        "temporary",
        id="quota-fr",
    ),
    pytest.param(
        "postmaster@mimecast.example",
        "[Postmaster] Email Delivery Failure",
        (
            "This is a delivery failure notification message indicating that\n"
            "an email you addressed to email address :\n"
            "-- cat@a.example\n"
            "\n"
            "could not be delivered. The problem appears to be :\n"
            "-- Recipient email server rejected the message\n"
            "\n"
            "Additional information follows :\n"
            "-- 550 5.1.1 User Unknown\n"
            "\n"
            "This condition occurred after 1 attempt(s) to deliver over\n"
            "a period of 0 hour(s).\n"
        ),
        "permanent",
        id="mimecast",
    ),
    pytest.param(
        "MAILER-DAEMON@zimbra.example (Mail Delivery System)",
        "Undelivered Mail Returned to Sender",
        ("<cat@a.example>: host mail[192.0.2.3] said: 452 4.2.2 Over quota\n    (in reply to end of DATA command)\n"),
        "temporary",
        id="zimbra",
    ),
    pytest.param(
        "Mail Delivery System <MAILER-DAEMON@protonmail.example>",
        "Undelivered Mail Returned to Sender",
        ("<cat@a.example>: Domain not found\n"),
        "permanent",
        id="proton",
    ),
    pytest.param(
        "MAILER-DAEMON@x.example",
        "Undelivered Mail Returned to Sender",
        ("<cat@a.example>: Domain a.example does not accept mail (nullMX)\n"),
        "permanent",
        id="nullmx",
    ),
    pytest.param(
        "MAILER-DAEMON@x.example",
        "Undelivered Mail Returned to Sender",
        ("<cat@a.example>: 551 5.1.6 User has moved to <cat@a.example>\n"),
        "permanent",
        id="moved",
    ),
]


@pytest.mark.parametrize(("sender", "subject", "body", "failure"), WORDS)
def test_many_systems_are_understood(sender: str, subject: str, body: str, failure: str) -> None:
    content = f"From: {sender}\nTo: mairie@example-town.example\nSubject: {subject}\n\n{body}"
    mail, _ = parse_mail(content.encode())
    assert mail.machine
    assert mail.report
    assert [(one.address, one.failure) for one in mail.report.recipients] == [(CAT, failure)]


@pytest.mark.parametrize(
    ("diagnosis", "failure"),
    [
        ("550 5.1.1 Mailbox sleeps. LPN007 420", "refused"),
        ("550 5.1.1 LPN007-420", "refused"),
        ("550 5.1.1 ofr204_514 Too big", "too-long"),
        ("550 5.1.1 OFR_416", "permanent"),
        ("552 5.1.1 OFR 204 417", "temporary"),
        ("550 5.1.1 <lou@x.example> Recipient suspended", "refused"),
        ("550 5.1.1 Refused due to recipient preferences", "refused"),
        ("550 5.1.1 Sender's domain does not exist here", "refused"),
        ("550 5.1.1 User unknown", "permanent"),
    ],
)
def test_a_dead_address_needs_proof(diagnosis: str, failure: str) -> None:
    assert classify_failure(diagnosis, "5.1.1", "550") == failure


@pytest.mark.parametrize(
    "text",
    [
        "550 5.1.1 <cat@a.example>: blocked using zen.spamhaus.example",
        "550 5.1.1 user unknown: the client is on our blocklist",
        "550 5.1.1 rejected for the reputation of its network",
    ],
)
def test_a_block_of_our_server_proves_no_dead_address(text: str) -> None:
    assert classify_failure(text, "5.1.1", "550") == "refused"
    assert classify_failure("550 5.1.1 user unknown", "5.1.1", "550") == "permanent"
