"""Facts about ports."""

import os
import socket
import sys

import pytest

from parvis.common.contract.errors import Misconfigured
from parvis.local.free_ports import FreePorts, check_free, is_free


def test_a_taken_port_is_named_with_its_owner_and_the_way_out():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not is_free(port)
        with pytest.raises(
            Misconfigured, match=rf"port {port} \(router\) is in use by .*pid {os.getpid()}.*PARVIS_PORTS=free"
        ):
            check_free({"router": port})


@pytest.mark.skipif(sys.platform != "linux", reason="the port is kept by a feature of Linux")
def test_a_port_that_was_taken_for_a_server_is_given_to_nobody_else_and_still_serves():
    ports = FreePorts()
    port = ports.take()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    with socket.create_server(("127.0.0.1", port)):  # sets SO_REUSEADDR, as servers do
        socket.create_connection(("127.0.0.1", port)).close()
    ports.release()


def test_many_ports_are_all_different():
    ports = FreePorts()
    taken = [ports.take() for _ in range(50)]
    assert len(set(taken)) == 50
    ports.release()
