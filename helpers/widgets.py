"""Things to move in a notebook, from the widgets that ipywidgets 7.7 and 8 both have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from .plots import show_images


def slide(draw: Callable, **sliders):
    """`interact` that waits until a slider is let go: slide(draw, t=(1, 1000), name=['a', 'b']).

    (low, high) or (low, high, start) makes a slider of whole numbers or decimals, a list a menu. Returns
    the `interactive` box, whose children[i].value can be set from code; draw(**values) makes the figure.
    """
    import ipywidgets as w

    def widget(name, spec):
        if isinstance(spec, list):
            return w.Dropdown(options=spec, description=name)
        low, high, start = spec if len(spec) == 3 else (*spec, spec[0])
        if isinstance(low, int) and isinstance(high, int) and isinstance(start, int):
            return w.IntSlider(start, low, high, description=name, continuous_update=False)
        return w.FloatSlider(
            start, min=low, max=high, step=(high - low) / 100, description=name, continuous_update=False
        )

    box = w.interactive(draw, **{name: widget(name, spec) for name, spec in sliders.items()})
    box.layout.width = "100%"
    return box


def flip_through(frames: Sequence[Tensor], titles: Sequence[str], side: float = 2.4, columns: int = 8):
    """A slider over frames, each images (N, C, H, W) in [−1, 1] or one image (C, H, W), with a title each."""
    if len(frames) != len(titles):
        raise ValueError(f"There are {len(frames)} frames but {len(titles)} titles.")

    def draw(frame):
        images = frames[frame] if frames[frame].ndim == 4 else frames[frame][None]
        show_images(images, columns=columns, side=side, title=titles[frame])

    return slide(draw, frame=(0, len(frames) - 1))
