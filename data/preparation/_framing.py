"""Framing of face crops: a network must see in a server what it saw in training."""

from __future__ import annotations

from typing import get_args

from lnlattennet.data._records import FaceData
from lnlattennet.data._registry import FORMATS
from lnlattennet.errors import UsageError
from lnlattennet.images.finders._registry import FINDERS, check_alignment, finder_named, version_note
from lnlattennet.model._preprocessing import FaceAlignment, Preprocessing

CLOSE = 0.05
"""Margins this far apart show a face at nearly the same scale; pictures of one person differ by more."""


def face_preprocessing(
    size: int,
    data: FaceData | None = None,
    finder: str | None = None,
    margin: float | None = None,
    alignment: FaceAlignment | None = None,
) -> Preprocessing:
    """Return the preprocessing of a network that is trained on ``data``, at S = ``size``.

    What is None is taken from the framing of the data's face crops, as far as it is known, so that a server
    crops photographs alike; else it has the default of ``Preprocessing``. The finder's version is the one
    that cropped them, or else the installed one.

    Raises:
        UsageError: there is no such finder or alignment.
        ConfigError: the margin breaks its rule, or the finder cannot align.
        UnavailableError: the finder's package is missing, and the crops are not its own.
    """
    for option, value, known in (
        ("--finder", finder, FINDERS),
        ("--face-alignment", alignment, get_args(FaceAlignment)),
    ):
        if value is not None and value not in known:
            raise UsageError(f"{option} must be one of {', '.join(known)}, got {value!r}")
    framings = data.framings if data else ()
    if finder is None:
        own = [framing.finder for framing in framings if framing.version]
        finder = own[0] if own else Preprocessing().face_finder
    version = ""
    for framing in framings:
        if framing.finder == finder:
            margin = framing.margin if margin is None else margin
            alignment = alignment or framing.alignment
            version = framing.version
    defaults = Preprocessing()
    alignment = alignment or defaults.face_alignment
    module = finder_named(finder)
    # Face crops and rendered faces need no finder in training, but a server does.
    check_alignment(module.INFO, alignment)
    return Preprocessing(
        size=size,
        face_finder=finder,
        face_finder_version=version or module.version(),
        face_margin=defaults.face_margin if margin is None else margin,
        face_alignment=alignment,
    )


def framing_notes(data: FaceData, preprocessing: Preprocessing, *, training: bool) -> tuple[str, ...]:
    """Return warnings where the faces of ``data`` are framed otherwise than a server frames them.

    Args:
        data: faces that are learned or judged.
        preprocessing: the network's; a server finds and crops faces by it.
        training: whether they are learned: then an unknown framing is worth a warning too.
    """
    format = FORMATS[data.format]
    name, finder = format.name, preprocessing.face_finder
    if data.image_kind != "crops":
        version = version_note(finder, preprocessing.face_finder_version)
        notes: tuple[str, ...] = (version,) if version else ()
        if format.faces == "crops":
            notes += (
                f"--faces crop searched images that the format {name} calls face crops: a face is cut out "
                "again, and closer",
            )
        return notes
    if format.faces != "crops" and not data.framings:
        return (
            f"--faces as-is took the images of the format {name} as they are, and not all are face crops: a "
            f"server shows the network faces that {finder} has found and cropped",
        )
    known = [framing for framing in data.framings if framing.finder == finder]
    if not known:
        unknown = (
            f"it is not known how the face crops of the format {name} compare to those that a server makes "
            f"with {finder} and margin {preprocessing.face_margin:g}: compare them with `data inspect "
            "--faces crop`, and set --face-margin",
        )
        return unknown if training else ()
    [framing] = known
    notes = ()
    if abs(framing.margin - preprocessing.face_margin) > CLOSE:
        larger = (1 + 2 * framing.margin) / (1 + 2 * preprocessing.face_margin)
        notes += (
            f"these face crops show what {finder} crops with margin {framing.margin:g}, the network's is "
            f"{preprocessing.face_margin:g}: a server shows it faces at {larger:.2f} times this scale",
        )
    if framing.alignment != preprocessing.face_alignment:
        notes += (
            f"these face crops have alignment {framing.alignment}, the network's is "
            f"{preprocessing.face_alignment}: prepare the data set again with --face-alignment "
            f"{preprocessing.face_alignment}",
        )
    return notes
