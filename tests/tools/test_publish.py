"""The address of whoever publishes a copy, from the git remote unless it is given."""

import pytest

from tools import build, publish


@pytest.mark.parametrize(
    "remote",
    [
        "git@github.com:me/course.git",
        "ssh://git@github.com/me/course.git",
        "ssh://git@github.com:22/me/course",
        "https://github.com/me/course.git",
        "https://github.com/me/course/",
        "http://github.com/me/course",
        "git://github.com/me/course.git\n",
    ],
)
def test_every_way_to_name_a_remote_is_one_web_address(remote):
    assert publish.web(remote) == "https://github.com/me/course"


def test_the_one_place_is_written_and_everything_is_built(tmp_path, monkeypatch, capsys):
    place, built = tmp_path / "pyproject.toml", []
    place.write_text((build.ROOT / "pyproject.toml").read_text("utf-8"), "utf-8")
    monkeypatch.setattr(publish, "PLACE", place)
    monkeypatch.setattr(publish.notebooks, "main", built.append)
    git = {("remote", "get-url", "origin"): "git@host.org:me/it.git", ("branch", "--show-current"): "trunk"}
    monkeypatch.setattr(publish, "said", lambda *command: git.get(command, ""))
    publish.main([])
    assert 'address = "https://host.org/me/it"\ntag = "trunk"\n' in place.read_text("utf-8")
    publish.main(["--address", "https://github.com/you/course.git", "--branch", "v2"])
    text = place.read_text("utf-8")
    assert 'address = "https://github.com/you/course"\ntag = "v2"\n' in text and built == [[], []]
    assert "https://github.com/you/course, branch v2" in capsys.readouterr().out
    old = build.address()
    back = publish.stamp(text, old["address"], old["tag"])
    assert back == (build.ROOT / "pyproject.toml").read_text("utf-8")  # and nothing else was touched


def test_without_a_remote_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setattr(publish, "said", lambda *command: "")
    with pytest.raises(SystemExit, match="no remote 'origin': say `python -m tools.publish --address"):
        publish.main([])
    with pytest.raises(ValueError, match="one line `address = …`"):
        publish.stamp('[tool.course]\ntag = "main"\n', "a", "b")
