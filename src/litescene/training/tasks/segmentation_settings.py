"""The table `[segmentation]` of a recipe."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from litescene.models.spec import SMALLEST_SIDE
from litescene.training.recipe import Section, StageSection, in_order, rising

Side = Annotated[int, Field(ge=SMALLEST_SIDE)]


class Stage(StageSection):
    """From this epoch on: the crops' height and width, their scale, the weights of the classes.

    `class_balance` and `inverse_log` are two forms of weights, see
    `losses.segmentation.class_weights`; without either all classes count the same.
    """

    height: Side
    width: Side
    scale: Annotated[tuple[float, float], AfterValidator(rising)] = (0.75, 1.75)
    class_balance: float = Field(0.0, ge=0, le=1)
    """Power of (median frequency / frequency)."""
    inverse_log: float = Field(0.0, ge=0)
    """The papers' c in 1 / ln(c + frequency), above 1; 0 for none."""
    jitter: float | None = Field(None, ge=0, lt=1)
    """In place of the recipe's own; so is `mix`."""
    mix: float | None = Field(None, ge=0, le=1)


def _one_form(stages: list[Stage]) -> list[Stage]:
    for stage in stages:
        if 0 < stage.inverse_log <= 1:
            raise ValueError(f"inverse_log is above 1 (or 0 for none), not {stage.inverse_log}")
        if stage.class_balance and stage.inverse_log:
            raise ValueError("class_balance and inverse_log are two forms of weights; give one")
    return stages


class ExtraPictures(Section):
    """Pictures of another source that join every epoch, chosen anew each time."""

    data: str
    """`FORMAT:PATH` of pictures of the same size and classes; split train is used."""
    pictures: int = Field(gt=0)
    """How many of them in an epoch, at most as many as there are."""


class TeacherSection(Section):
    """A trained network whose softened outputs are learned besides the labels."""

    checkpoint: str
    """The .safetensors file of a run with the same classes.

    A relative path starts at the current folder; `load_recipe` makes it absolute.
    """
    temperature: float = Field(2.0, gt=0)
    weight: float = Field(1.0, ge=0)


def _head_weights(given: Any) -> Any:
    weights = given.values() if isinstance(given, dict) else [given]
    if all(type(weight) in (int, float) and weight >= 0 for weight in weights):
        return given
    raise ValueError("give one weight, or a table of weights by name, each 0 or more")


class SegmentationSettings(Section):
    """The table `[segmentation]` of a recipe."""

    data: str
    """`FORMAT:PATH`; splits train and val are used."""
    size: tuple[Side, Side] | None = None
    """Height and width, 64 or more, that say at what area the network sees pictures.

    They are brought to it in training, with the aspect of the first one; in validation as in use,
    each with its own aspect, and its labels are those of the picture's own pixels. Without it
    pictures are seen as they are, and must have one size.
    """
    extra: list[ExtraPictures] = Field(default_factory=list)
    stages: Annotated[list[Stage], AfterValidator(in_order), AfterValidator(_one_form)]
    flip: float = Field(0.5, ge=0, le=1)
    jitter: float = Field(0.4, ge=0, lt=1)
    hue: float = Field(0.05, ge=0, le=0.5)
    mix: float = Field(0.0, ge=0, le=1)
    """How often a picture gets pixels of half the classes of another; `augment.mix_classes`."""
    loss: Literal["cross_entropy", "ohem"] = "ohem"
    ohem_threshold: float = Field(0.7, gt=0, lt=1)
    ohem_share: float = Field(1 / 16, gt=0, le=1)
    """Least share of a batch's pixels that OHEM keeps."""
    loss_stride: int = Field(1, ge=1, le=8)
    """The losses see every so-manieth pixel of both directions; which ones, each step decides."""
    jaccard: float = Field(0.0, ge=0)
    """Weight of the soft Jaccard loss of the main head."""
    boundary: float = Field(0.0, ge=0)
    """How much more pixels within 2 of a border of the labels count in the main head's loss."""
    auxiliary: Annotated[float | dict[str, float], BeforeValidator(_head_weights)] = 1.0
    """Weight of each training head, or the weight of each by name (`aux_...`)."""
    detail: float = Field(1.0, ge=0)
    """Weight of the detail loss, for networks with such a head."""
    teacher: TeacherSection | None = None
