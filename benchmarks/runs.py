"""A training step or a draw of one of those compared, in a setting, ready to be timed."""

import contextlib

import torch
from torch import nn

from benchmarks.common import BATCH, SETTINGS, USER, Images
from helpers.profile import autocast
from helpers.train import fit

# One network class for many networks, with and without gradients: more graphs than the 8 after which
# torch silently goes on without compiling.
torch._dynamo.config.recompile_limit = 64


def prepared(peer, network: nn.Module, setting: str) -> dict:
    """The options of a setting besides 'compile'; where it has that, the network is compiled.

    Each picture size gets its own graph: the project's two networks share code, and would otherwise share one
    for any size, which the peers do not have.
    """
    how = dict(SETTINGS.get(setting, {}))
    if how.pop("compile", False):
        peer.inner(network).compile(dynamic=False)
    return how


def training_step(peer, setting: str, data: Images, side: int):
    """A function that takes one training step of a fresh network."""
    torch.manual_seed(0)
    if setting == USER:
        loop = peer.user_loop(peer.user_network(side), data)
    else:
        network = peer.network(side)
        how = prepared(peer, network, setting)
        loop = fit(network, data, peer.loss, steps=10**6, batch=BATCH, **how)
    return lambda: next(loop)


@contextlib.contextmanager
def setting_of(setting: str, peer, network: nn.Module):
    """The network as a sampler has it in a setting, and bf16 around what is done with it."""
    how = prepared(peer, network.eval(), setting)
    if how.get("channels_last"):
        network.to(memory_format=torch.channels_last)
    with torch.no_grad(), autocast("cpu", bool(how)):
        yield


def sampling(peer, setting: str, side: int):
    """A function that draws BATCH pictures in STEPS steps."""
    torch.manual_seed(0)
    user = setting == USER
    network = peer.user_network(side) if user else peer.network(side)
    draw = peer.user_sample if user else peer.sample

    def run():
        with setting_of(setting, peer, network):
            draw(network, BATCH, side)

    return run
