"""Lists the account's messages, newest first, with the API's filters and pages."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from parvis.simulators.twilio.messages import Account, TwilioMessage

_FILTERS = ("To", "From", "DateSent", "DateSent<", "DateSent>")


def list_messages(account: Account, path: str, query: QueryParams) -> dict[str, object]:
    """Give one page of messages.

    A page token names the last message of the previous page, so that new messages do not shift the pages.
    """
    size = _between(query.get("PageSize", ""), 50, 1, 1000)
    number = _between(query.get("Page", ""), 0, 0, 1_000_000)
    messages = [message for message in account.newest_first() if all(keeps(message) for keeps in _filters(query))]
    start = _start(messages, query.get("PageToken"), number * size)
    shown = messages[start : start + size]
    query_items = [(name, query[name]) for name in _FILTERS if name in query] + [("PageSize", str(size))]

    def uri(page: int, after: TwilioMessage | None = None) -> str:
        token = [("PageToken", f"PA{after.sid}")] if after else []
        return f"{path}?{urlencode([*query_items, ('Page', str(page)), *token])}"

    return {
        "end": start + max(len(shown) - 1, 0),
        "first_page_uri": uri(0),
        "messages": [message.resource(account.sid) for message in shown],
        "next_page_uri": uri(number + 1, shown[-1]) if start + size < len(messages) else None,
        "page": number,
        "page_size": size,
        "previous_page_uri": uri(number - 1) if number else None,
        "start": start,
        "uri": uri(number),
    }


def _start(messages: list[TwilioMessage], token: str | None, otherwise: int) -> int:
    if token:
        for index, message in enumerate(messages):
            if token == f"PA{message.sid}":
                return index + 1
    return otherwise


def _filters(query: QueryParams) -> list[Callable[[TwilioMessage], bool]]:
    filters: list[Callable[[TwilioMessage], bool]] = []
    if to := query.get("To"):
        filters.append(lambda message: message.recipient == to)
    if sender := query.get("From"):
        filters.append(lambda message: message.sender == sender)
    if on := _instants(query.get("DateSent")):
        filters.append(lambda message: on[0] <= message.listed_at < on[1])
    if since := _instants(query.get("DateSent>")):
        filters.append(lambda message: message.listed_at >= since[0])
    if until := _instants(query.get("DateSent<")):
        filters.append(lambda message: message.listed_at < until[1])
    return filters


def _instants(text: str | None) -> tuple[datetime, datetime] | None:
    """Parse `2026-11-23` as that day in UTC and `2026-11-23T10:00:00Z` as that second; other values do not filter."""
    if not text:
        return None
    try:
        if len(text) == len("2026-11-23"):
            day = date.fromisoformat(text)
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            return start, start + timedelta(days=1)
        start = datetime.fromisoformat(text)
    except ValueError:
        return None
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    return start, start + timedelta(seconds=1)


def _between(text: str, default: int, least: int, most: int) -> int:
    return min(max(int(text), least), most) if text.isascii() and text.isdigit() else default
