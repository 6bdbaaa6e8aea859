"""Bundle back to checkpoint, so that a network of which only the bundle is left can be trained on.

An export folds every batch norm into its convolution, y = w x + b, and what the norm had measured
is gone. It is measured anew: on pictures, the mean μ and variance σ² of each y. A norm with these,
γ = √(σ² + ε) and β = μ behind the convolution w gives y again in evaluation; in training, where
the batch takes the place of μ and σ², it begins close to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import litescene
from litescene.core import CheckpointError, Image
from litescene.export.fusing import Deployable, norms_behind
from litescene.export.graph import BundleGraph, head_maps, is_quantized, planes_of, to_graph
from litescene.export.parity import as_seen, prove
from litescene.export.shuffles import has_shuffles
from litescene.models import InputSpec, create_model, list_models
from litescene.models.spec import input_spec_of
from litescene.runtime.bundle import Bundle
from litescene.training.checkpoint import save_checkpoint

_PREFIX = "model."
"""Of the network's weights in the graph; see `BundleGraph`."""


def recover_checkpoint(bundle: Bundle, out: Path, pictures: Sequence[Image]) -> dict[str, Any]:
    """Write the checkpoint of a network that a bundle holds.

    Args:
        bundle: a float32 bundle that litescene exported.
        out: the `.safetensors` file to write.
        pictures: real ones, RGB uint8, on which the batch norms measure; the more they look like
            those of the training to come, the less it has to move at its beginning.

    Returns:
        The card of the checkpoint.

    Raises:
        CheckpointError: the bundle is quantised, or its network was not built here, or its layers
            were joined for inference (RepVGG's branches), which no one can undo.
        ParityError: the network with these weights computes something else than the bundle.

    """
    if not pictures:
        raise ValueError("batch norms need at least one picture to measure on")
    model, options = _network(bundle)
    graph = _graph(bundle)
    weights = _weights(graph)
    model.input_spec = _input_spec(weights, input_spec_of(model))
    try:
        _fill(model, graph, weights, bundle, pictures)
    except CheckpointError as error:
        raise CheckpointError(
            f"'{bundle.name}' is no {bundle.contract.system} of today: {error}"
        ) from error
    model.eval()
    prove(model, bundle, pictures[:2])
    contract = bundle.contract
    card = {
        "task": contract.task,
        "taxonomy": contract.taxonomy.to_dict(),
        "size": list(contract.size),
        "model": {"name": contract.system, "options": options},
        "input": input_spec_of(model).to_dict(),
        "result": dict(contract.accuracy),
        "recovered": {
            "bundle": bundle.name,
            "sha256": hashlib.sha256(bundle.model).hexdigest(),
            "pictures": len(pictures),
        },
        "license": contract.license,
        "litescene": litescene.__version__,
        "torch": torch.__version__,
    }
    save_checkpoint(out, model.state_dict(), card)
    return card


def _network(bundle: Bundle) -> tuple[Any, dict[str, Any]]:
    """The network that the bundle names, with random weights, and its options."""
    contract = bundle.contract
    if contract.system not in list_models():
        raise CheckpointError(
            f"'{bundle.name}' is of '{contract.system}', which is no network of litescene"
        )
    options: dict[str, Any] = {"num_classes": len(contract.taxonomy)}
    model: Any = create_model(contract.system, **options)
    if contract.anchors and contract.anchors != _plain(model.anchors):
        options["anchors"] = [[list(size) for size in level] for level in contract.anchors]
        model = create_model(contract.system, **options)
    joined = [type(m).__name__ for m in model.modules() if isinstance(m, Deployable)]
    if joined:
        raise CheckpointError(
            f"'{bundle.name}': the export joined layers of {contract.system} ({joined[0]}), which "
            "cannot be undone; train on from the checkpoint that it was made of"
        )
    return model, options


def _plain(anchors: Any) -> tuple[tuple[tuple[float, float], ...], ...]:
    return tuple(tuple((float(w), float(h)) for w, h in level) for level in anchors)


def _graph(bundle: Bundle) -> Any:
    """The graph of a float32 bundle."""
    import onnx

    model = onnx.load_model_from_string(bundle.model)
    if is_quantized(model):
        raise CheckpointError(f"'{bundle.name}' is quantised; give the float32 bundle")
    return model.graph


def _weights(graph: Any) -> dict[str, Tensor]:
    """Tensors of the graph by name."""
    from onnx import numpy_helper

    return {
        value.name: torch.from_numpy(np.array(numpy_helper.to_array(value)))
        for value in graph.initializer
    }


def _found(
    fused: nn.Module,
    graph: Any,
    weights: Mapping[str, Tensor],
    example: Tensor,
    orders: Mapping[int, NDArray[np.int64]],
) -> dict[str, Tensor]:
    """The graph's weights under the names of the folded network.

    Those of convolutions are told by the order of execution, which stays when a layer gets
    another name; all others by name. `orders` are those of channels, see `shuffles.Unshuffled`.
    """
    state = fused.state_dict()
    found = {n: weights[_PREFIX + n] for n in state if _PREFIX + n in weights}
    order = _in_order(fused, example)
    nodes = [node for node in graph.node if node.op_type in ("Conv", "ConvTranspose")]
    if len(nodes) != len(order):
        raise CheckpointError(f"it has {len(nodes)} convolutions, the network {len(order)}")
    added = {node.input[0]: node.input[1] for node in graph.node if node.op_type == "Add"}
    for number, (name, node) in enumerate(zip(order, nodes, strict=True)):
        if node.input[1] not in weights:
            raise CheckpointError(f"the weight of its {node.name} is computed, not stored")
        weight = weights[node.input[1]]
        own = torch.from_numpy(np.argsort(orders[number])) if number in orders else None
        depthwise = own is not None and weight.shape[:2] == (len(own), 1)
        if own is not None:
            weight = weight[own] if depthwise else weight[:, own]
        found[f"{name}.weight"] = weight
        # Convolutions of our own kernels add the bias behind, as a tensor 1×C×1×1 of the graph.
        bias = weights.get(node.input[2] if len(node.input) > 2 else added.get(node.output[0], ""))
        if bias is not None:
            found[f"{name}.bias"] = bias.flatten()[own] if depthwise else bias.flatten()
    return {name: value for name, value in found.items() if name in state}


def _orders(model: nn.Module, graph: Any) -> dict[int, NDArray[np.int64]]:
    """How the export ordered the channels; not at all where the bundle computes its shuffles."""
    return {} if has_shuffles(graph) else to_graph(model).orders


def _in_order(model: nn.Module, example: Tensor) -> list[str]:
    """Names of the convolutions in the order in which they run."""
    order: list[str] = []
    with _observing(model, (nn.Conv2d, nn.ConvTranspose2d), lambda name, _: order.append(name)):
        head_maps(model, example)
    return order


@contextmanager
def _observing(
    model: nn.Module, kinds: tuple[type[nn.Module], ...], see: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """Within, `see` hears the name and output of every layer of these kinds that runs."""
    hooks = [
        module.register_forward_hook(lambda _, __, output, name=name: see(name, output))
        for name, module in model.named_modules()
        if isinstance(module, kinds)
    ]
    try:
        with torch.inference_mode():
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _input_spec(weights: Mapping[str, Tensor], own: InputSpec) -> InputSpec:
    """The normalisation that the graph begins with, x · factor + offset."""
    if "factor" not in weights:
        return own
    std = (1 / (255 * weights["factor"].double())).flatten()[:3]
    offset = weights.get("offset", torch.zeros(3)).double().flatten()[:3]
    mean = (-offset * std).tolist()
    given = InputSpec((mean[0], mean[1], mean[2]), (*std.tolist(),), own.bgr)
    same = np.allclose([*given.mean, *given.std], [*own.mean, *own.std], atol=1e-6)
    return own if same else given


def _fill(
    model: Any,
    graph: Any,
    weights: Mapping[str, Tensor],
    bundle: Bundle,
    pictures: Sequence[Image],
) -> None:
    """Copy the weights into the network and measure its batch norms."""
    fused: Any = BundleGraph(model).model
    example = torch.rand(1, planes_of(model), *bundle.contract.size)
    state = fused.state_dict()
    found = _found(fused, graph, weights, example, _orders(model, graph))
    strange = [n for n, v in found.items() if v.shape != state[n].shape]
    if strange:
        raise CheckpointError(f"its {strange[0]} has another shape")
    fused.load_state_dict({**state, **found})
    moments = _moments(fused, bundle, pictures)
    names = {module: name for name, module in model.named_modules()}
    pairs = norms_behind(model.eval(), head_maps, example)
    own = model.state_dict()
    own |= {n: v for n, v in found.items() if n in own and own[n].shape == v.shape}
    model.load_state_dict(own)
    with torch.no_grad():
        for convolution, norm in pairs:
            mean, variance = moments[names[convolution]]
            bias = found.get(f"{names[convolution]}.bias", torch.zeros_like(mean))
            _unfold(convolution, norm, bias, mean, variance)


def _unfold(
    convolution: nn.Conv2d, norm: nn.BatchNorm2d, bias: Tensor, mean: Tensor, variance: Tensor
) -> None:
    """Give a norm the statistics of what the folded convolution, with this bias, computes."""
    if norm.running_mean is None or norm.running_var is None or not norm.affine:
        raise CheckpointError("a batch norm without weights of its own cannot be filled")
    if convolution.bias is not None:
        convolution.bias.zero_()
    norm.running_mean.copy_(mean - bias)
    norm.running_var.copy_(variance)
    norm.weight.copy_(torch.sqrt(norm.running_var + norm.eps))
    norm.bias.copy_(mean)


def _moments(
    fused: nn.Module, bundle: Bundle, pictures: Sequence[Image]
) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and variance per channel of what every convolution of the folded network gives."""
    sums: dict[str, list[Tensor]] = {}

    def observe(name: str, output: Tensor) -> None:
        values = output.double().transpose(0, 1).flatten(1)
        count = values.new_tensor(values.shape[1])
        found = [count, values.sum(1), values.square().sum(1)]
        sums[name] = (
            [a + b for a, b in zip(sums[name], found, strict=True)] if name in sums else found
        )

    spec = input_spec_of(fused)
    with _observing(fused, (nn.Conv2d,), observe):
        for picture in pictures:
            seen = np.ascontiguousarray(as_seen(picture, bundle.contract))
            x = torch.from_numpy(seen).permute(2, 0, 1)[None].float()
            head_maps(fused, spec.normalised(x))
    return {
        name: (total / count, (squares / count - (total / count) ** 2).clamp(min=0))
        for name, (count, total, squares) in sums.items()
    }
