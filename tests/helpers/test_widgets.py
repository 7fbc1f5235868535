"""Every slider over its whole range with exceptions fatal, and what the figures show."""

import math

import ipywidgets as w
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from helpers import plots
from helpers.widgets import flip_through, slide

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def figures(monkeypatch):
    """matplotlib as it comes, and as the course sets it; figures are kept open to be looked at."""
    monkeypatch.setattr(plt, "show", lambda: None)
    with plt.rc_context():
        matplotlib.rcdefaults()
        plots.style()
        yield
    plt.close("all")


def images(n, c=3, h=4, w=5, seed=0):
    return torch.rand(n, c, h, w, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def values(control):
    if isinstance(control, w.Dropdown):
        return list(control.options)
    if isinstance(control, w.IntSlider):
        return list(range(control.min, control.max + 1))
    count = round((control.max - control.min) / control.step)
    return [control.min + i * control.step for i in range(count)] + [control.max]


def move_everything(box):
    """Sets each control to each of its values; `interactive` would swallow what goes wrong."""
    draw = box.f
    errors = []

    def watched(**values):
        try:
            return draw(**values)
        except Exception as error:
            errors.append(error)

    box.f = watched
    watched(**{c.description: c.value for c in box.children[:-1]})
    for control in box.children[:-1]:
        for value in values(control):
            control.value = value
    assert not box.out.outputs or all(o["output_type"] != "error" for o in box.out.outputs)
    if errors:
        raise errors[0]


# Sliders


def test_slide_makes_the_controls():
    box = slide(lambda **v: None, t=(1, 1000), s=(0, 10, 5), eta=(0.0, 1.0), g=(0, 7.5, 1), name=["a", "b"])
    t, s, eta, g, name, out = box.children
    assert [type(c) for c in (t, s, eta, g, name)] == [
        w.IntSlider,
        w.IntSlider,
        w.FloatSlider,
        w.FloatSlider,
        w.Dropdown,
    ]
    assert (t.min, t.max, t.value, t.description) == (1, 1000, 1, "t")
    assert (s.min, s.max, s.value) == (0, 10, 5)
    assert (eta.min, eta.max, eta.value, eta.step) == (0, 1, 0, pytest.approx(0.01))
    assert (g.min, g.max, g.value) == (0, 7.5, 1) and name.options == ("a", "b")
    assert not any(c.continuous_update for c in (t, s, eta, g)) and isinstance(out, w.Output)


def test_slide_draws_at_every_value():
    seen = []
    box = slide(lambda **v: seen.append(v), t=(3, 9, 5), eta=(0.0, 0.5), name=["x", "y", "z"])
    move_everything(box)
    assert seen[0] == dict(t=5, eta=0.0, name="x")
    assert {v["t"] for v in seen} == set(range(3, 10)) and {v["name"] for v in seen} == set("xyz")
    etas = sorted({v["eta"] for v in seen})
    assert len(etas) == 101 and etas[0] == 0 and etas[-1] == 0.5


def test_an_error_in_a_callback_is_seen():
    def draw(t):
        if t == 7:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        move_everything(slide(draw, t=(1, 9)))


@pytest.mark.parametrize("frames", [1, 6])
@pytest.mark.parametrize("kind", ["one image", "several", "grey"])
def test_flip_through_shows_each_frame(kind, frames):
    shape = {"one image": (3, 4, 5), "several": (10, 3, 4, 5), "grey": (2, 1, 4, 5)}[kind]
    pictures = [images(math.prod(shape[:-3]), *shape[-3:], seed=i).view(shape) for i in range(frames)]
    box = flip_through(pictures, [f"step {i}" for i in range(frames)], columns=4)
    slider = box.children[0]
    assert (slider.min, slider.max, slider.description) == (0, frames - 1, "frame")
    move_everything(box)
    for i in range(frames):
        plt.close("all")
        box.f(frame=i)
        figure = plt.gcf()
        assert figure.get_suptitle() == f"step {i}"
        assert_shows(figure, pictures[i].view(-1, *shape[-3:]))


def test_as_many_titles_as_frames():
    with pytest.raises(ValueError, match="3 frames but 2 titles"):
        flip_through(list(images(3)), ["a", "b"])


# Figures


def assert_shows(figure, pictures):
    """The axes hold these images, in order; every place after them is empty."""
    for ax, picture in zip(figure.axes, pictures, strict=False):
        (shown,) = ax.get_images()
        wanted = ((picture.clamp(-1, 1) + 1) / 2).permute(1, 2, 0).numpy()
        assert np.allclose(np.asarray(shown.get_array()).reshape(wanted.shape), wanted, atol=1e-6)
        assert shown.get_clim() == (0, 1) and not ax.axison
    for ax in figure.axes[len(pictures) :]:
        assert not ax.get_images() and not ax.axison


def test_to_pixels_by_value():
    picture = torch.tensor([[[-1.0, 0.0, 1.0]], [[-3.0, 0.5, 3.0]], [[-0.5, 0.0, 0.25]]])
    wanted = [[[0, 0, 0.25], [0.5, 0.75, 0.5], [1, 1, 0.625]]]
    assert np.allclose(plots.to_pixels(picture.requires_grad_()), wanted)
    assert plots.to_pixels(picture.half()[:1]).shape == (1, 3, 1)


@pytest.mark.parametrize("n, columns, grid", [(1, 8, (1, 1)), (8, 8, (1, 8)), (9, 8, (2, 8)), (5, 2, (3, 2))])
@pytest.mark.parametrize("c", [1, 3])
def test_show_images(n, columns, grid, c):
    pictures = 1.5 * images(n, c)  # some beyond [−1, 1]
    titles = [f"{i}" for i in range(n)]
    figure = plots.show_images(pictures, titles, columns, title="all", show=False)
    assert figure.axes[0].get_gridspec().get_geometry() == grid
    assert_shows(figure, pictures)
    assert [ax.get_title() for ax in figure.axes[:n]] == titles
    assert figure.get_suptitle() == "all" and figure.dpi <= 80
    assert_shows(plots.show_images(list(pictures), columns=columns, show=False), pictures)


def test_one_picture_without_a_batch_is_refused():
    with pytest.raises(ValueError, match=r"are \(N, C, H, W\); the first of these is \(8, 8\)"):
        plots.show_images(torch.zeros(3, 8, 8), show=False)


def test_show_images_without_the_style():
    """A reader who imports this one function gets a figure too."""
    matplotlib.rcdefaults()
    pictures = images(3)
    assert_shows(plots.show_images(pictures, show=False), pictures)


def test_show_images_shows(monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(1))
    plots.show_images(images(1))
    plots.show_images(images(1), show=False)
    assert shown == [1]


def test_a_red_picture_is_drawn_red():
    red = torch.tensor([1.0, -1.0, -1.0]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    grey = torch.full((1, 1, 8, 8), 0.2)
    for picture, colour in ((red, (255, 0, 0)), (grey, (153, 153, 153))):
        figure = plots.show_images(picture, show=False)
        figure.canvas.draw()
        drawn = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
        assert (np.abs(drawn - colour).max(-1) <= 1).mean() > 0.8


@pytest.mark.parametrize("titles", [["a"], ["a", "b", "c"]])
def test_titles_of_pictures_must_match(titles):
    with pytest.raises(ValueError, match="2 .*titles|titles.* 2"):
        plots.show_images(images(2), titles, show=False)


def test_no_pictures_to_show():
    with pytest.raises(ValueError, match="no pictures|no images"):
        plots.show_images(images(0), show=False)


@pytest.mark.parametrize("rows, grid", [(1, (1, 5)), (2, (2, 3))])
def test_filmstrip(rows, grid):
    pictures = images(5)
    mixed = [pictures[0], *(p[None] for p in pictures[1:])]  # with and without a batch axis
    figure = plots.filmstrip(mixed, list("abcde"), rows, show=False)
    assert figure.axes[0].get_gridspec().get_geometry() == grid
    assert_shows(figure, pictures)
    assert [ax.get_title() for ax in figure.axes[:5]] == list("abcde")


def test_scatter():
    clouds = [torch.randn(20, 2, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    axes = plots.scatter(clouds, ["a", "b", "c"], limit=3, color="#123456")
    for ax, cloud, title in zip(axes, clouds, "abc", strict=True):
        (points,) = ax.collections
        assert np.allclose(points.get_offsets(), cloud.numpy())
        assert ax.get_title() == title and ax.get_aspect() == 1
        assert ax.get_xlim() == ax.get_ylim() == (-3, 3)
        assert matplotlib.colors.to_hex(points.get_facecolor()[0]) == "#123456"
    with pytest.raises(ValueError):
        plots.scatter(clouds, ["a", "b"])


def test_style():
    cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    assert cycle == list(plots.COLORS) and len(set(cycle)) == 8
    assert plt.rcParams["figure.dpi"] <= 80 and plt.rcParams["image.interpolation"] == "nearest"
