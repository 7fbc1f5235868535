"""Exercises that answer back: one line, kind words, never an exception. Standard library only.

A session's checks are the functions of one module named as the session, `helpers/checks/ddim.py`:

    from helpers.checks import exercise, expect, same, summary_of

    @exercise
    def double(double):
        same(double(3.0), 6.0, "For 3 your function gives {got}. How many threes does it add?")
        return "Twice as much, for every number."

    summary = summary_of(__name__)

A notebook says `from helpers.checks import ddim as check`, then `check.double(double)`.
"""

import contextlib
import dataclasses
import functools
import html
import inspect
import io
import random
import re
import sys
import traceback

from helpers.checks.compare import (  # noqa: F401  (for the modules with the checks)
    Hint,
    close,
    describe,
    expect,
    finite,
    numbers,
    same,
    shape,
    shape_like,
    shown,
)

MIME = "application/vnd.diffusion-course.check+json"  # tests read it, front ends skip it
ICONS = {"passed": "✅", "todo": "✏️", "failed": "🔶", "error": "⚠️", "open": "▫️"}
COLOURS = {"passed": "#2e7d32", "todo": "#607d8b", "failed": "#ef6c00", "error": "#b3261e"}
PRINTED_LINES = 12  # of what an answer prints; a check may call it a hundred times

_sessions: dict[str, dict[str, "Exercise"]] = {}  # module → name → exercise, in order


@dataclasses.dataclass
class Result:
    """What came back: status is "passed" ✅, "todo" ✏️, "failed" 🔶 or "error" ⚠️."""

    exercise: str
    status: str
    message: str

    def __repr__(self):
        return f"{ICONS[self.status]} {self.exercise}: {self.message}"

    def _repr_mimebundle_(self, include=None, exclude=None):
        line = f"{ICONS[self.status]} <b>{html.escape(self.exercise)}</b> · {_html(self.message)}"
        style = f"border-left:4px solid {COLOURS[self.status]};padding:.3em .8em"
        page = f'<div style="{style}">{line}</div>'
        return {"text/plain": repr(self), "text/html": page, MIME: dataclasses.asdict(self)}


class Exercise:
    """A check as the notebook sees it: call it with the answer; `passed` says how it stands."""

    def __init__(self, fn, copies=True):
        functools.update_wrapper(self, fn)
        self.fn, self.copies, self.name, self.result = fn, copies, fn.__name__, None

    @property
    def passed(self):
        """True once the answer is right, so that a cell can wait for it."""
        return self.result is not None and self.result.status == "passed"

    def __call__(self, *answers, **named):
        """Check the answers and say what was found; raises nothing."""
        said, last = io.StringIO(), []
        with _same_random_numbers(), contextlib.redirect_stdout(said):
            try:
                status, message = self._judge(answers, named, last)
            except Hint as hint:
                status, message = "failed", str(hint)
            except (Exception, SystemExit) as error:  # the student's code may do anything
                status, message = _stopped(self, error, (*answers, *named.values()), last)
        _print_some(said.getvalue())
        self.result = Result(self.name, status, " ".join(message.split()))
        return self.result

    def _judge(self, answers, named, last):
        try:
            given = inspect.signature(self.fn).bind(*answers, **named)
        except TypeError:
            call = f"check.{self.name}({', '.join(inspect.signature(self.fn).parameters)})"
            raise Hint(f"Please call the check as `{call}`.") from None
        if any(answer is None or answer is Ellipsis for answer in given.arguments.values()):
            return "todo", "not started yet: replace the `...` and run me again."
        guard = functools.partial(_guard, copies=self.copies, last=last)
        args, kwargs = map(guard, given.args), {k: guard(v) for k, v in given.kwargs.items()}
        return "passed", self.fn(*args, **kwargs) or "right."


def exercise(fn=None, *, copies=True):
    """Make a check out of a function(answer, …) that returns the ✅ sentence or raises Hint.

    Functions among the answers get fresh copies of tensors in every call, so that one that changes
    them in place harms nothing; copies=False hands over the tensors themselves.
    """
    if fn is None:
        return functools.partial(exercise, copies=copies)
    made = Exercise(fn, copies)
    _sessions.setdefault(fn.__module__, {})[made.name] = made
    return made


@dataclasses.dataclass
class Summary:
    """How the exercises of a session stand: name → status, "open" where not yet checked."""

    exercises: dict[str, str]

    def __repr__(self):
        done = sum(status == "passed" for status in self.exercises.values())
        marks = [f"{ICONS[status]} {name}" for name, status in self.exercises.items()]
        return f"{done} of {len(marks)} done:  " + "  ".join(marks)

    def _repr_mimebundle_(self, include=None, exclude=None):
        words = {"open": "not checked yet", "todo": "not started", "failed": "there is a hint"}
        words |= {"passed": "done", "error": "the code stopped"}
        first = repr(self).partition(":")[0]
        rows = [f"{ICONS[s]} <b>{html.escape(n)}</b> · {words[s]}" for n, s in self.exercises.items()]
        page = f"<div><b>{first}</b><br>{'<br>'.join(rows)}</div>"
        return {"text/plain": repr(self), "text/html": page, MIME: dataclasses.asdict(self)}


def summary(module=None):
    """How the exercises of a session's module stand; without a module, of all that are loaded."""
    modules = _sessions.values() if module is None else [_sessions.get(module, {})]
    made = [exercise for exercises in modules for exercise in exercises.values()]
    return Summary({e.name: e.result.status if e.result else "open" for e in made})


def summary_of(module):
    """The summary() of one session: `summary = summary_of(__name__)` at the end of its module."""
    return functools.partial(summary, module)


def _guard(answer, copies, last):
    """A student's function such that a wrong call gives a hint and arguments come as copies.

    What it returned last stands in `last`. Anything that is not a plain function stays as it is.
    """
    if not (inspect.isroutine(answer) or isinstance(answer, functools.partial)):
        return answer
    name = getattr(answer, "__name__", "your function")
    try:
        signature = inspect.signature(answer)
    except ValueError:  # some built-in functions do not say
        signature = None

    @functools.wraps(answer)
    def call(*args, **kwargs):
        try:
            signature and signature.bind(*args, **kwargs)
        except TypeError as error:
            raise Hint(
                f"The check calls `{name}` with {_counted(args, kwargs)}, but it is written as "
                f"`{name}{signature}`: {error}."
            ) from None
        if copies:
            args, kwargs = _copy(args), _copy(kwargs)
        last[:] = [name, answer(*args, **kwargs)]
        if last[1] is Ellipsis:  # `return ...` is a blank, too
            raise NotImplementedError
        return last[1]

    return call


def _counted(args, kwargs):
    words = [f"{len(args)} argument{'s' * (len(args) != 1)}"] if args or not kwargs else []
    return " and ".join(words + [f"`{name}=`" for name in kwargs])


def _copy(value):
    """The value with fresh tensors and arrays, also inside lists, tuples and dictionaries."""
    if type(value) in (tuple, list):
        return type(value)(map(_copy, value))
    if type(value) is dict:
        return {key: _copy(part) for key, part in value.items()}
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return value.clone() if hasattr(value, "clone") else value.copy()
    return value


def _stopped(exercise, error, answers, last):
    """Status and words for an exception that came out of a check."""
    if isinstance(error, NotImplementedError) and not str(error):  # torch's own have a message
        return "todo", "not started yet: write your code where it says YOUR CODE HERE."
    if isinstance(error, TypeError) and "ellipsis" in str(error):
        return "todo", "not finished yet: there is a `...` left to replace."
    what = f"{type(error).__name__}: {error}".removesuffix(": ")
    if line := _their_line(exercise, error):
        code = f", `{line.line.strip()}`" if line.line else ""
        return "error", f"your code stopped with {what} (in {line.name}, line {line.lineno}{code})"
    if isinstance(error, TypeError) and "not callable" in str(error):
        call = f"check.{exercise.name}({', '.join(inspect.signature(exercise.fn).parameters)})"
        gotten = " and ".join(describe(answer) for answer in answers if not callable(answer))
        return "failed", f"Give the function itself, `{call}`, not its result (this is {gotten})."
    got = f"`{last[0]}` gave {describe(last[1])}" if last else describe(answers[0])
    return "failed", f"The check could not work with this: {got} ({what})."


def _their_line(exercise, error):
    """The innermost line that stands in the notebook, which is the module __main__; or None."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    lines = traceback.extract_tb(error.__traceback__)
    theirs = [
        line
        for frame, line in zip(frames, lines, strict=True)
        if frame.f_globals.get("__name__") == "__main__"
        and frame.f_code is not exercise.fn.__code__  # a check that is tried out in a notebook
    ]
    return theirs[-1] if theirs else None


@contextlib.contextmanager
def _same_random_numbers():
    """The same random numbers in every check, and the notebook's own go on as if it had not been."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    with contextlib.ExitStack() as stack:
        stack.callback(random.setstate, random.getstate())
        random.seed(0)
        if numpy:
            stack.callback(numpy.random.set_state, numpy.random.get_state())
            numpy.random.seed(0)
        if torch:
            devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
            stack.enter_context(torch.random.fork_rng(devices))
            torch.manual_seed(0)
        yield


def _print_some(text):
    lines = text.splitlines()
    for line in lines[:PRINTED_LINES]:
        print(line)
    if len(lines) > PRINTED_LINES:
        print(f"… and {len(lines) - PRINTED_LINES} more lines that your code printed")


def _html(text):
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
