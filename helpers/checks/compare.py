"""What a check asks of an answer; each refusal is a Hint written for the student. No torch here."""

import math


class Hint(Exception):
    """A failed expectation, in words for the student."""


def expect(condition, hint):
    """Go on if the condition holds; raises Hint if not."""
    if not condition:
        raise Hint(hint)


def close(one, other, tolerance=1e-4):
    """True if all numbers agree within the tolerance, relative or absolute; shapes are ignored."""
    one, other = numbers(one), numbers(other)
    return len(one) == len(other) and all(
        math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance) for a, b in zip(one, other, strict=True)
    )


def same(answer, expected, hint, tolerance=1e-4, wrong=()):
    """Ask for the expected type, shape and numbers; {got} and {expected} in the hint are filled in.

    `wrong` is a table of slips, {value: sentence}, or [(value, sentence), …] for tensors and lists: an
    answer that is not the expected one but close to such a value gets that sentence after the hint (the
    first that fits). A value may also be several in a row, (0.2, 0.3) where one number is expected.

    Raises Hint: about type, shape or NaN where these are wrong, else the hint given; ValueError if the
    table calls the expected value wrong, or holds another count of numbers.
    """
    table = wrong.items() if hasattr(wrong, "items") else wrong
    slips = [(slip, sentence) for value, sentence in table for slip in _each(value, expected)]
    for slip, sentence in slips:
        if close(slip, expected, tolerance):
            raise ValueError(f"{shown(slip)} is the expected value, but the table says: {sentence}")
    shape_like(answer, expected)
    finite(answer)
    found = [sentence for slip, sentence in slips if close(answer, slip, tolerance)]
    hint = " ".join([hint, *found[:1]])
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
    if shape(expected):
        expect(_library(answer) == _library(expected), hint)  # a tensor or an array, as expected
    expect(_library(answer) or isinstance(answer, (int, float, complex)), hint)
    expect(shape(answer) == shape(expected), hint)
    # A whole number will do for a decimal one, but in a tensor it means that something was cut off.
    fitting = {_sort(expected)} if shape(expected) else {_sort(expected), "int"}
    expect(_sort(answer) in fitting, hint)


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
        dtype = str(value.dtype).removeprefix("torch.")
        if not shape(value):
            return f"a number ({dtype})"
        kind = "a torch tensor" if library == "torch" else "a numpy array"
        return f"{kind} of shape {shape(value)}, {dtype}"
    if callable(value):
        return f"the function `{getattr(value, '__name__', 'without a name')}`"
    kind = type(value).__name__
    if isinstance(value, (tuple, list)):
        return f"a {kind} of {len(value)}"
    words = {"NoneType": "None", "str": "a text", "ellipsis": "`...`", "bool": "True or False"}
    words |= {"int": "a number", "float": "a number"}
    return words.get(kind, f"a {kind}")


def shown(value):
    """A few numbers of a value, for a sentence."""
    found = numbers(value)
    words = [f"{n:.4g}" if isinstance(n, (int, float)) else str(n) for n in found[:4]]
    text = ", ".join(words) + (", …" if len(found) > 4 else "")
    return text if len(found) == 1 else f"({text})"


def _each(value, expected):
    """The numbers of one wrong value, or of several in a row, each with as many as expected."""
    found, size = numbers(value), len(numbers(expected))
    if not found or len(found) % size:
        raise ValueError(f"{value} in the table of slips is not like {expected}, the expected value")
    return [found[start : start + size] for start in range(0, len(found), size)]


def _library(value):
    """ "torch" or "numpy" for their tensors, arrays and numbers, else ""."""
    module = type(value).__module__.partition(".")[0]
    return module if hasattr(value, "dtype") and hasattr(value, "shape") else ""


def _sort(value):
    """ "bool", "int", "complex" or "float": what sort of numbers these are."""
    name = str(value.dtype) if _library(value) else type(value).__name__
    return next((sort for sort in ("bool", "int", "complex") if sort in name), "float")
