"""The fused attention in a network of your own, trained for a few steps.

python examples/kernel_op.py
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lnlattennet.kernels  # noqa: F401  (registers torch.ops.lnlattennet.*)


class RegionClassifier(nn.Module):
    """A convolution, then one pooled vector for each of the 4 x 4 regions of its feature map."""

    def __init__(self, channels: int = 32, classes: int = 7, grid: int = 4) -> None:
        super().__init__()
        self.grid = grid
        self.stem = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.query = nn.Parameter(torch.randn(grid * grid, 1, channels))
        self.classifier = nn.Linear(grid * grid * channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, 3, S, S] -> logits [B, classes]; S is divisible by 8."""
        pooled, _ = torch.ops.lnlattennet.region_attention(F.relu(self.stem(images)), self.query, self.grid)
        return torch.as_tensor(self.classifier(pooled.flatten(1)))


if __name__ == "__main__":
    torch.manual_seed(0)
    images, labels = torch.randn(16, 3, 64, 64), torch.randint(7, (16,))
    network = RegionClassifier()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for step in range(10):
        loss = F.cross_entropy(network(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        print(f"step {step}: loss {loss.item():.3f}")
