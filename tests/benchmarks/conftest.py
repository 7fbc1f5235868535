"""What the tests of the benchmark share: measurements with round numbers."""

import pytest

from benchmarks.common import SETTINGS, USER


@pytest.fixture
def measured():
    """What `measure` would give, with round numbers."""

    def seconds(value):
        return dict(median=value, low=value, high=value, n=3)

    def row(user, best):
        return {
            USER: seconds(user),
            **{s: seconds(best * k) for s, k in zip(SETTINGS, (3, 2, 1), strict=True)},
        }

    def drawn(user, best):
        return {USER: seconds(user), "bf16, channels-last": seconds(best)}

    def score(fd):
        return dict(fd=fd, interval=[fd - 0.4, fd + 0.4], steps=9, rate=2e-3, n=80, setting="bf16",
                    step=0.2)  # fmt: skip

    over = dict(inside=seconds(0.01), alone=dict(seconds(0.012), low=-0.01))
    lost = dict(fd=None, interval=None, steps=9, rate=2e-3, n=80, setting="bf16")
    names = ("this project", "this project, not folded", "other", "slow")
    return dict(
        machine=dict(device="CPU", processor="Chip (AVX2)", python="3", date="today", versions={"torch": "2"},
                     batch=32, side=32, sampler_steps=50, bf16=True),
        parameters=dict.fromkeys(names, 3_700_000),
        training=dict(zip(names, (row(0.4, 0.2), row(0.5, 0.4), row(0.6, 0.25), row(0.9, 0.5)), strict=True)),
        sampling=dict(zip(names, (drawn(4, 2), drawn(5, 4), drawn(5, 3), drawn(9, 8)), strict=True)),
        memory={what: dict.fromkeys(names, {USER: dict(mib=m, first=1.0),
                                            "bf16, channels-last, compiled": dict(mib=m - 10, first=30.0)})
                for what, m in (("training", 100.0), ("sampling", 50.0))},
        peak=dict(operations_per_second=1e12, shapes={}),
        operations=dict.fromkeys(names, 10**11),
        sizes={n: {str(s): seconds(0.1 * (s / 16) ** 2) for s in (16, 32, 64)} for n in names},
        overhead=dict.fromkeys(names, over),
        floor=dict(n=80, fd=0.4),
        quality={"this project": {"5": score(6.0), "10": score(3.0), "20": score(2.0)},
                 "other": {"5": score(9.0), "10": score(5.0), "20": score(4.0)},
                 "this project, not folded": {"5": score(4.0), "10": score(2.5), "20": score(1.5)},
                 "slow": {"10": lost}},
        search=dict.fromkeys(names, {"0.001": score(7.0), "0.002": lost}),
    )  # fmt: skip
