"""Batches of images: the error of one says which it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from lnlattennet.errors import ImageError

_Source = TypeVar("_Source")
_Result = TypeVar("_Result")

_NUMBER = re.compile(r"\Aimage (\d+) of the batch: ")


def for_each(images: Iterable[_Source], step: Callable[[_Source], _Result]) -> list[_Result]:
    """Return what ``step`` makes of each image.

    Raises:
        ImageError: a step raised it; the message starts with the image's index.
    """
    results = []
    for index, image in enumerate(images):
        try:
            results.append(step(image))
        except ImageError as error:
            raise type(error)(f"image {index} of the batch: {error}") from error
    return results


def renumber(message: str, offset: int) -> str:
    """Add ``offset`` to the index in a message of ``for_each``, whose batch was a part of a list."""
    return _NUMBER.sub(lambda match: f"image {int(match[1]) + offset} of the batch: ", message)


def without_number(message: str) -> str:
    """Take the index off a message of ``for_each``, whose batch was a single image."""
    return _NUMBER.sub("", message)
