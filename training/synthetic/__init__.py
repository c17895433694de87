"""Seeded synthetic faces with known expressions, drawn from FACS action units with numpy and OpenCV.

They let the whole path from training to serving run, and be tested for what it learned, where no
licensed photographs are at hand.
"""

from lnlattennet.training.synthetic.action_units import EXPRESSIONS
from lnlattennet.training.synthetic.nuisance import HELD_OUT, TRAIN, Nuisance
from lnlattennet.training.synthetic.render import RenderedFace, render_face

__all__ = ["EXPRESSIONS", "HELD_OUT", "TRAIN", "Nuisance", "RenderedFace", "render_face"]
