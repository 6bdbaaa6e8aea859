"""The bundles that come with the package: all there, unchanged, and each with its card."""

from __future__ import annotations

import hashlib
import json

import pytest

from litescene.runtime import ShippedBundle, shipped
from litescene.runtime.catalog import DEFAULT_DETECTOR, DEFAULT_SEGMENTER, WEIGHTS

every_bundle = pytest.mark.parametrize("entry", shipped().values(), ids=lambda entry: entry.name)


def test_the_models_that_are_used_where_nobody_names_one_ship() -> None:
    tasks = {name: entry.task for name, entry in shipped().items()}
    assert tasks.get(DEFAULT_SEGMENTER) == "segmentation"
    assert tasks.get(DEFAULT_DETECTOR) == "detection"


def test_the_index_lists_every_file_of_weights_and_no_other() -> None:
    assert {entry.path for entry in shipped().values()} == set(WEIGHTS.glob("*.onnx"))


@every_bundle
def test_the_index_states_the_sha256_of_the_file(entry: ShippedBundle) -> None:
    assert hashlib.sha256(entry.path.read_bytes()).hexdigest() == entry.sha256


@every_bundle
def test_a_shipped_bundle_says_how_it_was_made_and_how_good_it_is(entry: ShippedBundle) -> None:
    contract = entry.open().contract
    assert contract.task == entry.task
    assert {"data", "recipe", "commit", "epoch"} <= set(contract.provenance)
    measure = {"segmentation": "mean_iou", "detection": "ap50"}[entry.task]
    assert 0.5 < contract.accuracy[measure] <= 1
    if "quantized_from" in contract.parity:
        exact = {other.open().digest for other in shipped().values()}
        assert contract.parity["quantized_from"] in exact
        assert contract.parity["int8_agreement"] > 0.9
    else:
        assert contract.parity["decisions"] == "equal"
        assert contract.parity["largest_difference"] <= 1e-4
    assert contract.license
    assert "/" not in json.dumps(contract.provenance["recipe"]["model"])  # no path of a machine
