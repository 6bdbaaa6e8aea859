"""Which losses a batch has, how they are weighed, and what a teacher must be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from litescene.core import CAMVID, RecipeError, Taxonomy
from litescene.models import create_model
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.training.checkpoint import save_checkpoint
from litescene.training.losses.detail import detail_loss, label_details, near_borders
from litescene.training.losses.distillation import distillation
from litescene.training.losses.sampling import PixelGrid
from litescene.training.losses.segmentation import weighted_cross_entropy
from litescene.training.recipe import validated
from litescene.training.tasks.segmentation_objective import (
    Objective,
    SegmentationBatch,
    load_teacher,
)
from litescene.training.tasks.segmentation_settings import SegmentationSettings, TeacherSection


class Fixed(SegmentationNetwork):
    """A network that always gives the same maps, of the picture's size."""

    def __init__(self, **channels: int) -> None:
        super().__init__()
        self.found = nn.ParameterDict(
            {name: nn.Parameter(torch.randn(2, n, 16, 24)) for name, n in channels.items()}
        )

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        return dict(self.found.items())


@pytest.fixture
def batch() -> SegmentationBatch:
    torch.manual_seed(0)
    labels = torch.randint(0, 4, (2, 4, 6)).repeat_interleave(4, 1).repeat_interleave(4, 2)
    labels[0, :3] = 255
    images = torch.rand(2, 3, 16, 24) * 255
    return SegmentationBatch(images, labels, PixelGrid(), PixelGrid(2, 0, 1))


def settings(**changes: Any) -> SegmentationSettings:
    plain = {"data": "camvid:a", "stages": [{"height": 64, "width": 64}], "loss": "cross_entropy"}
    return validated(SegmentationSettings, {**plain, **changes}, "[segmentation]")


def test_each_training_head_has_the_weight_of_its_name(batch: SegmentationBatch) -> None:
    network = Fixed(logits=4, aux_a=4, aux_b=4)
    objective = Objective(settings(auxiliary={"aux_b": 0.16, "aux_a": 0.4}))
    parts = objective(network, batch)
    for name, grid in (
        ("logits", batch.grid),
        ("aux_a", batch.heads_grid),
        ("aux_b", batch.heads_grid),
    ):
        labels = grid.of(batch.labels)
        torch.testing.assert_close(
            parts[name], weighted_cross_entropy(grid.of(network.found[name]), labels)
        )
    total = parts["logits"] + 0.4 * parts["aux_a"] + 0.16 * parts["aux_b"]
    torch.testing.assert_close(parts["loss"], total)


@pytest.mark.parametrize(
    ("weights", "heads", "message"),
    [
        ({"aux_a": 0.4}, ["aux_a", "aux_b"], "weights for aux_a; .* heads are aux_a, aux_b"),
        ({"aux_c": 0.4}, ["aux_a"], "weights for aux_c; .* heads are aux_a$"),
        ({"aux_c": 0.4}, [], "weights for aux_c; .* heads are none"),
        ({}, ["aux_a"], "weights for nothing; .* heads are aux_a"),
    ],
)
def test_weights_of_other_heads_are_refused(
    batch: SegmentationBatch, weights: dict[str, float], heads: list[str], message: str
) -> None:
    network = Fixed(logits=4, **dict.fromkeys(heads, 4))
    with pytest.raises(RecipeError, match=message):
        Objective(settings(auxiliary=weights))(network, batch)


def test_borders_of_the_labels_count_more_in_the_main_head_alone(batch: SegmentationBatch) -> None:
    network = Fixed(logits=4, aux_a=4)
    objective = Objective(settings(boundary=0.5))
    objective.class_weight = torch.tensor([0.5, 1.0, 2.0, 3.0])
    parts = objective(network, batch)
    of_class = objective.class_weight[batch.labels.where(batch.labels < 255, 0)]
    near = near_borders(batch.labels)
    assert 0 < near.sum() < near.numel()
    torch.testing.assert_close(
        parts["logits"],
        weighted_cross_entropy(network.found["logits"], batch.labels, of_class * (1 + 0.5 * near)),
    )
    coarse = batch.heads_grid
    torch.testing.assert_close(
        parts["aux_a"],
        weighted_cross_entropy(
            coarse.of(network.found["aux_a"]), coarse.of(batch.labels), coarse.of(of_class)
        ),
    )


def test_a_detail_head_learns_the_details_of_the_whole_labels(batch: SegmentationBatch) -> None:
    network = Fixed(logits=4, detail=1)
    parts = Objective(settings(detail=0.7))(network, batch)
    wanted = detail_loss(
        network.found["detail"][:, 0], label_details(batch.labels), batch.labels != 255
    )
    torch.testing.assert_close(parts["detail"], wanted)
    torch.testing.assert_close(parts["loss"], parts["logits"] + 0.7 * wanted)


def test_a_teacher_is_asked_about_the_same_pixels_and_learns_nothing(
    batch: SegmentationBatch,
) -> None:
    network, teacher = Fixed(logits=4), Fixed(logits=4).eval()
    section = {"checkpoint": "x", "temperature": 3.0, "weight": 0.2}
    batch = replace(batch, grid=PixelGrid(2, 1, 0))
    parts = Objective(settings(teacher=section), teacher)(network, batch)
    wanted = distillation(
        batch.grid.of(network.found["logits"]),
        batch.grid.of(teacher.found["logits"]),
        batch.grid.of(batch.labels),
        3.0,
    )
    torch.testing.assert_close(parts["teacher"], wanted)
    torch.testing.assert_close(parts["loss"], parts["logits"] + 0.2 * wanted)
    parts["loss"].backward()
    assert teacher.found["logits"].grad is None
    assert network.found["logits"].grad is not None


def stored(path: Path, task: str, taxonomy: Taxonomy) -> TeacherSection:
    network = create_model("edanet", num_classes=len(taxonomy))
    model = {"name": "edanet", "options": {"num_classes": len(taxonomy)}}
    card = {"task": task, "model": model, "taxonomy": taxonomy.to_dict()}
    save_checkpoint(path / "large.safetensors", network.state_dict(), card)
    return TeacherSection(checkpoint=str(path / "large.safetensors"))


def test_a_teacher_comes_from_a_checkpoint_in_evaluation_mode(tmp_path: Path) -> None:
    teacher = load_teacher(stored(tmp_path, "segmentation", CAMVID), CAMVID, torch.device("cpu"))
    assert not teacher.training
    assert not any(p.requires_grad for p in teacher.parameters())


def test_a_teacher_of_other_classes_is_refused_with_both_named(tmp_path: Path) -> None:
    other = Taxonomy("own", ("cat", "dog"), ((1, 2, 3), (4, 5, 6)))
    section = stored(tmp_path, "segmentation", other)
    with pytest.raises(RecipeError, match=r"classes of own \(cat, dog\), the data those of camvid"):
        load_teacher(section, CAMVID, torch.device("cpu"))


def test_a_teacher_of_another_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="is a network for detection, not for segmentation"):
        load_teacher(stored(tmp_path, "detection", CAMVID), CAMVID, torch.device("cpu"))
