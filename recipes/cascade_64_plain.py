"""The second stage of a cascade without augmentation: its small faces are clean (session restoration)."""

from recipes import cascade_64
from recipes.common import Recipe


def recipe() -> Recipe:
    return cascade_64.recipe(highest=0)
