"""The table of guidance: what is asked for, how it is scored, and that every row is paired and complete."""

import json

import pytest
import torch

from experiments.guidance import ASKED, CALLS, FILE, balanced, colours, wishes
from helpers.data import load_faces

TABLE = json.loads(FILE.read_text(encoding="utf-8"))


def test_a_wish_names_four_attributes_and_leaves_the_rest_open():
    faces = load_faces("embedded", "valid", limit=20)
    asked = wishes(faces)
    kept = [faces.names.index(name) for name in ASKED]
    assert torch.equal(asked[:, kept], faces.attributes[:, kept].long())
    assert (asked >= 0).sum() == 20 * len(ASKED)


def test_balanced_accuracy_counts_each_value_alike():
    truth, guesses = torch.tensor([0] * 8 + [1] * 2), torch.tensor([0] * 10)
    assert balanced(guesses, truth) == 0.5


def test_contrast_and_colour_of_pictures_that_are_known():
    grey, half = torch.zeros(1, 3, 4, 5), torch.ones(1, 3, 4, 4)
    half[..., 2:] = -1
    red = torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1).expand(1, 3, 4, 5)
    assert colours(grey)["contrast"] == 0 and colours(grey)["colour"] == 0
    assert float(colours(half)["contrast"]) == pytest.approx((48 / 47) ** 0.5)
    assert colours(half)["colour"] == 0 and colours(red)["colour"] == 2


def test_every_row_has_the_same_wishes_and_the_same_calls():
    rows = TABLE["rows"]
    assert len({row["n"] for row in rows.values()}) == 1 and TABLE["machine"]["calls"] == CALLS
    for key, row in rows.items():
        low, high = row["interval"]
        assert low < row["fd"] < high and 0 <= row["all_right"] <= row["right"] <= 1, key
        assert row["against"] in (None, *rows) and row["against"] != key
        assert ("difference" in row) == (row["against"] is not None), key
    assert rows["none"]["steps"] == CALLS and rows["classifier-free, 2"]["steps"] == CALLS // 2


def test_what_the_lecture_says_of_the_table():
    rows = TABLE["rows"]
    free = [rows[f"classifier-free, {s:g}"] for s in (1.5, 2, 3, 5, 8)]
    for key, rising in (("all_right", True), ("fd", True), ("recall", False)):
        values = [row[key] for row in free]
        assert (values[-1] > values[0]) == rising, key
    few, led = rows["none, 16 steps"], rows["interval, 5"]
    assert led["fd"] < few["fd"] < rows["classifier-free, 5"]["fd"]  # the interval costs no distance
    assert led["all_right"] > few["all_right"] + 0.1
    assert rows["autoguidance, 1.5"]["recall"] > few["recall"]
    assert rows["small model, 3"]["fd"] > rows["small model, none"]["fd"]  # no sweet spot there, either
