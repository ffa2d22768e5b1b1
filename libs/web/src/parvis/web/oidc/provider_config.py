"""Describes an OpenID Connect provider and what a town asks of its logins. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from parvis.common.contract.errors import Rejected

ASYMMETRIC = ("ES256", "RS256")


class LoginRefused(Rejected):
    """A login that is not accepted. The message is a code, such as `nonce`, without anything of the person."""


@dataclass(frozen=True)
class OidcProviderConfig:
    """A provider, and what is required of its logins.

    Shape:  acr, amr: one of them must be stated, if there are any; required: by claim, of which values one must be stated.
    """

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    post_logout_redirect_uri: str
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    algorithms: tuple[str, ...] = ASYMMETRIC
    acr: tuple[str, ...] = ()
    amr: tuple[str, ...] = ()
    required: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    pkce: bool = True
    signed_userinfo: bool = False


# The levels that ProConnect gives to a login with two factors. They were renamed in 2026, so they are settings too.
_PROCONNECT_TWO_FACTORS = ("eidas0-mfa", "eidas1-mfa", "eidas2", "eidas3")
_PROCONNECT_SCOPES = (
    "openid", "given_name", "usual_name", "email", "uid", "siret", "idp_id", "organization_label", "roles",
)  # fmt: skip


def for_proconnect(provider: OidcProviderConfig) -> OidcProviderConfig:
    """The provider as ProConnect wants it asked.

    It refuses a request with a parameter that it does not know, and its documentation does not list PKCE's: off, until a town sets it.
    Userinfo is a signed token.
    """
    return replace(
        provider, scopes=_PROCONNECT_SCOPES, algorithms=ASYMMETRIC, acr=_PROCONNECT_TWO_FACTORS, pkce=False, signed_userinfo=True
    )  # fmt: skip
