"""Classes of pictures from a bundle, against the formula of the tiny network."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from litescene.core import (
    BundleError,
    Classification,
    Contract,
    DataError,
    Frame,
    Taxonomy,
    distinct_colors,
)
from litescene.metrics import TopAccuracy
from litescene.runtime import Bundle, Classifier, Segmenter, load, write_metadata
from litescene.runtime.classification import class_agreement, class_probabilities
from litescene.runtime.engines import installed
from litescene.runtime.evaluation import evaluate_classifier
from tiny_bundles import classification_contract, classification_model, colour_weights, taxonomy

ENGINE = "openvino-f32" if installed("openvino") else "onnxruntime"


def bundle(**facts: object) -> Bundle:
    contract = classification_contract(**facts)
    return Bundle.from_bytes(write_metadata(classification_model(), contract), "tiny_classes")


def expected(seen: np.ndarray) -> np.ndarray:
    """Softmax of 6·W·(mean colour - 1/2), in float64."""
    mean = seen.reshape(-1, 3).mean(0) / 255
    powers = np.exp(6 * colour_weights().astype(np.float64) @ (mean - 0.5))
    return powers / powers.sum()


def test_the_result_is_the_softmax_over_what_the_network_sees(picture: np.ndarray) -> None:
    seen = picture[16:80, 32:96]  # the middle 64×64 of 96×128
    classifier = Classifier(bundle(crop_share=64 / 96), ENGINE, top=3)
    assert classifier.input_of(picture).tobytes() == seen.tobytes()
    want = expected(seen)
    np.testing.assert_allclose(classifier.probabilities(picture), want, atol=1e-5)
    result = classifier(picture)
    assert isinstance(result, Classification)
    assert result.classes.tolist() == np.argsort(-want)[:3].tolist()
    np.testing.assert_allclose(result.probabilities, np.sort(want)[::-1][:3], atol=1e-5)
    assert result.name == f"class{want.argmax()}"


def test_all_forms_of_a_picture_give_equal_classes(picture: np.ndarray, tmp_path: Path) -> None:
    classifier = Classifier(bundle(), ENGINE)
    path = tmp_path / "p.png"
    cv2.imwrite(str(path), picture[..., ::-1])
    want = classifier(picture).to_dict()
    forms = [path, str(path), path.read_bytes(), PIL.Image.fromarray(picture), Frame(0, 0, picture)]
    assert all(classifier(form).to_dict() == want for form in forms)


def test_load_gives_a_classifier_and_other_tasks_refuse_it(picture: np.ndarray) -> None:
    assert isinstance(load(bundle(), ENGINE), Classifier)
    with pytest.raises(BundleError, match="does classification, not segmentation"):
        Segmenter(bundle())


def test_softmax_of_large_logits_is_finite() -> None:
    found = class_probabilities(np.array([1000.0, 1000.0, -1000.0], np.float32))
    np.testing.assert_allclose(found, [0.5, 0.5, 0.0], atol=1e-12)


def test_agreement_is_what_distributions_share_where_the_class_is_the_same() -> None:
    a = np.log(np.array([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]], np.float32))
    b = np.log(np.array([[0.6, 0.2, 0.2], [0.3, 0.5, 0.2]], np.float32))
    assert class_agreement([a], [a]) == pytest.approx(1.0)
    assert class_agreement([a], [b]) == pytest.approx((0.9 + 0.0) / 2)


def test_evaluation_counts_classes_by_name() -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (30, 1, 1, 3), dtype=np.uint8).repeat(64, 1).repeat(64, 2)
    data = Taxonomy("data", ("class3", "class1", "class0"), distinct_colors(3))
    labels = rng.integers(0, 3, 30)
    found = evaluate_classifier(
        Classifier(bundle(), ENGINE), zip(images, labels.tolist(), strict=True), data
    )
    truth = np.array([3, 1, 0])[labels]
    hits = np.array([expected(i).argmax() for i in images]) == truth
    assert found["top1"] == pytest.approx(hits.mean())
    assert found["top1_per_class"]["class2"] is None
    assert found["pictures"] == 30
    other = Taxonomy("data", ("class1", "unknown"), distinct_colors(2))
    with pytest.raises(DataError, match="does not know unknown"):
        evaluate_classifier(Classifier(bundle(), ENGINE), [], other)


def test_contracts_of_classifiers_are_checked() -> None:
    for share in (0.0, 1.5):
        with pytest.raises(BundleError, match="crop_share"):
            classification_contract(crop_share=share)
    with pytest.raises(BundleError, match="does not end with 'decode_nms'"):
        Contract("classification", "x", taxonomy(2), (64, 64), "decode_nms")
    many = classification_contract(crop_share=0.875)
    assert Contract.from_dict(many.to_dict()) == many


def test_a_classifier_may_know_more_classes_than_pixels_can() -> None:
    names = tuple(f"c{i}" for i in range(1000))
    thousand = Taxonomy("imagenet", names, distinct_colors(1000))
    Contract("classification", "x", thousand, (224, 224), "softmax")
    with pytest.raises(BundleError, match="255 classes, not 1000"):
        Contract("segmentation", "x", thousand, (224, 224), "upsample_argmax")
    assert TopAccuracy(thousand).counts.shape == (1000,)


def test_results_of_a_classification_are_checked() -> None:
    four = taxonomy(4)
    result = Classification.of(np.array([0.1, 0.4, 0.4, 0.1]), four, top=2)
    assert result.to_dict() == [
        {"class": "class1", "index": 1, "probability": 0.4},
        {"class": "class2", "index": 2, "probability": 0.4},
    ]
    assert len(Classification.of(np.full(4, 0.25), four, top=9)) == 4
    with pytest.raises(ValueError, match="for 4 classes"):
        Classification.of(np.full(3, 0.3), four)
    with pytest.raises(ValueError, match="at least one class"):
        Classification(np.zeros(0, np.int32), np.zeros(0, np.float32), four)
    with pytest.raises(ValueError, match="probabilities"):
        Classification(np.zeros(2, np.int32), np.zeros(3, np.float32), four)
