"""Official names of ESPNetv2 (EdgeNets)."""

from __future__ import annotations

from litescene.training.foreign.keys import CONV_NORM, CONV_NORM_ACT, NORM_ACT, within
from litescene.training.foreign.published import IMAGENET, Published

_EESP = {
    **within("proj_1x1", "reduce", CONV_NORM_ACT),
    "spp_dw.#.conv": "branches.#",
    **within("conv_1x1_exp", "expand", CONV_NORM),
    **within("br_after_cat", "mix", NORM_ACT),
}
_DOWN = {
    **within("eesp", "eesp", _EESP),
    **within("inp_reinf.0", "picture.0", CONV_NORM_ACT),
    **within("inp_reinf.1", "picture.1", CONV_NORM),
    "act": "act",
}
_PYRAMID = {
    "projection_layer.cbr.#": "reduce.#",
    "stages.#": "scales.#",
    "merge_layer.0.br.#": "mix.#",
    "merge_layer.2.cbr.#": "merge.#",
}


def _table() -> dict[str, str]:
    table = within("base_net.level1", "encoder.stem", CONV_NORM_ACT)
    for index, level in enumerate((2, 3, 4)):
        units = {**_EESP, "module_act": "act"}
        table |= within(f"base_net.level{level}_0", f"encoder.downs.{index}", _DOWN)
        table |= within(f"base_net.level{level}.#", f"encoder.levels.{index}.#", units)
        table |= {
            f"merge_enc_dec_l{level}.wt_layer.1": f"skips.{index}.weigh",
            f"merge_enc_dec_l{level}.expansion_layer.cbr.#": f"skips.{index}.expand.#",
            f"bu_br_l{level}.#": f"norms.{index}.#",
        }
    for index in range(3):
        end = {"merge_layer.3": "out.0", "br.br.0": "out.1", "br.br.1": "out.2"}
        table |= within(f"bu_dec_l{index + 1}", f"pyramids.{index}", {**_PYRAMID, **end})
    return table | within("bu_dec_l4", "pyramids.3", {**_PYRAMID, "merge_layer.3": "out"})


_ESPNETV2 = Published(
    code="https://github.com/sacmehta/EdgeNets",
    license="MIT",
    table=_table(),
    classes="bu_dec_l4.merge_layer.3.weight",
    input_spec=IMAGENET,
    ignored=("base_net.level#_0.eesp.module_act",),
)

PUBLISHED = dict.fromkeys(
    [f"espnetv2_s{scale}" for scale in ("050", "100", "125", "150", "200")], _ESPNETV2
)
