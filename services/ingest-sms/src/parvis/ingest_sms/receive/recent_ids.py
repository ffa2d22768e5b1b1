"""Remembers the contacts that this process published last."""

from collections import OrderedDict

from parvis.common.contract.contact import ContactId


class RecentIds:
    """A set of the `capacity` most recently added contact ids."""

    def __init__(self, capacity: int = 50_000) -> None:
        self._ids: OrderedDict[ContactId, None] = OrderedDict()
        self._capacity = capacity

    def add(self, contact_id: ContactId) -> None:
        self._ids[contact_id] = None
        if len(self._ids) > self._capacity:
            self._ids.popitem(last=False)

    def contains(self, contact_id: ContactId) -> bool:
        return contact_id in self._ids
