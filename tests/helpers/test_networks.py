"""The networks: identities at the start, written-out formulas, conditions, guidance."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from helpers.guidance import drop_attributes, guide
from helpers.layers import (
    AttributeEmbedding,
    Downsample,
    ResidualBlock,
    SelfAttention,
    Upsample,
    group_norm,
    sinusoidal_embedding,
)
from helpers.unet import UNet, count_parameters

SMALL = dict(widths=(8, 16), attention=(1,), heads=2)


def close(a, b, atol=1e-5):
    return torch.allclose(a, b, rtol=0, atol=atol)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def awake(network, std=0.2):
    """The network with random numbers in all parameters, also in the layers that start at zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
    return network.eval()


@pytest.fixture(scope="module")
def unet():
    return awake(UNet(attributes=(2, 3), image_channels=1, **SMALL))


# Layers


@pytest.mark.parametrize("adaptive", [True, False])
def test_new_residual_block_is_its_shortcut(adaptive):
    x, e = randn(2, 8, 4, 4), randn(2, 6)
    assert torch.equal(ResidualBlock(8, 8, 6, adaptive=adaptive)(x, e), x)
    block = ResidualBlock(8, 12, 6, adaptive=adaptive)
    wanted = F.conv2d(x, block.shortcut.weight, block.shortcut.bias)
    assert torch.equal(block(x, e), wanted)


@pytest.mark.parametrize("adaptive", [True, False])
def test_residual_block_written_out(adaptive):
    block, x, e = awake(ResidualBlock(8, 12, 6, adaptive=adaptive)), randn(2, 8, 4, 4), randn(2, 6)
    p = dict(block.named_parameters())

    def silu(a):
        return a / (1 + torch.exp(-a))

    def norm(a, name):  # 8 and 12 channels make groups of 4
        groups = a.unflatten(1, (-1, 4))
        mean = groups.mean((2, 3, 4), keepdim=True)
        deviation = (groups.var((2, 3, 4), keepdim=True, unbiased=False) + 1e-5).sqrt()
        a = ((groups - mean) / deviation).flatten(1, 2)
        return a * p[f"{name}.weight"][:, None, None] + p[f"{name}.bias"][:, None, None]

    h = F.conv2d(silu(norm(x, "norm1")), p["conv1.weight"], p["conv1.bias"], padding=1)
    c = silu(e) @ p["condition.weight"].T + p["condition.bias"]
    if adaptive:  # Dhariwal and Nichol, eq. 7: y_s · norm(h) + y_b
        h = norm(h, "norm2") * (1 + c[:, :12, None, None]) + c[:, 12:, None, None]
    else:
        h = norm(h + c[:, :, None, None], "norm2")
    h = F.conv2d(silu(h), p["conv2.weight"], p["conv2.bias"], padding=1)
    wanted = F.conv2d(x, p["shortcut.weight"], p["shortcut.bias"]) + h
    assert close(block(x, e), wanted, 1e-4)


def test_new_attention_is_the_identity():
    x = randn(2, 8, 3, 5)
    assert torch.equal(SelfAttention(8, heads=2)(x), x)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_written_out(heads):
    """softmax(Q Kᵀ / √d) V, place by place and head by head."""
    layer, x = awake(SelfAttention(8, heads)), randn(2, 8, 3, 5)
    d, y = 8 // heads, torch.zeros(2, 8, 15)
    h = layer.norm(x).flatten(2)  # (2, 8, 15)
    w, b = layer.qkv.weight.flatten(1), layer.qkv.bias
    for i in range(2):
        q, k, v = (w @ h[i] + b[:, None]).chunk(3)  # 3 × (8, 15)
        for head in range(heads):
            rows = slice(head * d, (head + 1) * d)
            scores = q[rows].T @ k[rows] / math.sqrt(d)  # (15 asking, 15 answering)
            weights = scores.exp() / scores.exp().sum(1, keepdim=True)
            y[i, rows] = v[rows] @ weights.T
    wanted = x + F.conv2d(y.view(2, 8, 3, 5), layer.out.weight, layer.out.bias)
    assert close(layer(x), wanted)


def test_attention_does_not_know_places():
    """Places are shuffled: the answers are shuffled alike."""
    layer, x = awake(SelfAttention(8, 2)), randn(1, 8, 4, 4)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    mixed = x.flatten(2)[:, :, order].view_as(x)
    assert close(layer(mixed).flatten(2), layer(x).flatten(2)[:, :, order])


def test_sinusoidal_embedding_loop():
    t = torch.tensor([0, 1, 17, 1000])
    got = sinusoidal_embedding(t, 12)
    for i, step in enumerate(t.tolist()):
        for j in range(6):
            angle = step / 10_000 ** (j / 6)
            assert float(got[i, j]) == pytest.approx(math.cos(angle), abs=1e-4)
            assert float(got[i, 6 + j]) == pytest.approx(math.sin(angle), abs=1e-4)
    with pytest.raises(ValueError, match="must be even, not 7"):
        sinusoidal_embedding(t, 7)


def test_group_norm_has_groups_of_at_least_4():
    for channels in range(4, 300):
        groups = group_norm(channels).num_groups
        assert channels % groups == 0 and channels // groups >= 4 and groups <= 32
    known = {1: 1, 3: 1, 8: 2, 32: 8, 48: 12, 64: 16, 96: 24, 128: 32, 192: 32, 256: 32}
    assert {c: group_norm(c).num_groups for c in known} == known


def test_down_and_upsample_written_out():
    x = randn(1, 4, 4, 6)
    down, up = awake(Downsample(4)), awake(Upsample(4))
    padded = F.pad(x, (1, 1, 1, 1))
    got = down(x)
    assert got.shape == (1, 4, 2, 3)
    window = padded[0, :, 2:5, 4:7]  # the middle one is (2, 4)
    wanted = (down.conv.weight * window).sum((1, 2, 3)) + down.conv.bias
    assert close(got[0, :, 1, 2], wanted)
    large = x[:, :, torch.arange(8) // 2][..., torch.arange(12) // 2]
    assert close(up(x), F.conv2d(large, up.conv.weight, up.conv.bias, padding=1))


def test_attribute_embedding_adds_a_row_per_attribute():
    sizes = (2, 3, 4)
    layer = AttributeEmbedding(sizes, 5)
    rows, first = layer.table.weight, 0
    assert rows.shape == (2 + 3 + 4 + 3, 5)
    wanted = torch.zeros(1, 5)
    parts = []  # parts[a][v + 1] is the row of value v, null at −1
    for size in sizes:
        parts.append(rows[first : first + size + 1])
        first += size + 1
    for values in [(-1, -1, -1), (0, 0, 0), (1, 2, 3), (-1, 2, 0), (1, -1, 3), (0, 1, -1)]:
        wanted = sum(part[v + 1] for part, v in zip(parts, values, strict=True))
        assert close(layer(torch.tensor([values]))[0], wanted, 1e-7), values
    with pytest.raises(ValueError, match=r"must be \(B, 3\), not \(1, 2\)"):
        layer(torch.tensor([[0, 0]]))
    with pytest.raises(ValueError, match=r"must be \(B, 3\), not \(3,\)"):
        layer(torch.tensor([0, 0, 0]))


@pytest.mark.parametrize("row", [(2, 0, 0), (0, 3, 0), (0, 0, 4), (-2, 0, 0), (0, 0, -2)])
def test_attribute_out_of_range(row):
    with pytest.raises(ValueError, match="outside its range"):
        AttributeEmbedding((2, 3, 4), 5)(torch.tensor([[0, 0, 0], row]))


def test_heads_must_share_the_channels():
    with pytest.raises(ValueError, match="10 channels cannot be shared among 4 heads"):
        SelfAttention(10, 4)


# The U-Net


@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("patch, out", [(1, None), (2, 6)])
def test_new_unet_answers_0(patch, out, adaptive):
    network = UNet(out_channels=out, patch=patch, adaptive=adaptive, **SMALL)
    y = network(randn(2, 3, 8, 8), torch.tensor([1, 5]))
    assert torch.equal(y, torch.zeros(2, out or 3, 8, 8))


def test_every_part_of_the_input_matters(unet):
    x, image, t = randn(1, 3, 4, 4), randn(1, 1, 4, 4, seed=1), torch.tensor([5])
    a = torch.tensor([[1, 2]])
    y = unet(x, t, a, image)
    others = [
        (x + 0.1, t, a, image),
        (x, t + 1, a, image),
        (x, t, a, image + 0.1),
        (x, t, torch.tensor([[0, 2]]), image),
        (x, t, torch.tensor([[1, 1]]), image),
        (x, t, torch.tensor([[1, -1]]), image),
    ]
    for other in others:
        assert (unet(*other) - y).abs().max() > 1e-3
    far = x.clone()
    far[0, :, 0, 0] += 1  # seen in the farthest corner, by attention
    assert (unet(far, t, a, image) - y)[0, :, 3, 3].abs().max() > 1e-4


def test_no_attributes_is_all_left_open(unet):
    x, image, t = randn(2, 3, 4, 4), randn(2, 1, 4, 4, seed=1), torch.tensor([5, 9])
    assert torch.equal(unet(x, t, image=image), unet(x, t, torch.full((2, 2), -1), image))


def test_nothing_leaks_across_the_batch(unet):
    x, image, t = randn(3, 3, 4, 4), randn(3, 1, 4, 4, seed=1), torch.tensor([5, 9, 30])
    a = torch.tensor([[0, 0], [1, 2], [-1, 1]])
    y = unet(x, t, a, image)
    for i in range(3):
        alone = unet(x[i : i + 1], t[i : i + 1], a[i : i + 1], image[i : i + 1])
        assert close(alone[0], y[i])
    changed = [v.clone() for v in (x, t, a, image)]
    for value in changed:
        value[1] = value[0]
    z = unet(*changed)
    assert close(z[0], y[0]) and close(z[2], y[2]) and not close(z[1], y[1], 1e-2)


@pytest.mark.parametrize("blocks, attention", [(1, ()), (2, (0, 1))])
def test_patches_are_pixel_unshuffle(blocks, attention):
    """Folding 2×2 pixels inside is the same network on a picture folded outside."""
    options = dict(widths=(8, 16), blocks=blocks, attention=attention, heads=2)
    inside = awake(UNet(channels=3, image_channels=1, patch=2, **options))
    outside = UNet(channels=16, out_channels=12, **options).eval()
    outside.load_state_dict(inside.state_dict())
    x, image, t = randn(2, 3, 8, 8), randn(2, 1, 8, 8, seed=1), torch.tensor([3, 70])

    def fold(picture):  # channel c, row i, column j → 4c + 2i + j
        b, c, h, w = picture.shape
        return (
            picture.view(b, c, h // 2, 2, w // 2, 2)
            .permute(0, 1, 3, 5, 2, 4)
            .reshape(b, 4 * c, h // 2, w // 2)
        )

    y = outside(fold(torch.cat([x, image], 1)), t)
    assert close(fold(inside(x, t, image=image)), y)


@pytest.mark.parametrize(
    "options", [dict(), dict(adaptive=False), dict(patch=2, blocks=2), dict(attention=())], ids=str
)
def test_gradient_reaches_every_parameter(options):
    options = SMALL | dict(attributes=(2, 3), image_channels=2) | options
    network = awake(UNet(**options))
    y = network(
        randn(4, 3, 8, 8),
        torch.tensor([3, 9, 27, 81]),
        torch.tensor([[0, 0], [1, 1], [-1, 2], [0, -1]]),
        randn(4, 2, 8, 8, seed=1),
    )
    (y * randn(*y.shape, seed=2)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
    table = network.attributes.table.weight.grad
    assert (table.abs().amax(1) > 0).all()  # every value of every attribute, and both nulls


def test_dropout_only_while_training():
    network = awake(UNet(dropout=0.5, **SMALL))
    x, t = randn(2, 3, 4, 4), torch.tensor([1, 2])
    assert torch.equal(network(x, t), network(x, t))
    network.train()
    assert not torch.equal(network(x, t), network(x, t))


def test_config_builds_the_same_network():
    network = awake(UNet(attributes=(2, 3), image_channels=1, out_channels=5, blocks=2, **SMALL))
    twin = UNet(**network.config).eval()
    twin.load_state_dict(network.state_dict())
    x, image, t = randn(1, 3, 4, 4), randn(1, 1, 4, 4), torch.tensor([3])
    assert torch.equal(twin(x, t, image=image), network(x, t, image=image))


def test_count_parameters():
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2, bias=False))
    module[1].requires_grad_(False)
    assert count_parameters(module) == 16


X, ONE = randn(1, 3, 8, 8), torch.tensor([1])
BAD_CALLS = {
    "side": (dict(), (randn(1, 3, 6, 8), ONE), "divisible by 4, not 6×8"),
    "other side": (dict(), (randn(1, 3, 8, 10), ONE), "divisible by 4, not 8×10"),
    "channels": (dict(), (randn(1, 1, 8, 8), ONE), r"\(B, 3, H, W\), not \(1, 1, 8, 8\)"),
    "three axes": (dict(), (randn(3, 8, 8), ONE), r"\(B, 3, H, W\)"),
    "length of t": (dict(), (X, torch.tensor([1, 2])), "one entry per image"),
    "negative t": (dict(), (X, torch.tensor([-1])), "t must lie in"),
    "attributes unknown": (dict(), (X, ONE, torch.tensor([[0]])), "built without attributes"),
    "attribute rows": (dict(attributes=(2,)), (X, ONE, torch.tensor([[0], [1]])), "1 images but 2 rows"),
    "attribute value": (dict(attributes=(2,)), (X, ONE, torch.tensor([[2]])), "outside its range"),
    "image missing": (dict(image_channels=1), (X, ONE), "1 extra image channels.*missing"),
    "image given": (dict(), (X, ONE, None, randn(1, 1, 8, 8)), "0 extra image channels.*given"),
    "image size": (
        dict(image_channels=1),
        (X, ONE, None, randn(1, 1, 4, 4)),
        r"\(1, 1, 8, 8\), not \(1, 1, 4, 4\)",
    ),
    "image batch": (dict(image_channels=1), (X, ONE, None, randn(2, 1, 8, 8)), "not \\(2, 1, 8, 8"),
}


@pytest.mark.parametrize("options, arguments, message", BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_calls(options, arguments, message):
    network = UNet(widths=(8, 16), patch=2, attention=(), **options)
    with pytest.raises(ValueError, match=message):
        network(*arguments)


def test_a_network_in_another_precision(unet):
    made = type(unet)(**unet.config).double()
    x, t = torch.randn(2, made.channels, 8, 8).double(), torch.tensor([3, 7])
    image = torch.zeros(2, made.image_channels, 8, 8).double()
    assert made(x, t, image=image).dtype == torch.float64
    assert made.bfloat16()(x.bfloat16(), t, image=image.bfloat16()).dtype == torch.bfloat16
    assert torch.equal(made.double()(x, 5, image=image), made(x, torch.tensor([5, 5]), image=image))


def test_fractional_t():
    with pytest.raises(TypeError, match="integer"):
        UNet(widths=(8,), attention=())(X, torch.tensor([0.5]))


# Guidance


@pytest.mark.parametrize("scale", [0.0, 1.0, 2.5, -0.5])
def test_guide_is_a_line_from_uncond_to_cond(unet, scale):
    x, image, t = randn(2, 3, 4, 4), randn(2, 1, 4, 4, seed=1), torch.tensor([5, 9])
    a = torch.tensor([[1, -1], [0, 2]])

    def predict(x, t, attributes, image):
        answer = unet(x, t, attributes, image)
        return 2 * answer, answer - 1

    got = guide(predict, scale, attributes=-1)(x, t, attributes=a, image=image)
    uncond = predict(x, t, torch.full_like(a, -1), image)
    cond = predict(x, t, a, image)
    for g, u, c in zip(got, uncond, cond, strict=True):
        assert g.shape == u.shape and not close(u, c, 1e-2)
        for channel in range(3):
            wanted = u[:, channel] + scale * (c[:, channel] - u[:, channel])
            assert close(g[:, channel], wanted)
    if scale in (0, 1):
        assert close(got[0], (uncond, cond)[int(scale)][0])


def test_guide_takes_a_number_for_t_and_calls_once():
    calls = []

    def predict(x, t, attributes):
        calls.append(t.tolist())
        return x, x

    guided = guide(predict, 3.0, attributes=-1)
    guided(randn(2, 3), 7, attributes=torch.tensor([[1], [0]]))
    guided(randn(2, 3), 8, attributes=torch.tensor([[1], [0]]), image=None)  # not passed on
    assert calls == [[7, 7, 7, 7], [8, 8, 8, 8]]


def test_dropped_attributes_follow_the_theory():
    """An entry is lost with 0.1 + 0.9·½, a whole row of 3 with 0.1 + 0.9·¼, none with 0.9·¼."""
    n, columns = 20_000, 3
    values = torch.arange(columns).repeat(n, 1)
    got = drop_attributes(values, 0.1, torch.Generator().manual_seed(0))
    lost = got == -1
    assert torch.equal(got[~lost], values[~lost])

    def share(events, p):
        assert abs(float(events.double().mean()) - p) < 4 * math.sqrt(p * (1 - p) / n)

    for column in range(columns):
        share(lost[:, column], 0.1 + 0.9 * 0.5)
    share(lost.all(1), 0.1 + 0.9 / 4)
    share(~lost.any(1), 0.9 / 4)
    share(lost[:, 0] & lost[:, 1], 0.1 + 0.9 / 3)


@pytest.mark.parametrize("all, p", [(0.0, 0.5), (1.0, 1.0)])
def test_dropping_all_or_none_at_once(all, p):
    got = drop_attributes(torch.zeros(10_000, 1, dtype=torch.long), all, torch.Generator().manual_seed(1))
    assert float((got == -1).double().mean()) == pytest.approx(p, abs=0.02)
    again = drop_attributes(torch.full((5, 2), -1), all)
    assert (again == -1).all()  # what was open stays open
