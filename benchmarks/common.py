"""What is compared, in which settings, and what each library of the comparison offers."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

SIDE = 32
SIZES = (16, 32, 64)
BATCH = 32
STEPS = 50  # of a sampler
WIDTHS = (48, 96, 128)
OWN = "this project"  # how its names begin
USER = "as its users run it"
PLAIN = "bf16, channels-last"
COMPILED = "bf16, channels-last, compiled"
SETTINGS = {  # how a step is run, besides the way its users run it
    "bf16": dict(precision="auto"),
    PLAIN: dict(precision="auto", channels_last=True),
    COMPILED: dict(precision="auto", channels_last=True, compile=True),
}


class Images:
    """Pictures (N, 3, side, side) that give batches to `fit`."""

    def __init__(self, images: Tensor):
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> Tensor:
        return self.images[indices]

    def loader(self) -> Iterator[Tensor]:
        """Batches without end from torch's DataLoader, as most users have them."""
        while True:
            for (batch,) in DataLoader(TensorDataset(self.images), BATCH, shuffle=True, drop_last=True):
                yield batch


class Peer:
    """What most of them have in common."""

    def inner(self, network: nn.Module) -> nn.Module:
        """The part that is called once for each step."""
        return network

    def user_network(self, side: int) -> nn.Module:
        """The network as its users build it, where that is another one."""
        return self.network(side)
