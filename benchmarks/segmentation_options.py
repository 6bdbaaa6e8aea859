"""What each option of a segmentation recipe brings, one at a time, on CamVid val.

    python benchmarks/segmentation_options.py train --teacher T.safetensors --street S.safetensors
    python benchmarks/segmentation_options.py measure

`train` trains Fast-SCNN, and STDC1-Seg for the option that needs a detail head, by a short form of
the common protocol: as it is, and with one option changed. What is finished is skipped, and started
once per core the processes share the runs out. The teacher is the PP-LiteSeg-T that ships, the
street one a Fast-SCNN that was trained on pictures of the built-in street alone:

    litescene import pp_liteseg_t -o T.safetensors --pictures $LITESCENE_DATA/camvid/train
    for seed in $(seq 100 111); do
        litescene synth street -o street_train --layout camvid --seconds 40 --rate 1 --seed $seed
    done
    litescene train segmentation_brief --set model.name=fast_scnn \\
        --set segmentation.data=camvid:street_train --out runs/street

Without them those two options are left out, and named. `measure` writes the record: mean IoU as
mean and sample standard deviation over the seeds, and what the runs took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from litescene.core.provenance import provenance
from litescene.training import Recipe, load_recipe
from variants import PER_RECIPE, carry_out, command, finished, reached, results, written

NETWORK, WITH_DETAILS = "fast_scnn", "stdc1_seg"
OPTIONS: dict[str, tuple[str, str]] = {
    "plain": (NETWORK, ""),
    "ohem": (NETWORK, 'segmentation.loss="ohem"'),
    "no_jaccard": (NETWORK, "segmentation.jaccard=0.0"),
    "no_mix": (NETWORK, "segmentation.mix=0.0"),
    "equal_classes": (NETWORK, "class_balance=0.0"),
    "balanced_classes": (NETWORK, "class_balance=1.0"),
    "boundary": (NETWORK, "segmentation.boundary=1.0"),
    "teacher": (NETWORK, "segmentation.teacher={checkpoint}"),
    "street": (NETWORK, "model.init={checkpoint}"),
    "no_detail": (WITH_DETAILS, "segmentation.detail=0.0"),
    "detail": (WITH_DETAILS, "segmentation.detail=1.0"),
}
"""Network and what is changed, by the option's name; `class_balance` is that of every stage."""
PLAIN_OF = {NETWORK: "plain", WITH_DETAILS: "no_detail"}


def changed(recipe: str, name: str, checkpoint: Path | None, settings: Sequence[str]) -> Recipe:
    """The recipe with an option changed."""
    network, change = OPTIONS[name]
    words = [*settings, f"model.name={network}"]
    if change.startswith("class_balance"):
        plain = load_recipe(recipe, settings).settings["stages"]
        balance = float(change.partition("=")[2])
        rows = [", ".join(f"{k} = {v}" for k, v in (s | {"class_balance": balance}).items())
                for s in plain]  # fmt: skip
        words.append(f"segmentation.stages=[{', '.join(f'{{{row}}}' for row in rows)}]")
    elif name == "teacher":
        words.append(f'segmentation.teacher={{checkpoint = "{checkpoint}"}}')
    elif name == "street":
        words.append(f"model.init={checkpoint}")
    elif change:
        words.append(change)
    return load_recipe(recipe, words)


def measure(variants: Mapping[str, Recipe], seeds: int, out: Path) -> dict[str, Any]:
    """The record of all finished runs; empty without any."""
    trained = results(finished(variants, seeds, out))
    if not trained:
        return {}
    common = next(iter(trained.values()))[0]
    return {
        "machine": provenance(),
        "conditions": {key: common[key] for key in PER_RECIPE},
        "options": {
            name: {
                "network": OPTIONS[name][0],
                "changed": OPTIONS[name][1],
                "against": PLAIN_OF[OPTIONS[name][0]],
                **reached(runs),
            }
            for name, runs in trained.items()
        },
    }


def show(record: Mapping[str, Any]) -> None:
    """The record as a table."""
    print("| option | network | changed | mean IoU | seeds |")
    print("|---" * 5 + "|")
    for name, entry in record["options"].items():
        cells = [name, entry["network"], entry["changed"] or "nothing", written(entry["mean_iou"])]
        print(f"| {' | '.join(cells)} | {len(entry['runs'])} |")


def main(words: Sequence[str] | None = None) -> None:
    parser = command(__doc__, "segmentation_options", "segmentation_short")
    parser.add_argument("--only", action="append", choices=OPTIONS, metavar="NAME")
    parser.add_argument("--teacher", type=Path, help="checkpoint of the PP-LiteSeg-T that ships")
    parser.add_argument("--street", type=Path, help="checkpoint trained on the built-in street")
    given = parser.parse_args(words)
    checkpoints = {"teacher": given.teacher, "street": given.street}
    names = [name for name in OPTIONS if name in (given.only or OPTIONS)]
    for name in [n for n, file in checkpoints.items() if n in names and file is None]:
        print(f"{name} is left out: give its checkpoint by --{name}")
        names.remove(name)
    variants = {
        name: changed(given.recipe, name, checkpoints.get(name), given.set) for name in names
    }
    carry_out(parser, given, variants, measure, show)


if __name__ == "__main__":
    main()
