"""Names and addresses of hosts, in the one way in which they are written and compared here."""

import re
from ipaddress import ip_address

HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
"""A host name as it stands in a Host header, in lower case (RFC 1123, and the underscore that container names have)."""


def host_name(text: str) -> str:
    """The one way in which a host is written here: lower case, an address without brackets and in its shortest form."""
    name = text.strip().strip("[]").lower()
    return str(ip_address(name)) if is_address(name) else name


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    name = host_name(host)
    return ip_address(name).is_loopback if is_address(name) else name == "localhost"


def url_of(host: str, port: int) -> str:
    """The URL, without a slash at the end, of what is bound to `host`: where all addresses are bound, the loopback one answers."""
    if is_any_address(host):
        host = "::1" if ":" in host else "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_any_address(host: str) -> bool:
    """Whether `host` binds every address of the machine (0.0.0.0, ::); no client calls a server by that name."""
    name = host_name(host)
    return is_address(name) and ip_address(name).is_unspecified


def is_address(name: str) -> bool:
    """Whether `name` is an IP address."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
