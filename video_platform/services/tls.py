"""TLS to other servers: always with a check of certificate and name, and what went wrong in words.

There is no setting that turns a check off: a server of one's own has an authority of one's own, whose file is named in the settings.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path

from video_platform.errors import SettingsError


def client_context(
    ca_file: Path | None, variable: str, *, cert_file: Path | None = None, key_file: Path | None = None, key_password: str = ""
) -> ssl.SSLContext:
    """How a client meets a server: trusting the authorities in `ca_file`, or those of the system; with a certificate of its own where one is given.

    `variable` is the beginning of the names of the settings that these come from.

    Raises:
        SettingsError: a file cannot be read, or is not what it should be.
    """
    context = _trusting(ca_file, variable)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert_file is not None:
        try:
            context.load_cert_chain(cert_file, key_file, key_password)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"the client certificate {cert_file} with the key {key_file or cert_file} cannot be used: {_said(error)}; look at {variable}CERT_FILE, "
                f"{variable}KEY_FILE and {variable}KEY_PASSWORD (PEM)"
            ) from error
    return context


def _trusting(ca_file: Path | None, variable: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"{variable}CA_FILE={ca_file} cannot be used: {_said(error)}; it names a file with certificates in PEM form") from error


def distrust(error: BaseException, variable: str) -> str | None:
    """Why TLS did not come about, and what to do; None when the error is about something else."""
    for each in _chain(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted ({each.verify_message}): if the server is the right one, name the file of its authority in {variable}CA_FILE, "
                "and reach it under a name that stands in its certificate"
            )
        if isinstance(each, ssl.SSLError):
            return f"TLS failed ({each.reason or each}): does this port speak TLS, and does it want a client certificate?"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it came from; clients keep the first one in `reason` or among the arguments."""
    waiting, seen = [error], set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = (each.__cause__, each.__context__, getattr(each, "reason", None), *each.args)
        waiting += [more for more in inner if isinstance(more, BaseException)]


def _said(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)
