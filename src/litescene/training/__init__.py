"""Training: recipes, tasks, losses, the one loop, checkpoints."""

from litescene.training.checkpoint import Checkpoint, load_checkpoint, load_model, save_checkpoint
from litescene.training.loop import Progress, Trainer
from litescene.training.recipe import Recipe, load_recipe
from litescene.training.run_folder import RunFolder

__all__ = [
    "Checkpoint",
    "Progress",
    "Recipe",
    "RunFolder",
    "Trainer",
    "load_checkpoint",
    "load_model",
    "load_recipe",
    "save_checkpoint",
]
