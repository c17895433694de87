"""Matching of a model's classes and a data set's by name: integer orders differ from data set to data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnlattennet.errors import UsageError
from lnlattennet.model._class_names import composed


@dataclass(frozen=True)
class ClassMatch:
    """Classes that are evaluated, in the model's order.

    Attributes:
        class_names: names of the evaluated classes.
        columns: their columns in the model's logits.
        label_of: for every class of the data, its index in ``class_names``, or -1.
        notes: sentences about what was left out.
    """

    class_names: tuple[str, ...]
    columns: tuple[int, ...]
    label_of: NDArray[np.int64]
    notes: tuple[str, ...]


def match_classes(model: Sequence[str], data: Sequence[str], *, common_only: bool) -> ClassMatch:
    """Match the class names of a model and of a data set.

    Names that differ only in how Unicode composes their letters are the same name.

    Args:
        model: names in the order of the logits.
        data: names in the order of the labels.
        common_only: leave out classes that only the model or only the data has, instead of refusing them.

    Raises:
        UsageError: the names differ and ``common_only`` is not set, or fewer than two names are common.
    """
    model, data = composed(model), composed(data)
    only_model = [name for name in model if name not in data]
    only_data = [name for name in data if name not in model]
    common = [name for name in model if name in data]
    sides = (("the model", only_model), ("the data", only_data))
    differences = [f"only {side} has {', '.join(names)}" for side, names in sides if names]
    if differences and not common_only:
        raise UsageError(
            f"the classes differ: {' and '.join(differences)}; rename the data's classes, or evaluate the "
            f"{len(common)} common ones with --common-classes"
        )
    if len(common) < 2:
        raise UsageError(
            f"fewer than two classes are common: the model knows {', '.join(model)}, the data "
            f"{', '.join(data)}; rename the data's classes to the model's"
        )
    notes = []
    if only_model:
        missing = ", ".join(only_model)
        notes.append(f"Only the common classes count: the model may not predict {missing} here.")
    if only_data:
        notes.append(f"Only the common classes count: faces of {', '.join(only_data)} were left out.")
    return ClassMatch(
        class_names=tuple(common),
        columns=tuple(model.index(name) for name in common),
        label_of=np.array([common.index(name) if name in common else -1 for name in data], np.int64),
        notes=tuple(notes),
    )
