"""Pages and tables that are generated while the documentation is built.

`models.md` comes from the registry, the shipped bundles and the result files; a line
`<!-- generated: NAME -->` in a page is replaced by `verbs` (from the command line itself),
`results` (from `benchmarks/results/*.json`), `front` and `front_avx2` (from records of
`litescene bench` there and the results of training), `ablation`, `options`, `poolings` and
`fidelity` (from those of `pp_liteseg_ablation.py`, `segmentation_options.py`, `pooling_TASK.py` and
`pooling_fidelity.py`, a section each if it is there), `pooling_speed`, `pooling_speed_avx2`,
`sparsity`, `flavours`, `detectors`, `detect_speed`, `detect_speed_avx2` and `int8` (likewise) or
`imports` (from the tables of official names).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ablation import ablation
from comparison import comparison, figure, table
from detectors import detect_speed, detectors, int8
from fidelity import fidelity
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from options import options
from poolings import TASKS, poolings
from sparsity import sparsity
from speed import pooling_speed

from flavours import flavours

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
BENCH, BENCH_AVX2 = "bench_segmentation", "bench_segmentation_avx2"
ABLATION = "pp_liteseg_ablation"
OPTIONS = "segmentation_options"
POOLINGS = [f"pooling_{task}" for task in TASKS]
FIDELITY = "pooling_fidelity"
SPEED, SPEED_AVX2 = "pooling_speed", "pooling_speed_avx2"
SPARSITY = "sparse_speed"
FLAVOURS = "flavours"
DETECTORS, WITHOUT_VNNI = "detect_speed", "detect_speed_avx2"
PICTURE = Path("pictures") / "segmentation_front.svg"
MOST_NUMBERS = 8
"""Longer lists of numbers are left to the JSON file."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated page of models."""
    files.append(File.generated(config, "models.md", content=models_page()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in the generated parts of hand-written pages."""
    parts: dict[str, Callable[[], str]] = {
        "verbs": verbs,
        "results": results,
        "front": lambda: front(BENCH, PICTURE),
        "front_avx2": lambda: front(BENCH_AVX2),
        "ablation": lambda: ablation(RESULTS / f"{ABLATION}.json"),
        "options": lambda: options(RESULTS / f"{OPTIONS}.json"),
        "poolings": lambda: poolings(RESULTS),
        "fidelity": lambda: fidelity(RESULTS / f"{FIDELITY}.json"),
        SPEED: lambda: pooling_speed(RESULTS / f"{SPEED}.json"),
        SPEED_AVX2: lambda: pooling_speed(RESULTS / f"{SPEED_AVX2}.json"),
        "sparsity": lambda: sparsity(RESULTS / f"{SPARSITY}.json"),
        "flavours": lambda: flavours(RESULTS / f"{FLAVOURS}.json"),
        "detectors": lambda: detectors(RESULTS),
        DETECTORS: lambda: detect_speed(RESULTS / f"{DETECTORS}.json"),
        WITHOUT_VNNI: lambda: detect_speed(RESULTS / f"{WITHOUT_VNNI}.json"),
        "int8": lambda: int8(RESULTS),
        "imports": imports,
    }
    for name, make in parts.items():
        mark = f"<!-- generated: {name} -->"
        if mark in markdown:
            markdown = markdown.replace(mark, make())
    return markdown


def models_page() -> str:
    """Every registered network with published and measured figures; every shipped bundle."""
    from litescene.models import list_models, variant
    from litescene.runtime.catalog import shipped

    others = set(list_models()) - set(list_models(task="segmentation"))
    found = [variant(name) for name in sorted(others)]
    rows = [
        [
            f"`{v.name}`",
            v.task,
            f"{v.paper} ({v.year})",
            f"{v.size[1]}×{v.size[0]}",
            "; ".join(
                f"{count:,}" if v.task == "restoration" else f"{count:,} ({c} classes)"
                for c, count in v.parameters.items()
            )
            or "-",
            "; ".join(f"{name}: {value}" for name, value in v.published.items()) or "-",
        ]
        for v in found
    ]
    head = ["name", "task", "paper", "default size", "parameters at inference", "published"]
    parts = ["# Models", "## Segmentation networks", comparison()]
    parts += ["## Other networks", table(head, rows), "## Shipped bundles"]
    bundles = [
        [
            f"`{entry.name}`",
            entry.task,
            f"{entry.path.stat().st_size / 1e6:.1f} MB",
            ", ".join(entry.open().contract.taxonomy.names),
            entry.open().contract.license or "-",
        ]
        for entry in shipped().values()
    ]
    if bundles:
        parts.append(table(["name", "task", "file", "classes", "licence"], bundles))
    else:
        parts.append("None in this build.")
    measured = [record for record in records() if "model" in record[1]]
    if measured:
        parts.append("## Measured accuracy")
        parts += [evaluation(name, record) for name, record in measured]
    return "\n\n".join(parts) + "\n"


def records() -> list[tuple[str, dict[str, Any]]]:
    """All result files by name."""
    return [
        (path.stem, json.loads(path.read_text("utf-8"))) for path in sorted(RESULTS.glob("*.json"))
    ]


def evaluation(name: str, record: Mapping[str, Any]) -> str:
    """What `litescene evaluate --json` wrote."""
    metrics = record["metrics"]
    said = f"`{record['model']}` on `{record['data']}`, split {record['split']}, {record['engine']}"
    where = f"{record['processor']}, {record['date']}, commit {record['commit']}"
    if "mean_iou" in metrics:
        total = f"mean IoU **{metrics['mean_iou']:.4f}**, pixel accuracy {metrics['accuracy']:.4f}"
        rows = [[c, figure(v)] for c, v in metrics["iou"].items()]
        classes = table(["class", "IoU"], rows)
    elif "top1" in metrics:
        total = f"top-1 **{metrics['top1']:.4f}**, top-5 {metrics['top5']:.4f}"
        among = metrics["top5_per_class"]
        rows = [[c, figure(v), figure(among[c])] for c, v in metrics["top1_per_class"].items()]
        classes = table(["class", "top-1", "top-5"], rows)
    else:
        total = f"AP50 **{metrics['ap50']:.4f}**, AP {metrics['ap']:.4f}"
        whole = metrics["ap_per_class"]
        rows = [[c, figure(v), figure(whole[c])] for c, v in metrics["ap50_per_class"].items()]
        classes = table(["class", "AP50", "AP"], rows)
    return f"### {name}\n\n{said}: {total}. ({where})\n\n{classes}"


def results() -> str:
    """Every other measurement: its plain figures, flattened."""
    parts = []
    for name, record in records():
        own = (
            BENCH,
            BENCH_AVX2,
            ABLATION,
            OPTIONS,
            *POOLINGS,
            FIDELITY,
            SPEED,
            SPEED_AVX2,
            SPARSITY,
            FLAVOURS,
            DETECTORS,
            WITHOUT_VNNI,
        )
        if "model" not in record and name not in own and not name.startswith("int8_"):
            rows = [[f"`{key}`", value] for key, value in flattened(record)]
            parts.append(f"### {name}\n\n{table(['figure', 'value'], rows)}")
    return "\n\n".join(parts) or "No measurement is stored in this build."


def front(name: str, picture: Path | None = None) -> str:
    """Accuracy against latency of all segmentation networks: picture, table, conditions."""
    from litescene.cli.bench import HEAD, row
    from litescene.core.trained import trained_by
    from litescene.runtime.benchmark import Benchmark
    from litescene.runtime.benchmark import front as unbeaten

    file = RESULTS / f"{name}.json"
    if not file.is_file():
        return "No measurement is stored in this build."
    record, trained = Benchmark.read(file), trained_by()
    best = set(unbeaten(record, trained))
    ranked = sorted(record.networks.values(), key=lambda entry: entry.runtime_ms.median)
    rows = [row(entry, trained.get(entry.name), entry.name in best) for entry in ranked]
    conditions = [[f"`{key}`", value] for key, value in flattened(record.conditions)]
    parts = [table(list(HEAD), rows), table(["condition", "value"], conditions)]
    if picture is not None and (Path(__file__).parent / picture).is_file():
        parts.insert(0, f"![Accuracy against latency]({picture.as_posix()})")
    return "\n\n".join(parts)


def flattened(record: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names and values of everything that is short enough to read."""
    if isinstance(record, Mapping):
        for key, value in record.items():
            yield from flattened(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(record, list) and any(isinstance(item, (Mapping, list)) for item in record):
        for index, value in enumerate(record):
            yield from flattened(value, f"{prefix}.{index + 1}")
    elif isinstance(record, list):
        if len(record) <= MOST_NUMBERS:
            yield prefix, ", ".join(map(shown, record))
    else:
        yield prefix, shown(record)


def shown(value: Any) -> str:
    """A value as the table shows it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def imports() -> str:
    """Official code, licence, input and unused parts of every network that can be imported."""
    from litescene.training.foreign import PUBLISHED

    families: dict[int, list[str]] = {}
    for name, source in PUBLISHED.items():
        families.setdefault(id(source), []).append(name)
    rows = []
    for names in families.values():
        source = PUBLISHED[names[0]]
        specs = [source.input_spec, *source.input_of.values()]
        code, _, branch = source.code.partition(" ")
        rows.append(
            [
                ", ".join(f"`{name}`" for name in names),
                f"[{code.removeprefix('https://github.com/')}]({code}) {branch}",
                source.license,
                "; for CamVid ".join(input_of(spec) for spec in specs),
                ", ".join(f"`{part}`" for part in source.ignored) or "-",
            ]
        )
    return table(["networks", "official code", "licence", "input", "left out"], rows)


def input_of(spec: Any) -> str:
    """Channel order, mean and standard deviation."""
    mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (spec.mean, spec.std))
    return f"{'BGR' if spec.bgr else 'RGB'}, mean {mean}, std {std}"


def verbs() -> str:
    """Synopsis, description, options and examples of each verb, from the parser itself."""
    from litescene.cli.verbs import VERBS

    return "\n\n".join(verb(name) for name in VERBS)


def verb(name: str) -> str:
    """The section of one verb."""
    from litescene.cli.dispatch import parser
    from litescene.cli.verbs import module_of

    module = import_module(module_of(name))
    command = parser(name)
    rows = []
    words = []
    for parameter in command.params:
        is_option = parameter.param_type_name == "option"
        names = " ".join(f"`{o}`" for o in parameter.opts)
        said = getattr(parameter, "help", None) or ""
        if is_option:
            default = parameter.default
            given = default not in (None, False, "", ()) and not callable(default)
            rows.append([names, said + (f" (default: `{default}`)" if given else "")])
        else:
            words.append(
                parameter.name.upper() if parameter.required else f"[{parameter.name.upper()}]"
            )
            rows.append([f"`{parameter.name.upper()}`", said])
    text = "\n".join(line.strip() for line in (module.command.__doc__ or "").splitlines())
    return (
        f"## {name}\n\n```\nlitescene {name} {' '.join(words)} [options]\n```\n\n{text}\n\n"
        f"{table(['', ''], rows)}\n\n```\n" + "\n".join(module.EXAMPLES) + "\n```"
    )
