"""A server that speaks the chat completions of OpenAI (vLLM, llama.cpp, LM Studio, a hosted one): what is there, and one bounded question at a time.

Bounds, token, certificates and redirects are those of `bounded_http`, as for Ollama. Such a server does not tell which weights it serves: `digest` is of the
names that it gives a model, so weights that change behind a name are not noticed.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from video_platform.errors import ModelReplyInvalid, ModelUnavailable, SettingsError
from video_platform.fingerprints import content_hash
from video_platform.services import tls
from video_platform.services.bounded_http import MAX_WIRE_BYTES, VARIABLE, Access, Bounded, shown, tokens
from video_platform.services.ollama import ANSWER_TOKENS, CONNECT_S, LOOK_S, SHOWN_MODELS, Choice, State
from video_platform.settings import LanguageModelSettings

DEFAULT_PATH = "/v1"
REFUSED = (401, 403)
NOT_FOUND = 404
BUSY = (429, 503)
SIGNATURES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png"}
"""First bytes of a picture -> its media type."""


class _Model(BaseModel):
    id: str
    root: str | None = None


class _Models(BaseModel):
    data: list[_Model]


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    total_tokens: int = 0


class _Completion(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


@dataclass(frozen=True)
class Found:
    """What a look showed: the names of the models, the digest of the wanted one's (None when it is not there), and why it cannot be used, in words."""

    address: str
    models: tuple[str, ...]
    digest: str | None
    problem: str | None


def address(settings: LanguageModelSettings) -> str:
    """The base URL, with `/v1` where the setting names no path.

    Raises:
        ValueError: it is no URL.
    """
    parts = urlsplit(settings.host if "://" in settings.host else f"http://{settings.host}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or (parts.port or 1) < 1:
        raise ValueError("write a URL such as http://127.0.0.1:8000/v1")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or DEFAULT_PATH}"


def look(settings: LanguageModelSettings, model: str | None = None) -> Found:
    """Ask whether `model` (that of the settings when not given) is there; takes at most about `LOOK_S` seconds and never raises."""
    wanted = model or settings.model
    try:
        base = address(settings)
    except ValueError as error:
        return Found(settings.host, (), None, f"the address of the language model cannot be used: {error}; look at {VARIABLE}HOST")
    try:
        with httpx.Client(transport=Bounded(LOOK_S, Access.of(settings, base)), timeout=LOOK_S, trust_env=False) as client:
            models = _Models.model_validate_json(client.get(f"{base}/models").raise_for_status().content).data
    except SettingsError as error:
        return Found(base, (), None, error.message)
    except (httpx.HTTPError, httpx.InvalidURL, ModelUnavailable, ValidationError, ValueError) as error:
        return Found(base, (), None, _why_not(base, error))
    found = next((each for each in models if each.id == wanted), None)
    names = tuple(shown(each.id) for each in models)
    if found is None:
        listed = ", ".join(names[:SHOWN_MODELS]) or "none"
        return Found(base, names, None, f"what answers at {base} serves no model {wanted} (it has {listed})")
    return Found(base, names, content_hash(found), None)


def _why_not(base: str, error: Exception) -> str:
    """Why nothing was heard, in words, without what the server said."""
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        if status in REFUSED:
            return f"what answers at {base} refuses this platform ({status}): look at {VARIABLE}TOKEN"
        if error.response.is_redirect:
            return f"what answers at {base} leads elsewhere ({status}), which is not followed: name the right address in {VARIABLE}HOST"
        return f"what answers at {base} does not list its models ({status})"
    if why := tls.distrust(error, VARIABLE):
        return f"{base} was not spoken to: {why}"
    return f"no OpenAI-compatible server answers at {base} ({type(error).__name__})"


def choose(settings: LanguageModelSettings) -> Choice:
    """Who writes summaries now; the template is only a stand-in (`degraded`) for the model that the settings name."""
    found = look(settings)
    if found.digest is None:
        return Choice(None, found.problem, degraded=True)
    access = Access.of(settings, found.address)
    return Choice(OpenAICompatibleModel(found.address, settings.model, found.digest, timeout_s=settings.timeout_s, access=access), None, degraded=False)


def writer(settings: LanguageModelSettings) -> State:
    """How it stands with the model that writes summaries. Never raises."""
    found = look(settings)
    if found.digest is None:
        text = f"{found.problem}: until then summaries are written by the template"
        return State(False, text, f"start the server, look at {VARIABLE}HOST and {VARIABLE}MODEL, or have the template write: {VARIABLE}ENGINE=template")
    return State(True, f"{settings.model} at {found.address} (OpenAI-compatible) writes summaries; which weights it has the server does not tell")


def seer(settings: LanguageModelSettings) -> State | None:
    """How it stands with the model that pictures are shown to; None when the settings name none. Never raises."""
    if not settings.vision_model:
        return None
    found = look(settings, settings.vision_model)
    if found.digest is None:
        return State(False, str(found.problem), f"look at {VARIABLE}VISION_MODEL, or set it to nothing", "not_there" if found.models else None)
    return State(True, f"{settings.vision_model} at {found.address} (OpenAI-compatible) is shown pictures; whether it can see, its answers tell")


class OpenAICompatibleModel:
    """One model of one server; `digest` is of its names."""

    engine: Literal["openai_compatible"] = "openai_compatible"

    def __init__(self, address: str, name: str, digest: str, *, timeout_s: float, access: Access | None = None) -> None:
        self.name = name
        self.digest = digest
        self._address = address
        self._timeout_s = timeout_s
        self._access = access or Access()

    def chat(self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, object], images: Sequence[bytes] = ()) -> tuple[str, int]:
        """`(text, tokens)`: an answer in the form of the JSON `schema`, as text, and what it cost; `images` are JPEG or PNG, for the last message.

        Raises:
            ModelUnavailable: nothing answered, or not all within `timeout_s`.
            ModelReplyInvalid: the answer was cut at its token limit, or there is none.
        """
        sent: list[dict[str, object]] = [dict(message) for message in messages]
        if images:
            sent[-1]["content"] = [{"type": "text", "text": sent[-1]["content"]}, *(_picture(image) for image in images)]
        answer = self._answer(
            {
                "model": self.name,
                "messages": sent,
                "temperature": 0.0,
                "seed": 1,
                "max_tokens": ANSWER_TOKENS,
                "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema), "strict": True}},
            }
        )
        if not answer.choices or answer.choices[0].message.content is None:
            raise ModelReplyInvalid(f"{self.name} gave no answer", model=self.name)
        choice = answer.choices[0]
        if choice.finish_reason == "length":
            raise ModelReplyInvalid(f"{self.name} did not finish within {ANSWER_TOKENS} tokens", model=self.name)
        return choice.message.content or "", tokens(answer.usage.total_tokens if answer.usage else 0)

    def _answer(self, body: Mapping[str, object]) -> _Completion:
        timeout = httpx.Timeout(self._timeout_s, connect=CONNECT_S)
        try:
            with httpx.Client(transport=Bounded(self._timeout_s, self._access), timeout=timeout, trust_env=False) as client:
                response = client.post(f"{self._address}/chat/completions", json=body)
        except (httpx.TimeoutException, ModelUnavailable) as error:
            raise ModelUnavailable(f"{self.name} at {self._address} did not answer within {self._timeout_s:g} s and {MAX_WIRE_BYTES} bytes") from error
        except (httpx.HTTPError, OSError) as error:
            raise ModelUnavailable(f"the server at {self._address} went away: {type(error).__name__}", model=self.name) from error
        if not response.is_success:
            raise ModelUnavailable(self._refusal(response), model=self.name, status=response.status_code)
        try:
            return _Completion.model_validate_json(response.content)
        except ValidationError as error:
            raise ModelUnavailable(f"what answers at {self._address} does not speak OpenAI's protocol", model=self.name) from error

    def _refusal(self, response: httpx.Response) -> str:
        status = response.status_code
        if status in BUSY:
            return f"the server at {self._address} is busy"
        if status == NOT_FOUND:
            return f"the server at {self._address} has no model {self.name} any more"
        if status in REFUSED:
            return f"the server at {self._address} refuses this platform ({status}): look at {VARIABLE}TOKEN"
        if response.is_redirect:
            return f"the server at {self._address} leads elsewhere ({status}), which is not followed"
        return f"the server at {self._address} refused ({status}): {shown(response.text)}"


def _picture(image: bytes) -> dict[str, object]:
    """A picture as a data URL: nothing is named that a server would go and get."""
    media_type = next((kind for signature, kind in SIGNATURES.items() if image.startswith(signature)), None) if isinstance(image, bytes) else None
    if media_type is None:
        raise TypeError("pictures are given as the bytes of a JPEG or PNG")
    return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{base64.b64encode(image).decode()}"}}
