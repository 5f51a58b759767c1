"""The reference page of the API: made from its OpenAPI document, in one file that loads nothing from elsewhere."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox allow-same-origin allow-top-navigation-by-user-activation"

STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:60rem;margin:2rem auto;padding:0 1rem}
code{font:.9em ui-monospace,monospace}article{border-top:1px solid #8884;padding:.5rem 0}h2{font-size:1rem;margin:.5rem 0}
b{display:inline-block;min-width:4rem}table{border-collapse:collapse;width:100%}td{padding:.15rem .75rem .15rem 0;vertical-align:top}small{opacity:.7}
"""


@router.get("/docs")
def reference(request: Request) -> HTMLResponse:
    """Every route with its parameters, in words."""
    document: dict[str, Any] = request.app.openapi()
    prefix = escape(request.scope.get("root_path", ""))
    parts = [
        f"<article><h2><b>{method.upper()}</b> <code>{prefix}{escape(path)}</code></h2>{_operation(operation)}</article>"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    title = escape(document["info"]["title"])
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>{title}</title><style>{STYLE}</style>"
        f"<h1>{title} <small>{escape(document['info']['version'])}</small></h1><p>{escape(document['info'].get('description', ''))}</p>"
        f"<p>Machine-readable: <a href='{prefix}/openapi.json'><code>{prefix}/openapi.json</code></a></p>{''.join(parts)}</html>"
    )
    return HTMLResponse(page, headers={"content-security-policy": POLICY})


def _operation(operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td><small>{escape(each['in'])}{', required' if each.get('required') else ''}</small></td>"
        f"<td>{escape(_kind(each.get('schema', {})))} {escape(each.get('description', ''))}</td></tr>"
        for each in operation.get("parameters", ())
    )
    bodies = ", ".join(operation.get("requestBody", {}).get("content", {}))
    body = f"<p><small>Body: <code>{escape(bodies)}</code></small></p>" if bodies else ""
    return f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>{body}" + (f"<table>{rows}</table>" if rows else "")


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"] if each.get("type") != "null")
    if "enum" in schema:
        return " | ".join(str(each) for each in schema["enum"])
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[-1]
    return schema.get("format") or schema.get("type", "")
