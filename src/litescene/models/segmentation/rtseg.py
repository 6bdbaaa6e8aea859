"""RTSeg: every encoder with every decoder.

Papers: Siam et al., "RTSeg: Real-time Semantic Segmentation Comparative Study", ICIP 2018, arXiv
1803.02758, and "A Comparative Study of Real-time Semantic Segmentation for Autonomous Driving",
CVPR Workshops 2018. Official code: MSiam/TFSegmentation (TensorFlow 1, Apache-2.0). Built from its
facts; no code was taken.

Every convolution has a bias, also before a batch norm, whose eps is 1e-3 (1e-5 after ShuffleNet's
grouped 1×1). All counts that we meet are those of a transcription of the official graph.

    encoder      last map          SkipNet         U-Net                    dilation front end
    VGG16        4096 (fc7), x32   no batch norm   3×3 convolutions         fc 1024, no batch norm
    ResNet-18    512, x32          no batch norm   LinkNet                  (ours)
    MobileNet    1024, x32         batch norm      1×1 convolutions, 32     batch norm
    ShuffleNet   960, x32          batch norm      1×1 convolutions, 24     no batch norm

    decoder              head's stride   content
    SkipNet (FCN8s)      1               scores of x32, x16, x8; 4×4 deconvolutions; 16×16, stride 8
    U-Net                1               doubling and addition of a skip down to full size
    dilation front end   1               encoder of stride 8; score; 16×16 deconvolution, stride 8

Readings, where the facts leave a choice:

- The skips of VGG16's U-Net are the pooled maps and conv1_1, whose widths alone meet the count;
  ReLU follows its 3×3 convolutions. The transcription runs conv1_1 twice, once for the skip, and
  so counts 1728 multiply-accumulates per pixel more than we need.
- LinkNet has batch norm and ReLU after each convolution but the last, as in its own paper.
- Where ShuffleNet is dilated, units that widen pass their input on without averaging it.
- ResNet's convolutions have a bias under the U-Net and none under SkipNet: so say the counts. It
  pads strided layers on both sides, where TensorFlow pads below and right, and so do LinkNet's
  transposed 3×3.
- SkipNet's skips come from MobileNet right after the layer that reaches their stride; from
  ShuffleNet and ResNet, whose stages are not told apart, after the last unit of the stage.
- ShuffleNet's max pool is unpadded, so that x4 of 360×480 is 89×119; the U-Net's map there is
  90×120, so says the count, and its skip gets a row and a column of zeros. Pictures whose sides 8
  does not divide are padded, because x8 would be short of them.
- A batch norm's momentum is the official 0.99, in PyTorch's terms 0.01.
- Official input: BGR minus a mean, divided by 255. Ours is that of all networks here.
- `dilation_resnet18` and ResNet-34 are combinations without published figures. The official code
  has a dilated ResNet-18 of its own whose 3×3 convolutions are not dilated; ours are.
- Of the two dilation front ends we build the first; the second learns at stride 8, from labels made
  smaller.

The counts of SkipNet on MobileNet and ShuffleNet agree with the published GFLOPs; nothing confirms
the others. The official code changed over the years, and states of it differ from what is here: no
biases in LinkNet; MobileNet's U-Net on the last map but one; no ReLU after the 3×3 convolutions of
VGG's U-Net; ReLU, not ReLU6, in the dilated MobileNet; ResNet's batch norms with eps 1e-5 and a
momentum of 0.1.
"""

from __future__ import annotations

from torch import Tensor, nn

from litescene.core import UnknownNameError
from litescene.models.blocks import crop_to
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.models.segmentation.rtseg_decoders import (
    DilationFrontEnd,
    LinkNet,
    PlainUNet,
    SkipNet,
    VGGUNet,
    Widths,
)
from litescene.models.segmentation.rtseg_encoders import (
    ENCODERS,
    DecoderName,
    Encoder,
    EncoderName,
)

DECODERS = ("skipnet", "unet", "dilation")


def _unet(encoder: Encoder, widths: Widths, num_classes: int) -> nn.Module:
    if encoder.unet == "vgg":
        return VGGUNet(widths, num_classes)
    if encoder.unet == "linknet":
        return LinkNet(widths, num_classes)
    return PlainUNet(widths, num_classes, encoder.last_width)


def _decoder(name: DecoderName, encoder: Encoder, widths: Widths, num_classes: int) -> nn.Module:
    if name == "skipnet":
        return SkipNet(widths, num_classes, norm=encoder.skip_norm)
    if name == "dilation":
        return DilationFrontEnd(widths, num_classes, norm=encoder.dilation_norm)
    return _unet(encoder, widths, num_classes)


class RTSeg(SegmentationNetwork):
    """An encoder and a decoder by name."""

    def __init__(self, num_classes: int, encoder: EncoderName, decoder: DecoderName) -> None:
        super().__init__()
        if encoder not in ENCODERS:
            raise UnknownNameError("encoder", encoder, ENCODERS)
        if decoder not in DECODERS:
            raise UnknownNameError("decoder", decoder, DECODERS)
        self.num_classes = num_classes
        chosen = ENCODERS[encoder]
        self.divisor = chosen.divisor
        self.encoder = chosen.build(decoder)
        widths: Widths = self.encoder.widths  # type: ignore[assignment]
        self.decoder = _decoder(decoder, chosen, widths, num_classes)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at full size."""
        return {"logits": crop_to(self.decoder(self.encoder(x)), x)}


_PAPER = "RTSeg, arXiv 1803.02758"


@register(
    "rtseg",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 3_272_634, 19: 3_356_202},
)
def rtseg(
    num_classes: int = 11,
    *,
    encoder: EncoderName = "mobilenet",
    decoder: DecoderName = "skipnet",
) -> RTSeg:
    """Any encoder of the framework with any of its decoders."""
    return RTSeg(num_classes, encoder, decoder)


@register(
    "skipnet_vgg16",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 134_348_962, 19: 134_457_042},
    published={"cityscapes test mIoU": 65.3},
)
def skipnet_vgg16(num_classes: int = 11) -> RTSeg:
    """SkipNet on VGG16."""
    return RTSeg(num_classes, "vgg16", "skipnet")


@register(
    "skipnet_resnet18",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 11_219_490, 19: 11_295_826},
)
def skipnet_resnet18(num_classes: int = 11) -> RTSeg:
    """SkipNet on ResNet-18."""
    return RTSeg(num_classes, "resnet18", "skipnet")


@register(
    "skipnet_mobilenet",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 3_272_634, 19: 3_356_202},
    published={"cityscapes val mIoU": 61.3, "cityscapes test mIoU": 61.5},
)
def skipnet_mobilenet(num_classes: int = 11) -> RTSeg:
    """SkipNet on MobileNet."""
    return RTSeg(num_classes, "mobilenet", "skipnet")


@register(
    "skipnet_shufflenet",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 919_084, 19: 1_001_756},
    published={"cityscapes val mIoU": 55.5, "cityscapes test mIoU": 58.3},
)
def skipnet_shufflenet(num_classes: int = 11) -> RTSeg:
    """SkipNet on ShuffleNet, which is ShuffleSeg."""
    return RTSeg(num_classes, "shufflenet", "skipnet")


@register(
    "unet_vgg16",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 28_071_435, 19: 28_071_955},
)
def unet_vgg16(num_classes: int = 11) -> RTSeg:
    """U-Net on VGG16."""
    return RTSeg(num_classes, "vgg16", "unet")


@register(
    "unet_resnet18",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 11_538_667, 19: 11_539_699},
    published={"cityscapes val mIoU": 57.9},
)
def unet_resnet18(num_classes: int = 11) -> RTSeg:
    """U-Net on ResNet-18: LinkNet."""
    return RTSeg(num_classes, "resnet18", "unet")


@register(
    "unet_mobilenet",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 9_909_835, 19: 9_910_099},
    published={"cityscapes val mIoU": 61.0},
)
def unet_mobilenet(num_classes: int = 11) -> RTSeg:
    """U-Net on MobileNet."""
    return RTSeg(num_classes, "mobilenet", "unet")


@register(
    "unet_shufflenet",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 6_380_645, 19: 6_380_845},
    published={"cityscapes val mIoU": 57.0},
)
def unet_shufflenet(num_classes: int = 11) -> RTSeg:
    """U-Net on ShuffleNet."""
    return RTSeg(num_classes, "shufflenet", "unet")


@register(
    "dilation_vgg16",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 41_497_686, 19: 41_567_334},
)
def dilation_vgg16(num_classes: int = 11) -> RTSeg:
    """Dilation front end on VGG16."""
    return RTSeg(num_classes, "vgg16", "dilation")


@register(
    "dilation_resnet18",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 11_211_350, 19: 11_276_902},
)
def dilation_resnet18(num_classes: int = 11) -> RTSeg:
    """Dilation front end on ResNet-18, a combination of ours."""
    return RTSeg(num_classes, "resnet18", "dilation")


@register(
    "dilation_mobilenet",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 8_493_868, 19: 8_563_532},
    published={"cityscapes val mIoU": 57.8},
)
def dilation_mobilenet(num_classes: int = 11) -> RTSeg:
    """Dilation front end on MobileNet."""
    return RTSeg(num_classes, "mobilenet", "dilation")


@register(
    "dilation_shufflenet",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 907_160, 19: 976_296},
    published={"cityscapes val mIoU": 53.9},
)
def dilation_shufflenet(num_classes: int = 11) -> RTSeg:
    """Dilation front end on ShuffleNet."""
    return RTSeg(num_classes, "shufflenet", "dilation")
