"""Which query parameters a route takes. Any other is refused, as an unknown field of a body is: a misspelt filter would silently show everything."""

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError


def known_query(request: Request) -> None:
    """Pass when the route takes every query parameter of the request; every route of the API depends on it.

    Raises:
        RequestValidationError: naming those that it does not take, and those that it does.
    """
    known = _names(request.scope["route"].dependant)
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if unknown:
        takes = f"this route takes {', '.join(known)}" if known else "this route takes none"
        raise RequestValidationError([{"loc": ("query", name[:80]), "msg": f"there is no such query parameter; {takes}"} for name in unknown])


def _names(dependant: Dependant) -> list[str]:
    """Names of the query parameters of a route and of what it depends on, in the order in which they are written down."""
    own = [field.alias for field in dependant.query_params]
    return list(dict.fromkeys([*own, *(name for each in dependant.dependencies for name in _names(each))]))
