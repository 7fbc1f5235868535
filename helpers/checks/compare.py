"""What a check asks of an answer; each refusal is a Hint written for the student. No torch here."""

import math
from collections.abc import Sequence


class Hint(Exception):
    """A failed expectation, in words for the student."""


def expect(condition, hint):
    """Go on if the condition holds; raises Hint if not."""
    if not condition:
        raise Hint(hint)


def close(one, other, tolerance=1e-4):
    """True if all numbers agree within the tolerance, relative or absolute; shapes are ignored."""
    pairs = zip(numbers(one), numbers(other), strict=True)
    return all(math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance) for a, b in pairs)


def same(answer, expected, hint, tolerance=1e-4):
    """Ask for the expected type, shape and numbers; {got} and {expected} in the hint are filled in.

    Raises Hint: about type, shape or NaN where these are wrong, else the hint given.
    """
    shape_like(answer, expected)
    finite(answer)
    hint = hint.replace("{got}", shown(answer)).replace("{expected}", shown(expected))
    expect(close(answer, expected, tolerance), hint)


def shape_like(answer, expected, what="Your answer"):
    """Ask for the kind, shape and sort of number of the expected value; raises Hint.

    A number may also be a tensor of no dimensions, and a decimal may have any precision.
    """
    wanted, got = describe(expected), describe(answer)
    expect(answer is not None, f"{what} is None, expected was {wanted}. Is a `return` missing?")
    expect(
        not callable(answer) or callable(expected),
        f"{what} is {got}, expected was {wanted}: call it, and give what it returns.",
    )
    if isinstance(expected, (tuple, list)):
        several = isinstance(answer, (tuple, list)) and len(answer) == len(expected)
        expect(several, f"{what} should be {wanted}, but it is {got}.")
        for number, (a, e) in enumerate(zip(answer, expected, strict=True), 1):
            shape_like(a, e, f"Number {number} of {what[0].lower() + what[1:]}")
        return
    hint = f"{what} should be {wanted}, but it is {got}."
    if _library(expected) and shape(expected):  # a tensor or an array, and it must be one
        expect(_library(answer) == _library(expected), hint)
    expect(_library(answer) or isinstance(answer, (int, float)), hint)
    expect(shape(answer) == shape(expected), hint)
    expect(_sort(answer) == _sort(expected) or _sort(answer, expected) == ("int", "float"), hint)
    # Whole numbers where decimals belong: harmless in a number, a loss in a tensor.
    expect(_sort(answer) == _sort(expected) or not shape(expected), hint)


def finite(answer, what="Your answer"):
    """Ask for numbers that are neither NaN nor infinite; raises Hint."""
    found = numbers(answer)
    nan, infinite = any(map(math.isnan, found)), any(map(math.isinf, found))
    reasons = "0/0, ∞ − ∞, or the root or logarithm of a negative number"
    expect(not nan, f"{what} contains NaN (not a number). It comes from {reasons}.")
    reasons = "a division by 0, the logarithm of 0, or an exponential of something large"
    expect(not infinite, f"{what} is infinite in places. It comes from {reasons}.")


def numbers(value):
    """All numbers in a number, tensor, array, or list of these, as a flat list of Python numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (tuple, list)):
        return [number for part in value for number in numbers(part)]
    return [value]


def shape(value):
    """The shape of a tensor or an array as a tuple; () for a number."""
    return tuple(getattr(value, "shape", ()))


def describe(value):
    """What a value is, for a sentence: "a torch tensor of shape (2, 3), float32"."""
    if library := _library(value):
        kind = "a number" if library == "numpy" and not hasattr(value, "base") else None
        kind = kind or ("a torch tensor" if library == "torch" else "a numpy array")
        return f"{kind} of shape {shape(value)}, {str(value.dtype).removeprefix('torch.')}"
    if callable(value):
        return f"the function `{getattr(value, '__name__', 'without a name')}`"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"a {type(value).__name__} of {len(value)}"
    return {"NoneType": "None", "ellipsis": "`...`", "str": "a text"}.get(
        type(value).__name__, f"a {type(value).__name__}"
    )


def shown(value):
    """A few numbers of a value, for a sentence."""
    found = numbers(value)
    words = [f"{n:.4g}" if isinstance(n, (int, float)) else str(n) for n in found[:4]]
    text = ", ".join(words) + (", …" if len(found) > 4 else "")
    return text if len(found) == 1 else f"({text})"


def _library(value):
    """ "torch" or "numpy" for their tensors, arrays and numbers, else ""."""
    module = type(value).__module__.partition(".")[0]
    return module if hasattr(value, "dtype") and hasattr(value, "shape") else ""


def _sort(*values):
    """ "bool", "int", "float" or "complex", for one value or, as a tuple, for several."""
    if len(values) > 1:
        return tuple(map(_sort, values))
    name = str(values[0].dtype) if _library(values[0]) else type(values[0]).__name__
    return next((s for s in ("bool", "int", "complex") if s in name), "float")
