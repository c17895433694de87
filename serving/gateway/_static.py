"""Pages that a browser gets from the gateway: a folder of files each, and nothing of other servers."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}

_HEADERS = {
    # A page asks this server only, and no other site may frame it.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src blob: data:; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # After an update, a browser must not mix old files with new ones.
    "Cache-Control": "no-cache",
}


def routes_of(name: str) -> Iterator[Route]:
    """Yield routes for the files of a folder: ``name``.html at /name, all others at /name/FILE."""
    folder = resources.files("lnlattennet.serving.gateway") / name
    for file in folder.iterdir():
        suffix = file.name[file.name.rfind(".") :]
        path = f"/{name}" if file.name == f"{name}.html" else f"/{name}/{file.name}"
        yield _route(path, file.read_bytes(), _KINDS[suffix])


def _route(path: str, content: bytes, kind: str) -> Route:
    async def answer(_: Request) -> Response:
        return Response(content, media_type=kind, headers=_HEADERS)

    return Route(path, answer)
