"""Chooses the language of a page from its address, a cookie or the browser, and remembers the reader's choice."""

from fastapi import Request, Response

from parvis.common.town.models import Town
from parvis.web.pages import PageRenderer

LANGUAGE_COOKIE = "parvis-language"


def negotiate_language(request: Request, town: Town) -> str:
    """The language of a page: from `?lang=`, else the cookie, else Accept-Language, else the town's first."""
    chosen = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    if chosen in town.languages:
        return chosen
    for part in request.headers.get("accept-language", "")[:200].split(","):
        language = part.split(";")[0].strip().lower()[:2]
        if language in town.languages:
            return language
    return town.languages[0]


def language_switch_url(request: Request, pages: PageRenderer, path: str | None = None) -> str | None:
    """The URL of the same page in the other language; None if there is no other, or if following it would lose a submitted form.

    Shape:  path, where the page of a submitted form can be had without losing it.
    """
    is_lost = request.method != "GET" and path is None
    if is_lost or len(pages.town.languages) < 2:
        return None
    other_language = pages.translate("layout.other_language_code", negotiate_language(request, pages.town))
    if request.method != "GET":
        return f"{path}?lang={other_language}" if other_language in pages.town.languages else None
    return (
        f"?{request.url.include_query_params(lang=other_language).query}"
        if other_language in pages.town.languages
        else None
    )


def remember_language(request: Request, response: Response, town: Town) -> None:
    """Stores a language chosen by `?lang=` in a cookie. It identifies nobody, so that it needs no consent."""
    chosen = request.query_params.get("lang")
    if chosen in town.languages:
        response.set_cookie(LANGUAGE_COOKIE, chosen, max_age=31_536_000, httponly=True, samesite="lax", path="/")
