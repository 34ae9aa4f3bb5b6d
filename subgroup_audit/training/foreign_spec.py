"""How a model from outside is to be used: plain values and words, no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from subgroup_audit.errors import ModelError, nearest
from subgroup_audit.training.spec import FloatArray

if TYPE_CHECKING:
    from subgroup_audit.training.fitted import Fitted

OUTPUTS = ("auto", "logits", "softmax", "probabilities")
CHANNELS = (1, 3)
DEFAULT_SIZE = 224
TIMM = "timm:"

ARCHIVES = (".pt", ".pth", ".pt2", ".ts", ".jit", ".torchscript", ".ckpt", ".bin")
WEIGHTS = ".safetensors"
ONNX = ".onnx"
REFUSED = (".pkl", ".pickle", ".joblib", ".h5", ".hdf5", ".keras", ".pb", ".tflite", ".mlmodel", ".engine")
ENTRY_POINT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")

FORMS = (
    "a fit's checkpoint (checkpoint.safetensors in its folder of a run), timm:NAME with --weights, TorchScript "
    "(.pt, .ts), torch.export (.pt2), ONNX (.onnx), or package.module:function with --entry-point"
)
WAY_OUT = """\
  model = torch.load("model.pt", weights_only=False).eval()  # this runs what is in the file: where you trust it
  images = torch.zeros(2, 3, 224, 224)
  torch.onnx.export(model, (images,), "model.onnx", dynamic_shapes=({0: torch.export.Dim.AUTO},), dynamo=True)"""

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_PLAIN_LEVELS = {"unit": (0.0, 1.0), "signed": (0.5, 0.5), "none": (0.0, 1.0 / 255.0), "xrv": (0.5, 1.0 / 2048.0)}
_RANGES = {"unit": "0 to 1", "signed": "-1 to 1", "none": "0 to 255", "xrv": "-1024 to 1024"}
NORMALISATIONS = ("auto", "imagenet", *_PLAIN_LEVELS)


@dataclass(frozen=True)
class ModelUse:
    """What a user says of a model that the model's file does not.

    Attributes
    ----------
    weights : local safetensors or weights-only checkpoint, for `timm:NAME`
    entry_point : whether the model is `package.module:function`, which runs the user's own code
    outputs : auto, logits (a sigmoid each), softmax (logits of classes that exclude each other), probabilities
    normalise : auto, imagenet, unit (0 to 1), signed (-1 to 1), xrv (-1024 to 1024), none (0 to 255), or
        'MEAN,STD' of grey levels in 0 to 1
    image_size : side of the input, px; None: as the model says, else 224
    channels : 1 (grey) or 3 (grey three times); None: as the model says, else 3
    findings : finding -> index of its output, from 0
    labels : finding -> source labels that make an image positive, where no study says it
    device : cpu, cuda, cuda:N, mps or auto
    batch_size : images scored at once; None: 64 on a CPU, else 256
    """

    weights: Path | None = None
    entry_point: bool = False
    outputs: str = "auto"
    normalise: str = "auto"
    image_size: int | None = None
    channels: int | None = None
    findings: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    device: str = "cpu"
    batch_size: int | None = None

    def __post_init__(self) -> None:
        """Check every value; raises `ModelError` listing all that are wrong."""
        problems = [
            _unknown("--outputs", self.outputs, OUTPUTS) if self.outputs not in OUTPUTS else "",
            _bad_normalise(self.normalise),
            f"--channels must be 1 or 3; it is {self.channels}" if self.channels not in (None, *CHANNELS) else "",
            _out_of("--image-size", self.image_size, 16, 2048),
            _out_of("--batch-size", self.batch_size, 1, 65536),
        ]
        problems += [f"--finding {name}={i}: the index is 0 or more" for name, i in self.findings.items() if i < 0]
        if any(problems):
            raise ModelError("\n".join(filter(None, problems)))


def _out_of(option: str, value: int | None, low: int, high: int) -> str:
    return "" if value is None or low <= value <= high else f"{option} must be {low} to {high}; it is {value}"


def _unknown(option: str, word: str, known: tuple[str, ...]) -> str:
    near = nearest(word, known)
    hint = f"; nearest: {', '.join(near)}" if near else ""
    return f"{option} must be one of {', '.join(known)}; it is '{word}'{hint}"


def _bad_normalise(word: str) -> str:
    if word in NORMALISATIONS or _mean_and_std(word) is not None:
        return ""
    return (
        _unknown("--normalise", word, NORMALISATIONS) + ", or MEAN,STD of grey levels in 0 to 1, such as 0.5,0.25"
    )


def _mean_and_std(word: str) -> tuple[float, float] | None:
    mean, comma, std = word.partition(",")
    try:
        numbers = float(mean), float(std)
    except ValueError:
        return None
    return numbers if comma and np.isfinite(numbers).all() and numbers[1] > 0 else None


@dataclass(frozen=True)
class Levels:
    """Grey levels in [0, 1] become (level - mean) / std, channel by channel; `words` says which rule that is."""

    words: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, grey: FloatArray) -> FloatArray:
        """The network's input float32 [n, channels, side, side] of grey levels [n, 1, side, side] in [0, 1]."""
        mean, std = (np.asarray(v, dtype=np.float32).reshape(1, -1, 1, 1) for v in (self.mean, self.std))
        return np.ascontiguousarray((grey - mean) / std, dtype=np.float32)


def make_levels(normalise: str, channels: int) -> Levels:
    """The rule of this name for as many channels."""
    if normalise == "imagenet":
        return spread_levels("the mean and spread of ImageNet", *_IMAGENET, channels)
    given = _PLAIN_LEVELS.get(normalise) or _mean_and_std(normalise) or (0.0, 1.0)
    words = _RANGES.get(normalise)
    said = f"grey levels from {words}" if words else f"(level - {given[0]:g}) / {given[1]:g} of levels from 0 to 1"
    return Levels(said, (given[0],) * channels, (given[1],) * channels)


def spread_levels(words: str, mean: Sequence[float], std: Sequence[float], channels: int) -> Levels:
    """A rule for three colours; for one channel their average, as for grey in three equal channels."""
    if channels == 1:
        mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
    return Levels(words, tuple(mean), tuple(std))


@dataclass(frozen=True)
class Opened:
    """A model that was opened, and what it says of itself; None where it says nothing.

    Attributes
    ----------
    run : float32 [n, channels, side, side] to whatever the model gives
    form : what kind of model it is, in words
    batch : the one number of images that it takes at once
    levels : normalisation that belongs to the weights
    """

    run: Callable[[FloatArray], Any]
    form: str
    channels: int | None = None
    size: int | None = None
    batch: int | None = None
    levels: Levels | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoringModel:
    """A model that gives scores: tried once, and told which of its outputs is which finding.

    Attributes
    ----------
    name : short, for tables
    findings : what it is asked for
    columns : index of each finding's output
    n_outputs : how many outputs it has
    is_multiclass : whether the findings are classes that exclude each other
    outputs : auto, logits, softmax or probabilities
    size, channels : of its input
    batch : images given at once
    is_batch_fixed : whether it takes no other number
    run : input float32 [n, channels, size, size] to whatever it gives
    fitted : the fit, where it is one of our own
    notes : sentences that a reader of its scores should know
    """

    name: str
    findings: tuple[str, ...]
    columns: tuple[int, ...]
    n_outputs: int
    is_multiclass: bool
    outputs: str
    size: int
    channels: int
    batch: int
    is_batch_fixed: bool
    levels: Levels
    run: Callable[[FloatArray], Any]
    fitted: Fitted | None = None
    notes: tuple[str, ...] = ()


def is_entry_point(source: str) -> bool:
    """Whether the words name a Python function, `package.module:function`."""
    return ENTRY_POINT.fullmatch(source) is not None and not source.startswith(TIMM)


def looks_like_model(source: str | Path) -> bool:
    """Whether the words name a model, not a table of predictions; judged by the name, nothing is opened.

    >>> looks_like_model("net.onnx"), looks_like_model("timm:resnet50"), looks_like_model("scores.csv")
    (True, True, False)
    """
    text = str(source)
    endings = (*ARCHIVES, WEIGHTS, ONNX, *REFUSED)
    is_fit = Path(text).is_dir() and (Path(text) / "model.json").is_file()
    is_function = is_entry_point(text) and not Path(text).exists()
    return text.startswith(TIMM) or is_function or is_fit or Path(text).suffix.lower() in endings


def find_model_file(source: str) -> Path:
    """The file or folder of a model; raises `ModelError` where there is none."""
    path = Path(source)
    if path.exists():
        return path
    siblings = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
    near = nearest(path.name, siblings)
    hint = f"; there lie {', '.join(near)}" if near else ""
    raise ModelError(f"model '{source}': no such file{hint}")


def refuse_form(source: str) -> ModelError:
    """What to say of a file of another kind."""
    ending = Path(source).suffix.lower()
    if ending in (".pkl", ".pickle", ".joblib"):
        return refuse_pickle(source)
    what = f"a '{ending}' file" if ending else "this"
    return ModelError(f"model '{source}': {what} is not read. A model is {FORMS}. Convert it to ONNX")


def refuse_pickle(source: str) -> ModelError:
    """What to say of a file that would run code when opened."""
    return ModelError(
        f"model '{source}' is refused: it is a pickle that holds more than weights, and to open it would run its "
        f"code. Where you trust it, make an ONNX file of it yourself and check that:\n{WAY_OUT}"
    )


def last_line(error: BaseException) -> str:
    """What an error says, cut to its one line that says most: long traces end with it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "Error" in line]
    return (telling[-1] if telling else lines[0] if lines else type(error).__name__)[:300]
