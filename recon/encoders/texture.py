"""Texture encoder: from a photo to the places its texels are copied from (paper section 3.4, table 9)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from recon.encoders.blocks import DilatedPyramid, Residual, as_head, conv, conv_block, upsampled
from recon.encoders.config import EncoderConfig
from recon.encoders.trunks import RESNET_CHANNELS, ResnetTrunk, SmallTrunk
from recon.texturing.fields import TextureFields, assemble_halves, enlarged

SMALL_TEXTURE_WIDTHS = (32, 48, 64)
SURFACE_WIDTHS = (32, 48)
SURFACE_GUIDES = 6
SKIP_GAIN = 0.2
INITIAL_GATE = 2.0
"""Logit of the share of copied colours at the start: 0.88."""


class PyramidPass(nn.Module):
    """One BiFPN pass over four scales: top-down, then bottom-up, skips at gain 0.2."""

    def __init__(self, ascending: bool) -> None:
        super().__init__()
        a, b, c, d = RESNET_CHANNELS
        self.up5, self.up4, self.up3 = conv_block(d, c), conv_block(c, b), conv_block(b, a)
        self.ascending = ascending
        if ascending:
            self.keep2 = conv_block(a, a)
            self.down2, self.down3, self.down4 = (
                conv_block(fine, coarse, stride=2) for fine, coarse in ((a, b), (b, c), (c, d))
            )

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """Four maps, fine to coarse, to four maps; to the finest alone without the way back up."""
        x2, x3, x4, x5 = x
        t4 = upsampled(self.up5(x5)) + SKIP_GAIN * x4
        t3 = upsampled(self.up4(t4)) + SKIP_GAIN * x3
        t2 = upsampled(self.up3(t3)) + SKIP_GAIN * x2
        if not self.ascending:
            return [t2]
        b2 = x2 + SKIP_GAIN * self.keep2(t2)
        b3 = x3 + SKIP_GAIN * t3 + SKIP_GAIN * self.down2(b2)
        b4 = x4 + SKIP_GAIN * t4 + SKIP_GAIN * self.down3(b3)
        b5 = x5 + SKIP_GAIN * self.down4(b4)
        return [b2, b3, b4, b5]


class PaperTextureNet(nn.Module):
    """ResNet-34, three BiFPN passes, and a decoder to the full image size."""

    def __init__(self, out_channels: int, dropout: float) -> None:
        super().__init__()
        self.trunk = ResnetTrunk()
        self.passes = nn.ModuleList((PyramidPass(True), PyramidPass(True), PyramidPass(False)))
        self.fine = nn.Sequential(*conv_block(64, 32), DilatedPyramid(32))
        self.finest = nn.Sequential(*conv_block(32, 16), DilatedPyramid(16))
        self.drop = nn.Dropout(dropout / 2)
        self.out = as_head(nn.Conv2d(16, out_channels, 5, padding=2, padding_mode="reflect"))

    def forward(self, inputs: Float[Tensor, "B 4 H W"]) -> Float[Tensor, "B K H W"]:
        """Raw output maps."""
        maps = list(self.trunk(inputs))
        for step in self.passes:
            maps = step(maps)
        finest = upsampled(self.finest(upsampled(self.fine(maps[0]))))
        return self.out(self.drop(finest))


class SmallUnet(nn.Module):
    """Small trunk with a way back to 1/4 of the image size."""

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = SMALL_TEXTURE_WIDTHS
        self.trunk = SmallTrunk(SMALL_TEXTURE_WIDTHS)
        self.to_middle = conv_block(coarse + middle, middle)
        self.to_fine = conv_block(middle + fine, fine)

    def forward(self, inputs: Float[Tensor, "B 4 H W"]) -> Float[Tensor, "B C h w"]:
        """Features at 1/4."""
        fine, middle, coarse = self.trunk(inputs)
        middle = self.to_middle(torch.cat((upsampled(coarse), middle), dim=1))
        return self.to_fine(torch.cat((upsampled(middle), fine), dim=1))


class SmallTextureNet(nn.Module):
    """Output maps at 1/4 of the image size, aligned with the image."""

    def __init__(self, out_channels: int, dropout: float) -> None:
        super().__init__()
        self.unet = SmallUnet()
        self.drop = nn.Dropout(dropout / 2)
        self.out = as_head(conv(SMALL_TEXTURE_WIDTHS[0], out_channels, bias=True))

    def forward(self, inputs: Float[Tensor, "B 4 H W"]) -> Float[Tensor, "B K h w"]:
        """Raw output maps."""
        return self.out(self.drop(self.unet(inputs)))


class SurfaceTextureNet(nn.Module):
    """Output maps on the body's surface: image features are carried to the texels first.

    Texel by texel it sees the image features and the colours where the predicted body lies, how far the surface turns
    towards the camera, and its place in the map; so left and right, front and back are settled before it begins.
    """

    def __init__(self, out_channels: int, dropout: float) -> None:
        super().__init__()
        first, second = SURFACE_WIDTHS
        self.unet = SmallUnet()
        self.enter = conv_block(SMALL_TEXTURE_WIDTHS[0] + 4 + SURFACE_GUIDES, first, kernel=1, coordinates=True)
        self.inner = nn.Sequential(*conv_block(first, second, stride=2), Residual(second))
        self.leave = nn.Sequential(*conv_block(second + first, first, kernel=1), *conv_block(first, first))
        self.drop = nn.Dropout(dropout / 2)
        self.out = as_head(conv(first, out_channels, bias=True))

    def forward(
        self,
        inputs: Float[Tensor, "B 4 H W"],
        places: Float[Tensor, "B 2 Ht Wt"],
        guides: Float[Tensor, "B 6 Ht Wt"],
    ) -> Float[Tensor, "B K Ht Wt"]:
        """Raw output maps.

        Args:
            places: where each texel lies in the image, sampler coordinates.
            guides: per texel its place in the image (2), its outward normal towards the camera (1), its position (3).
        """
        features = torch.cat((self.unet(inputs), functional.avg_pool2d(inputs, 4)), dim=1)
        grid = places.permute(0, 2, 3, 1)
        carried = functional.grid_sample(features, grid, padding_mode="border", align_corners=False)
        entered = self.enter(torch.cat((carried, guides), dim=1).contiguous(memory_format=torch.channels_last))
        wide = functional.interpolate(self.inner(entered), entered.shape[2:], mode="nearest")
        return self.out(self.drop(self.leave(torch.cat((wide, entered), dim=1))))


class TextureEncoder(nn.Module):
    """Photo, and where texels lie in it, to the fields that a texture is painted from."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        per_half = 6 if config.texture_source == "blend" else 2
        self.halves = 1 if config.back == "mirrored" or config.is_aligned else 2
        channels, dropout = per_half * self.halves, config.texture_dropout
        self.net: nn.Module
        if config.is_aligned:
            self.net = SurfaceTextureNet(channels, dropout)
        else:
            network = PaperTextureNet if config.trunks == "paper" else SmallTextureNet
            self.net = network(channels, dropout)
        if per_half == 6:
            self._start_with_copies()

    def _start_with_copies(self) -> None:
        with torch.no_grad():
            self.net.get_parameter("out.bias")[2::6] = INITIAL_GATE

    def forward(
        self,
        inputs: Float[Tensor, "B 4 H W"],
        places: Float[Tensor, "K 2 Ht Wt"],
        guides: Float[Tensor, "B 6 Ht Wt"] | None = None,
    ) -> TextureFields:
        """Fields over the whole map, or over its front half when the back is mirrored.

        Args:
            places: where each texel of the whole map lies in the image, per image (K = B) or shared (K = 1).
            guides: see `SurfaceTextureNet`; needed only when aligned with the predicted camera.
        """
        places = self._needed(places)
        if guides is None:
            return self._fields(self._over_map(self.net(inputs)), places)
        return self._fields(self.net(inputs, places, self._needed(guides)), places)

    def _needed(self, texels: Tensor) -> Tensor:
        """The front half where the back is mirrored."""
        return texels.chunk(2, dim=2)[1] if self.config.back == "mirrored" else texels

    def _over_map(self, raw: Tensor) -> Tensor:
        return raw if self.halves == 1 else assemble_halves(*raw.chunk(2, dim=1))

    def _fields(self, raw: Tensor, places: Tensor) -> TextureFields:
        if self.config.is_published:
            return TextureFields(functional.hardtanh(raw))
        base = enlarged(places, *raw.shape[2:])
        flow = (base + raw[:, :2]).clamp(-1, 1)
        if self.config.texture_source == "flow":
            return TextureFields(flow)
        return TextureFields(flow, torch.sigmoid(raw[:, 2:3]), torch.sigmoid(raw[:, 3:6]))
