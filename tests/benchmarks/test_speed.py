"""Speeds in turns, the overhead of a sampler, the operations of a step."""

import pytest
import torch
from torch import nn

from benchmarks import speed
from benchmarks.common import BATCH, STEPS


def stub(**answers):
    """A peer whose network is one convolution, and whose sampler calls it as often as it should."""

    class Peer:
        name = "stub"
        times = STEPS

        def network(self, side):
            return nn.Conv2d(3, 3, 3, padding=1, bias=False)

        def inner(self, network):
            return network

        user_network = network

        def call(self, network, x, t):
            return network(x)

        def loss(self, network, batch, generator):
            return network(batch).square().mean()

        def sample(self, network, n, side):
            x = torch.zeros(n, 3, side, side)
            for _ in range(self.times):
                x = network(x)
            return x

    peer = Peer()
    for name, value in answers.items():
        setattr(peer, name, value)
    return peer


def test_the_spread_is_the_median_with_its_quartiles():
    found = speed.spread([4.0, 1.0, 2.0, 3.0, 100.0])
    assert found["median"] == 3.0 and found["low"] == 1.5 and found["n"] == 5
    assert speed.spread([2.0]) == dict(median=2.0, low=2.0, high=2.0, n=1)


def test_runs_take_turns_and_the_first_rounds_do_not_count():
    order = []
    runs = {name: lambda name=name: order.append(name) for name in "ab"}
    found = speed.in_turns(runs, rounds=3, skip=1)
    assert "".join(order) == "abababab"
    assert found["a"]["n"] == 3


def test_operations_of_a_step_are_counted_not_assumed():
    forward = 2 * BATCH * 32 * 32 * 3 * 3 * 9
    # backward: the gradient of the weights costs as much again; that of the picture is not needed
    assert speed.operations(stub()) == 2 * forward


def test_overhead_is_the_share_of_a_run_outside_its_own_forwards(monkeypatch):
    now = [0.0]  # seconds of a clock that only the stub moves
    monkeypatch.setattr(speed.time, "perf_counter", lambda: now[0])
    peer = stub()
    build = peer.network

    def network(side):
        made = build(side)
        made.forward = lambda x: now.__setitem__(0, now[0] + 2.0) or x
        return made

    def draw(network, n, side):
        x = torch.zeros(n, 3, side, side)
        for _ in range(STEPS):
            x = network(x)
            now[0] += 0.5

    def call(network, x, t):
        now[0] += 0.25
        return network(x)

    peer.network, peer.sample, peer.call = network, draw, call
    found = speed.overhead(peer, rounds=3)
    assert found["inside"] == pytest.approx(dict(median=0.2, low=0.2, high=0.2, n=3))  # 25 of 125 seconds
    assert found["alone"] == pytest.approx(dict(median=0.1, low=0.1, high=0.1, n=3))  # 125 − 112.5


def test_overhead_refuses_a_sampler_that_calls_its_network_more_often():
    with pytest.raises(RuntimeError, match="asked its network 51 times in 50 steps"):
        speed.overhead(stub(times=STEPS + 1), rounds=1)
