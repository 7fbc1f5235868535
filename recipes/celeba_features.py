"""The 40 attributes of CelebA: features for distances between photographs (session inpainting)."""

from helpers.data import load_faces
from recipes.common import CELEBA_LICENCE, Recipe, flip
from recipes.face_features import classifier, random_shift


def recipe() -> Recipe:
    numbers = dict(steps=1500, batch=64, lr=1e-3, warmup=100, ema=0.99, seed=0, weight_decay=0.1)
    numbers |= dict(precision="auto", channels_last=True)
    data, valid = load_faces("celeba", "train"), load_faces("celeba", "valid")
    about = dict(data=f"{len(data):,} photographs (CelebA, train)", licence=CELEBA_LICENCE)
    return classifier(data, valid, numbers, shift_and_flip, **about)


def shift_and_flip(images, generator):
    """As `random_shift`, every other picture in the mirror."""
    return random_shift(flip(images, generator), generator)
