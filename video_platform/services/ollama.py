"""Ollama: what is there, and one bounded question at a time.

Whatever answers is not trusted: every call has a deadline and a size limit on the wire, redirects and proxies from the environment are off, and pictures go
out as bytes only (the client reads files for strings). Ollama itself has no sign-in; it belongs on loopback, on a private network, or behind a proxy that asks
for the token of the settings.
"""

import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from video_platform.errors import ModelReplyInvalid, ModelUnavailable, SettingsError
from video_platform.services import tls
from video_platform.services.bounded_http import MAX_WIRE_BYTES, VARIABLE, Access, Bounded, shown, tokens
from video_platform.settings import LanguageModelSettings

if TYPE_CHECKING:
    from video_platform.services.openai_compatible import OpenAICompatibleModel

DEFAULT_PORT = 11434
LOOK_S = 2.0
"""Longest look at whether something answers; `vp up` does it while people wait."""
CONNECT_S = 3.0
CONTEXT_TOKENS = 8192
"""Ollama's own default cuts the prompt silently at 2,048 or 4,096 tokens."""
ANSWER_TOKENS = 1024
"""Eight sentences with references need about 500; without a limit a small model runs on for minutes."""
OPTIONS = {"temperature": 0.0, "seed": 1, "num_ctx": CONTEXT_TOKENS, "num_predict": ANSWER_TOKENS}
BUSY = 503
NOT_FOUND = 404
SHOWN_MODELS = 5
NOT_OLLAMAS = (ValueError, AttributeError, TypeError, RecursionError)
"""What its client raises for lines that are not JSON, or not Ollama's: a number, a list, brackets without an end."""
VISION = "vision"
SEEING_MODEL = "qwen3-vl:4b-instruct"
"""A small model that sees, 3.3 GB."""


@dataclass(frozen=True)
class Found:
    """What a look showed; `digest` is of the wanted model, None when it is not there; `problem` says in words why it cannot be used, None when it can."""

    address: str
    version: str | None
    models: tuple[str, ...]
    digest: str | None
    problem: str | None


@dataclass(frozen=True)
class Choice:
    """Who writes: a model, or the template for `reason`. `degraded` when the settings demand a model that is not there now."""

    model: "OllamaModel | OpenAICompatibleModel | None"
    reason: str | None
    degraded: bool


@dataclass(frozen=True)
class State:
    """How it stands with a model that the settings name: `ok` when what they ask for can be done now. `advice` says what to do where it cannot, or for more.

    `lack` of a vision model is why it cannot be shown pictures, None when nothing answers.
    """

    ok: bool
    found: str
    advice: str = ""
    lack: Literal["not_there", "no_vision"] | None = field(default=None, compare=False)


class _Version(BaseModel):
    version: str


class _Tag(BaseModel):
    name: str
    digest: str


class _Tags(BaseModel):
    models: list[_Tag]


class _Shown(BaseModel):
    capabilities: list[str] | None = None


def address(settings: LanguageModelSettings) -> str:
    """The base URL: from the settings, else OLLAMA_HOST, else the usual port; an address to listen on becomes one to connect to."""
    text = settings.host or os.environ.get("OLLAMA_HOST", "") or f"127.0.0.1:{DEFAULT_PORT}"
    parts = urlsplit(text if "://" in text else f"http://{text}")
    host = parts.hostname or "127.0.0.1"
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    usual = {"http": 80, "https": 443}.get(parts.scheme, DEFAULT_PORT) if "://" in text else DEFAULT_PORT
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port or usual}{parts.path.rstrip('/')}"


def look(settings: LanguageModelSettings) -> Found:
    """Ask what is there; takes at most about `LOOK_S` seconds and never raises."""
    try:
        base = address(settings)
    except ValueError as error:
        return Found(settings.host or os.environ.get("OLLAMA_HOST", ""), None, (), None, f"the address of Ollama cannot be read: {error}")
    try:
        with _looking(settings, base) as client:
            version = _Version.model_validate_json(client.get("/api/version").raise_for_status().content).version
            tags = _Tags.model_validate_json(client.get("/api/tags").raise_for_status().content).models
    except SettingsError as error:
        return Found(base, None, (), None, error.message)
    except (httpx.HTTPError, httpx.InvalidURL, ModelUnavailable, ValidationError, ValueError) as error:
        return Found(base, None, (), None, _why_not(base, error))
    models = tuple(shown(tag.name) for tag in tags)
    digest = next((tag.digest for tag in tags if tag.name in (settings.model, f"{settings.model}:latest")), None)
    problem = None if digest else f"Ollama at {base} has no model {settings.model}; get it with: ollama pull {settings.model}"
    if digest and not digest.removeprefix("sha256:").startswith(settings.digest):
        problem = (
            f"the {settings.model} of Ollama at {base} is {digest[:12]}, and {VARIABLE}DIGEST allows {settings.digest[:12]} only: look at what changed, then "
            "pull the right one or set the new digest"
        )
        digest = None
    return Found(base, version[:40], models, digest, problem)


def _looking(settings: LanguageModelSettings, base: str) -> httpx.Client:
    return httpx.Client(base_url=base, transport=Bounded(LOOK_S, Access.of(settings, base)), timeout=LOOK_S, trust_env=False)


def way_to(settings: LanguageModelSettings) -> tuple[str, dict[str, str], ssl.SSLContext | bool]:
    """The base URL, the headers that show who asks, and whom to trust, for requests that no limit here fits.

    Raises:
        SettingsError: the address, its certificates or the token cannot be used.
    """
    try:
        base = address(settings)
    except ValueError as error:
        raise SettingsError(f"the address of Ollama cannot be read: {error}; look at {VARIABLE}HOST") from error
    access = Access.of(settings, base)
    headers = httpx.Headers()
    access.show(headers)
    return base, dict(headers), access.context or True


def _why_not(base: str, error: Exception) -> str:
    """Why nothing was heard of a server, in words, without what it said."""
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        if status in (401, 403):
            return f"what answers at {base} refuses this platform ({status}): look at {VARIABLE}TOKEN"
        if error.response.is_redirect:
            return f"what answers at {base} leads elsewhere ({status}), which is not followed: name the right address in {VARIABLE}HOST"
    if why := tls.distrust(error, VARIABLE):
        return f"Ollama at {base} was not spoken to: {why}"
    return f"no Ollama answers at {base} ({type(error).__name__})"


def _in_words(settings: LanguageModelSettings, found: Found) -> str:
    if found.version is None:
        return f"{found.problem}: summaries are written by the template"
    names = ", ".join(found.models[:SHOWN_MODELS]) + (f" and {len(found.models) - SHOWN_MODELS} more" if len(found.models) > SHOWN_MODELS else "")
    if found.problem:
        return f"{found.problem} (it has {names or 'none'}): until then summaries are written by the template"
    return f"Ollama {found.version} at {found.address} with {names}: {settings.model} ({(found.digest or '')[:12]}) writes summaries"


def writer(settings: LanguageModelSettings) -> State:
    """How it stands with the model that writes summaries. With engine `auto` nobody misses an Ollama that is not there at all."""
    if settings.engine == "template":
        return State(True, "summaries are written by the template, as the settings say")
    found = look(settings)
    text = _in_words(settings, found)
    if found.version is None:
        advice = f"start it (`ollama serve`), look at {VARIABLE}HOST, or have the template write: {VARIABLE}ENGINE=template"
        if settings.engine == "auto":
            return State(True, text, f"to have a model write them start Ollama, then: vp models pull {settings.model} (docs/summaries.md)")
        return State(False, text, advice)
    if found.digest is None:
        return State(False, text, f"ollama pull {settings.model}, or name another model in {VARIABLE}MODEL")
    return State(True, text)


def seer(settings: LanguageModelSettings) -> State | None:
    """How it stands with the model that pictures are shown to; None when the settings name none. Never raises."""
    name = settings.vision_model
    if not name:
        return None
    if settings.engine == "template":
        return State(True, f"{name} is not asked: {VARIABLE}ENGINE is template")
    found = look(settings)
    if found.version is None:
        return State(False, str(found.problem), f"start it (`ollama serve`), look at {VARIABLE}HOST, or set {VARIABLE}VISION_MODEL to nothing")
    where = f"Ollama {found.version} at {found.address}"
    try:
        with _looking(settings, found.address) as client:
            answer = client.post("/api/show", json={"model": name})
            if answer.status_code == NOT_FOUND:
                return State(False, f"{where} has no model {name}; get it with: ollama pull {name}", f"ollama pull {name}", "not_there")
            able = _Shown.model_validate_json(answer.raise_for_status().content).capabilities
    except (httpx.HTTPError, ModelUnavailable, ValidationError) as error:
        return State(False, f"{where} does not tell what {name} can do ({type(error).__name__})", "look at the log of Ollama")
    if able is None:
        return State(False, f"{where} does not tell what {name} can do", "Ollama tells it from version 0.6.4 on", "no_vision")
    if VISION not in able:
        return State(False, f"{name} of {where} has no vision", f"name a model that has it, for example {VARIABLE}VISION_MODEL={SEEING_MODEL}", "no_vision")
    return State(True, f"{name} of {where} can be shown pictures")


def choose(settings: LanguageModelSettings) -> Choice:
    """Who writes summaries now. With engine `auto` the template is a full answer; with engine `ollama` it is only a stand-in (`degraded`)."""
    if settings.engine == "template":
        return Choice(None, "chosen in the settings", degraded=False)
    found = look(settings)
    if found.digest is None:
        return Choice(None, found.problem, degraded=settings.engine == "ollama")
    return Choice(model_of(settings, found, settings.model), None, degraded=False)


def model_of(settings: LanguageModelSettings, found: Found, name: str) -> "OllamaModel":
    """The model `name` with the digest that a look at it `found`."""
    return OllamaModel(found.address, name, found.digest or "", timeout_s=settings.timeout_s, access=Access.of(settings, found.address))


class OllamaModel:
    """One model of one Ollama server; `digest` names its weights."""

    engine: Literal["ollama"] = "ollama"

    def __init__(self, address: str, name: str, digest: str, *, timeout_s: float, access: Access | None = None) -> None:
        self._access = access or Access()
        self.name = name
        self.digest = digest
        self._address = address
        self._timeout_s = timeout_s

    def chat(self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, object], images: Sequence[bytes] = ()) -> tuple[str, int]:
        """`(text, tokens)`: an answer in the form of the JSON `schema`, as text, and what it cost; `images` are encoded pictures for the last message.

        Raises:
            ModelUnavailable: nothing answered, or not all within `timeout_s`.
            ModelReplyInvalid: the answer was cut at its token limit.
        """
        if any(not isinstance(image, bytes) for image in images):
            raise TypeError("pictures are given as bytes: the client would read a file that a string names")
        sent: list[dict[str, object]] = [dict(message) for message in messages]
        if images:
            sent[-1]["images"] = list(images)
        pieces, last = [], None
        for last in self._stream(sent, schema):
            pieces.append(last.message.content or "")
        if last is None or not last.done:
            raise ModelUnavailable(f"Ollama at {self._address} stopped in the middle of its answer", model=self.name)
        if last.done_reason == "length":
            raise ModelReplyInvalid(f"{self.name} did not finish within {ANSWER_TOKENS} tokens", model=self.name)
        return "".join(pieces), tokens(last.prompt_eval_count) + tokens(last.eval_count)

    def _stream(self, messages: Sequence[Mapping[str, object]], schema: Mapping[str, object]) -> Iterator:
        import ollama

        transport = Bounded(self._timeout_s, self._access)
        timeout = httpx.Timeout(self._timeout_s, connect=CONNECT_S)
        try:
            with ollama.Client(self._address, timeout=timeout, transport=transport, trust_env=False, follow_redirects=False) as client:
                yield from client.chat(self.name, messages=messages, stream=True, format=dict(schema), options=OPTIONS)
        except (httpx.TimeoutException, ModelUnavailable) as error:
            raise ModelUnavailable(f"{self.name} at {self._address} did not answer within {self._timeout_s:g} s and {MAX_WIRE_BYTES} bytes") from error
        except ollama.ResponseError as error:
            raise ModelUnavailable(self._refusal(error.status_code, error.error), model=self.name, status=error.status_code) from error
        except (httpx.HTTPError, OSError) as error:
            raise ModelUnavailable(f"Ollama at {self._address} went away: {type(error).__name__}", model=self.name) from error
        except NOT_OLLAMAS as error:
            raise ModelUnavailable(f"what answers at {self._address} does not speak Ollama's protocol", model=self.name) from error

    def _refusal(self, status: int, text: str) -> str:
        if status == BUSY:
            return f"Ollama at {self._address} is busy"
        if status == NOT_FOUND:
            return f"Ollama at {self._address} has no model {self.name} any more; get it with: ollama pull {self.name}"
        return f"Ollama at {self._address} refused ({status}): {shown(text)}"
