import socket
from pathlib import Path

import pytest

from video_platform.errors import SettingsError
from video_platform.supervisor.ports import free_port


def test_a_free_port_is_kept_and_a_taken_one_passed_over():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = free_port("127.0.0.1", port)
        assert port < found < port + 50
    assert free_port("127.0.0.1", port) == port
    assert free_port("127.0.0.1", port, but=frozenset({port})) > port


def test_zero_means_any():
    assert free_port("127.0.0.1", 0) > 0


@pytest.mark.parametrize("host", ["192.0.2.1", "nobody.invalid", "2001:db8::1"])
def test_an_address_of_another_machine_is_refused(host):
    with pytest.raises(SettingsError, match=r"not an address of this machine"):
        free_port(host, 8501)


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
def test_loopback_has_ports_by_its_other_address_too():
    assert free_port("::1", 0) > 0
