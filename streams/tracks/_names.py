"""Names of smoothings, for `--help` without numpy."""

from __future__ import annotations

import enum


class Smoothing(enum.StrEnum):
    """How the probabilities of a track are smoothed."""

    EXPONENTIAL = "exponential"
    HMM = "hmm"
