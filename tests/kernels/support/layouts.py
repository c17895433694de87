"""The memory layouts that features may arrive in: views inside larger buffers whose rest is NaN.

A kernel that reads one element too many, or with a wrong stride, meets a NaN, and its answer shows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Layout of a tensor in its buffer; dimensions are named b, c, h, w.

    Attributes:
        name: what a test's id shows.
        order: the dimensions from the slowest to the fastest.
        before: padding elements before the view, per dimension.
        after: padding elements after the view, per dimension.
        step: distance between neighbors, per dimension.
        expanded: a dimension of stride 0, or "".
        offset: elements between the buffer's (aligned) start and the padded view.
    """

    name: str
    order: str = "bchw"
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    step: dict[str, int] = field(default_factory=dict)
    expanded: str = ""
    offset: int = 64

    def __str__(self) -> str:
        return self.name


CONTIGUOUS = Layout("contiguous")
CHANNELS_LAST = Layout("channels_last", "bhwc")
LAYOUTS = [
    CONTIGUOUS,
    CHANNELS_LAST,
    Layout("contiguous-misaligned", offset=65),
    Layout("contiguous-padded-rows", after={"w": 3}),
    Layout("contiguous-cropped", before={"h": 1, "w": 2}, after={"h": 2, "w": 1}),
    Layout("contiguous-channel-slice", before={"c": 3}, after={"c": 2}, offset=67),
    Layout("contiguous-every-second-image", step={"b": 2}),
    Layout("contiguous-every-second-channel", step={"c": 2}),
    Layout("contiguous-every-second-row", step={"h": 2}),
    Layout("contiguous-batch-inside", "cbhw", after={"w": 1}),
    Layout("contiguous-rows-outside", "hbcw", offset=63),
    Layout("contiguous-expanded-batch", expanded="b"),
    Layout("contiguous-expanded-channels", expanded="c"),
    Layout("channels_last-misaligned", "bhwc", offset=65),
    Layout("channels_last-channel-slice", "bhwc", before={"c": 1}, after={"c": 2}),
    Layout("channels_last-padded-rows", "bhwc", after={"w": 2}),
    Layout("channels_last-cropped", "bhwc", before={"h": 1, "w": 1}, after={"h": 1, "w": 1}, offset=61),
    Layout("channels_last-every-second-position", "bhwc", step={"h": 2, "w": 2}),
    Layout("channels_last-columns-outside", "wbhc", after={"c": 5}),
    Layout("channels_last-expanded-batch", "bhwc", expanded="b"),
    Layout("channels_last-expanded-rows", "bhwc", expanded="h"),
    Layout("strided-columns", step={"w": 2}),
    Layout("strided-channels", "bhwc", step={"c": 3}),
    Layout("rows-fastest", "wcbh", before={"h": 1}, after={"h": 1}),
    Layout("batch-fastest", "hwcb", after={"b": 1}),
    Layout("expanded-columns", expanded="w"),
    Layout("channels_last-expanded-columns", "bhwc", expanded="w"),
]


def place(values: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """Lay ``values`` [B, C, H, W] out in a buffer of NaN.

    Returns:
        The view (an expanded dimension repeats its first entry) and the whole buffer.
    """
    shape = values.shape
    if layout.expanded:
        axis = "bchw".index(layout.expanded)
        values = values.narrow(axis, 0, min(1, shape[axis]))
    sizes = dict(zip("bchw", values.shape, strict=True))
    start = {name: layout.before.get(name, 0) for name in "bchw"}
    step = {name: layout.step.get(name, 1) for name in "bchw"}
    stop = {name: start[name] + sizes[name] * step[name] for name in "bchw"}
    padded = [stop[name] + layout.after.get(name, 0) for name in layout.order]
    size = layout.offset + prod(padded) + 64
    buffer = torch.full((size,), float("nan"), dtype=values.dtype, device=values.device)
    view = buffer[layout.offset : layout.offset + prod(padded)].view(padded)
    view = view[tuple(slice(start[name], stop[name], step[name]) for name in layout.order)]
    view = view.permute([layout.order.index(name) for name in "bchw"])
    view.copy_(values)
    return view.expand(shape), buffer
