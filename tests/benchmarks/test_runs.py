"""Steps and draws in a setting: what is compiled, and that a step trains."""

import functools
import math

import torch

from benchmarks import runs
from benchmarks.common import BATCH, Images
from benchmarks.peers import peers


def test_each_picture_size_is_compiled_for_itself():
    """The project's two networks share code; a graph for any size would be slower than what the peers get."""
    seen = []

    def backend(graph, inputs):
        seen.append([x for x in inputs if not isinstance(x, torch.Tensor)])
        return graph.forward

    torch._dynamo.reset()
    for name in ("this project", "this project, pixels not folded"):
        network = peers()[name].network(8)
        network.compile = functools.partial(network.compile, backend=backend)
        how = runs.prepared(peers()[name], network, "bf16, channels-last, compiled")
        assert how == dict(precision="auto", channels_last=True)
        network(torch.zeros(2, 3, 8, 8), torch.tensor([1, 2]))
    torch._dynamo.reset()
    assert len(seen) >= 2 and all(sizes == [] for sizes in seen)


def test_a_training_step_changes_the_network_in_each_setting():
    data = Images(torch.rand(BATCH, 3, 8, 8) * 2 - 1)
    for setting in ("bf16", "bf16, channels-last"):
        step = runs.training_step(next(iter(peers().values())), setting, data, 8)
        first, second = step(), step()
        assert second.step == 2 and math.isfinite(first.loss)
