"""`litescene evaluate`: accuracy of a bundle or checkpoint on labelled data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from litescene.cli.options import Engine, JsonFile
from litescene.cli.progress import Report, progress
from litescene.cli.table import format_table, number
from litescene.core import DataError, Image, SegmentationMap
from litescene.core.contract import TaskName
from litescene.core.errors import InputError, MissingExtraError
from litescene.core.provenance import provenance
from litescene.media.atomic import require_writable, write_atomic, write_together
from litescene.metrics.classification import TopAccuracy
from litescene.metrics.classification_report import ClassificationReport
from litescene.metrics.detection import BoxTruth, DetectionMetric
from litescene.metrics.detection_report import DetectionReport
from litescene.metrics.image_quality import ImageQuality
from litescene.metrics.report import EvaluationReport
from litescene.metrics.restoration_report import RestorationReport
from litescene.metrics.segmentation import ConfusionMatrix
from litescene.metrics.segmentation_report import SegmentationReport
from litescene.runtime.bundle import Bundle
from litescene.runtime.engines import installed

if TYPE_CHECKING:
    from litescene.data.classification import ClassificationData
    from litescene.data.detection import DetectionData
    from litescene.data.restoration import Sample
    from litescene.data.segmentation import SegmentationData
    from litescene.runtime.restoration import Restorer

EXAMPLES = (
    "litescene evaluate pp_liteseg_t --data camvid:camvid --split val --pictures camvid_val/",
    "litescene evaluate yolov5_lite_s --data voc:road_signs --json signs.json",
    "litescene evaluate yolov5_lite_s --data voc:road_signs --pictures signs/",
    "litescene evaluate runs/camvid/best.safetensors --data camvid:camvid",
)


def command(
    model: Annotated[
        str, typer.Argument(help="shipped name, bundle (.onnx) or checkpoint (.safetensors)")
    ],
    data: Annotated[
        str,
        typer.Option(
            help="FORMAT:PATH with camvid, camvid32, cityscapes, masks, coco, yolo, voc, boxcsv, "
            "penn, camvid-boxes, imagefolder, clipfolder, inter4k, vimeo, video, pictures"
        ),
    ],
    split: Annotated[
        str,
        typer.Option(help="train, val, test or all (boxes and classes)"),
    ] = "val",
    engine: Engine = "auto",
    json_file: JsonFile = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            help="folder for PNG files of what the model confuses, and of pictures with what is "
            "true and what it found, the worst ones among them",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Measure mean IoU, average precision or top-1 and top-5 accuracy, per class and in total; or
    PSNR and SSIM.

    A bundle runs through an engine as in use; a checkpoint runs in PyTorch float32. With --json
    the figures are written together with machine, versions, date and commit.
    """
    is_checkpoint = Path(model).suffix == ".safetensors"
    if is_checkpoint and engine != "auto":
        raise InputError(
            f"--engine {engine}: a checkpoint runs in PyTorch; leave it out, or evaluate the "
            "bundle that `litescene export` makes of it"
        )
    if json_file is not None:
        require_writable(json_file)
    if pictures is not None:
        require_writable(pictures, folder=True)
    with progress("evaluating") as report:
        if is_checkpoint:
            found = _of_checkpoint(Path(model), data, split)
        else:
            found = _of_bundle(model, Measurement(data, split, engine, report))
    record = {"model": model, "data": data, "split": split, **found.record(), **provenance()}
    if json_file is not None:
        write_atomic(json_file, json.dumps(record, indent=2) + "\n")
    _print(found.metrics)
    if pictures is not None:
        write_together(pictures, found.report.files(f"{model} on {data}, {split}"))


def _of_checkpoint(path: Path, data: str, split: str) -> Measured:
    if not installed("torch"):
        raise MissingExtraError("evaluating a checkpoint", "train")
    from litescene.training.evaluation import evaluate_checkpoint

    return Measured("torch float32", *evaluate_checkpoint(path, data, split))


def _of_bundle(name: str, how: Measurement) -> Measured:
    from litescene.runtime.catalog import find

    bundle = find(name)
    return replace(measured(bundle, how), digest=bundle.digest)


@dataclass(frozen=True, slots=True)
class Measurement:
    """On what a bundle is measured, by which engine, and who hears how far it is."""

    data: str
    split: str
    engine: str
    progress: Report


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of it: figures, the report that saw all pictures, and of a bundle its digest."""

    engine: str
    metrics: dict[str, Any]
    report: EvaluationReport
    digest: str | None = None

    def record(self) -> dict[str, Any]:
        """As plain JSON."""
        digest = {} if self.digest is None else {"digest": self.digest}
        return {"engine": self.engine, **digest, "metrics": self.metrics}


def measured(bundle: Bundle, how: Measurement) -> Measured:
    """The accuracy of a bundle on labelled data, by the metrics of its task."""
    return _MEASURES[bundle.contract.task](bundle, how)


def _segmentation(bundle: Bundle, how: Measurement) -> Measured:
    from litescene.data.segmentation import open_segmentation
    from litescene.runtime.evaluation import evaluate_segmenter
    from litescene.runtime.segmentation import Segmenter

    segmenter = Segmenter(bundle, how.engine)
    opened = open_segmentation(how.data, how.split)
    report = SegmentationReport(ConfusionMatrix(opened.taxonomy), opened.names)
    metrics = evaluate_segmenter(segmenter, _labelled(opened, how.progress), report)
    return Measured(segmenter.engine, metrics, report)


def _detection(bundle: Bundle, how: Measurement) -> Measured:
    from litescene.data.detection import open_detection
    from litescene.runtime.detection import Detector
    from litescene.runtime.evaluation import (
        EVALUATION_IOU,
        EVALUATION_SCORE,
        evaluate_detector,
    )

    detector = Detector(
        bundle, how.engine, score=EVALUATION_SCORE, iou=EVALUATION_IOU, multi_label=True
    )
    opened = open_detection(how.data, how.split, detector.taxonomy)
    report = DetectionReport(DetectionMetric(detector.taxonomy), len(opened))
    metrics = evaluate_detector(detector, _boxed(opened, how.progress), report)
    return Measured(detector.engine, metrics, report)


def _classification(bundle: Bundle, how: Measurement) -> Measured:
    from litescene.data.classification import open_classification
    from litescene.runtime.classification import Classifier
    from litescene.runtime.evaluation import evaluate_classifier

    opened = open_classification(how.data, how.split)
    classifier = Classifier(bundle, how.engine)
    if opened.has_clips:
        raise DataError(f"{how.data} has clips, and a bundle takes pictures; evaluate a checkpoint")
    report = ClassificationReport(TopAccuracy(classifier.taxonomy), opened.names)
    samples = _classed(opened, how.progress)
    metrics = evaluate_classifier(classifier, samples, opened.taxonomy, report)
    return Measured(classifier.engine, metrics, report)


def _restoration(bundle: Bundle, how: Measurement) -> Measured:
    from litescene.runtime.evaluation import evaluate_restorer
    from litescene.runtime.restoration import Restorer

    restorer = Restorer(bundle, how.engine)
    report = RestorationReport(ImageQuality())
    metrics = evaluate_restorer(restorer, _true_pictures(restorer, how), report)
    return Measured(restorer.engine, metrics, report)


_MEASURES: dict[TaskName, Callable[[Bundle, Measurement], Measured]] = {
    "segmentation": _segmentation,
    "detection": _detection,
    "classification": _classification,
    "restoration": _restoration,
}


def _labelled(opened: SegmentationData, report: Report) -> Iterator[tuple[Image, SegmentationMap]]:
    for index in range(len(opened)):
        image, labels = opened.load(index)
        yield image, SegmentationMap(labels, opened.taxonomy)
        report(index + 1, len(opened))


def _boxed(opened: DetectionData, report: Report) -> Iterator[tuple[Image, BoxTruth]]:
    from litescene.media.pictures import read_picture

    for index, sample in enumerate(opened.samples):
        truth = BoxTruth(sample.boxes, sample.classes, sample.crowd, known=sample.known)
        yield read_picture(sample.picture), truth
        report(index + 1, len(opened))


def _classed(opened: ClassificationData, report: Report) -> Iterator[tuple[Image, int]]:
    for index, label in enumerate(opened.labels.tolist()):
        yield opened.picture(index), label
        report(index + 1, len(opened))


def _true_pictures(restorer: Restorer, how: Measurement) -> Iterator[Sample]:
    from litescene.data.restoration import open_restoration

    contract = restorer.contract
    opened = open_restoration(how.data, how.split, contract.pictures)
    for index, sample in enumerate(opened.samples(contract.factor)):
        yield sample
        how.progress(index + 1, None)


def _print(metrics: dict[str, Any]) -> None:
    if "mean_iou" in metrics:
        _print_labels(metrics)
    elif "top1" in metrics:
        _print_classes(metrics)
    elif "psnr" in metrics:
        _print_pictures(metrics)
    else:
        _print_boxes(metrics)


def _print_labels(metrics: dict[str, Any]) -> None:
    print(format_table(["class", "IoU"], [[n, number(v)] for n, v in metrics["iou"].items()]))
    print(
        f"\nmean IoU {metrics['mean_iou']:.4f}, pixel accuracy {metrics['accuracy']:.4f}, "
        f"mean accuracy {metrics['mean_accuracy']:.4f}, {metrics['pixels']:,} pixels"
    )


def _print_classes(metrics: dict[str, Any]) -> None:
    first, among = metrics["top1_per_class"], metrics["top5_per_class"]
    rows = [[n, number(first[n]), number(among[n])] for n in first]
    print(format_table(["class", "top-1", "top-5"], rows))
    print(
        f"\ntop-1 {metrics['top1']:.4f}, top-5 {metrics['top5']:.4f}, mean top-1 of the classes "
        f"{metrics['mean_top1']:.4f}, {metrics['pictures']} pictures"
    )


def _print_pictures(metrics: dict[str, Any]) -> None:
    print(
        f"PSNR {metrics['psnr']:.2f} dB, SSIM {metrics['ssim']:.4f}, {metrics['pictures']} pictures"
    )


def _print_boxes(metrics: dict[str, Any]) -> None:
    halves, whole = metrics["ap50_per_class"], metrics["ap_per_class"]
    rows = [[n, number(halves[n]), number(whole[n])] for n in halves]
    print(format_table(["class", "AP50", "AP"], rows))
    print(
        f"\nAP50 {metrics['ap50']:.4f}, AP {metrics['ap']:.4f}, AP75 {metrics['ap75']:.4f}, "
        f"{metrics['boxes']} boxes in {metrics['pictures']} pictures"
    )
