"""Free ports."""

import errno
import socket

from video_platform.errors import SettingsError

TRIED_PORTS = 50
"""How far above the wanted port a free one is looked for."""


def free_port(host: str, wanted: int, *, but: frozenset[int] = frozenset()) -> int:
    """`wanted`, or the next port above it that nothing listens on and that is not in `but`; any free one when `wanted` is 0.

    Raises:
        SettingsError: this machine has no address `host`, or all tried ports are taken.
    """
    for port in [0] if wanted == 0 else range(wanted, min(wanted + TRIED_PORTS, 65536)):
        if port in but:
            continue
        try:
            with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as server:
                found: int = server.getsockname()[1]
        except PermissionError as error:
            raise SettingsError(f"port {port} needs more rights than this user has; choose one above 1023", port=port) from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:  # a name that nobody knows has an error number of the resolver's
                raise SettingsError(f"{host!r} is not an address of this machine; 127.0.0.1 is the default", host=host) from error
            continue
        return found
    raise SettingsError(f"ports {wanted} to {wanted + TRIED_PORTS - 1} of {host} are all taken; choose another one (docs/settings.md)", port=wanted)
