"""Image of a request: its body, or the file of a form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

FIELD = "image"
"""Field of a form that holds the image file."""

_FORM_BYTES = 4096
"""What a form may have around its file."""


async def read_image(request: Request, most: int, seconds: float) -> bytes:
    """Read an image file of at most ``most`` bytes, within ``seconds``.

    Raises:
        HTTPException: 413 too large, by its header or while it comes; 415 compressed; 408 too slow; 400 a
            form without the file, or with more than that.
        ClientDisconnect: the client has gone.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "send the image file itself, without Content-Encoding")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_form = kind == "multipart/form-data"
    body = await _read(request, most + _FORM_BYTES if is_form else most, seconds)
    if body is not None and is_form:
        body = await _file_of_form(request, body)
    if body is None or len(body) > most:
        raise HTTPException(413, f"an image file may have {most} bytes")
    return body


async def _read(request: Request, most: int, seconds: float) -> bytes | None:
    """Return the body; None if it is too large."""
    # The HTTP parser refuses a Content-Length that is no number.
    if int(request.headers.get("content-length", 0)) > most:
        return None
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    return None
    except TimeoutError:
        raise HTTPException(
            408, f"the body did not come within {seconds:g} s", {"Connection": "close"}
        ) from None
    return bytes(body)


class _FormParser(MultiPartParser):
    # Images of clients are never written to a disk; the body is in memory already.
    spool_max_size = 2**62


async def _file_of_form(request: Request, body: bytes) -> bytes:
    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    refusal = HTTPException(400, f"a form must have one file in the field {FIELD!r}, and nothing else")
    try:
        form = await _FormParser(request.headers, whole(), max_files=1, max_fields=0).parse()
    except MultiPartException:
        raise refusal from None
    try:
        file = form.get(FIELD)
        if not isinstance(file, UploadFile):
            raise refusal
        return await file.read()
    finally:
        await form.close()
