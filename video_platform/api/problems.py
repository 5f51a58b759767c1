"""Errors as `application/problem+json` (RFC 9457): one table from the exception tree to HTTP, one shape for everything that goes wrong."""

import logging
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from video_platform import errors, logs
from video_platform.api.signing import SignatureRefused
from video_platform.errors import PlatformError, Problem, RulesError

LOGGER = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

RETRY_AFTER_S = 5
"""What a client is told to wait while an outside system is away: a broker or store restarts in about this time."""

MAX_PROBLEMS = 100
"""Problems listed in one answer; a file with more has one cause."""

DOCUMENTED: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "what went wrong",
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string", "description": "the kind of problem"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string", "description": "what happened, where, what to do"},
                        "problems": {"type": "array", "items": {"type": "object"}, "description": "fields of the request, or lines of a rules file"},
                    },
                }
            }
        },
    }
}
"""The answer of every route when it fails, for the OpenAPI document."""

STATUS: tuple[tuple[type[PlatformError], int], ...] = (
    (SignatureRefused, 403),
    (errors.SignInRefused, 401),
    (errors.NotAllowed, 403),
    (errors.NotFound, 404),
    (errors.RulesError, 422),
    (errors.FootageAway, 409),
    (errors.MediaError, 422),
    (errors.UploadRefused, 422),
    (errors.InputError, 400),
    (errors.VideoDeleted, 410),
    (errors.StateError, 409),
    (errors.StoreFull, 507),
    (errors.ServiceError, 503),
    (errors.PlatformError, 500),
)
"""The first class that fits decides."""

UPLOAD_STATUS = {"too_large": 413, "changing": 409, "format_refused": 415}
"""Codes of a refused upload that HTTP has its own number for."""

SHOWN_FACTS = ("code", "video_id", "alert_id", "deleted_at", "expected", "actual", "limit_bytes", "base", "active", "changes")
"""Facts that go to the client; others may name files and addresses of this machine."""


def status_of(error: PlatformError) -> int:
    """The HTTP status that says what `error` says."""
    if isinstance(error, errors.UploadRefused):
        return UPLOAD_STATUS.get(str(error.facts.get("code")), 422)
    return next(status for kind, status in STATUS if isinstance(error, kind))


def problem(status: int, title: str, detail: str, *, headers: dict[str, str] | None = None, **more: object) -> Response:
    """One problem as an answer; `more` are extension members of RFC 9457."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def register(app: FastAPI) -> None:
    """Answer every error of `app` as a problem; clients never see a stack trace."""
    app.add_exception_handler(PlatformError, _platform_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


def listed(problems: list[Problem]) -> list[dict[str, object]]:
    """Problems of a file that people write, as JSON."""
    return [
        {"message": each.message, "field": each.field, "line": each.line, "column": each.column, **({"file": each.file} if each.file else {})}
        for each in problems[:MAX_PROBLEMS]
    ]


async def _platform_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PlatformError)
    status = status_of(error)
    if status >= 500:
        with logs.about(method=request.method, path=request.url.path):
            LOGGER.warning("answered %d: %s", status, error.message, exc_info=error if status == 500 else None)
    more: dict[str, Any] = {name: _plain(error.facts[name]) for name in SHOWN_FACTS if error.facts.get(name) is not None}
    if isinstance(error, RulesError):
        more["problems"] = listed(error.facts["problems"])  # type: ignore[arg-type]
    headers = {"retry-after": str(RETRY_AFTER_S)} if status == 503 else None
    return problem(status, type(error).__name__, error.message, headers=headers, **more)


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [{"field": ".".join(str(part) for part in each["loc"]), "message": str(each["msg"])} for each in error.errors()[:MAX_PROBLEMS]]
    detail = "; ".join(f"{each['field']}: {each['message']}" for each in found)
    return problem(422, "Request not understood", detail, problems=found)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request))
    return problem(error.status_code, HTTPStatus(error.status_code).phrase, str(error.detail), headers=headers or None)


def _methods(request: Request) -> list[str]:
    """What may be done with the path of the request; the router itself names only the methods of the first route that has the path."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in routes for method in getattr(route, "methods", None) or ()})


async def _unexpected(_request: Request, _error: Exception) -> Response:
    # Starlette raises `error` again after this answer, so that the server logs it with its traceback.
    return problem(500, "Internal error", "something here is broken; the server's log has the details")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | dict) else str(value)
