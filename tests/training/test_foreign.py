"""Models of other people: every form of a network scores alike, and what cannot be used says so in one message."""

from __future__ import annotations

import io
import json
import pickle
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from subgroup_audit.errors import ModelError
from subgroup_audit.images.store import PixelStore, build_pixel_store
from subgroup_audit.study import Data
from subgroup_audit.training.foreign import load_model, score_images
from subgroup_audit.training.foreign_outputs import read_outputs
from subgroup_audit.training.foreign_spec import WAY_OUT, ModelUse, ScoringModel, looks_like_model, make_levels

SIDE = 32
PLAIN = ModelUse(normalise="unit", image_size=SIDE)


def small_network(n_outputs: int = 1, channels: int = 1, seed: int = 0) -> nn.Module:
    """Convolution, batch norm, pooling and a dense layer, with weights of their own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv2d(channels, 4, 3, stride=2),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(16, n_outputs),
        )
        nn.init.normal_(network[6].weight, std=2.0)
    return network.eval()


def batch(n: int = 2, channels: int = 1) -> torch.Tensor:
    return torch.zeros(n, channels, SIDE, SIDE)


def save_torchscript(network: nn.Module, path: Path, channels: int = 1) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that TorchScript is old; files of it are what is tested
        torch.jit.save(torch.jit.trace(network, batch(channels=channels)), str(path))
    return path


def save_export(network: nn.Module, path: Path, *, is_dynamic: bool = True) -> Path:
    shapes = ({0: torch.export.Dim("n", min=1, max=4096)},) if is_dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(network, (batch(),), dynamic_shapes=shapes), path)
    return path


def save_onnx(network: nn.Module, path: Path, *, is_dynamic: bool = True) -> Path:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'subgroup-audit[onnx]'")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed, so that torch cannot write ONNX files")
    shapes = ({0: torch.export.Dim.DYNAMIC},) if is_dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (batch(),), str(path), dynamic_shapes=shapes, dynamo=True, verbose=False)
    return path


@pytest.fixture(scope="module")
def phantom_pixels(small_phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> PixelStore:
    from subgroup_audit.datasets import load_source

    cache = tmp_path_factory.mktemp("cache")
    tables = load_source(Data(source="phantom"), small_phantom, cache=cache)
    return build_pixel_store(tables.images, small_phantom, size=64, cache=cache, workers=1)[0]


def scores_of(source: str | Path, pixels: PixelStore, use: ModelUse = PLAIN, n: int = 70) -> np.ndarray:
    model = load_model(str(source), use, ["opacity"])
    return score_images(model, pixels, pixels.image_ids[:n]).frame["y_score"].to_numpy()


def refusal(source: str | Path, use: ModelUse = PLAIN, findings: tuple[str, ...] = ("opacity",)) -> str:
    with pytest.raises(ModelError) as caught:
        load_model(str(source), use, findings)
    return str(caught.value)


class TestForms:
    @pytest.mark.filterwarnings("ignore:.*torch.jit.load.*")  # by the user's own code, as written here
    def test_one_network_scores_alike_in_every_form(
        self, phantom_pixels: PixelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        network = small_network()
        ids = phantom_pixels.image_ids[:70]
        images = phantom_pixels.gather(phantom_pixels.rows(ids)).astype(np.float32) / 255
        halves = images.reshape(70, 32, 2, 32, 2).mean(axis=(2, 4))[:, None]  # what shrinking 64 to 32 px is
        with torch.no_grad():
            expected = torch.sigmoid(network(torch.from_numpy(halves)))[:, 0].numpy()
        assert expected.std() > 0.01
        (tmp_path / "own_code.py").write_text(
            "import torch\n"
            f"network = torch.jit.load({str(tmp_path / 'net.ts')!r}).eval()\n"
            "@torch.no_grad()\n"
            "def score(batch):\n    return network(torch.from_numpy(batch)).numpy()\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        found = {
            "torchscript": scores_of(save_torchscript(network, tmp_path / "net.ts"), phantom_pixels),
            "export": scores_of(save_export(network, tmp_path / "net.pt2"), phantom_pixels),
            "onnx": scores_of(save_onnx(network, tmp_path / "net.onnx"), phantom_pixels),
            "entry point": scores_of(
                "own_code:score",
                phantom_pixels,
                ModelUse(entry_point=True, normalise="unit", image_size=SIDE, channels=1),
            ),
        }
        for form, scores in found.items():
            np.testing.assert_allclose(scores, found["torchscript"], atol=1e-5, err_msg=form)
        # the pixels are whole grey levels after shrinking
        np.testing.assert_allclose(found["onnx"], expected, atol=0.02)

    def test_timm_network_with_local_weights_is_what_timm_builds(
        self, phantom_pixels: PixelStore, tmp_path: Path
    ) -> None:
        import timm
        from safetensors.torch import save_file

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = timm.create_model("resnet10t", pretrained=False, num_classes=2, in_chans=3).eval()
        save_file(network.state_dict(), tmp_path / "weights.safetensors")
        torch.save({"state_dict": network.state_dict()}, tmp_path / "weights.pth")
        ids = phantom_pixels.image_ids[:8]
        grey = phantom_pixels.gather(phantom_pixels.rows(ids)).astype(np.float32)[:, None] / 255
        mean, std = (
            np.array(network.pretrained_cfg[key], dtype=np.float32)[:, None, None] for key in ("mean", "std")
        )
        with torch.no_grad():
            expected = torch.softmax(network(torch.from_numpy((grey - mean) / std)), dim=1)[:, 1].numpy()
        for name in ("weights.safetensors", "weights.pth"):
            use = ModelUse(weights=tmp_path / name, image_size=64, findings={"opacity": 1}, outputs="softmax")
            np.testing.assert_allclose(scores_of("timm:resnet10t", phantom_pixels, use, n=8), expected, atol=1e-5)

    @pytest.mark.parametrize("save", [save_export, save_onnx])
    def test_a_fixed_batch_is_filled_up(
        self, phantom_pixels: PixelStore, tmp_path: Path, save: Callable[..., Path]
    ) -> None:
        network = small_network()
        ending = {"save_export": "pt2", "save_onnx": "onnx"}[save.__name__]
        fixed = scores_of(save(network, tmp_path / f"fixed.{ending}", is_dynamic=False), phantom_pixels, n=7)
        free = scores_of(save_torchscript(network, tmp_path / "free.ts"), phantom_pixels, n=7)
        np.testing.assert_allclose(fixed, free, atol=1e-5)

    def test_torchscript_is_known_by_content_under_any_ending(self, tmp_path: Path) -> None:
        model = load_model(str(save_torchscript(small_network(3), tmp_path / "net.pth")), PLAIN, ["a", "b", "c"])
        assert (model.n_outputs, model.channels, model.columns) == (3, 1, (0, 1, 2))
        assert (
            model.notes[0] == "Model net.pth (TorchScript file): images of 32 px, grey, grey levels from 0 to 1."
        )

    def test_size_and_channels_are_read_from_the_model(self, tmp_path: Path) -> None:
        model = load_model(str(save_export(small_network(), tmp_path / "net.pt2")), ModelUse(), ["opacity"])
        assert (model.size, model.channels) == (SIDE, 1)
        assert model.notes[1] == (
            "The model does not say its input, so --normalise is a guess: a wrong one makes every score worse "
            "without a sign."
        )
        save_torchscript(small_network(channels=3), tmp_path / "rgb.ts", channels=3)
        assert load_model(str(tmp_path / "rgb.ts"), PLAIN, ["opacity"]).channels == 3

    def test_names_tell_models_from_tables(self) -> None:
        models = ["a.onnx", "a.pt2", "A.PT", "timm:resnet50", "package.module:function", "a.pkl", "a.safetensors"]
        assert [looks_like_model(name) for name in models] == [True] * len(models)
        assert not any(map(looks_like_model, ["a.csv", "a.parquet", "C:/a.csv", "a.csv.gz", "folder"]))


class Trap:
    """An object whose unpickling writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "executed")


class TestCodeIsNotRun:
    @pytest.mark.parametrize("is_legacy", [False, True])
    def test_a_pickle_is_refused_and_not_run(self, tmp_path: Path, is_legacy: bool) -> None:
        mark, path = tmp_path / "mark", tmp_path / "model.pt"
        if is_legacy:
            path.write_bytes(pickle.dumps(Trap(mark)))
        else:
            torch.save({"model": Trap(mark)}, path)
        assert refusal(path) == (
            f"model '{path}' is refused: it is a pickle that holds more than weights, and to open it would run "
            f"its code. Where you trust it, make an ONNX file of it yourself and check that:\n{WAY_OUT}"
        )
        assert not mark.exists()
        torch.load(path, weights_only=False) if not is_legacy else pickle.loads(path.read_bytes())
        assert mark.exists()  # the trap works: what kept it shut was ours

    def test_the_way_out_works(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
        monkeypatch.chdir(tmp_path)
        torch.save(nn.Sequential(nn.Conv2d(3, 2, 9, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten()), "model.pt")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec("\n".join(line.strip() for line in WAY_OUT.splitlines()), {"torch": torch})
        model = load_model("model.onnx", ModelUse(), ["a", "b"])
        assert (model.size, model.channels, model.is_batch_fixed) == (224, 3, False)

    def test_a_pickle_by_its_name_is_refused_unopened(self, tmp_path: Path) -> None:
        path = tmp_path / "model.pkl"
        path.write_bytes(pickle.dumps(Trap(tmp_path / "mark")))
        assert refusal(path).startswith(f"model '{path}' is refused: it is a pickle that holds more than weights")
        assert not (tmp_path / "mark").exists()

    def test_weights_alone_name_no_network(self, tmp_path: Path) -> None:
        torch.save(small_network().state_dict(), tmp_path / "net.pth")
        assert refusal(tmp_path / "net.pth") == (
            f"model '{tmp_path / 'net.pth'}' holds weights alone, not the network they belong to: say timm:NAME "
            f"--weights {tmp_path / 'net.pth'} for a network of timm, or export the whole network as ONNX"
        )

    def changed(self, tmp_path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
        """A torch.export file with some of its parts changed."""
        origin = save_export(small_network(), tmp_path / "good.pt2")
        with zipfile.ZipFile(origin) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        change(parts)
        with zipfile.ZipFile(tmp_path / "bad.pt2", "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        return tmp_path / "bad.pt2"

    def test_samples_of_an_export_are_never_unpickled(self, tmp_path: Path, phantom_pixels: PixelStore) -> None:
        mark, trap = tmp_path / "mark", io.BytesIO()
        torch.save((Trap(mark),), trap)
        path = self.changed(tmp_path, lambda p: p.update({"good/data/sample_inputs/model.pt": trap.getvalue()}))
        good = scores_of(tmp_path / "good.pt2", phantom_pixels)
        np.testing.assert_array_equal(scores_of(path, phantom_pixels), good)
        assert not mark.exists()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.load(path)
        assert mark.exists()  # PyTorch itself opens the trap

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ('"torch.ops.aten.relu.default"', '"torch.os.system"', "target 'torch.os.system'"),
            ("Symbol('s", "print(1) + Symbol('s", "expr_str 'print(1) + Symbol('s"),
            ("builtins.tuple", "collections.defaultdict", 'in_spec \'[1, {"type": "collections.defaultdict"'),
            ('"name": "conv2d"', '"name": "conv2d = 1; import os"', "name 'conv2d = 1; import os'"),
        ],
    )
    def test_a_graph_that_could_run_code_is_refused(self, tmp_path: Path, old: str, new: str, said: str) -> None:
        def poison(parts: dict[str, bytes]) -> None:
            graph = parts["good/models/model.json"].decode()
            assert old in graph
            parts["good/models/model.json"] = graph.replace(old, new).encode()

        path = self.changed(tmp_path, poison)
        message = refusal(path)
        assert message.startswith(f"model '{path}' is refused: its graph holds {said}"), message
        assert message.endswith("may run code when opened. An ONNX export of the same network is read as data")

    def test_guards_of_an_export_are_left_out(self, tmp_path: Path, phantom_pixels: PixelStore) -> None:
        def poison(parts: dict[str, bytes]) -> None:
            graph = json.loads(parts["good/models/model.json"])
            graph["guards_code"] = ["__import__('os').abort()"]
            parts["good/models/model.json"] = json.dumps(graph).encode()

        path = self.changed(tmp_path, poison)
        assert len(scores_of(path, phantom_pixels)) == 70

    def test_pickled_weights_of_an_export_are_refused(self, tmp_path: Path) -> None:
        name = "good/data/weights/model_weights_config.json"
        path = self.changed(
            tmp_path, lambda p: p.update({name: p[name].replace(b'"use_pickle": false', b'"use_pickle": true', 1)})
        )
        assert refusal(path).startswith(f"model '{path}' is refused: '0.weight' is stored as a pickle")

    def test_compiled_code_in_an_export_is_refused(self, tmp_path: Path) -> None:
        path = self.changed(tmp_path, lambda p: p.update({"good/data/aotinductor/model/a.so": b"\x7fELF"}))
        assert refusal(path).startswith(f"model '{path}' is refused: it holds 'data/aotinductor/model/a.so'")

    def test_a_function_is_called_only_when_asked_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "unasked.py").write_text("raise SystemExit('ran')\n")
        monkeypatch.syspath_prepend(tmp_path)
        assert refusal("unasked:score") == (
            "model 'unasked:score' names a Python function, and to score images would run its code; where you "
            "trust it, say so: --entry-point"
        )
        assert "unasked" not in sys.modules


class TestEntryPoints:
    USE = ModelUse(entry_point=True, normalise="unit", image_size=SIDE, channels=1)

    @pytest.fixture
    def write(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
        name = f"entry_{abs(hash(request.node.name))}"
        monkeypatch.syspath_prepend(tmp_path)

        def write(text: str) -> str:
            (tmp_path / f"{name}.py").write_text(text)
            return f"{name}:score"

        return write

    def test_no_module(self) -> None:
        assert refusal("not_there.at_all:score", self.USE) == (
            "model 'not_there.at_all:score': no module 'not_there' can be imported; install it or put its folder "
            "on PYTHONPATH"
        )

    def test_not_a_name(self) -> None:
        assert refusal("model.onnx", self.USE) == (
            "model 'model.onnx': an entry point is written package.module:function"
        )

    def test_no_function(self, write: Any) -> None:
        source = write("x = 1\n")
        module = source.partition(":")[0]
        assert refusal(source, self.USE) == f"model '{source}': module '{module}' has no function 'score'"

    def test_module_that_fails(self, write: Any) -> None:
        source = write("1 / 0\n")
        assert refusal(source, self.USE) == (
            f"model '{source}': its module failed while being imported: ZeroDivisionError: division by zero"
        )

    def test_function_that_fails(self, write: Any) -> None:
        source = write("def score(batch):\n    raise KeyError('weights')\n")
        assert refusal(source, self.USE) == (
            f"model '{source}' cannot score images of 32 x 32 px with 1 channel; --image-size and --channels say "
            "other ones. It says: KeyError: 'weights'"
        )

    @pytest.mark.parametrize(
        ("returned", "said"),
        [
            (
                "batch.mean(axis=(1, 2))",
                "has 32 outputs for 1 finding (opacity); say which is which: --finding 'opacity=INDEX', INDEX "
                "from 0 to 31",
            ),
            ("batch", "must give [n, findings]; for 2 images it gives the shape [2, 1, 32, 32]"),
            ("batch[:1, 0, 0, 0]", "must give [n, findings]; for 2 images it gives the shape [1]"),
            ("'high'", "gives str, not numbers [n, findings]"),
            (
                "(batch[:, 0, 0], batch[:, 0, 0])",
                "gives 2 outputs at once (tuple); it must give one, the scores [n, findings]",
            ),
        ],
    )
    def test_outputs_of_a_wrong_shape(self, write: Any, returned: str, said: str) -> None:
        source = write(f"def score(batch):\n    return {returned}\n")
        assert refusal(source, self.USE) == f"model '{source}' {said}"

    def test_dropout_is_noticed(self, write: Any) -> None:
        source = write(
            "import numpy\nrng = numpy.random.default_rng()\n"
            "def score(batch):\n    return rng.random(len(batch)) + batch.mean(axis=(1, 2, 3))\n"
        )
        assert refusal(source, self.USE) == (
            f"model '{source}' gives the same images other scores when asked again: dropout is on; export it "
            "after model.eval()"
        )

    def test_training_mode_is_noticed(self, write: Any) -> None:
        source = write(
            "def score(batch):\n    m = batch.mean(axis=(1, 2, 3))\n    return (m - m.mean()) / (m.std() + 1e-5)\n"
        )
        assert refusal(source, self.USE) == (
            f"model '{source}' gives an image other scores when the other images of its batch change: it is in "
            "training mode; export it after model.eval()"
        )

    def test_numbers_that_are_not_finite(self, write: Any, phantom_pixels: PixelStore) -> None:
        source = write("def score(batch):\n    return batch.mean(axis=(1, 2, 3)) * float('nan')\n")
        with pytest.raises(ModelError) as caught:
            scores_of(source, phantom_pixels, self.USE)
        first = phantom_pixels.image_ids[0]
        assert str(caught.value) == (
            f"model '{source}' gives numbers that are not finite for 70 of 70 images, the first '{first}'"
        )

    def test_one_score_for_everybody_is_said(self, write: Any, phantom_pixels: PixelStore) -> None:
        source = write("def score(batch):\n    return [0.5] * len(batch)\n")
        model = load_model(source, self.USE, ["opacity"])
        notes = score_images(model, phantom_pixels, phantom_pixels.image_ids).notes
        assert notes[-1] == "The model gives every image the same score for opacity: it tells nobody apart."


class TestMessages:
    def test_no_such_file(self, tmp_path: Path) -> None:
        (tmp_path / "model.onnx").touch()
        assert refusal(tmp_path / "modle.onnx") == (
            f"model '{tmp_path / 'modle.onnx'}': no such file; there lie model.onnx"
        )

    def test_wrong_kind(self, tmp_path: Path) -> None:
        (tmp_path / "net.h5").write_bytes(b"\x89HDF")
        assert refusal(tmp_path / "net.h5") == (
            f"model '{tmp_path / 'net.h5'}': a '.h5' file is not read. A model is a fit's checkpoint "
            "(checkpoint.safetensors in its folder of a run), timm:NAME with --weights, TorchScript (.pt, .ts), "
            "torch.export (.pt2), ONNX (.onnx), or package.module:function with --entry-point. Convert it to ONNX"
        )

    def test_not_a_pytorch_file(self, tmp_path: Path) -> None:
        (tmp_path / "net.pt").write_text("hello")
        assert refusal(tmp_path / "net.pt").startswith(
            f"model '{tmp_path / 'net.pt'}' is no file of PyTorch. A model is"
        )

    def test_not_an_onnx_file(self, tmp_path: Path) -> None:
        pytest.importorskip("onnxruntime")
        (tmp_path / "net.onnx").write_text("hello")
        assert refusal(tmp_path / "net.onnx").startswith(
            f"model '{tmp_path / 'net.onnx'}' is not an ONNX file that onnxruntime can run: "
        )

    def test_without_onnxruntime(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "net.onnx").touch()
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        assert refusal(tmp_path / "net.onnx") == (
            f"model '{tmp_path / 'net.onnx'}': ONNX files need onnxruntime: pip install 'subgroup-audit[onnx]'"
        )

    def test_outputs_and_findings_in_unequal_number(self, tmp_path: Path) -> None:
        path = save_torchscript(small_network(2), tmp_path / "net.ts")
        assert refusal(path) == (
            f"model '{path}' has 2 outputs for 1 finding (opacity); say which is which: "
            "--finding 'opacity=INDEX', INDEX from 0 to 1"
        )
        assert refusal(path, findings=()) == (
            f"model '{path}' has 2 outputs without names; say which is which: --finding NAME=INDEX"
        )
        beyond = ModelUse(normalise="unit", image_size=SIDE, findings={"opacity": 2})
        assert refusal(path, beyond) == (
            f"--finding opacity=2: model '{path}' has 2 outputs, with indices from 0 to 1"
        )
        strange = ModelUse(normalise="unit", image_size=SIDE, findings={"opacitiy": 1})
        assert refusal(path, strange) == "--finding opacitiy: no such finding; nearest: opacity"
        same = ModelUse(normalise="unit", image_size=SIDE, findings={"a": 1, "b": 1})
        assert (
            refusal(path, same, ("a", "b"))
            == "--finding: two findings name the same output; they are {'a': 1, 'b': 1}"
        )

    def test_size_that_the_model_does_not_take(self, tmp_path: Path) -> None:
        path = save_export(small_network(), tmp_path / "net.pt2")
        assert (
            refusal(path, ModelUse(image_size=64)) == f"model '{path}' takes --image-size 32 alone; 64 was given"
        )
        flat = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 30 * 30, 1)).eval()
        path = save_torchscript(flat, tmp_path / "flat.ts")
        assert refusal(path, ModelUse(image_size=48)).startswith(
            f"model '{path}' cannot score images of 48 x 48 px with 1 channel; --image-size and --channels say "
            "other ones. It says: RuntimeError: "
        )

    def test_timm(self, tmp_path: Path) -> None:
        assert refusal("timm:resnet10t") == (
            "model 'timm:resnet10t' needs its trained weights: --weights FILE (safetensors, or .pth)"
        )
        assert refusal("timm:resnet10x").startswith(
            "no architecture of timm, torchvision or this package is named"
        )
        torch.save(small_network().state_dict(), tmp_path / "net.pth")
        assert refusal("timm:resnet10t", ModelUse(weights=tmp_path / "net.pth")) == (
            f"model 'timm:resnet10t': weights file '{tmp_path / 'net.pth'}' does not fit it: it has no 'fc.weight'"
        )

    def test_words_of_options_are_checked_together(self) -> None:
        with pytest.raises(ModelError) as caught:
            ModelUse(outputs="logit", normalise="imagnet", channels=2, image_size=8, findings={"a": -1})
        assert str(caught.value).splitlines() == [
            "--outputs must be one of auto, logits, softmax, probabilities; it is 'logit'; nearest: logits",
            "--normalise must be one of auto, imagenet, unit, signed, none, xrv; it is 'imagnet'; nearest: "
            "imagenet, signed, or MEAN,STD of grey levels in 0 to 1, such as 0.5,0.25",
            "--channels must be 1 or 3; it is 2",
            "--image-size must be 16 to 2048; it is 8",
            "--finding a=-1: the index is 0 or more",
        ]


class TestLevelsAndOutputs:
    @pytest.mark.parametrize(
        ("rule", "low", "high"),
        [("unit", 0, 1), ("signed", -1, 1), ("none", 0, 255), ("xrv", -1024, 1024), ("0.5,0.25", -2, 2)],
    )
    def test_black_and_white(self, rule: str, low: float, high: float) -> None:
        grey = np.array([0.0, 1.0], dtype=np.float32).reshape(2, 1, 1, 1)
        found = make_levels(rule, 3).apply(grey)
        assert found.shape == (2, 3, 1, 1)
        np.testing.assert_allclose(found[:, 0, 0, 0], [low, high], rtol=1e-6)

    def test_imagenet(self) -> None:
        white = make_levels("imagenet", 3).apply(np.ones((1, 1, 1, 1), dtype=np.float32)).ravel()
        np.testing.assert_allclose(
            white, [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225], rtol=1e-6
        )
        assert make_levels("imagenet", 1).mean == (pytest.approx(0.449),)

    def model(self, outputs: str, n_outputs: int, findings: tuple[str, ...], is_multiclass: bool = False) -> Any:
        return ScoringModel(
            name="net",
            findings=findings,
            columns=tuple(range(len(findings))),
            n_outputs=n_outputs,
            is_multiclass=is_multiclass,
            outputs=outputs,
            size=8,
            channels=1,
            batch=2,
            is_batch_fixed=False,
            levels=make_levels("unit", 1),
            run=lambda images: images,
        )

    def test_shares_are_taken_as_probabilities(self) -> None:
        raw = np.array([[0.2], [0.9]], dtype=np.float32)
        scores, notes = read_outputs(self.model("auto", 1, ("a",)), raw)
        np.testing.assert_array_equal(scores, raw)
        assert notes == (
            "The model's outputs were taken as probabilities; judged by their range, 0.2 to 0.9, --outputs says "
            "otherwise.",
        )

    def test_logits_by_number_of_outputs(self) -> None:
        raw = np.array([[-1.0, 2.0], [800.0, -800.0]], dtype=np.float32)
        sigmoid = 1 / (1 + np.exp(-raw[0].astype(float)))
        each, _ = read_outputs(self.model("auto", 2, ("a", "b")), raw)
        np.testing.assert_allclose(each[0], sigmoid)
        np.testing.assert_array_equal(each[1], [1.0, 0.0])
        for model in (self.model("auto", 2, ("a",)), self.model("auto", 2, ("a", "b"), is_multiclass=True)):
            shares, notes = read_outputs(model, raw)
            np.testing.assert_allclose(shares[0], [1 / (1 + np.exp(3.0)), 1 / (1 + np.exp(-3.0))])
            assert "(softmax)" in notes[0]

    def test_asked_probabilities_must_be_some(self) -> None:
        with pytest.raises(ModelError) as caught:
            read_outputs(self.model("probabilities", 1, ("a",)), np.array([[-3.25], [4.0]], dtype=np.float32))
        assert str(caught.value) == (
            "model 'net': --outputs probabilities must lie in [0, 1]; its outputs range from -3.25 to 4. Are they "
            "--outputs logits, or softmax?"
        )
