"""Words for what pydantic refuses."""

from __future__ import annotations

import reprlib

from pydantic import ValidationError


def first_problem(error: ValidationError) -> str:
    """Return the first field that breaks a rule, its value and the rule: "faces = inf: Input should be ...".

    A field that is missing has no value, and a text that is no JSON has no fields.
    """
    first = error.errors()[0]
    if not first["loc"]:
        return first["msg"]
    value = "" if first["type"] == "missing" else f" = {reprlib.repr(first['input'])}"
    return f"{'.'.join(map(str, first['loc']))}{value}: {first['msg']}"
