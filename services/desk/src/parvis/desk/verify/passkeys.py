"""Verifies passkeys (WebAuthn): what a browser signs when one is registered, and when it logs somebody in."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from parvis.common.contract.errors import Rejected


@dataclass(frozen=True)
class RegisteredPasskey:
    """A passkey as it is stored: the public key and the counter that a copied authenticator would set back."""

    credential_id: bytes
    public_key: bytes
    counter: int


@dataclass(frozen=True)
class PasskeyVerifier:
    """Makes the questions for browsers and verifies the answers, for one address of the desk.

    Raises: Rejected, for any answer that is not this authenticator's to this question, on this site, with the user verified.
    """

    public_url: str
    town: str

    @property
    def _site(self) -> str:
        return urlsplit(self.public_url).hostname or ""

    def registration_question(self, account_id: str, name: str) -> tuple[str, bytes]:
        """The question as JSON for `navigator.credentials.create`, and its challenge."""
        options = webauthn.generate_registration_options(
            rp_id=self._site,
            rp_name=self.town,
            user_name=name,
            user_id=account_id.encode(),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
        )
        return webauthn.options_to_json(options), options.challenge

    def register(self, answer: str, challenge: bytes) -> RegisteredPasskey:
        try:
            verified = webauthn.verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._site,
                expected_origin=self.public_url,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise Rejected("passkey") from error
        return RegisteredPasskey(verified.credential_id, verified.credential_public_key, verified.sign_count)

    def login_question(self) -> tuple[str, bytes]:
        """The question as JSON for `navigator.credentials.get`, and its challenge. Any passkey of this site may answer."""
        options = webauthn.generate_authentication_options(
            rp_id=self._site, user_verification=UserVerificationRequirement.REQUIRED
        )
        return webauthn.options_to_json(options), options.challenge

    def log_in(self, answer: str, challenge: bytes, stored: RegisteredPasskey) -> int:
        """The new counter of the passkey that signed."""
        try:
            return webauthn.verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._site,
                expected_origin=self.public_url,
                credential_public_key=stored.public_key,
                credential_current_sign_count=stored.counter,
                require_user_verification=True,
            ).new_sign_count
        except (WebAuthnException, ValueError, KeyError, TypeError) as error:
            raise Rejected("passkey") from error


def credential_id_of(answer: str) -> bytes | None:
    """The id of the passkey that an answer is from. None if it is no answer."""
    try:
        read: Any = json.loads(answer)
        return webauthn.base64url_to_bytes(read["rawId"])
    except (ValueError, KeyError, TypeError):
        return None
