"""Programs that find the face in a photograph and name its expression: ours, and those of other packages."""

from __future__ import annotations

from dataclasses import dataclass

OURS = "lnlattennet"
DEEPFACE = "DeepFace"


@dataclass(frozen=True)
class Program:
    """A program, as its package's own documentation calls it.

    Attributes:
        package: name on PyPI.
        code: defines `answer(photograph: bytes) -> str`; may use the variables `bundle` and `deepface_home`,
            and `os` and `sys`.
        install: arguments of `pip install` for an environment of its own; "" for this project's.
    """

    package: str
    code: str
    install: str = ""


_OURS = """
import lnlattennet
model = lnlattennet.load(bundle)
def answer(photograph):
    return model.predict(photograph).label
"""
_FER = """
import cv2, numpy
from fer.fer import FER
model = FER()
def answer(photograph):
    pixels = cv2.imdecode(numpy.frombuffer(photograph, numpy.uint8), cv2.IMREAD_COLOR)
    emotions = model.detect_emotions(pixels)[0]["emotions"]
    return max(emotions, key=emotions.get)
"""
_FACEX = """
import cv2, facex, numpy
model = facex.PoolManager(pool_size=1)
def answer(photograph):
    pixels = cv2.imdecode(numpy.frombuffer(photograph, numpy.uint8), cv2.IMREAD_COLOR)
    emotions = model.predict(pixels)[0]["emot"]
    return max(emotions, key=emotions.get)
"""
_DEEPFACE = """
import cv2, numpy
os.environ["DEEPFACE_HOME"] = deepface_home
from deepface import DeepFace
def answer(photograph):
    pixels = cv2.imdecode(numpy.frombuffer(photograph, numpy.uint8), cv2.IMREAD_COLOR)
    return DeepFace.analyze(pixels, actions=["emotion"], silent=True)[0]["dominant_emotion"]
"""

PROGRAMS = {
    OURS: Program("lnlattennet", _OURS),
    # OpenCV 5 has no cascade where fer looks for it; setuptools 81 has no pkg_resources.
    "fer": Program(
        "fer",
        _FER,
        "'setuptools<81' 'opencv-contrib-python-headless<5' tensorflow-cpu requests Pillow "
        "&& pip install --no-deps fer==25.10.3",
    ),
    "facex": Program(
        "facex",
        _FACEX,
        "opencv-contrib-python-headless tensorflow-cpu scikit-image && pip install --no-deps facex==1.1.0",
    ),
    # deepface 0.0.103 imports werkzeug and does not declare it; OpenCV 5 has no cascade.
    DEEPFACE: Program("deepface", _DEEPFACE, "deepface==0.0.103 'opencv-contrib-python-headless<5' werkzeug"),
}
"""Name in the record -> program; ours is the first."""

NEED_DOWNLOADS = {
    "Py-Feat": "py-feat 2.1.5 downloads its networks at first use (LocalEntryNotFoundError: cannot find the "
    "requested files in the local cache)",
    "EmotiEffLib": "emotiefflib 1.1.1 downloads its networks at first use, and finds no faces (URLError: "
    "Name or service not known)",
    "online-emotion-detection": "online-emotion-detection 0.3.4 downloads its networks at first use, and "
    "finds no faces (URLError: Name or service not known)",
}
"""Programs whose packages bring no network, and how each failed offline, tried on 2026-11-30."""
