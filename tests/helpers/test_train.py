"""Training: the loop by hand, resumed ≡ uninterrupted, kills, damaged checkpoints, two processes."""

import functools
import itertools
import math
import multiprocessing
import os
import random
import socket
import time
import warnings

import pytest
import torch
from torch import nn

from helpers import profile, train
from helpers.files import load_state, previous, save_state
from helpers.train import batch_indices, fit, learning_rate

RECIPE = dict(steps=40, batch=4, lr=1e-2, warmup=5, ema=0.9, seed=3, every=3)


@pytest.fixture(autouse=True)
def one_thread():
    """Bitwise equality is promised for an equal number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(seed=0):
    """A network with dropout, which draws from the global random state."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3))


DATA = torch.randn(10, 3, generator=torch.Generator().manual_seed(9))


def denoise(network, x, generator):
    noise = torch.randn(x.shape, generator=generator)
    return (network(x + noise) - noise).square().mean()


def plain(network, x, generator):
    """A loss without chance, so that two processes and one see the same numbers."""
    return (network(x) - x.flip(1)).square().mean()


def run(checkpoint=None, until=None, loss=denoise, data=DATA, **changes):
    """All (step, loss) of one call of fit, and the averaged network at its end."""
    steps = list(fit(tiny(), data, loss, checkpoint=checkpoint, until=until, **RECIPE | changes))
    return [(s.step, s.loss) for s in steps], steps[-1].ema


def same(a, b):
    """Bitwise equality of nested states."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a damaged file would warn
        return load_state(path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The uninterrupted run: losses, averaged network, final checkpoint."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("whole") / "a.pt"
    losses, ema = run(path)
    torch.set_num_threads(before)
    return losses, ema, read(path)


# The loop by hand


def test_fit_is_the_loop_by_hand():
    """AdamW with clipped gradients, a rate that rises and falls, an average of the weights."""
    network, twin = tiny(), tiny()
    torch.manual_seed(1)
    ours = [(s.loss, s.lr) for s in fit(network, DATA, denoise, **RECIPE | dict(steps=12))]

    torch.manual_seed(1)
    twin.train()
    average = {k: v.clone() for k, v in twin.state_dict().items()}
    adam = torch.optim.AdamW(twin.parameters(), lr=1e-2, betas=(0.9, 0.99), weight_decay=0.01)
    generator = torch.Generator().manual_seed(3 * 1009)
    orders = [torch.randperm(10, generator=torch.Generator().manual_seed(3 * 100_003 + e)) for e in range(5)]
    indices = torch.cat(orders)
    for step in range(1, 13):
        value = denoise(twin, DATA[indices[4 * step - 4 : 4 * step]], generator)
        rate = 1e-2 * min(step / 5, (12 - step + 1) / 7, 1)
        adam.param_groups[0]["lr"] = rate
        adam.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
        adam.step()
        decay = min(0.9, (1 + step) / (10 + step))
        for name, now in twin.state_dict().items():
            if now.is_floating_point():
                average[name] = decay * average[name] + (1 - decay) * now
        assert ours[step - 1] == (pytest.approx(value.item(), rel=1e-5), pytest.approx(rate))
    assert same(network.state_dict(), twin.state_dict())
    final = list(fit(tiny(), DATA, denoise, **RECIPE | dict(steps=1)))[-1].ema
    assert not final.training and not any(p.requires_grad for p in final.parameters())


def test_the_average_is_the_closed_form_sum():
    """w̄_n = Πd · w_0 + Σ_k (1 − d_k) Π_{j>k} d_j · w_k with d_k = min(d, (1 + k)/(10 + k))."""
    points = torch.randn(31, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    network, average = nn.Linear(4, 1, bias=False).double(), nn.Linear(4, 1, bias=False).double()
    for k, point in enumerate(points):
        network.weight.data.copy_(point)
        if k == 0:
            average.weight.data.copy_(point)
        else:
            train.update_ema(average, network, k, 0.6)
    decays = [1.0] + [min(0.6, (1 + k) / (10 + k)) for k in range(1, 31)]
    assert decays[12] < 0.6 and decays[20] == 0.6  # the test sees both
    wanted = math.prod(decays) * points[0]
    for k in range(1, 31):
        wanted += (1 - decays[k]) * math.prod(decays[k + 1 :]) * points[k]
    assert torch.allclose(average.weight[0], wanted, rtol=0, atol=1e-12)


def test_the_average_copies_counters():
    network, average = tiny(), tiny()
    network[1].num_batches_tracked.fill_(7)
    train.update_ema(average, network, 1, 0.9)
    assert int(average[1].num_batches_tracked) == 7


@pytest.mark.parametrize("n, batch", [(10, 4), (7, 7), (3, 8), (5, 1), (12, 5)])
def test_every_epoch_visits_each_index_once(n, batch):
    steps = 4 * n  # 4·batch whole epochs
    seen = torch.cat([batch_indices(n, batch, step, seed=1) for step in range(steps)])
    assert len(seen) == steps * batch
    epochs = seen.view(-1, n)
    assert torch.equal(epochs.sort(1).values, torch.arange(n).expand_as(epochs))
    if n >= 7:
        assert len({tuple(e.tolist()) for e in epochs}) == len(epochs)  # each in its own order


def test_batches_depend_on_nothing_but_their_arguments():
    wanted = {step: batch_indices(100, 8, step, seed=1) for step in range(30)}
    for step in random.Random(0).sample(range(30), 30):
        torch.rand(step)
        assert torch.equal(batch_indices(100, 8, step, seed=1), wanted[step])
    assert not torch.equal(batch_indices(100, 8, 0, seed=2), wanted[0])


def test_learning_rate_by_value():
    rates = [learning_rate(step, 100, 2e-3, 10) for step in range(1, 101)]
    assert rates[0] == pytest.approx(2e-4) and rates[4] == pytest.approx(1e-3)
    assert rates[9] == rates[10] == 2e-3  # the peak
    assert rates[55] == pytest.approx(2e-3 * 45 / 90)
    assert rates[-1] == pytest.approx(2e-3 / 90) and max(rates) == 2e-3
    assert learning_rate(1, 100, 2e-3, 0) == 2e-3
    assert learning_rate(100, 100, 2e-3, 100) == 2e-3


# Resumed is uninterrupted, bit by bit


@pytest.mark.parametrize("pauses", [[20], [1, 2, 39], [7, 7, 30, 40, 60]], ids=str)
def test_paused_and_resumed(whole, tmp_path, pauses):
    path, losses = tmp_path / "a.pt", []
    for until in [*pauses, None]:
        torch.manual_seed(len(losses))  # whatever happened in between
        found, ema = run(path, until)
        losses += [(step, loss) for step, loss in found if loss == loss]
    assert losses == whole[0]
    assert same(ema.state_dict(), whole[1].state_dict())
    assert same(read(path), whole[2])


def test_nothing_left_to_do(whole, tmp_path):
    run(tmp_path / "a.pt")
    (step, loss), *more = run(tmp_path / "a.pt")[0]
    assert step == 40 and math.isnan(loss) and not more
    assert same(read(tmp_path / "a.pt"), whole[2])


def test_checkpoints_come_every_few_steps(tmp_path):
    path = tmp_path / "sub" / "a.pt"
    for step in itertools.islice(fit(tiny(), DATA, denoise, checkpoint=path, **RECIPE), 11):
        assert path.exists() == (step.step >= 3)
    assert read(path)["step"] == 9 and read(previous(path))["step"] == 6


def worker(path, log, progress, attempt, doomed):
    """One attempt at the whole training, in a process of its own; a doomed one waits for its end."""
    torch.set_num_threads(1)
    torch.manual_seed(attempt)
    network = tiny()
    with open(log, "a") as file:
        for step in fit(network, DATA, denoise, checkpoint=path, **RECIPE):
            file.write(f"{step.step} {step.loss.hex()}\n")
            file.flush()
            progress.value = step.step
            time.sleep(60 if doomed and step.step == 39 else 0.003)


@functools.cache
def processes():
    """Where new processes come from: forks of a clean one that has torch loaded, if there are forks."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "accelerate"])  # AdamW needs the first
    return context


def test_killed_and_resumed(whole, tmp_path):
    """SIGKILL at ten random moments; what is left must lead to the very same end."""
    path, log, chance = tmp_path / "a.pt", tmp_path / "log", random.Random(0)
    log.touch()
    kills, starts = sorted(chance.choices(range(1, 38), k=10)), []
    for attempt, kill_at in enumerate([*kills, None]):
        progress = processes().Value("i", 0)
        arguments = (path, log, progress, attempt, kill_at is not None)
        process = processes().Process(target=worker, args=arguments)
        process.start()
        if kill_at is None:
            process.join(120)
            assert process.exitcode == 0
            break
        patience = time.monotonic() + 120
        while progress.value < kill_at and process.is_alive() and time.monotonic() < patience:
            time.sleep(0.0005)
        time.sleep(chance.uniform(0, 0.008))  # within two steps, saving or not
        process.kill()
        process.join()
        assert process.exitcode not in (0, 1) and kill_at <= progress.value < 40
        state = read(path)  # never a damaged file, which would warn
        starts.append(state["step"] if state else 0)
    assert starts == sorted(starts) and all(s >= k - 3 for s, k in zip(starts, kills, strict=True))
    lines = [line.split() for line in log.read_text().splitlines()]
    losses = {(int(step), float.fromhex(loss)) for step, loss in lines}
    assert losses == set(whole[0]) and len(lines) > 40  # some steps twice, with equal loss
    assert same(read(path), whole[2])


# Damaged checkpoints


def store(path, *steps):
    for step in steps:
        save_state(path, dict(step=step, weight=torch.full((40,), float(step))))


DAMAGE = {
    "empty": lambda whole: b"",
    "half-written": lambda whole: whole[: len(whole) // 2],
    "one byte short": lambda whole: whole[:-1],
    "one bit of the weights": lambda whole: whole.replace(
        torch.full((40,), 2.0).numpy().tobytes(),
        torch.full((39,), 2.0).numpy().tobytes() + torch.tensor([2.0000002]).numpy().tobytes(),
    ),
    "no checkpoint at all": lambda whole: b"<html>404</html>",
    "zeros": lambda whole: bytes(len(whole)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_is_refused_and_the_one_before_used(tmp_path, damage):
    path = tmp_path / "a.pt"
    store(path, 1, 2)
    before = path.read_bytes()
    path.write_bytes(damage(before))
    assert path.read_bytes() != before
    with pytest.warns(UserWarning, match="a.pt is damaged and was not used"):
        state = load_state(path)
    assert state["step"] == 1 and torch.equal(state["weight"], torch.ones(40))
    previous(path).write_bytes(damage(before))
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="No whole checkpoint.*a.pt"):
        load_state(path)


def test_no_flipped_bit_goes_unnoticed(tmp_path):
    """One bit of every byte of the file: refused with a warning, or without effect."""
    path, chance = tmp_path / "a.pt", random.Random(0)
    store(path, 1, 2)
    good = path.read_bytes()
    wanted, refused = load_state(path), 0
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            state = load_state(path)
        refused += len(told)
        assert state["step"] == 1 if told else same(state, wanted), place
    assert refused > 300


def test_training_goes_on_from_the_one_before(whole, tmp_path):
    path = tmp_path / "a.pt"
    run(path, until=30)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="damaged"):
        losses, ema = run(path)
    assert losses == whole[0][27:]  # the one before was of step 27
    assert same(ema.state_dict(), whole[1].state_dict()) and same(read(path), whole[2])


class Killed(BaseException):
    pass


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("moment", ["save", "fsync", "replace 1", "replace 2"])
def test_killed_while_saving(tmp_path, monkeypatch, moment, damaged):
    """At every point of saving, this checkpoint or the one before it is whole."""
    path = tmp_path / "a.pt"
    store(path, 1, 2)
    if damaged:  # training went on from step 1
        path.write_bytes(b"half")
    real, calls = os.replace, itertools.count(1)

    def killed(*args):
        raise Killed

    def replace(a, b):
        if moment == f"replace {next(calls)}":
            raise Killed
        real(a, b)

    monkeypatch.setattr(os, "replace", replace)
    if moment == "save":
        monkeypatch.setattr(torch, "save", killed)
    if moment == "fsync":
        monkeypatch.setattr(os, "fsync", killed)
    try:
        store(path, 3)
    except Killed:
        pass
    monkeypatch.undo()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert load_state(path)["step"] in ((1, 3) if damaged else (2, 3))


def test_no_checkpoint_yet(tmp_path):
    assert load_state(tmp_path / "none.pt") is None


# Bad input

CHANGES = dict(
    steps=50, batch=2, lr=1e-3, warmup=6, ema=0.99, seed=4, weight_decay=0.1, clip=2.0, data=DATA[:9]
)


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_recipe_is_refused(tmp_path, name):
    run(tmp_path / "a.pt", until=3)
    with pytest.raises(ValueError, match=f"begun with another .*{name}"):
        run(tmp_path / "a.pt", **{name: CHANGES[name]})


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_training_stops_at_nan(whole, tmp_path, bad):
    path, calls = tmp_path / "a.pt", itertools.count(1)

    def loss(network, x, generator):
        return denoise(network, x, generator) * (bad if next(calls) == 8 else 1)

    steps = []
    with pytest.raises(FloatingPointError, match=f"became {bad} at step 8.*a.pt"):
        for step in fit(tiny(), DATA, loss, checkpoint=path, **RECIPE):
            steps.append(step.step)
    assert steps == list(range(1, 8)) and read(path)["step"] == 6
    assert all(v.isfinite().all() for v in read(path)["network"].values())
    losses, _ = run(path)
    assert losses == whole[0][6:]  # and from there all goes well


class Poison(torch.autograd.Function):
    """Adds nothing to the loss, and NaN to its gradient."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * math.nan


def test_training_stops_at_a_gradient_of_nan(whole, tmp_path):
    """The loss before such a step is finite; its weights must not become the last good checkpoint."""
    path, calls = tmp_path / "a.pt", itertools.count(1)

    def loss(network, x, generator):
        value = denoise(network, x, generator)
        return Poison.apply(value) if next(calls) == 9 else value  # a checkpoint would follow

    with pytest.raises(FloatingPointError, match="gradient became nan at step 9.*last good.*a.pt"):
        list(fit(tiny(), DATA, loss, checkpoint=path, **RECIPE))
    assert read(path)["step"] == 6 and all(v.isfinite().all() for v in read(path)["network"].values())
    losses, _ = run(path)
    assert losses == whole[0][6:]


def test_the_profile_cpu_holds_for_training(monkeypatch):
    import accelerate

    asked = []

    def record(cpu=False, real=accelerate.Accelerator):
        asked.append(cpu)
        return real(cpu=True)

    monkeypatch.setattr(accelerate, "Accelerator", record)
    for name in ("cpu", "gpu"):
        monkeypatch.setenv("COURSE_PROFILE", name)
        monkeypatch.setattr("helpers.profile._cuda", lambda: True)
        next(iter(fit(tiny(), DATA, denoise, **RECIPE)))
    assert asked == [True, False]


def test_nan_before_the_first_checkpoint(tmp_path):
    with pytest.raises(FloatingPointError, match="step 1.*no checkpoint"):
        run(tmp_path / "a.pt", loss=lambda network, x, generator: network(x).sum() * math.nan)


def test_nan_without_a_checkpoint():
    with pytest.raises(FloatingPointError, match="step 1.*no checkpoint"):
        run(loss=lambda network, x, generator: network(x).sum() * math.nan)


def test_no_data():
    with pytest.raises(ValueError, match="no data to train on"):
        run(data=DATA[:0])


def test_batches_may_be_dicts_and_pictures(monkeypatch):
    """Channels last and bf16 change the layout and the rounding, not the loop."""

    class Pairs:
        images = torch.randn(6, 4, 4, 4, generator=torch.Generator().manual_seed(0))

        def __len__(self):
            return 6

        def __getitem__(self, index):
            return {"image": self.images[index], "label": (index % 2, index)}

    seen = []

    def loss(network, batch, generator):
        assert torch.equal(batch["label"][0], batch["label"][1] % 2)
        assert torch.equal(batch["image"], Pairs.images[batch["label"][1]])
        answer = network(batch["image"])
        seen.append((batch["image"].is_contiguous(memory_format=torch.channels_last), answer.dtype))
        return (answer.float() - batch["image"]).square().mean()

    found = {}
    for bf16, last in ((False, False), (False, True), (True, True)):
        monkeypatch.setattr(profile, "fast_bf16", lambda kind: True)  # on any processor
        torch.manual_seed(0)
        network = nn.Conv2d(4, 4, 3, padding=1)
        steps = fit(
            network,
            Pairs(),
            loss,
            precision="auto" if bf16 else "float32",
            channels_last=last,
            **RECIPE | dict(steps=5),
        )
        found[bf16, last] = torch.tensor([s.loss for s in steps])
        assert seen[-1] == (last, torch.bfloat16 if bf16 else torch.float32)
    assert torch.allclose(found[False, False], found[False, True], rtol=1e-5)
    assert torch.allclose(found[False, False], found[True, True], rtol=2e-2)
    assert not torch.equal(found[False, True], found[True, True])
    monkeypatch.setattr(profile, "fast_bf16", lambda kind: False)  # where bf16 is slow it is not used
    list(fit(nn.Conv2d(4, 4, 3, padding=1), Pairs(), loss, precision="auto", **RECIPE | dict(steps=1)))
    assert seen[-1][1] == torch.float32


def test_half_precision_leaves_out_what_overflows(monkeypatch, tmp_path):
    """Where a GPU has fp16 only: too large a scale costs a step or two, never the training."""
    monkeypatch.setattr(profile, "fast_dtype", lambda kind: torch.float16)
    dtypes = []

    def loss(network, batch, generator):
        answer = network(batch)
        dtypes.append(answer.dtype)
        return 300 * (answer.float() - batch).square().mean()  # times 65536 it overflows in fp16

    def trained(name, until=None):
        network, weights = tiny(), []
        options = RECIPE | dict(steps=40, until=until, precision="auto", checkpoint=tmp_path / name)
        for _ in fit(network, DATA, loss, **options):
            weights.append(torch.cat([p.detach().flatten().clone() for p in network.parameters()]))
        return weights

    straight = trained("a")
    moved = [not torch.equal(before, after) for before, after in itertools.pairwise(straight)]
    assert set(dtypes) == {torch.float16} and straight[-1].isfinite().all()
    assert not moved[0] and all(moved[20:])
    trained("b", until=7)  # and the scale is kept with the rest
    assert torch.equal(trained("b")[-1], straight[-1])


def test_a_precision_that_does_not_exist():
    with pytest.raises(ValueError, match="no precision 'bf17'; choose 'float32' or 'auto'"):
        run(precision="bf17")


# Two processes


def share(rank, port, path, out):
    """One of two processes, with the environment that `torchrun --nproc_per_node 2` gives them."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE="2",
        LOCAL_WORLD_SIZE="2",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        ACCELERATE_USE_CPU="true",
    )
    torch.set_num_threads(1)
    network, loss, seen = narrow(), *watched()
    # Interrupted after three steps; the second machine has no file, and goes on with that of the first.
    options = PAIR | dict(checkpoint=path if rank == 0 else path.parent / "elsewhere" / path.name)
    losses = [step.loss for step in fit(narrow(), DATA, loss, until=3, **options)]
    losses += [step.loss for step in fit(network, DATA, loss, **options)]
    torch.save((losses, network.state_dict(), seen), out)
    if rank == 0:
        with pytest.raises(ValueError, match="batch of 5 cannot be shared equally among 2"):
            next(fit(network, DATA, plain, **PAIR | dict(batch=5)))


def watched():
    """A loss without chance, and the list of the batches that it gets."""
    seen = []

    def loss(network, x, generator):
        seen.append(x.clone())
        return plain(network, x, generator)

    return loss, seen


def narrow():
    """No layer here looks at the other pictures of the batch."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.SiLU(), nn.Linear(8, 3))


PAIR = RECIPE | dict(steps=6)


def test_two_processes_are_one(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = [
        processes().Process(target=share, args=(r, port, tmp_path / "a.pt", tmp_path / f"{r}"))
        for r in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
        process.kill()
    assert [process.exitcode for process in both] == [0, 0]
    alone, loss, batches = narrow(), *watched()
    losses = torch.tensor([step.loss for step in fit(alone, DATA, loss, **PAIR)])
    for rank in range(2):
        theirs, state, seen = torch.load(tmp_path / f"{rank}", weights_only=True)
        for half, batch in zip(seen, batches, strict=True):  # every second picture is theirs
            assert torch.equal(half, batch[rank::2])
        assert torch.allclose(torch.tensor(theirs), losses, rtol=0, atol=1e-5)
        for name, value in alone.state_dict().items():
            assert torch.allclose(state[name], value, rtol=0, atol=1e-5), name
    kept = read(tmp_path / "a.pt")
    assert kept["step"] == 6 and kept["recipe"]["world"] == 2
    assert not (tmp_path / "elsewhere").exists()
    with pytest.raises(ValueError, match="was begun with another world"):
        next(fit(narrow(), DATA, plain, checkpoint=tmp_path / "a.pt", **PAIR))
    assert len(kept["random"]) == len(kept["generator"]) == 2
    assert not torch.equal(kept["generator"][0], kept["generator"][1])  # each draws its own noise


def test_a_loss_may_look_at_the_average():
    """The module given as `average` holds the EMA of every step, so a loss can aim at it."""
    network, average = tiny(), tiny()
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.zero_()  # whatever it holds: it begins as the network
    seen = []

    def loss(network, batch, generator):
        seen.append(sum(float(p.sum()) for p in average.parameters()))
        return denoise(network, batch, generator)

    begin = sum(float(p.sum()) for p in network.parameters())
    told = []
    for now in fit(network, DATA, loss, average=average, **RECIPE | dict(steps=4)):
        assert now.ema is average and not average.training
        told.append(sum(float(p.sum()) for p in now.ema.parameters()))
    assert seen[0] == pytest.approx(begin) and seen[1:] == told[:-1] and len(set(told)) == 4
    plain = [now.loss for now in fit(tiny(), DATA, denoise, **RECIPE | dict(steps=4))]
    with_it = [now.loss for now in fit(tiny(), DATA, denoise, average=tiny(), **RECIPE | dict(steps=4))]
    assert plain == with_it
    with pytest.raises(ValueError, match="module of its own"):
        next(fit(network, DATA, denoise, average=network, **RECIPE))


# What an earlier run leaves behind, and numbers of other libraries


def test_no_gradient_of_an_earlier_run_lives_on():
    """After a gradient of NaN, and after an interruption, the same network object trains as a fresh one."""

    def spoiled(network, batch, generator):
        weights = next(network.parameters())
        return (
            denoise(network, batch, generator) + (weights * 0).abs().sqrt().sum()
        )  # finite, its gradient not

    def interrupted(network, batch, generator):
        denoise(network, batch, generator).backward()  # as Ctrl-C between backward and zero_grad
        raise KeyboardInterrupt

    for before, error in ((spoiled, FloatingPointError), (interrupted, KeyboardInterrupt)):
        used, fresh = tiny(), tiny()
        with pytest.raises(error):
            next(fit(used, DATA, before, **RECIPE))
        assert all(p.grad is None for p in used.parameters())
        fresh.load_state_dict(used.state_dict())
        losses = []
        for network in (used, fresh):
            torch.manual_seed(1)
            losses.append([now.loss for now in fit(network, DATA, denoise, **RECIPE | dict(steps=6))])
        assert losses[0] == losses[1] and all(map(math.isfinite, losses[0]))


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_numbers_of_any_library_can_be_saved_and_resumed(tmp_path, kind, whole):
    import numpy as np

    def other(value):
        if kind == "torch":
            return torch.tensor(value)
        return np.int64(value) if isinstance(value, int) else np.float64(value)

    names = ("steps", "batch", "lr", "warmup", "ema", "seed")
    recipe = {k: other(v) if k in names else v for k, v in RECIPE.items()}
    recipe = recipe | dict(weight_decay=other(0.01), clip=other(1.0))
    torch.manual_seed(1)
    list(fit(tiny(), DATA, denoise, checkpoint=tmp_path / "a.pt", until=20, **recipe))
    rest = [now.step for now in fit(tiny(), DATA, denoise, checkpoint=tmp_path / "a.pt", **recipe)]
    assert rest[0] == 21 and rest[-1] == 40
    with pytest.warns(UserWarning, match="damaged"):
        (tmp_path / "a.pt").write_bytes(b"half")
        assert load_state(tmp_path / "a.pt")["step"] == 39  # the one before can be read, too


def test_frozen_weights_are_named():
    network = tiny().requires_grad_(False)
    with pytest.raises(ValueError, match=r"frozen.*requires_grad_\(True\) first"):
        next(fit(network, DATA, denoise, **RECIPE))
    network[0].requires_grad_(True)  # a part will do, as an adapter
    before = network[3].weight.clone()
    list(fit(network, DATA, denoise, **RECIPE | dict(steps=2)))
    assert torch.equal(network[3].weight, before)


def test_a_cell_that_was_interrupted_can_be_run_again(tmp_path):
    """The traceback of a notebook keeps the first loop alive: the second one goes on from the checkpoint."""
    first = fit(tiny(), DATA, denoise, checkpoint=tmp_path / "a.pt", **RECIPE)
    for now in first:
        if now.step == 6:
            break  # as Ctrl-C in the body of the loop; `first` is not closed
    rest = [now.step for now in fit(tiny(), DATA, denoise, checkpoint=tmp_path / "a.pt", **RECIPE)]
    assert rest == list(range(7, 41))
    first.close()


def test_a_run_of_another_kind_of_device_goes_on(tmp_path):
    """What Colab leaves when its GPU time is used up: a generator's state of 16 bytes, and a GPU's own."""
    path = tmp_path / "a.pt"
    list(fit(tiny(), DATA, denoise, checkpoint=path, until=20, **RECIPE))
    state = load_state(path)
    state["generator"] = [torch.arange(16, dtype=torch.uint8)]
    state["random"] = [[state["random"][0][0], torch.zeros(16, dtype=torch.uint8)]]
    save_state(path, state)
    ends = []
    for copy in ("b.pt", "c.pt"):
        save_state(tmp_path / copy, state)
        with pytest.warns(UserWarning, match="another kind of device: it goes on with other random numbers"):
            ends.append(
                [now.loss for now in fit(tiny(), DATA, denoise, checkpoint=tmp_path / copy, **RECIPE)]
            )
    assert len(ends[0]) == 20 and ends[0] == ends[1]


def test_what_a_batch_may_hold():
    from collections import namedtuple

    Pair = namedtuple("Pair", "image text")
    batch = {
        "captions": ["a face"],
        "t": 3,
        "none": None,
        "pair": Pair(torch.ones(1), "b"),
        "list": [torch.ones(2)],
    }
    moved = train.move(batch, torch.device("cpu"))
    assert moved["captions"] == ["a face"] and moved["t"] == 3 and moved["none"] is None
    assert isinstance(moved["pair"], Pair) and moved["pair"].text == "b" and len(moved["list"]) == 1
    with pytest.raises(TypeError, match="not a ndarray"):
        train.move({"x": __import__("numpy").ones(2)}, torch.device("cpu"))
