"""The project's peers behind one face, so that all that is compared can be treated alike.

Each peer has a network of about 3.7 million parameters (within 10 %), at three depths with attention at
the lowest (denoising-diffusion-pytorch has linear attention at the others, always), built from the
library's own class; a training step as the library's users write it; and its own sampler. `Peer.network`,
`Peer.loss` and `Peer.sample` are the same library in the setting that was found best for it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from benchmarks.common import BATCH, OWN, STEPS, WIDTHS, Images, Peer
from benchmarks.own import Own
from helpers.samplers import last


class Diffusers(Peer):
    """diffusers.UNet2DModel with its schedulers; the loop is that of its training tutorial."""

    name = "diffusers"

    def network(self, side: int) -> nn.Module:
        from diffusers import UNet2DModel

        return UNet2DModel(
            sample_size=side,
            block_out_channels=WIDTHS,
            layers_per_block=1,
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
            norm_num_groups=8,  # its 32 do not divide 48
            attention_head_dim=32,
        )

    def call(self, network: nn.Module, x: Tensor, t: Tensor) -> Tensor:
        return network(x, t, return_dict=False)[0]

    def loss(self, network: nn.Module, batch: Tensor, generator: torch.Generator) -> Tensor:
        scheduler = self._scheduler("DDPMScheduler", best=True)
        noise = torch.randn(batch.shape, generator=generator)
        t = torch.randint(0, 1000, (len(batch),), generator=generator)
        guess = self.call(network, scheduler.add_noise(batch, noise, t), t)
        return F.mse_loss(guess.float(), scheduler.get_velocity(batch, noise, t))

    def sample(self, network: nn.Module, n: int, side: int) -> Tensor:
        return self._draw(network, n, side, self._scheduler("DDIMScheduler", best=True), best=True)

    def user_loop(self, network: nn.Module, data: Images) -> Iterator[None]:
        from accelerate import Accelerator
        from diffusers.optimization import get_cosine_schedule_with_warmup

        accelerator, scheduler = Accelerator(), self._scheduler("DDPMScheduler")
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
        lr_scheduler = get_cosine_schedule_with_warmup(optimizer, 500, 10**6)
        network, optimizer, lr_scheduler = accelerator.prepare(network, optimizer, lr_scheduler)
        for batch in data.loader():
            noise = torch.randn(batch.shape)
            t = torch.randint(0, scheduler.config.num_train_timesteps, (len(batch),), dtype=torch.int64)
            guess = self.call(network, scheduler.add_noise(batch, noise, t), t)
            accelerator.backward(F.mse_loss(guess, noise))
            accelerator.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            lr_scheduler.step()
            optimizer.zero_grad()
            yield

    def user_sample(self, network: nn.Module, n: int, side: int) -> Tensor:
        return self._draw(network, n, side, self._scheduler("DDIMScheduler"))

    def _scheduler(self, kind: str, best: bool = False):
        import diffusers

        options = {}
        if best:
            options = dict(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
            if kind == "DDIMScheduler":
                options |= dict(timestep_spacing="trailing")  # begins at the noisiest step
        return getattr(diffusers, kind)(num_train_timesteps=1000, **options)

    def _draw(self, network: nn.Module, n: int, side: int, scheduler, best: bool = False) -> Tensor:
        from diffusers import DDIMPipeline

        pipeline = DDIMPipeline(network, scheduler)
        pipeline.set_progress_bar_config(disable=True)
        again = True if best else None  # derives the noise anew from the clipped picture, as the others do
        images = pipeline(
            batch_size=n, num_inference_steps=STEPS, output_type="np", use_clipped_model_output=again
        ).images  # (n, H, W, 3)
        return torch.from_numpy(images).permute(0, 3, 1, 2) * 2 - 1


class SmallDiffusion(Peer):
    """smalldiffusion's Unet; its training loop and sampler are generators."""

    name = "smalldiffusion"
    # 64, 96, 128 channels: its norm has 32 groups
    form = dict(in_ch=3, out_ch=3, ch=32, ch_mult=(2, 3, 4), num_res_blocks=1)

    def network(self, side: int) -> nn.Module:
        # without its dropout, which costs time, and quality in a short training; no other network has it
        return self._kinds()[1](side, attn_resolutions=(side // 4,), dropout=0.0, **self.form)

    def user_network(self, side: int) -> nn.Module:
        return self._kinds()[0](side, attn_resolutions=(side // 4,), **self.form)

    @staticmethod
    @functools.cache
    def _kinds() -> tuple[type, type]:
        """Its Unet as its examples have it, and one that guesses v; each call of these makes a new class."""
        from smalldiffusion import PredV, Scaled
        from smalldiffusion.model_unet import Unet

        scaled = Scaled(Unet)
        return scaled, PredV(scaled)

    def call(self, network: nn.Module, x: Tensor, t: Tensor) -> Tensor:
        return network(x, ((t + 1) / 100).view(-1, 1, 1, 1))

    def loss(self, network: nn.Module, batch: Tensor, generator: torch.Generator) -> Tensor:
        sigmas = self._schedule(best=True).sigmas.to(batch)
        t = torch.randint(len(sigmas), (len(batch),), generator=generator)
        eps = torch.randn(batch.shape, generator=generator)
        return type(network).get_loss(network, batch, sigmas[t].view(-1, 1, 1, 1), eps)

    def sample(self, network: nn.Module, n: int, side: int) -> Tensor:
        return self._draw(network, n, self._schedule(best=True))

    def user_loop(self, network: nn.Module, data: Images) -> Iterator[None]:
        from smalldiffusion import training_loop

        loader = DataLoader(data.images, BATCH, shuffle=True, drop_last=True)
        for _ in training_loop(loader, network, self._schedule(), lr=1e-3):
            yield

    def user_sample(self, network: nn.Module, n: int, side: int) -> Tensor:
        return self._draw(network, n, self._schedule())

    def _schedule(self, best: bool = False):
        from smalldiffusion import Schedule, ScheduleCosine, ScheduleSigmoid

        if not best:
            return ScheduleSigmoid(1000)
        # Its embedding of σ has a period; the last σ (20,291; the one before is 642) looks like 0.07 in it.
        return Schedule(ScheduleCosine(1000).sigmas[:-1])

    def _draw(self, network: nn.Module, n: int, schedule) -> Tensor:
        from smalldiffusion import samples

        return last(samples(network, schedule.sample_sigmas(STEPS), batchsize=n))


class DenoisingDiffusion(Peer):
    """denoising-diffusion-pytorch: Unet and GaussianDiffusion; the loop is its Trainer's, without files."""

    name = "denoising-diffusion-pytorch"

    def network(self, side: int) -> nn.Module:
        from denoising_diffusion_pytorch import GaussianDiffusion, Unet

        unet = Unet(44, dim_mults=(1, 2, 3))
        return GaussianDiffusion(
            unet, image_size=side, timesteps=1000, sampling_timesteps=STEPS, beta_schedule="cosine"
        )

    def inner(self, network: nn.Module) -> nn.Module:
        return network.model

    def call(self, network: nn.Module, x: Tensor, t: Tensor) -> Tensor:
        return network.model(x, t)

    def loss(self, network: nn.Module, batch: Tensor, generator: torch.Generator) -> Tensor:
        times = torch.randint(0, network.num_timesteps, (len(batch),), generator=generator)
        noise = torch.randn(batch.shape, generator=generator)
        return network(batch / 2 + 0.5, times=times, noise=noise)

    def sample(self, network: nn.Module, n: int, side: int) -> Tensor:
        return network.sample(batch_size=n) * 2 - 1

    def user_loop(self, network: nn.Module, data: Images) -> Iterator[None]:
        from accelerate import Accelerator
        from ema_pytorch import EMA

        accelerator = Accelerator()
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.9, 0.99))
        average = EMA(network, beta=0.995, update_every=10)
        network, optimizer = accelerator.prepare(network, optimizer)
        for batch in data.loader():
            loss = network(batch / 2 + 0.5)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            average.update()
            yield

    user_sample = sample


def peers() -> dict[str, Peer]:
    """All that can be compared here, by name; one sentence for each that is not installed."""
    found = {}
    for peer, module in (
        (Own(OWN, patch=2), "helpers"),
        (Own(f"{OWN}, pixels not folded", patch=1), "helpers"),
        (Diffusers(), "diffusers"),
        (SmallDiffusion(), "smalldiffusion"),
        (DenoisingDiffusion(), "denoising_diffusion_pytorch"),
    ):
        try:
            __import__(module)
        except ImportError:
            print(f"{peer.name} is not installed and is left out: pip install -e .[bench]")
            continue
        found[peer.name] = peer
    return found
