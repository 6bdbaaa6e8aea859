from __future__ import annotations

from itertools import product

import pytest
import torch

from litescene.core import UnknownNameError
from litescene.models import create_model
from litescene.models.backbones.resnet import resnet18
from litescene.models.backbones.shufflenet_v1 import DownUnit, StridedMean
from litescene.models.segmentation.das import NonBottleneck
from litescene.models.segmentation.rtseg import DECODERS
from litescene.models.segmentation.rtseg_encoders import ENCODERS, ResNetEncoder


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("size", [(64, 64), (65, 71), (97, 131)])
def test_every_encoder_goes_with_every_decoder(
    encoder: str, decoder: str, size: tuple[int, int]
) -> None:
    with torch.device("meta"):
        model = create_model("rtseg", num_classes=5, encoder=encoder, decoder=decoder).eval()
        assert model.head_logits(torch.zeros(1, 3, *size)).shape == (1, 5, *size)


@pytest.mark.parametrize("option", ["encoder", "decoder"])
def test_an_unknown_part_is_refused(option: str) -> None:
    with pytest.raises(UnknownNameError, match=option):
        create_model("rtseg", **{option: "shuffelnet"})


def test_a_dilated_resnet_gives_the_strided_maps_between_others() -> None:
    torch.manual_seed(0)
    strided, dilated = ResNetEncoder(resnet18()), ResNetEncoder(resnet18(), dilated=True)
    dilated.load_state_dict(strided.state_dict())
    x = torch.randn(1, 3, 97, 131)
    with torch.no_grad():
        expected = strided.eval()(x)[32].last
        found = dilated.eval()(x)[8].last[..., ::4, ::4]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (6, 7)])
def test_the_strided_average_leaves_out_what_is_padded(size: tuple[int, int]) -> None:
    """TensorFlow's SAME: windows begin at 0 on an even side, at -1 on an odd one."""
    x = torch.randn(1, 1, *size, dtype=torch.float64)
    found = StridedMean()(x)[0, 0]
    starts = [range(-(side % 2), side - 1, 2) for side in size]
    for (i, top), (j, left) in product(enumerate(starts[0]), enumerate(starts[1])):
        window = x[0, 0, max(top, 0) : top + 3, max(left, 0) : left + 3]
        torch.testing.assert_close(found[i, j], window.mean())
    assert found.shape == tuple(len(s) for s in starts)


def test_a_dilated_unit_passes_its_input_on_as_it_is() -> None:
    """The official unit averages only where it has a stride."""
    x = torch.rand(1, 240, 9, 11)
    unit = DownUnit(240, 480, grouped=True, stride=1, dilation=2).eval()
    with torch.no_grad():
        assert torch.equal(unit(x)[:, :240], x)


def test_das_layer_refuses_kernels_that_change_the_size() -> None:
    for line, squares in ((0, ()), (4, (3,)), (3, (2,))):
        with pytest.raises(ValueError, match="odd"):
            NonBottleneck(8, line, squares)
