"""The groups of settings of what is reached with a browser: the web app and API, who may use them, and Dagster's page."""

from ipaddress import ip_network
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from video_platform.hosts import HOST_NAME, host_name, is_address, is_loopback
from video_platform.settings_groups import NO_DATABASE_URL, POSTGRES_URL, Group
from video_platform.units import GIB


class WebSettings(Group):
    """The web app and API."""

    host: str = "127.0.0.1"
    port: int = Field(default=8501, ge=0, le=65535)
    trust_network: bool = Field(
        default=False, description="allow binding to other addresses without sign-in (inside a container whose port is published on loopback)"
    )
    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="further host names that are answered for, comma separated; loopback names and the address that is bound always are"
    )
    max_upload_bytes: int = Field(default=64 * GIB, ge=1)
    media_url_s: float = Field(default=900.0, gt=0, description="life of a signed media address")

    @field_validator("host")
    @classmethod
    def _as_written_here(cls, host: str) -> str:
        return host_name(host)

    @field_validator("hosts", mode="before")
    @classmethod
    def _listed(cls, given: object) -> object:
        names = given.split(",") if isinstance(given, str) else given
        return tuple(host_name(str(name)) for name in names if str(name).strip()) if isinstance(names, list | tuple) else names

    @field_validator("hosts")
    @classmethod
    def _written_out(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not HOST_NAME.fullmatch(name) and not is_address(name):
                raise ValueError(
                    f"{name!r} is no host name: write names as a browser sends them, without scheme, port or *, separated by commas; "
                    "an international name in its xn-- form"
                )
        return names


class AccessSettings(Group):
    """Who may use the web app, the API and Dagster's page."""

    sign_in: Literal["none", "link", "users", "oidc"] = Field(
        default="none", description="none: whoever reaches it may do everything; link: by one-time links; users: also with a password; oidc: also at a provider"
    )
    session_hours: float = Field(default=168.0, gt=0, le=24 * 366, description="how long somebody stays signed in")
    link_minutes: float = Field(default=30.0, gt=0, le=60 * 24 * 31, description="how long a one-time link can be used")
    public_url: str = Field(default="", description="address under which people reach the web app, behind a proxy with TLS; its host name is answered for")
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="addresses of proxies whose X-Forwarded-For names the client, comma separated"
    )

    @field_validator("public_url")
    @classmethod
    def _an_origin(cls, url: str) -> str:
        parts = urlsplit(url.strip())
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment or parts.username):
            raise ValueError("write the address with its scheme and without a path, such as https://video.example")
        return f"{parts.scheme}://{parts.netloc}".lower() if url else ""

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _listed(cls, given: object) -> object:
        return listed(given)

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        try:
            networks = [ip_network(proxy, strict=False) for proxy in proxies]
        except ValueError:
            raise ValueError("write IP addresses or networks, separated by commas: 127.0.0.1,172.18.0.0/16; names and * are not taken") from None
        return tuple(str(network.network_address if network.num_addresses == 1 else network) for network in networks)

    @property
    def secure(self) -> bool:
        """Whether browsers reach the web app with TLS."""
        return self.public_url.startswith("https://")


class OidcSettings(Group):
    """A provider that people sign in at, and what its claims mean here."""

    issuer: str = Field(default="", description="address of the provider, exactly as it names itself; https, or http on loopback")
    client_id: str = ""
    client_secret: SecretStr = Field(default=SecretStr(""), description="empty for a public client")
    scopes: str = "openid profile email"
    name_claim: str = Field(default="preferred_username", description="claim that becomes the person's name")
    role_claim: str = Field(default="groups", description="claim that decides on the role: a text or a list of texts")
    admins: Annotated[tuple[str, ...], NoDecode] = Field(default=(), description="values of that claim that make an admin, comma separated")
    operators: Annotated[tuple[str, ...], NoDecode] = Field(default=(), description="values that make an operator")
    viewers: Annotated[tuple[str, ...], NoDecode] = Field(default=(), description="values that make a viewer; * for everybody who signs in")
    cameras_claim: str = Field(default="", description="claim with the patterns of cameras of viewers and operators; empty means all cameras")

    @field_validator("issuer")
    @classmethod
    def _reached_safely(cls, url: str) -> str:
        parts = urlsplit(url.strip())
        if url and parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname and is_loopback(parts.hostname)):
            raise ValueError("an issuer is an https address (http only on loopback)")
        return url.strip()

    @field_validator("admins", "operators", "viewers", mode="before")
    @classmethod
    def _listed(cls, given: object) -> object:
        return listed(given)


class DagsterSettings(Group):
    """Dagster's own web server."""

    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=0, le=65535)
    storage_url: SecretStr = Field(default=SecretStr(""), description="PostgreSQL database of Dagster's own records; empty means SQLite in the home")
    code_server: str = Field(default="", description="host:port of the code server, where each process has a machine or container of its own")

    @field_validator("host")
    @classmethod
    def _as_written_here(cls, host: str) -> str:
        return host_name(host)

    @field_validator("storage_url")
    @classmethod
    def _on_postgresql(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value() and not POSTGRES_URL.fullmatch(url.get_secret_value()):
            raise ValueError(NO_DATABASE_URL)
        return url

    @field_validator("code_server")
    @classmethod
    def _host_and_port(cls, address: str) -> str:
        host, _, port = address.rpartition(":")
        if address and not (host and port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError("write host:port, for example code-server:4000")
        return address


def listed(given: object) -> object:
    """Texts of a list that a variable holds, comma separated."""
    return tuple(part.strip() for part in given.split(",") if part.strip()) if isinstance(given, str) else given
