"""The memory of a training, measured in a process of its own."""

import torch

from benchmarks import memory


def test_memory_is_that_of_the_training_also_when_this_process_is_large():
    large = torch.ones(3 * 2**27)  # 1.5 GiB: a child's ru_maxrss would begin with them
    found = memory.alone("this project", "bf16", "training")
    assert large[-1] == 1 and 50 < found["mib"] < 2000, found
    assert found["first"] > 0
