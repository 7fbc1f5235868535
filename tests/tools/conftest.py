"""A checkout in small, in which a notebook can be built."""

import re

import pytest

from tools import build, notebooks

SOURCE = """\
# %% [markdown]
# # A title
# {{badge}}

# %% tags=["setup"]
from helpers import course

course.setup(minutes={"cpu": 3, "gpu": 1})

# %%
import matplotlib.pyplot as plt
import torch

print(torch.randn(2), course.ROOT / "data")
plt.plot(torch.randn(5))
plt.show()

# %%
print("the same")


# %%
print("the same")
"""


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """A source of our own in a folder that looks like the checkout."""
    (tmp_path / "notebooks" / "source").mkdir(parents=True)
    (tmp_path / "helpers").symlink_to(build.ROOT / "helpers")
    (tmp_path / "pyproject.toml").symlink_to(build.ROOT / "pyproject.toml")
    (tmp_path / "notebooks" / "sessions.toml").symlink_to(build.ROOT / "notebooks" / "sessions.toml")
    for name, path in {"ROOT": "", "NOTEBOOKS": "notebooks", "SOURCE": "notebooks/source"}.items():
        for module in (build, notebooks):
            monkeypatch.setattr(module, name, tmp_path / path, raising=False)
    monkeypatch.setattr(notebooks, "README", tmp_path / "README.md")
    monkeypatch.setattr(notebooks, "MACHINE", re.compile("/never"))  # helpers are a link here
    source = tmp_path / "notebooks" / "source" / "01_scratch.py"
    source.write_text(SOURCE)
    return source
