"""All settings, read from the environment: prefix `VIDEO_PLATFORM_`, `__` between levels (`VIDEO_PLATFORM_WEB__PORT=8600`).

Two profiles of one program are chosen here alone: the embedded default needs nothing; a deployment names Kafka, an S3 store, a database and Ollama.
A secret may lie in a file instead: `VIDEO_PLATFORM_OBJECTS__SECRET_KEY_FILE=/run/secrets/key`.
"""

import json
import os
from functools import cached_property
from pathlib import Path

from platformdirs import user_data_dir
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from video_platform.errors import SettingsError
from video_platform.hosts import is_loopback
from video_platform.settings_groups import (
    CaptionSettings,
    DatabaseSettings,
    DetectionSettings,
    EventLogSettings,
    Group,
    HistorySettings,
    LanguageModelSettings,
    LogSettings,
    MediaSettings,
    ModelSettings,
    NotifySettings,
    ObjectSettings,
    ProxySettings,
    QuestionSettings,
    RecordingSettings,
    ReelSettings,
    RetentionSettings,
    RunSettings,
    SceneSettings,
    SearchSettings,
    SecondLookSettings,
    SpeechSettings,
    TrackingSettings,
)
from video_platform.settings_serving import AccessSettings, DagsterSettings, OidcSettings, WebSettings

PREFIX = "VIDEO_PLATFORM_"

FILE_SUFFIX = "_FILE"
"""Of a variable that names the file with a secret, as container engines hand them out."""


class Settings(BaseSettings):
    """The whole tree; frozen, made once per process and handed down as an argument."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=True, frozen=True, extra="ignore", hide_input_in_errors=True
    )  # an empty variable is an unset one: an empty home would be the current folder

    home: Path = Field(default_factory=lambda: Path(user_data_dir("video-platform")), description="where state lies")
    rules: Path | None = Field(default=None, description="rules file that is applied on a fresh home and watched for drafts")
    objects: ObjectSettings = ObjectSettings()
    event_log: EventLogSettings = EventLogSettings()
    database: DatabaseSettings = DatabaseSettings()
    media: MediaSettings = MediaSettings()
    recording: RecordingSettings = RecordingSettings()
    detection: DetectionSettings = DetectionSettings()
    models: ModelSettings = ModelSettings()
    tracking: TrackingSettings = TrackingSettings()
    proxy: ProxySettings = ProxySettings()
    scenes: SceneSettings = SceneSettings()
    runs: RunSettings = RunSettings()
    language_model: LanguageModelSettings = LanguageModelSettings()
    notify: NotifySettings = NotifySettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()
    history: HistorySettings = HistorySettings()
    speech: SpeechSettings = SpeechSettings()
    search: SearchSettings = SearchSettings()
    captions: CaptionSettings = CaptionSettings()
    reels: ReelSettings = ReelSettings()
    questions: QuestionSettings = QuestionSettings()
    second_look: SecondLookSettings = SecondLookSettings()
    web: WebSettings = WebSettings()
    access: AccessSettings = AccessSettings()
    oidc: OidcSettings = OidcSettings()
    dagster: DagsterSettings = DagsterSettings()

    @model_validator(mode="after")
    def _oidc_needs_a_provider(self) -> "Settings":
        if self.access.sign_in == "oidc" and not (self.oidc.issuer and self.oidc.client_id):
            raise ValueError(f"sign-in oidc needs {PREFIX}OIDC__ISSUER and {PREFIX}OIDC__CLIENT_ID")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, then the environment, then files that the environment names."""
        if isinstance(env_settings, EnvSettingsSource):
            files = {(name + FILE_SUFFIX).lower() for name in secrets()}
            env_settings.env_vars = {name: value for name, value in env_settings.env_vars.items() if name.lower() not in files}
        return init_settings, env_settings, _SecretFiles(settings_cls)

    @model_validator(mode="after")
    def _logs_need_a_store(self) -> "Settings":
        if self.runs.logs == "objects" and self.objects.kind != "s3":
            raise ValueError("runs.logs objects keeps the output of runs in the S3 store: it needs objects.kind s3")
        if self.runs.launcher == "docker" and not (self.dagster.code_server and self.dagster.storage_url.get_secret_value()):
            raise ValueError("runs.launcher docker needs dagster.code_server and dagster.storage_url: a run's container shares no files with the others")
        return self

    def check_exposure(self) -> None:
        """Refuse to serve strangers: without sign-in only loopback is bound, unless the network is declared trusted.

        Raises:
            SettingsError: naming the address and both ways out.
        """
        for variable, host in (("WEB__HOST", self.web.host), ("DAGSTER__HOST", self.dagster.host)):
            if self.access.sign_in == "none" and not self.web.trust_network and not is_loopback(host):
                raise SettingsError(
                    f"{PREFIX}{variable}={host} would open the platform to the network, and there is no sign-in; use 127.0.0.1, "
                    f"choose a sign-in with {PREFIX}ACCESS__SIGN_IN (docs/access.md), "
                    f"or set {PREFIX}WEB__TRUST_NETWORK=true where only trusted machines reach it (a container whose port is published on loopback)"
                )

    @field_validator("home", "rules")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    @cached_property
    def database_url(self) -> str:
        """SQLAlchemy URL of the platform's own database."""
        return self.database.url.get_secret_value() or f"sqlite:///{self.home / 'platform.db'}"

    @property
    def objects_folder(self) -> Path:
        """Root of the embedded object store."""
        return self.home / "objects"

    @property
    def event_log_file(self) -> Path:
        """File of the embedded event log."""
        return self.home / "events.db"

    @property
    def spool(self) -> Path:
        """Where footage is written while it is still arriving; emptied on start."""
        return self.home / "spool"

    @property
    def scratch(self) -> Path:
        """Where one run keeps its temporary files."""
        return self.home / "scratch"

    @property
    def models_folder(self) -> Path:
        """Where fetched models lie, a folder each."""
        return self.models.folder or self.home / "models"

    @property
    def packs(self) -> Path:
        """Where stored tracks are kept as columns; can be deleted at any time."""
        return self.home / "packs"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder; `vp` sets DAGSTER_HOME to it."""
        return self.home / "dagster"

    @property
    def lock_file(self) -> Path:
        """Held by whoever runs the graph on this home."""
        return self.home / "home.lock"


class _SecretFiles(PydanticBaseSettingsSource):
    """Secrets from the files that variables with the suffix `_FILE` name; a line end after the secret does not count."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[object, str, bool]:
        """Not asked: the whole tree is read at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, dict[str, str]]:
        """The secrets by group and name.

        Raises:
            SettingsError: a file cannot be read, is empty, or the secret is given twice.
        """
        found: dict[str, dict[str, str]] = {}
        for name in secrets():
            path = os.environ.get(name + FILE_SUFFIX)
            if not path:
                continue
            if os.environ.get(name):
                raise SettingsError(f"both {name} and {name}{FILE_SUFFIX} are set: keep one")
            try:
                text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "it is no text"
                raise SettingsError(f"{name}{FILE_SUFFIX} names {path}, which cannot be read: {reason}", path=path) from error
            if not text.strip():
                raise SettingsError(f"{name}{FILE_SUFFIX} names {path}, which is empty", path=path)
            group, _, inner = name.removeprefix(PREFIX).lower().partition("__")
            found.setdefault(group, {})[inner] = text
        return found


def secrets() -> frozenset[str]:
    """The variables whose values are secret: each may be given as a file instead, named by the variable with `_FILE` after it."""
    return frozenset(name for name, (default, _) in variables().items() if isinstance(default, SecretStr))


def load(**overrides: object) -> Settings:
    """Settings from the environment.

    Raises:
        SettingsError: naming the variable and what is wrong with it, for every wrong one; also for a variable that no setting reads.
    """
    unknown = _unknown_variables()
    if unknown:
        raise SettingsError(f"no setting reads {', '.join(unknown)}; see docs/settings.md for the names", variables=unknown)
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = error.errors(include_input=False)
        names = [f"{PREFIX}{'__'.join(str(part).upper() for part in each['loc'])}: " if each["loc"] else "" for each in wrong]
        lines = [f"{name}{each['msg'].removeprefix('Value error, ')}" for name, each in zip(names, wrong, strict=True)]
        raise SettingsError("settings cannot be used: " + "; ".join(lines)) from error


def environment(settings: Settings) -> dict[str, str | None]:
    """What a child process' environment has to hold besides that of this process so that `load` gives these settings there; None: what it must not hold.

    Secrets are among it: it is for children alone.
    """
    here, found = load(), dict[str, str | None]()
    for name in variables():
        value, before = _value(settings, name), _value(here, name)
        if value != before:
            found |= {name: _as_text(value), name + FILE_SUFFIX: None}
    return found


def _value(settings: Settings, name: str) -> object:
    value: object = settings
    for part in name.removeprefix(PREFIX).lower().split("__"):
        value = getattr(value, part)
    return value


def _as_text(value: object) -> str | None:
    match value:
        case None:
            return None
        case SecretStr():
            return value.get_secret_value()
        case bool() | list() | tuple() | dict():
            return json.dumps(value)
        case _:
            return str(value)


def variables() -> dict[str, tuple[object, str]]:
    """Every environment variable: name -> (default, description)."""
    found: dict[str, tuple[object, str]] = {}
    for name, info in Settings.model_fields.items():
        default = info.get_default(call_default_factory=False)
        if isinstance(default, Group):
            for inner, inner_info in type(default).model_fields.items():
                found[f"{PREFIX}{name}__{inner}".upper()] = (inner_info.default, inner_info.description or "")
        else:
            found[f"{PREFIX}{name}".upper()] = (default, info.description or "")
    return found


def _unknown_variables() -> list[str]:
    known = {*variables(), *(name + FILE_SUFFIX for name in secrets())}
    return sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
