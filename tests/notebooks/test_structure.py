"""Every lecture keeps the rules of conftest.py, and every rule refuses a lecture that breaks it.

Older lectures are excepted by notebooks/source/exceptions.toml, a list that can only shrink.
"""

import re
import tomllib
from functools import cache

import nbformat
import pytest

from tests.notebooks.conftest import RULES
from tests.notebooks.lecture import Lecture, leaks, without_skipped
from tools import build

EXCEPTIONS = tomllib.loads((build.SOURCE / "exceptions.toml").read_text("utf-8"))
FOLD = "<details><summary>Answer</summary>\n#\n# So.\n#\n# </details>"
GOOD = r"""# %% [markdown]
# # {{number}} · A lecture
#
# {{badge}}
#
# You will see a step.
#
# **Time:** 90 minutes; the cells run for about two minutes on two CPU cores.
#
# **Before:** session {{session:ddpm}}.
#
# | section | minutes | may be skipped |
# |---|---|---|
# | recall | 5 | |
# | 1 · how far? | 45 | A proof |
# | 2 · $\|x\|$ | 35 | yes |
# | 3 · summary, exit | 5 | |
# %% tags=["setup"]
from helpers import course
# %% [markdown]
# ## Recall  <small>5 min</small>
#
# **1** One? FOLD
#
# **2** Two `<details>`? FOLD
#
# **3** $E[x](t)$? FOLD
# %% [markdown]
# ## 1 · How far?  <small>45 min</small>
#
# <a id="far"></a> $$\boxed{x = 1}$$ ![face](https://example.org/face.png) [there](#far), `http://localhost`
#
# **Predict.** Which? FOLD
# %% tags=["live"]
print("wide" * 3)
shown = 1
# %% tags=["live"]
slide(draw, t=(0, 9))
# %% tags=["live"]
def strip():
    show_images(shown)
strip()
# %% [markdown]
# ### A proof  <small>may be skipped</small>
#
# > **Easily mistaken.** No.
# %% tags=["live"]
proof = 1
# %% [markdown]
# ### And so
#
# > **It goes on.** Always, by 0.5.
# %% [markdown]
# ## 2 · $\|x\|$  <small>35 min, may be skipped</small>
# %% tags=["live"]
lost = 1
# %% [markdown]
# > **All is one.**
# %% [markdown]
# ## 3 · Summary and exit  <small>5 min</small>
#
# - It goes.
# %%
kept = shown
# %% [markdown]
# **At the exit.** Why? FOLD
#
# **Try next.** More.
# **Homework:** [homework](homework/{{notebook}}).
# **Next session:** {{session:elbo}}.
# **To read.** Much.
# %% [markdown]
# ## Appendix
# %%
more = 1
"""
CELL = "# %%\nx = 1\n"
MUTATIONS = [  # rule, what is replaced, by what, what is found
    ("head", "{{number}} · A", "A", "cell 1: no title"),
    ("head", "# {{badge}}\n#\n", "", "cell 1: no Colab badge"),
    ("head", "# You will see a step.\n#\n", "", "cell 1: no paragraph of promise"),
    ("head", "90 minutes;", "Long;", "cell 1: no line **Time:** with minutes"),
    ("head", "two CPU cores", "two cores", "cell 1: no minutes on the CPU"),
    ("head", "**Before:**", "Before", "cell 1: no line **Before:**"),
    ("timetable", "| section |", "| part |", "cell 1: no table | section"),
    ("timetable", "recall | 5", "recall | 9", "cell 1: the sections take 94 minutes together, not 90"),
    ("timetable", "35 min", "34 min", "cell 11, line 1: 34 minutes in the heading, 35 in the table"),
    ("timetable", "How far?", "Why?", "cell 4, line 1: '1 · Why?' is the heading where the table has"),
    ("timetable", "# | 3 · summary, exit | 5 | |\n", "", "is the heading where the table has 'nothing'"),
    ("timetable", "35 | yes", "35 | ", "cell 11, line 1: may be skipped: 'yes' by the headings, '' by"),
    ("timetable", "45 | A proof", "45 | b", "may be skipped: 'A proof' by the headings, 'b' by the table"),
    ("setup", '# %% tags=["setup"]', CELL + '# %% tags=["setup"]', "cell 2, line 1: the first code cell"),
    ("recall", "**1** One?", "One?", "cell 3, line 1: 2 questions, not 3"),
    ("recall", "One? FOLD", "One?", "cell 3, line 1: question 1 has no folded answer"),
    ("predict", "**Predict.** Which?", "Which?", "no line **Predict.**"),
    ("predict", "Which? FOLD", "Which?", "cell 4, line 5: no folded answer to **Predict.**"),
    ("mistaken", "> **Easily mistaken.**", "Easily mistaken:", "no box > **Easily mistaken.**"),
    ("ending", "# - It goes.", "# It goes.", "cell 14, line 1: no summary in bullets"),
    ("ending", "Why? FOLD", "Why?", "no question **At the exit.** with a folded answer"),
    ("ending", "**Try next.**", "Try", "no line **Try next.**"),
    ("ending", "(homework/{{notebook}})", "(../README.md)", "no link to the homework"),
    ("ending", "**Next session:**", "Then", "no line **Next session:**"),
    ("ending", "**To read.**", "Read", "no reading list **To read.**"),
    ("ending", "ummary", "hort", "cell 14, line 1: the last section is not called `Summary, exit`"),
    ("outline", "# ## Appendix", "# # Appendix", "there is not exactly one heading `#`"),
    ("outline", "# ## Appendix", "# ## Appendix\n# #### A", "cell 17, line 2: from ## to ####"),
    ("outline", "# ## Appendix", "# So.\n# ## Appendix", "cell 17, line 2: 'Appendix' does not begin a cell"),
    ("outline", "2 · $", "4 · $", "should be `2 · …`"),
    ("pictures", "![face]", "![]", "cell 4, line 3: a picture without alt text"),
    ("pictures", "![face]", '<img src="https://a.org/b"> [face]', "line 3: a picture without alt text"),
    ("links", "https://example", "http://example", "line 3: http://example.org/face.png is not https"),
    ("links", "`http://localhost`", "http://a.org", "cell 4, line 3: http://a.org is not https"),
    ("links", "](#far)", "](nowhere.ipynb)", "cell 4, line 3: nowhere.ipynb leads nowhere"),
    ("links", "](#far)", "](#near)", "cell 4, line 3: there is no anchor #near"),
    ("links", "](#far)", "](../README.md#no)", "cell 4, line 3: there is no anchor ../README.md#no"),
    ("sliders", "\nstrip()\n", "\n", "cell 6, line 1: no still figure follows the slider"),
    ("sliders", "show_images(shown)", "shown()", "cell 6, line 1: no still figure follows the slider"),
    ("sliders", "(0, 9))\n", "(0, 9))\n" + 3 * CELL, "cell 6, line 1: no still figure follows"),
    ("sliders", "more = 1", "def move():\n    interact(x)\nmove()", "cell 18, line 3: no still figure"),
    ("projector", "more = 1", "more = 1\n" * 26, "cell 18, line 1: 26 lines"),
    ("projector", "more = 1", "more = " + "1" * 82, "cell 18, line 1: 89 columns"),
    ("printed", '"wide" * 3', '"wide" * 30', "cell 5 prints 120 columns: widewide"),
    ("words", "It goes.", "word " * 4000, " words, more than 4000"),
    ("cells", "# %%\nkept", CELL * 39 + "# %%\nkept", "46 cells, more than 45"),
    ("lines", "# %%\nkept", ("# %%\n" + "x = 1\n" * 25) * 20 + "# %%\nkept", " lines, more than 500"),
    ("skipping", "kept = shown", "kept = lost", "cell 15, line 1: lost may have been skipped"),
    ("skipping", "kept = shown", "kept = proof", "cell 15, line 1: proof may have been skipped"),
    ("takeaways", "> **It goes on.**", "It goes on.", "cell 4, line 1: the section does not end with a"),
    ("takeaways", "It goes on.** A", "Easily mistaken.** A", "cell 4, line 1: the section does not"),
    ("takeaways", "Always,", "Always. So,", "cell 4, line 1: the takeaway has 3 sentences, not one or two"),
    ("takeaways", "All is one.", "All is one", "cell 11, line 1: the takeaway has 0 sentences"),
    ("takeaways", "one.**\n", "one.**\n" + CELL, "cell 11, line 1: the section does not end with a"),
    ("boxed", r"\boxed{x = 1}", "x = 1", r"no formula in a \boxed outside folds"),
    ("live", '# %% tags=["live"]\nslide', "# %%\nslide", "4 cells are tagged live, not 5 to 15"),
    ("folds", "One? FOLD", "One? " + FOLD[:-10], "cell 3, line 1: a fold is not closed in its cell"),
    ("folds", "One? FOLD", "One? <details>\n#\n# </details>", "cell 3, line 3: a fold without <summary>"),
    ("folds", "One? FOLD", "One? " + FOLD.replace("So.\n#", "So."), "cell 3, line 3: no blank line"),
    ("folds", "Why? FOLD\n#\n", "Why? FOLD\n", "cell 16, line 1: no blank line after </details>"),
]
BINDING = """lost = 1; b, *lost = 1, 2; lost: int = 1; import os as lost; from os import lost
def lost(): pass; class lost: pass; for lost in (1,): pass; with open('x') as lost: pass
print(lost := 1); [lost := i for i in (1,)]"""
NEEDING = """print(lost); lost += 1; lost = lost + 1; lost[0] = 1; lost.append(1); f'{lost}'
[x for x in lost]; [lost for _ in a]; f = lambda: lost; def f(): return lost
def f(x=lost): pass; class A(lost): pass"""
CONTENT = """lost = 2; import lost; x.lost; f(lost=1); [lost for lost in a]; for lost in a: print(lost)
with a as lost: lost.read(); def f(): lost = 1; def f(lost): return lost; def lost(): return lost()"""


def lecture(text, folder):
    """A lecture from its text, with what its cells that only print something print."""
    path = folder / "10_ddim.py"
    path.write_text(text.replace("FOLD", FOLD), encoding="utf-8")
    nb = build.build(path)
    for cell in nb.cells:
        if said := re.findall(r'(?m)^print\(("wide" \* \d+)\)$', cell.source):
            cell.outputs = [nbformat.v4.new_output("stream", text=eval(said[0]))]
    return Lecture(nb)


def test_a_good_lecture(tmp_path):
    good = lecture(GOOD, tmp_path)
    assert [finding for rule in RULES.values() for finding in rule(good)] == []
    assert {rule for rule, *_ in MUTATIONS} == set(RULES)


@pytest.mark.parametrize("rule, old, new, said", MUTATIONS, ids=[f"{m[0]}-{m[3]}" for m in MUTATIONS])
def test_a_broken_rule_is_found(rule, old, new, said, tmp_path):
    assert old in GOOD
    bad = lecture(GOOD.replace(old, new), tmp_path)
    assert [name for name in RULES if list(RULES[name](bad))] == [rule]
    assert any(said in finding for finding in RULES[rule](bad)), list(RULES[rule](bad))


@pytest.mark.parametrize("bound", re.split("; |\n", BINDING))
@pytest.mark.parametrize("needed", re.split("; |\n", NEEDING))
def test_a_name_that_was_skipped_is_missed(bound, needed, tmp_path):
    text = GOOD.replace("lost = 1\n", f"{bound}\n").replace("kept = shown", needed)
    assert list(leaks(lecture(text, tmp_path)).values()) == [["lost"]]


@pytest.mark.parametrize("content", re.split("; |\n", CONTENT))
def test_a_name_of_its_own_is_not_missed(content, tmp_path):
    assert not leaks(lecture(GOOD.replace("kept = shown", content), tmp_path))


def test_without_what_may_be_skipped(tmp_path):
    (tmp_path / "10_ddim.py").write_text(GOOD, encoding="utf-8")
    nb = build.build(tmp_path / "10_ddim.py")
    left = "\n".join(cell.source for cell in without_skipped(nb).cells)
    assert not any(word in left for word in ("### A proof", "proof = 1", "## 2", "lost", "All is one"))
    assert all(word in left for word in ("strip()", "### And so", "## 3", "kept = shown"))
    assert len(without_skipped(nb).cells) == len(nb.cells) - 5


@cache
def lecture_of(source):
    """A lecture with the outputs that are stored of it."""
    nb, stored = build.build(source), {}
    if build.target(source).exists():
        stored = {cell.id: cell for cell in nbformat.read(build.target(source), as_version=4).cells}
    for cell in nb.cells:
        if cell.cell_type == "code" and cell.id in stored:
            cell.outputs = stored[cell.id].outputs
    return Lecture(nb)


@pytest.mark.parametrize("source", build.sources(), ids=lambda source: source.stem)
@pytest.mark.parametrize("rule", RULES)
def test_lectures_keep_the_rules(source, rule):
    findings, slug = list(RULES[rule](lecture_of(source))), source.stem[3:]
    if slug not in EXCEPTIONS.get(rule, ()):
        assert not findings, "\n" + "\n".join(findings)
    elif rule == "skipping":
        missed = sorted(set().union(*leaks(lecture_of(source)).values()))
        assert missed == EXCEPTIONS[rule][slug], "exceptions.toml lists other names"
    else:
        assert findings, f"{slug} keeps the rule {rule!r} now: take it off exceptions.toml"


def test_exceptions_are_for_rules_and_lectures_that_exist():
    assert set(EXCEPTIONS) <= set(RULES)
    assert {slug for slugs in EXCEPTIONS.values() for slug in slugs} <= {s.stem[3:] for s in build.sources()}
