"""Every recipe: found by its name, tried for two steps, and in agreement with the card of what it made."""

import json

import pytest
import torch

from helpers.checkpoints import FOLDER, load_card, load_model
from helpers.data import load_faces
from helpers.pictures import Faces
from helpers.schedules import SCHEDULES
from helpers.targets import TARGETS
from recipes.common import Recipe, card_of
from tools import checkpoints

COMMITTED = sorted(path.parent.name for path in FOLDER.glob("*/card.json"))


def some_faces(name="embedded", split="train", **options):
    """A few faces of either source: photographs have two attributes here, and are noise."""
    if name == "embedded":
        return load_faces(name, split, limit=300)
    pixels = torch.randint(256, (300, 3, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
    names, yes = ("Smiling", "Male"), torch.arange(600).view(300, 2) % 3 % 2
    return Faces(name, split, pixels, yes.to(torch.int8), names, {n: (False, True) for n in names}, [], ())


@pytest.fixture
def little_data(monkeypatch):
    for name in checkpoints.names():
        module = checkpoints.module_of(name)
        if hasattr(module, "load_faces"):
            monkeypatch.setattr(module, "load_faces", some_faces)


def test_a_recipe_is_found_by_its_name():
    assert COMMITTED and set(COMMITTED) <= set(checkpoints.names())
    assert "ddpm-celeba" in checkpoints.names() and "common" not in checkpoints.names()
    assert checkpoints.module_of("cascade-64-plain").__name__ == "recipes.cascade_64_plain"


@pytest.mark.parametrize("name", checkpoints.names())
def test_two_steps_of_every_recipe(name, little_data, tmp_path, monkeypatch):
    """As `make checkpoints NAME=… --steps 2`: it trains, is kept under build/, and can be loaded again."""
    monkeypatch.setattr(checkpoints, "BUILD", tmp_path / "build" / "training")
    path = checkpoints.make(name, steps=2)
    assert path == tmp_path / "build" / "training" / f"{name}-2"
    network = load_model(path.name, folder=path.parent)
    assert all(v.isfinite().all() for v in network.state_dict().values())
    card = load_card(path.name, path.parent)
    assert card["recipe"]["steps"] == 2 and card["seed"] == (name == "tuned-faces") and card["data"]
    if "features" in name:
        assert 0 < card["balanced_accuracy"] < 1 and float(network.scale) != 1
    elif name == "noisy-classifier":
        assert card["names"] and card["schedule"]["name"] in SCHEDULES
    else:
        assert card["target"] in TARGETS and card["schedule"]["name"] in SCHEDULES
    assert ("non-commercial" in card.get("licence", "")) == ("celeba" in name)


@pytest.mark.parametrize("name", COMMITTED)
def test_recipe_and_card_agree(name, little_data, monkeypatch):
    monkeypatch.setattr("recipes.common.fast_dtype", lambda kind: torch.bfloat16)  # as where it was made
    recipe, card = checkpoints.module_of(name).recipe(), load_card(name)
    assert isinstance(recipe, Recipe) and recipe.bits == card["bits"]
    said = json.loads(json.dumps(card_of(recipe, 0)))
    for key in ("recipe", "more", "schedule", "target", "tasks", "highest", "start", "steps"):
        assert said.get(key) == card.get(key), key
    if "celeba" not in name:  # 40 attributes there
        assert json.loads(json.dumps(recipe.network.config)) == card["config"]


def test_the_measure_of_a_card_is_in_its_recipe():
    found = [name for name in checkpoints.names() if hasattr(checkpoints.module_of(name), "measure")]
    assert found == ["ddpm-faces", "noisy-classifier", "plain-faces", "tuned-faces"]


def test_steps_below_one_are_refused(capsys):
    with pytest.raises(SystemExit):
        checkpoints.main(["ddpm-celeba", "--steps", "0"])
    assert "--steps is a number of at least 1." in capsys.readouterr().err
    with pytest.raises(SystemExit):
        checkpoints.main(["common"])  # shared by the recipes, and none itself
    assert "invalid choice: 'common'" in capsys.readouterr().err


def test_only_the_main_process_keeps_a_model(little_data, tmp_path, monkeypatch):
    from accelerate import PartialState

    monkeypatch.setattr(checkpoints, "BUILD", tmp_path)
    monkeypatch.setattr(PartialState, "is_main_process", property(lambda self: False))
    assert checkpoints.make("cascade-16", steps=1) is None
    assert not (tmp_path / "cascade-16-1").exists()
