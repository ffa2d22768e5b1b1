"""Checks that a production town says what a laptop's defaults would say for it. Pure; no I/O."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from parvis.common.contract.errors import Misconfigured

# What each variable is for: a missing one is named with it.
_NEEDED = {
    "PARVIS_CONFIG_DIR": "the folder of the town's configuration",
    "PARVIS_PUBLIC_URL": "where citizens reach the forms",
    "PARVIS_NOTIFIER_PUBLIC_URL": "where the links in mails and letters lead",
    "PARVIS_DESK_PUBLIC_URL": "where agents reach the desk",
    "PARVIS_DESK_LOGIN": "how agents log in: local or oidc",
    "PARVIS_INGEST_SMS_PUBLIC_URL": "where Twilio reaches the town",
    "PARVIS_INGEST_SMS_TWILIO_ACCOUNT_SID": "the town's account at Twilio",
    "PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN": "the token of that account",
    "PARVIS_NOTIFIER_SMS_PUBLIC_URL": "where Twilio reports deliveries",
    "PARVIS_NOTIFIER_TWILIO_ACCOUNT_SID": "the town's account at Twilio",
    "PARVIS_NOTIFIER_TWILIO_AUTH_TOKEN": "the token of that account",
    "PARVIS_NOTIFIER_SMTP_HOST": "the mail relay",
    "PARVIS_NOTIFIER_SMTP_USERNAME": "the login at the mail relay",
    "PARVIS_NOTIFIER_SMTP_PASSWORD": "its password",
}
_WHERE = "Set them in the unit's environment file, such as /etc/parvis/parvis.env (example: deploy/systemd/parvis.env.example)"


def check_production(environment: Mapping[str, str]) -> None:
    """Raises: Misconfigured, with everything that is missing or open to anybody, in one message."""
    problems = [f"{name} is missing: {what}" for name, what in _NEEDED.items() if not environment.get(name)]
    problems += [
        f"{name} must begin with https://"
        for name in _NEEDED
        if name.endswith("_PUBLIC_URL") and environment.get(name) and urlsplit(environment[name]).scheme != "https"
    ]
    if environment.get("PARVIS_DESK_LOGIN") == "development":
        problems.append("PARVIS_DESK_LOGIN is `development`, which lets anybody act as any agent")
    if environment.get("PARVIS_DESK_API_TOKEN"):
        problems.append("PARVIS_DESK_API_TOKEN lets a program do everything: use `parvis desk program add`")
    if problems:
        raise Misconfigured("\n  ".join(["this is no production town yet:", *problems, _WHERE]))
