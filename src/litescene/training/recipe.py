"""Recipes: typed TOML files that say how a network is trained."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from litescene.core import RecipeError
from litescene.core.contract import TaskName
from litescene.training.precision import Precision


class Section(BaseModel):
    """Base of every table of a recipe: immutable, unknown keys and infinite numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelSection(Section):
    """Which network: a registered name and the options of its builder."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
    init: str | None = None
    """Checkpoint to start from; entries of other shapes (the classifier) stay random.

    A relative path starts at the current folder; `load_recipe` makes it absolute.
    """
    pool: str | None = None
    """Pooling of the family that takes the place of the network's own; see `models.pooling`."""
    pool_options: dict[str, Any] = Field(default_factory=dict)
    """Options of that pooling, e.g. `per_channel`."""

    @model_validator(mode="after")
    def _options_have_a_pool(self) -> Self:
        if self.pool_options and self.pool is None:
            raise ValueError("pool_options belong to a pool; name one")
        return self


class OptimizerSection(Section):
    """Optimiser and its learning rate."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    """With adam and sgd the decay is part of the gradient (L2), with adamw it is not."""
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    clip_norm: float = Field(0.0, ge=0)
    """Largest gradient norm; 0 does not clip."""
    factors: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """Learning rates of parts as shares of `lr`, by the parts' names: `{ encoder = 0.1 }`."""
    depthwise_decay: bool = True
    """Whether the weights of depthwise convolutions decay like the others."""


class RestartSection(Section):
    """From this epoch on (counted from 0) the decay begins once more, at a share of the first rate.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017.
    """

    epoch: int = Field(gt=0)
    factor: float = Field(gt=0, le=1)


class ScheduleSection(Section):
    """Learning rate over time: linear warm-up, then polynomial or cosine decay, or steps."""

    name: Literal["poly", "cosine", "step"] = "poly"
    warmup_epochs: float = Field(2.0, ge=0)
    power: float = Field(0.9, gt=0)
    final: float = Field(0.0, ge=0, le=1)
    """Last learning rate as a share of the first."""
    milestones: list[Annotated[int, Field(gt=0)]] = Field(default_factory=list)
    """Epochs at whose beginning `step` multiplies the learning rate by `gamma`."""
    gamma: float = Field(0.1, gt=0, lt=1)
    restarts: list[RestartSection] = Field(default_factory=list)
    """Where `poly` or `cosine`, having ended, begin again, without a warm-up."""

    @model_validator(mode="after")
    def _restarts_fit(self) -> Self:
        epochs = [restart.epoch for restart in self.restarts]
        if epochs != sorted(set(epochs)):
            raise ValueError(f"restarts rise, these begin at {epochs}")
        if epochs and self.name == "step":
            raise ValueError("restarts belong to poly and cosine; step has milestones")
        if epochs and epochs[0] <= self.warmup_epochs:
            raise ValueError(f"the first restart, at {epochs[0]}, comes after the warm-up")
        return self

    @model_validator(mode="after")
    def _milestones_fit(self) -> Self:
        if self.milestones and self.name != "step":
            raise ValueError(f"milestones belong to step, this is {self.name}")
        if self.milestones != sorted(set(self.milestones)):
            raise ValueError(f"milestones rise, these are {self.milestones}")
        return self


class EmaSection(Section):
    """Moving average of the weights: decay·(1 - exp(-step / ramp))."""

    decay: float = Field(0.999, ge=0, lt=1)
    ramp: float = Field(200.0, gt=0)


class Recipe(Section):
    """A whole recipe. `settings` is the table named like the task, e.g. `[segmentation]`."""

    name: str
    task: TaskName
    model: ModelSection
    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    accumulate: int = Field(1, gt=0)
    """Batches whose mean gradient makes a step; the last ones of an epoch may be fewer."""
    seed: int = Field(0, ge=0, lt=1 << 40)
    optimizer: OptimizerSection = OptimizerSection()
    schedule: ScheduleSection = ScheduleSection()
    ema: EmaSection = EmaSection()
    precision: Precision = "bf16-mixed"
    """float32 is computed in where bf16 is no faster; see `training.precision`."""
    evaluate_every: int = Field(5, gt=0)
    patience: int = Field(0, ge=0)
    """Evaluations without a better one after which a run ends; 0: it goes on to its last epoch."""
    settings: dict[str, Any] = Field(default_factory=dict)


SectionType = TypeVar("SectionType", bound=BaseModel)


class StageSection(Section):
    """Base of what holds from an epoch (counted from 0) to that of the next stage."""

    epoch: int = Field(0, ge=0)


StageType = TypeVar("StageType", bound=StageSection)


def in_order(stages: list[StageType]) -> list[StageType]:
    """Validates stages: the first from epoch 0, each later than the one before."""
    epochs = [stage.epoch for stage in stages]
    if epochs[:1] != [0] or epochs != sorted(set(epochs)):
        raise ValueError(f"stages begin at epoch 0 and rise, these begin at {epochs}")
    return stages


def rising(given: tuple[float, float]) -> tuple[float, float]:
    """Validates a range of factors."""
    low, high = given
    if not 0 < low <= high:
        raise ValueError(f"a range is 0 < least <= most, not {low}, {high}")
    return given


def stage_at(stages: Sequence[StageType], epoch: int) -> StageType:
    """The stage that holds in an epoch."""
    return [stage for stage in stages if stage.epoch <= epoch][-1]


def validated(section: type[SectionType], plain: dict[str, Any], where: str) -> SectionType:
    """Validate a plain table; a `RecipeError` names each wrong key and the nearest valid one."""
    try:
        return section.model_validate(plain)
    except ValidationError as error:
        lines = [_explain(section, dict(problem)) for problem in error.errors()]
        raise RecipeError(f"{where}: " + "; ".join(lines)) from error


def _explain(section: type[BaseModel], problem: dict[str, Any]) -> str:
    path = [str(part) for part in problem["loc"]]
    if problem["type"] != "extra_forbidden":
        return f"{'.'.join(path)}: {problem['msg']} (given: {problem['input']!r})"
    fields: Any = section
    for part in problem["loc"][:-1]:
        if isinstance(part, str):  # and not the place in a list
            fields = _section_in(fields.model_fields[part].annotation)
    near = difflib.get_close_matches(path[-1], list(fields.model_fields), n=1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(fields.model_fields)}"
    return f"unknown key '{'.'.join(path)}'; {hint}"


def _section_in(annotation: Any) -> Any:
    """The section that a field holds: alone, in a list, or where there need not be one."""
    inner = get_args(annotation)
    return _section_in(inner[0]) if inner else annotation


def parse_override(text: str) -> tuple[list[str], Any]:
    """`optimizer.lr=0.01` to (["optimizer", "lr"], 0.01); the value is TOML, else a string."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise RecipeError(f"--set {text}: expected key=value, e.g. optimizer.lr=0.01")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return key.strip().split("."), parsed


def find_recipe(spec: str) -> Path:
    """A recipe file: a path, or the name of one that comes with litescene."""
    path = Path(spec)
    if path.suffix == ".toml" and path.exists():
        return path
    shipped = {
        Path(str(entry)).stem: Path(str(entry))
        for entry in resources.files("litescene").joinpath("recipes").iterdir()
        if entry.name.endswith(".toml")
    }
    if spec in shipped:
        return shipped[spec]
    near = difflib.get_close_matches(spec, shipped, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"recipes: {', '.join(sorted(shipped))}"
    raise RecipeError(f"there is no recipe '{spec}' (neither a file nor a shipped one); {hint}")


def load_recipe(spec: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by path or name and apply `key=value` overrides.

    Raises `RecipeError` for an unknown recipe or key, a wrong value, and a `model.init` that is
    not there.
    """
    path = find_recipe(spec)
    try:
        plain = tomllib.loads(path.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not a TOML file: {error}") from error
    return _with_absolute_checkpoints(recipe_from_dict(plain, str(path), overrides))


def _with_absolute_checkpoints(recipe: Recipe) -> Recipe:
    """The run folder keeps the recipe, and a run is resumed from any folder."""
    changed: dict[str, Any] = {}
    if recipe.model.init is not None:
        init = _absolute("model.init", recipe.model.init)
        changed["model"] = recipe.model.model_copy(update={"init": init})
    teacher = recipe.settings.get("teacher")
    if isinstance(teacher, dict) and "checkpoint" in teacher:
        key = f"{recipe.task}.teacher.checkpoint"
        found = {**teacher, "checkpoint": _absolute(key, teacher["checkpoint"])}
        changed["settings"] = {**recipe.settings, "teacher": found}
    return recipe.model_copy(update=changed)


def _absolute(key: str, given: Any) -> str:
    path = Path(str(given)).expanduser().resolve()
    if not path.is_file():
        raise RecipeError(
            f"{key} = '{given}': there is no checkpoint {path}; give the .safetensors file of a "
            "run, absolute or from the current folder"
        )
    return str(path)


def recipe_from_dict(plain: dict[str, Any], where: str, overrides: Sequence[str] = ()) -> Recipe:
    """Validate a plain recipe; the table named like the task becomes `settings`."""
    for text in overrides:
        keys, value = parse_override(text)
        table = plain
        for key in keys[:-1]:
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise RecipeError(f"--set {text}: '{key}' is not a table")
        table[keys[-1]] = value
    if "settings" in plain:
        raise RecipeError(f"{where}: unknown key 'settings'; use [{plain.get('task', 'task')}]")
    plain = dict(plain)
    plain["settings"] = plain.pop(str(plain.get("task")), {})
    return validated(Recipe, plain, where)
