"""The verbs of the command line, in the order in which `litescene --help` shows them."""

from __future__ import annotations

from keyword import iskeyword

VERBS = {
    "run": "a video in: classes, objects, trajectory and a labelled 3D map out",
    "segment": "the class of every pixel of a picture, folder, video or camera",
    "detect": "the objects in a picture, folder, video or camera",
    "classify": "what is in pictures, as the likeliest classes of a trained network",
    "upscale": "a larger picture or video, by a bundle of super-resolution",
    "interpolate": "a video with a frame made between every two",
    "models": "list the models that ship and, with PyTorch, those that can be trained",
    "train": "train a network by a recipe, or go on with a run",
    "evaluate": "measure a bundle or checkpoint on a labelled data set",
    "import": "turn a checkpoint that a network's authors published into one of ours",
    "export": "turn a checkpoint into a bundle and prove that it computes the same",
    "quantize": "turn a float32 bundle into an int8 one and say what that changes",
    "bench": "measure speed, size and memory of every network on this machine",
    "pick": "name the most accurate network that keeps up with a frame rate here",
    "bundle": "write litescene's metadata onto somebody else's ONNX model",
    "trajectory": "measure a trajectory against the true one",
    "synth": "render the built-in street with its exact truth",
    "doctor": "check this machine and, on request, a data set",
}
"""What each verb does, in one line."""


def module_of(verb: str) -> str:
    """The module of a verb: `run` is in `cli/run.py`, `import` in `cli/import_.py`."""
    return f"litescene.cli.{verb}{'_' if iskeyword(verb) else ''}"


EPILOG = """\
examples:
  litescene run drive.mp4 --camera fov=60 --out drive/
  litescene segment picture.jpg
  litescene synth street -o street/ --seconds 20

`litescene VERB --help` explains a verb. Add --debug to see where an error comes from.
"""


def overview() -> str:
    """The text of `litescene --help`."""
    width = max(map(len, VERBS))
    lines = [f"  {name:<{width}}  {text}" for name, text in VERBS.items()]
    return (
        "usage: litescene [--version] [--help] VERB ...\n\n"
        "Real-time scene understanding for a moving camera, on small computers.\n\n"
        "verbs:\n" + "\n".join(lines) + "\n\n" + EPILOG
    )
