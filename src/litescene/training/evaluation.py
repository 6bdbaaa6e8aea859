"""A checkpoint measured on a labelled data set, in PyTorch float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from litescene.core import CheckpointError, DataError, Taxonomy
from litescene.training.checkpoint import load_model


def evaluate_checkpoint(path: Path, spec: str, split: str) -> dict[str, Any]:
    """Metrics of the checkpoint's task on `FORMAT:PATH`.

    Raises `CheckpointError` for a damaged file and `DataError` for data that do not fit.
    """
    model, card = load_model(path)
    try:
        task, taxonomy = card["task"], Taxonomy.from_dict(card["taxonomy"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the card names no task and classes") from error
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device)
    if task == "segmentation":
        from litescene.data.segmentation import open_segmentation
        from litescene.training.tasks.segmentation import evaluate_segmentation

        data = open_segmentation(spec, split)
        table = taxonomy.labels_in(data.taxonomy)
        if table is None:
            raise DataError(
                f"{path} knows '{taxonomy.name}' ({', '.join(taxonomy.names)}), {spec} is labelled "
                f"as '{data.taxonomy.name}' ({', '.join(data.taxonomy.names)}); evaluate on data "
                "with its classes"
            )
        return evaluate_segmentation(model, data, device, table)
    if task == "detection":
        from litescene.data.detection import open_detection
        from litescene.training.tasks.detection import evaluate_detection

        boxes = open_detection(spec, split, taxonomy)
        return evaluate_detection(model, boxes, int(card["size"][0]), device)
    if task == "restoration":
        from litescene.data.restoration import open_restoration
        from litescene.training.tasks.restoration import evaluate_restoration

        network: Any = model
        pictures = open_restoration(spec, split, int(network.pictures))
        return evaluate_restoration(model, pictures, device)
    raise CheckpointError(f"{path}: there is no evaluation for task '{task}'")
