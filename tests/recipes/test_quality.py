"""The committed face model is as good as its card says: measured again on the card's small n."""

import pytest
import torch

from helpers.checkpoints import FOLDER, load_card, load_denoiser, load_model
from helpers.data import load_faces
from helpers.features import extract
from helpers.guidance import guide
from helpers.metrics import frechet_distance
from helpers.samplers import draw, last, pairs, sample, timesteps
from helpers.schedules import make_schedule
from recipes.face_features import balanced_accuracy
from recipes.noisy_classifier import guesses

pytestmark = pytest.mark.skipif(
    not (FOLDER / "ddpm-faces" / "card.json").exists(), reason="make checkpoints NAME=ddpm-faces comes first"
)


@pytest.mark.parametrize("name", ["ddpm-faces", "plain-faces", "tuned-faces"])
def test_the_small_distance_of_the_card_is_measured_again(name):
    card, predict = load_card(name), load_denoiser(name)
    small = card["fd_small"]
    features = load_model("face-features")
    images = draw(predict, predict.schedule, small["n"], small["steps"], small["seed"])
    reference = extract(features, load_faces("embedded", "train").images)
    low, high = small["interval"]
    assert low < frechet_distance(extract(features, images), reference) < high
    assert images.abs().max() <= 1 and images.std() > 0.3  # not one grey picture 200 times


@pytest.mark.parametrize("t", [1, 500, 900])
def test_the_classifier_of_noisy_faces_sees_as_much_as_its_card_says(t):
    """On 500 of the card's 1,000 faces and with another noise."""
    network, card = load_model("noisy-classifier"), load_card("noisy-classifier")
    faces = load_faces("embedded", "valid").take(torch.arange(500))
    seen = guesses(network, make_schedule(**card["schedule"]), faces, t, seed=1)
    said = card["balanced_accuracy"]["by_step"][str(t)]
    assert abs(float(balanced_accuracy(seen, faces)) - said) < 0.03


def test_the_card_sets_the_distance_beside_its_floor():
    card = load_card("ddpm-faces")
    assert card["fd"]["n"] == 1000
    low, high = card["fd"]["interval"]
    assert 0 < card["fd"]["floor"] < low < card["fd"]["value"] < high
    # as far from the training faces as the test faces are: nothing is copied
    assert card["copying"]["samples"]["0.5"] > 0.8 * card["copying"]["test_faces"]["0.5"]
    assert card["sheet"]["n"] == 100 and 0 <= card["sheet"]["broken"] <= 100


def test_an_asked_for_attribute_is_drawn():
    """Eight faces asked for with glasses, eight without: the classifier sees the difference."""
    predict, features = load_denoiser("ddpm-faces"), load_model("face-features")
    faces = load_faces("embedded", "test", limit=1)
    wish = torch.cat([faces.ask(8, Eyeglasses=True), faces.ask(8, Eyeglasses=False)])
    x = torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1, 1)
    walk = pairs(timesteps(predict.schedule.steps, 10))
    end = last(sample(guide(predict, 2.0, attributes=-1), predict.schedule, x, walk, attributes=wish))
    with torch.no_grad():
        seen = features(end.x.clamp(-1, 1), classify=True)[faces.position("Eyeglasses")].argmax(1)
    assert (seen == wish[:, faces.position("Eyeglasses")]).float().mean() >= 15 / 16
