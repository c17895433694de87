"""Editing of a graph."""

from __future__ import annotations

import numpy as np
import onnx_ir
import pytest

from lnlattennet.export.onnx._editing import Insertion


def test_insertions_of_the_same_name_do_not_take_each_others_constants() -> None:
    image = onnx_ir.Value(name="image")
    node = onnx_ir.node("Relu", [image], name="unet.stem/Relu_0")
    graph = onnx_ir.Graph([image], node.outputs, nodes=[node], name="graph")
    Insertion(graph, node)("Add", image, np.zeros(3, np.float32))
    with pytest.raises(ValueError, match=r"unet\.stem/Relu_0\.constant1.* already registered"):
        Insertion(graph, node)("Add", image, np.ones(3, np.float32))
