"""What stands in place of a file that was never downloaded: a pointer, a web page, a server's error."""

from __future__ import annotations

import re

HEAD_BYTES = 512
"""Bytes of a file's beginning that tell."""

_SERVERS_ERROR = "a server's error in place of the file; mend the address or log in, and download it again"

_STAND_INS = tuple(
    (re.compile(pattern, re.IGNORECASE), meaning)
    for pattern, meaning in (
        (rb"version https://git-lfs", "a git-lfs pointer in place of the file; run `git lfs pull`"),
        (rb"\S*/annex/objects/", "a git-annex pointer in place of the file; run `git annex get`"),
        (rb"(outs|md5):\s*\n?-? ?\w+", "a DVC pointer in place of the file; run `dvc pull`"),
        (
            rb"<(!doctype html|html|head|body|!--)",
            "a web page in place of the file; download the raw file itself, with a login if it needs one",
        ),
        (rb"<(\?xml|error)", _SERVERS_ERROR),
        (rb"\{\s*\"(error|message|detail|status|code)", _SERVERS_ERROR),
        (
            rb"(error|40[134]|429|(entry |repository )?not found|invalid (username|credentials)"
            rb"|access (denied|to)|unauthori[sz]ed|forbidden|too many requests)\b[\x20-\x7e\r\n]*\Z",
            _SERVERS_ERROR,
        ),
    )
)


def describe_stand_in(head: bytes) -> str | None:
    """Name what a file is that begins with ``head`` (``HEAD_BYTES`` of it), with the way to the real one.

    Returns:
        None if it may be the real one.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((meaning for pattern, meaning in _STAND_INS if pattern.match(text)), None)
