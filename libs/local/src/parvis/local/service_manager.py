"""Tells systemd how far the town is, if systemd has started it."""

import os
import socket


def tell_service_manager(state: str) -> None:
    """Send a state such as `READY=1` to the socket that systemd names; nothing without one.

    Source: sd_notify(3).
    """
    address = os.environ.get("NOTIFY_SOCKET", "")  # noqa: TID251 (systemd's own variable, no setting)
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
