"""Predictions for faces with chosen regions covered."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lnlattennet.evaluation.faithfulness._readings import read_regions
from lnlattennet.evaluation.predictors._base import Faces
from lnlattennet.model._network import LNLAttenNet
from lnlattennet.model._preprocessing import Preprocessing

Masks = NDArray[np.bool_]

_FACES_PER_PASS = 32
"""More gain nothing on a CPU, whose caches they leave: measured with 32 and 128."""
_FACES_PER_PASS_OF_A_GPU = 512


def mean_color(faces: Faces) -> Faces:
    """Return every face [n, S, S, 3] as one flat area of its mean color."""
    color = faces.mean(axis=(1, 2), keepdims=True).round().astype(np.uint8)
    return np.broadcast_to(color, faces.shape)


def blurred(faces: Faces) -> Faces:
    """Return faces [n, S, S, 3] too blurred to show any feature: sigma is an eighth of a face's side."""
    return np.stack([cv2.GaussianBlur(face, (0, 0), faces.shape[1] / 8) for face in faces])


CURVE_FILL = "mean"
FILLS: Mapping[str, Callable[[Faces], Faces]] = {CURVE_FILL: mean_color, "blur": blurred}
"""What stands where a region is covered: ``CURVE_FILL``, and another one that has no hard edges."""


class CoveredPredictor:
    """Probabilities of the evaluated classes, for faces with regions covered.

    Args:
        network: network in evaluation mode, in channels_last.
        preprocessing: that of its checkpoint.
        columns: indices of the evaluated classes among its logits.
    """

    def __init__(self, network: LNLAttenNet, preprocessing: Preprocessing, columns: Tensor) -> None:
        self.network = network
        self.columns = columns
        self._preprocessing = preprocessing
        self._at_once = _FACES_PER_PASS_OF_A_GPU if columns.is_cuda else _FACES_PER_PASS

    def images(self, faces: Faces) -> Tensor:
        """Normalize RGB faces uint8 [n, S, S, 3] to [n, 3, S, S] on the network's device."""
        images = torch.from_numpy(self._preprocessing.normalize(faces)).to(self.columns.device)
        return images.contiguous(memory_format=torch.channels_last)

    def readings(self, images: Tensor) -> dict[str, Tensor]:
        """Return name to scores [n, K] of every reading of these normalized faces."""
        return read_regions(self.network, images, self.columns)

    @torch.inference_mode()
    def probabilities(self, images: Tensor, fill: Tensor, masks: Masks) -> NDArray[np.float64]:
        """Predict every face under every one of its masks; masks that a face has twice are predicted once.

        Args:
            images: normalized faces [n, 3, S, S].
            fill: what covers them, likewise.
            masks: true where a region is covered [n, M, K].

        Returns:
            Softmax over the evaluated classes [n, M, classes].
        """
        count, variants, regions = masks.shape
        owner = np.repeat(np.arange(count, dtype=np.uint32), variants)
        keys = np.hstack([owner[:, None].view(np.uint8), np.packbits(masks.reshape(-1, regions), axis=1)])
        _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        faces = torch.from_numpy(owner[first].astype(np.int64)).to(images.device)
        covered = torch.from_numpy(masks.reshape(-1, regions)[first]).to(images.device)
        logits = [
            self._logits(images[index], fill[index], mask)
            for index, mask in zip(
                torch.split(faces, self._at_once), torch.split(covered, self._at_once), strict=True
            )
        ]
        answers = torch.cat(logits)[:, self.columns].double().softmax(dim=1).cpu().numpy()
        return np.asarray(answers[inverse.ravel()].reshape(count, variants, -1))

    def _logits(self, images: Tensor, fill: Tensor, masks: Tensor) -> Tensor:
        """Return the logits [n, classes] with the regions of masks [n, K] covered."""
        grid, size = self.network.config.grid, images.shape[-1] // self.network.config.grid
        pixels = masks.view(-1, 1, grid, grid).repeat_interleave(size, 2).repeat_interleave(size, 3)
        covered = torch.where(pixels, fill, images)
        logits: Tensor = self.network(covered.contiguous(memory_format=torch.channels_last)).logits
        return logits.float()
