"""What a check says to all sorts of answers; it never raises."""

import json
import random
import subprocess
import sys
import types

import numpy as np
import pytest
import torch

from helpers import checks
from helpers.checks import Hint, close, describe, exercise, expect, finite, same, shape_like
from helpers.profile import ROOT
from tools.proof import run_cell


@pytest.fixture
def check(monkeypatch):
    """A session of its own with one exercise, `double`."""
    monkeypatch.setattr(checks, "_sessions", {})

    @exercise
    def double(double):
        x = torch.tensor([1.0, 2.0, 4.0])
        for _ in range(3):
            same(double(x), torch.tensor([2.0, 4.0, 8.0]), "(1, 2, 4) gives {got}, not {expected}.")
        return "twice as much."

    return double


def answer(source):
    """What a student's cell defines, in a notebook's namespace."""
    namespace = {"__name__": "__main__", "torch": torch, "np": np}
    run_cell(source, namespace, "<cell>")
    return namespace["double"]


@pytest.mark.parametrize(
    "source, said",
    [
        ("def double(x):\n    return x + x", "✅ double: twice as much."),
        ("def double(x):\n    x *= 2\n    return x", "✅ double: twice as much."),
        ("double = lambda x: 2 * x", "✅"),
        ("def double(x):\n    raise NotImplementedError", "✏️ double: not started yet: write your"),
        ("double = ...", "✏️ double: not started yet: replace the `...`"),
        ("double = None", "✏️"),
        ("def double(x):\n    return ...", "✏️"),
        ("def double(x):\n    y = ...\n    return y * x", "✏️ double: not finished yet: there is a `...`"),
        ("def inner(x):\n    raise NotImplementedError\ndef double(x):\n    return inner(x)", "✏️"),
        ("def double(x):\n    return x", "🔶 double: (1, 2, 4) gives (1, 2, 4), not (2, 4, 8)."),
        ("def double(x):\n    x + x", "🔶 double: Your answer is None, expected was a torch tensor of"),
        ("def double(x):\n    return 2 * np.ones(3)", "but it is a numpy array of shape (3,), float64."),
        ("def double(x):\n    return [2, 4, 8]", "float32, but it is a list of 3."),
        (
            "def double(x):\n    return (2 * x)[:2]",
            "shape (3,), float32, but it is a torch tensor of shape (2,)",
        ),
        (
            "def double(x):\n    return (2 * x).long()",
            "float32, but it is a torch tensor of shape (3,), int64.",
        ),
        ("def double(x):\n    return 'two'", "🔶 double: Your answer should be a torch tensor"),
        ("def double(x):\n    return double", "🔶 double: Your answer is the function `double`, expected"),
        ("def double(x):\n    return (x - x) / 0", "🔶 double: Your answer contains NaN"),
        ("def double(x):\n    return x / 0", "🔶 double: Your answer is infinite"),
        (
            "double = torch.tensor([2.0, 4.0, 8.0])",
            "🔶 double: Give the function itself, `check.double(double)`",
        ),
        ("double = 3", "not its result (this is a number)."),
        ("def double(x, y):\n    return x", "with 1 argument, but it is written as `double(x, y)`: missing"),
        ("def double(x):\n    return x @ torch.ones(2)", "⚠️ double: your code stopped with RuntimeError: "),
        (
            "def inner(x):\n    return 1 / 0\n\ndef double(x):\n    return inner(x)",
            "⚠️ double: your code stopped with ZeroDivisionError: division by zero "
            "(in inner, line 2, `return 1 / 0`)",
        ),
        (
            "def double(x):\n    assert False",
            "⚠️ double: your code stopped with AssertionError (in double, line 2",
        ),
        ("def double(x):\n    return double(x)", "⚠️ double: your code stopped with RecursionError"),
        ("def double(x):\n    exit()", "⚠️"),
        ("double = torch.nn.Module()", "⚠️|🔶"),
        ("double = torch.neg", "🔶 double: (1, 2, 4) gives (-1, -2, -4)"),
        ("class double:\n    pass", "🔶 double: The check could not work with this"),
        ("def double(x):\n    yield x", "🔶 double: Your answer should be a torch tensor"),
    ],
)
def test_one_line_comes_back(check, source, said):
    result = check(answer(source))
    line = repr(result)
    assert any(part in line for part in said.split("|")), line
    assert "\n" not in line and line == str(result)
    bundle = result._repr_mimebundle_()
    assert bundle["text/plain"] == line and bundle["text/html"].count("<div") == 1
    assert json.loads(json.dumps(bundle[checks.MIME]))["exercise"] == "double"
    assert check.passed == (result.status == "passed")


def test_html_is_escaped(check):
    page = check(answer("def double(x):\n    raise ValueError('<b>')"))._repr_mimebundle_()["text/html"]
    assert "&lt;b&gt;" in page and "<code>raise ValueError(" in page


def test_a_check_that_is_called_wrongly_says_how(check):
    for result in (check(), check(1, 2), check(answers=3)):
        assert repr(result) == "🔶 double: Please call the check as `check.double(double)`."


def test_what_answers_print_is_shown_once_and_shortened(check, capsys):
    check(answer("def double(x):\n    print('here')\n    return 2 * x"))
    assert capsys.readouterr().out == "here\n" * 3
    check(answer("def double(x):\n    print('a\\n' * 10)\n    return 2 * x"))
    out = capsys.readouterr().out.splitlines()
    assert len(out) == checks.PRINTED_LINES + 1
    assert out[-1] == "… and 21 more lines that your code printed"


def test_random_numbers_are_the_same_in_each_check_and_untouched_outside(monkeypatch):
    monkeypatch.setattr(checks, "_sessions", {})
    drawn = []

    @exercise
    def draw(draw):
        drawn.append(draw())
        return "seen."

    def numbers():
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    for seed in (1, 2):
        random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
        expected = numbers()
        random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
        draw(numbers)
        assert numbers() == expected
    assert drawn[0] == drawn[1]


def test_copies_can_be_switched_off(monkeypatch):
    monkeypatch.setattr(checks, "_sessions", {})
    there = {}

    def check(fill):
        box = {"w": [torch.zeros(2)], "n": np.zeros(2)}
        fill(box)
        there[box["w"][0].sum().item(), box["n"].sum()] = True
        return "filled."

    def fill(box):
        box["w"][0].add_(1)
        box["n"] += 1

    assert exercise(check)(fill).status == exercise(copies=False)(check)(fill).status == "passed"
    assert list(there) == [(0.0, 0.0), (2.0, 2.0)]


def test_gradients_flow_through_the_copies(monkeypatch):
    monkeypatch.setattr(checks, "_sessions", {})

    @exercise
    def square(square):
        x = torch.tensor(3.0, requires_grad=True)
        square(x).backward()
        same(x.grad, 6.0, "no")
        return "it flows."

    assert square(lambda x: x * x).status == "passed"


def test_modules_and_objects_are_handed_over_as_they_are(monkeypatch):
    monkeypatch.setattr(checks, "_sessions", {})

    @exercise
    def model(model):
        expect(isinstance(model, torch.nn.Linear), "not a module")
        return f"{model(torch.ones(1, 2)).shape[1]} outputs."

    assert model(torch.nn.Linear(2, 3)).message == "3 outputs."


def test_summary(check, monkeypatch):
    def one(one):
        return "good."

    one.__module__ = "elsewhere"
    exercise(one)
    of_here, of_there = checks.summary_of(__name__), checks.summary_of("elsewhere")
    assert repr(of_here()) == "0 of 1 done:  ▫️ double"
    check(...)
    assert of_here().exercises == {"double": "todo"}
    check(lambda x: 2 * x)
    assert repr(of_here()) == "1 of 1 done:  ✅ double"
    assert repr(of_there()) == "0 of 1 done:  ▫️ one"
    assert checks.summary().exercises == {"double": "passed", "one": "open"}
    assert "not checked yet" in of_there()._repr_mimebundle_()["text/html"]


FINE = [
    (2, 2.0),
    (torch.tensor(2.0), 2.0),
    (np.float64(2), 2.0),
    (torch.tensor([2.0], dtype=torch.float64), torch.tensor([2.0])),
    (torch.tensor([2.0], dtype=torch.bfloat16), torch.tensor([2.0])),
    ((1.0, torch.tensor(2.0)), (1.0, 2.0)),
    ([1.0, 2], (1.0, 2.0)),
    (torch.tensor([True]), torch.tensor([True])),
    (np.ones((2, 2)), np.ones((2, 2))),
]
BAD = [
    (True, 2.0, "should be a number, but it is True or False"),
    (torch.tensor([2.0]), 2.0, "should be a number, but it is a torch tensor of shape (1,), float32"),
    (2.0, (1.0, 2.0), "should be a tuple of 2, but it is a number"),
    ((1.0, torch.ones(2)), (1.0, 2.0), "Number 2 of your answer should be a number, but it is a torch"),
    ((1.0, None), (1.0, 2.0), "Number 2 of your answer is None"),
    (torch.tensor([1]), torch.tensor([1.0]), "int64"),
    (2.5, torch.tensor([1]), "should be a torch tensor of shape (1,), int64, but it is a number"),
    (1j, 2.0, "but it is a complex"),
    (float("nan"), 2.0, "NaN"),
    ((1.0, float("inf")), (1.0, 2.0), "infinite"),
]


@pytest.mark.parametrize("answer, expected", FINE)
def test_same_takes_what_is_meant(answer, expected):
    same(answer, expected, "refused")


@pytest.mark.parametrize("answer, expected, said", BAD)
def test_same_names_what_it_expected_and_got(answer, expected, said):
    with pytest.raises(Hint) as hint:
        same(answer, expected, "the hint about numbers")
    assert said in str(hint.value)


def test_small_helpers():
    assert close([1, 2], torch.tensor([1.0, 2.00001])) and not close([1, 2], [1, 2, 3])
    assert not close(1.0, 1.1) and close(1.0, 1.1, tolerance=0.2) and not close(np.nan, np.nan)
    assert describe(types) == "a module" and describe(...) == "`...`"
    shape_like(torch.full((2,), np.nan), torch.zeros(2))
    with pytest.raises(Hint, match="The noise contains NaN"):
        finite(torch.full((2,), np.nan), "The noise")
    with pytest.raises(Hint, match=r"got \(1, 2, 3, 4, …\), not 0 \{x\}"):
        same(torch.arange(1.0, 6), torch.zeros(5), "got {got}, not 0 {x}")


HINT = "It should be {expected}, you have {got}."
SLIPS = {0.25: "You return v itself.", (0.8, 0.64): "Is the root there?"}  # two values, one sentence
PAIR = torch.tensor([1.0, 2.0])
PAIRS = {(2.0, 1.0): "Turned around.", ((0.0, 2.0), (1.0, 0.0)): "One is lost."}
TENSORS = [(torch.tensor([2.0, 1.0]), "Turned around."), ([1.0, 0.0], "One is lost.")]


@pytest.mark.parametrize(
    "answer, expected, wrong, said",
    [
        (0.25, 0.4, SLIPS, "It should be 0.4, you have 0.25. You return v itself."),
        (torch.tensor(0.25001), 0.4, SLIPS, "It should be 0.4, you have 0.25. You return v itself."),
        (0.8, 0.4, SLIPS, "It should be 0.4, you have 0.8. Is the root there?"),
        (0.64, 0.4, SLIPS, "It should be 0.4, you have 0.64. Is the root there?"),
        (0.7, 0.4, SLIPS, "It should be 0.4, you have 0.7."),
        (0.7, 0.4, (), "It should be 0.4, you have 0.7."),
        (0.7, 0.4, {0.7: "{got} is too much."}, "It should be 0.4, you have 0.7. 0.7 is too much."),
        (0.7, 0.4, [(0.7, "First."), (0.70001, "Second.")], "It should be 0.4, you have 0.7. First."),
        ((2.0, 1.0), (1.0, 2.0), PAIRS, "It should be (1, 2), you have (2, 1). Turned around."),
        (PAIR.flip(0), PAIR, PAIRS, "It should be (1, 2), you have (2, 1). Turned around."),
        (2 * torch.eye(2)[1], PAIR, PAIRS, "It should be (1, 2), you have (0, 2). One is lost."),
        (torch.eye(2)[0], PAIR, PAIRS, "It should be (1, 2), you have (1, 0). One is lost."),
        (PAIR.flip(0), PAIR, TENSORS, "It should be (1, 2), you have (2, 1). Turned around."),
        (torch.eye(2)[0], PAIR, TENSORS, "It should be (1, 2), you have (1, 0). One is lost."),
        (PAIR + 1, PAIR, TENSORS, "It should be (1, 2), you have (2, 3)."),
    ],
)
def test_same_names_the_slip(answer, expected, wrong, said):
    with pytest.raises(Hint) as hint:
        same(answer, expected, HINT, wrong=wrong)
    assert str(hint.value) == said


def test_a_right_answer_meets_no_slip():
    same(0.4, 0.4, HINT, wrong=SLIPS)
    same(PAIR + 1e-6, PAIR, HINT, wrong=PAIRS)
    same(PAIR, PAIR, HINT, wrong=TENSORS)
    same(0.41, 0.4, HINT, tolerance=0.02, wrong={0.425: "As near to this as to what is right."})


@pytest.mark.parametrize(
    "answer, expected, wrong, said",
    [
        (PAIR.flip(0).view(1, 2), PAIR, TENSORS, "Your answer should be a torch tensor of shape (2,)"),
        (torch.tensor([0.25]), 0.4, SLIPS, "Your answer should be a number, but it is a torch"),
        (None, 0.4, SLIPS, "Your answer is None"),
        (np.nan, 0.4, {np.nan: "Not said."}, "Your answer contains NaN"),
    ],
)
def test_what_is_no_number_comes_before_the_slips(answer, expected, wrong, said):
    with pytest.raises(Hint) as hint:
        same(answer, expected, HINT, wrong=wrong)
    assert str(hint.value).startswith(said)


@pytest.mark.parametrize("answer", [0.4, 0.25, None])
@pytest.mark.parametrize(
    "wrong, said",
    [
        ({0.4: "Never."}, "0.4 is the expected value, but the table says: Never."),
        ({(0.1, 0.40001): "Never."}, "0.4 is the expected value"),
        ({(): "Never."}, "is not like 0.4"),
    ],
)
def test_a_table_that_cannot_be_meant_is_the_authors_mistake(answer, wrong, said):
    with pytest.raises(ValueError, match=said):
        same(answer, 0.4, HINT, wrong=wrong)
    with pytest.raises(ValueError, match="is not like"):
        same(PAIR, PAIR, HINT, wrong={(2.0, 1.0, 0.0): "Three numbers where two are expected."})


def test_the_engine_needs_nothing_but_python():
    code = "import sys, helpers.checks; print({'torch', 'numpy', 'IPython'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
