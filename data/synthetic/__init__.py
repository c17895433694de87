"""Seeded synthetic faces with known expressions, drawn from FACS action units with numpy and OpenCV.

They make it possible to run training, export and serving, and to test the result, without a licensed
data set.
"""

from lnlattennet.data.synthetic._action_units import EXPRESSIONS
from lnlattennet.data.synthetic._nuisance import HELD_OUT, TRAIN, Nuisance
from lnlattennet.data.synthetic._render import RenderedFace, render_face

__all__ = ["EXPRESSIONS", "HELD_OUT", "TRAIN", "Nuisance", "RenderedFace", "render_face"]
