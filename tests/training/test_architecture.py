"""Names, networks, weights from files, and which part of a network is trained."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from subgroup_audit.errors import ModelError
from subgroup_audit.study import Model
from subgroup_audit.training import validate_model
from subgroup_audit.training.architecture import Built, Network, build_network
from subgroup_audit.training.names import find_architecture
from subgroup_audit.training.trainable import measure_maps, select_trainable, set_training


def build(size: int = 64, n_outputs: int = 1, study_folder: Path | str = ".", **model: Any) -> Built:
    return build_network(Model(**model), n_outputs=n_outputs, size=size, study_folder=study_folder)


def test_timm_comes_first_and_torchvision_can_be_insisted_on() -> None:
    assert find_architecture("resnet18") == ("timm", "resnet18")
    assert find_architecture("torchvision/resnet18") == ("torchvision", "resnet18")
    assert find_architecture("vgg16_bn") == ("timm", "vgg16_bn")
    assert find_architecture("mobilenet_v3_small") == ("torchvision", "mobilenet_v3_small")
    assert find_architecture("small_cnn") == ("own", "small_cnn")


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(ModelError) as caught:
        validate_model(Model(architecture="densnet121"), study_folder=".")
    message = str(caught.value)
    assert message.startswith(
        "no architecture of timm, torchvision or this package is named 'densnet121'; nearest: densenet121"
    )
    with pytest.raises(ModelError) as caught:
        validate_model(Model(architecture="torchvision/resnet51"), study_folder=".")
    assert str(caught.value).startswith("no architecture of torchvision is named 'resnet51'; nearest: resnet50")


def test_missing_weights_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        validate_model(Model(architecture="small_cnn", weights="absent.pth"), study_folder=tmp_path)
    assert str(caught.value) == f"weights file '{tmp_path / 'absent.pth'}' does not exist"
    with pytest.raises(ModelError) as caught:
        validate_model(Model(architecture="small_cnn", weights="w.pkl"), study_folder=tmp_path)
    assert str(caught.value) == ("weights must be a .safetensors, .pth, .pt, .bin or .ckpt file, not 'w.pkl'")


def test_two_kinds_of_weights_are_refused(tmp_path: Path) -> None:
    model = Model(architecture="test_resnet", weights="a.pth", pretrained=True)
    with pytest.raises(ModelError) as caught:
        validate_model(model, study_folder=tmp_path)
    assert str(caught.value) == (
        "model 'test_resnet': give `pretrained: true` or `weights:`, not both; weights is 'a.pth'"
    )


def test_published_weights_that_do_not_exist() -> None:
    with pytest.raises(ModelError) as caught:
        validate_model(Model(architecture="small_cnn", pretrained=True), study_folder=".")
    assert str(caught.value) == (
        "'small_cnn' has no published weights: leave `pretrained` out, or name a `weights` file"
    )
    validate_model(Model(architecture="resnet18", pretrained=True), study_folder=".")


def test_offline_says_the_way_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("subgroup_audit.training.names._is_cached", lambda repository, file: False)
    with pytest.raises(ModelError) as caught:
        build(architecture="test_resnet", pretrained=True)
    assert str(caught.value) == (
        "published weights of 'test_resnet' are not in the local cache and cannot be downloaded from "
        "huggingface.co (HF_HUB_OFFLINE is set): connect once, or set HF_HOME (timm) or TORCH_HOME "
        "(torchvision) to a cache that holds them, or name a local file with `weights:`"
    )


@pytest.mark.parametrize(
    "architecture",
    [
        "small_cnn", "test_resnet", "test_convnext", "test_efficientnet", "test_vit", "torchvision/resnet18",
        "torchvision/mobilenet_v3_small", "torchvision/squeezenet1_1", "torchvision/shufflenet_v2_x0_5",
    ],
)  # fmt: skip
def test_grey_images_become_logits(architecture: str) -> None:
    built = build(architecture=architecture, n_outputs=3, hidden=(8,), dropout=0.2)
    built.network.eval()
    with torch.no_grad():
        logits = built.network(torch.zeros(2, 1, 64, 64))
    assert logits.shape == (2, 3)
    kinds = [type(layer).__name__ for layer in built.network.head]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear"]


def test_small_cnn_is_the_five_block_network() -> None:
    network = build(architecture="small_cnn", size=128).network
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [32, 64, 64, 128, 256]
    assert [m.out_features for m in network.modules() if isinstance(m, nn.Linear)] == [512, 1]


@pytest.mark.parametrize("architecture", ["vgg11", "torchvision/vgg11"])
def test_vgg_ends_with_its_convolutions(architecture: str) -> None:
    built = build(architecture=architecture, hidden=(256, 256))
    widths = [m.out_features for m in built.network.modules() if isinstance(m, nn.Linear)]
    assert widths == [256, 256, 1]
    assert built.network.head[0].in_features == 512


def test_too_small_images_are_refused() -> None:
    with pytest.raises(ModelError) as caught:
        build(architecture="torchvision/alexnet", size=16)
    assert str(caught.value).startswith("'torchvision/alexnet' cannot take images of 16 px: ")


def published(architecture: str, n_classes: int = 1000) -> nn.Module:
    import timm

    return timm.create_model(architecture, num_classes=n_classes)


@pytest.mark.parametrize("kind", ["safetensors", "pth", "wrapped"])
def test_local_weights_round_trip(tmp_path: Path, kind: str) -> None:
    source = published("test_resnet")
    state = source.state_dict()
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pth")
    if kind == "safetensors":
        save_file(state, path)
    else:
        wrapped = {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}
        torch.save(wrapped if kind == "wrapped" else state, path)
    built = build(architecture="test_resnet", weights=path.name, study_folder=tmp_path)
    assert built.notes == (
        f"the trunk starts from {path.name}; its head does not fit and starts anew "
        "(not loaded: fc.bias, fc.weight)",
    )
    grey = torch.rand(2, 1, 64, 64)
    source.eval()
    built.network.eval()
    with torch.no_grad():
        expected = source.forward_head(source.forward_features(grey.expand(-1, 3, -1, -1)), pre_logits=True)
        torch.testing.assert_close(built.network.features(grey), expected, rtol=1e-4, atol=1e-5)


def test_a_head_that_fits_is_loaded(tmp_path: Path) -> None:
    source = published("test_resnet", n_classes=2)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    built = build(architecture="test_resnet", weights="w.safetensors", study_folder=tmp_path, n_outputs=2)
    assert built.notes == ("trunk and head start from w.safetensors",)
    torch.testing.assert_close(built.network.head[-1].weight, source.fc.weight)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    torch.save(published("resnet34", 1).state_dict(), tmp_path / "w.pth")
    with pytest.raises(ModelError) as caught:
        build(architecture="resnet18", weights="w.pth", study_folder=tmp_path)
    assert str(caught.value) == (
        f"weights file '{tmp_path / 'w.pth'}' does not fit the architecture: weights 96 unknown "
        "(first: layer1.2.conv1.weight)"
    )


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("/tmp/executed-by-a-checkpoint"),))


def test_a_pickle_with_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(pickle.dumps({"state_dict": Payload()}))
    with pytest.raises(ModelError) as caught:
        build(architecture="small_cnn", weights="w.pth", study_folder=tmp_path)
    assert str(caught.value).startswith(f"weights file '{path}' is refused: it holds more than weights")
    assert not Path("/tmp/executed-by-a-checkpoint").exists()


def test_a_broken_safetensors_file(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"not tensors at all")
    with pytest.raises(ModelError, match=r"w\.safetensors' is not a safetensors file"):
        build(architecture="small_cnn", weights="w.safetensors", study_folder=tmp_path)


def trained_names(built: Built) -> set[str]:
    return {name for name, p in built.network.named_parameters() if p.requires_grad}


LEVELS = [
    ("resnet50", "7x7", "layer4.0.conv2.", "layer4.0.conv1."),
    ("resnet50", "14x14", "layer3.0.conv2.", "layer3.0.conv1."),
    ("resnet50", "28x28", "layer2.0.conv2.", "layer2.0.conv1."),
    ("densenet121", "7x7", "features.denseblock4.", "features.transition3."),
    ("densenet121", "14x14", "features.denseblock3.", "features.transition2."),
    ("densenet121", "28x28", "features.denseblock2.", "features.transition1."),
    ("vgg16_bn", "28x28", "features.24.", "features.21."),
]


@pytest.mark.parametrize(("architecture", "level", "trained", "frozen"), LEVELS)
def test_trained_from_a_feature_map_on(architecture: str, level: str, trained: str, frozen: str) -> None:
    model = Model(architecture=architecture, trainable=level)
    built = build_network(model, n_outputs=1, size=64, study_folder=".")
    part = select_trainable(built.network, model)
    names = trained_names(built)
    assert any(name.startswith(f"trunk.{trained}") for name in names)
    assert not any(name.startswith(f"trunk.{frozen}") for name in names)
    limit = int(level.partition("x")[0])
    for module, side in measure_maps(built.network.trunk, 224):
        if side > limit:
            assert not any(p.requires_grad for p in module.parameters(recurse=False))
    assert 0 < part.n_trainable < part.n_parameters
    assert not part.is_trunk_constant


COUNTS = [
    ("resnet50", "all", 23_503_809),
    ("resnet50", "head", 2_049),
    ("densenet121", "head", 1_025),
]


@pytest.mark.parametrize(("architecture", "trainable", "count"), COUNTS)
def test_parameter_counts(architecture: str, trainable: str, count: int) -> None:
    model = Model(architecture=architecture, trainable=trainable)
    built = build_network(model, n_outputs=1, size=64, study_folder=".")
    assert select_trainable(built.network, model).n_trainable == count


def test_squeeze_and_excite_does_not_open_early_layers() -> None:
    model = Model(architecture="mobilenetv3_small_050", trainable="7x7")
    built = build_network(model, n_outputs=1, size=64, study_folder=".")
    select_trainable(built.network, model)
    assert not any(".blocks.0." in name or ".blocks.1." in name for name in trained_names(built))


def test_a_transformer_without_small_maps_is_refused() -> None:
    model = Model(architecture="test_vit", trainable="7x7")
    patches = nn.Conv2d(1, 8, 16, stride=16)
    with pytest.raises(ModelError) as caught:
        select_trainable(Network(patches, nn.Linear(8 * 196, 1)), model)
    assert str(caught.value) == (
        "'test_vit' has no layer after its last feature map larger than 7x7 at 224 px: choose "
        "`trainable: head`, `all`, or a larger map"
    )


def test_tokens_and_positions_of_a_transformer_are_not_its_last_layer() -> None:
    """They belong to the network itself, which ends after every layer but uses them before the first."""
    model = Model(architecture="test_vit", trainable="7x7")
    built = build_network(model, n_outputs=1, size=224, study_folder=".")
    with pytest.raises(ModelError, match="has no layer after its last feature map larger than 7x7"):
        select_trainable(built.network, model)
    wider = model.model_copy(update={"trainable": "14x14"})
    part = select_trainable(built.network, wider)
    assert part.n_trainable == part.n_parameters
    assert built.network.trunk.pos_embed.requires_grad


def test_frozen_batch_norm_stays_still() -> None:
    model = Model(architecture="test_resnet", trainable="14x14")
    built = build_network(model, n_outputs=1, size=64, study_folder=".")
    part = select_trainable(built.network, model)
    set_training(built.network, part)
    norms = [m for m in built.network.modules() if isinstance(m, nn.BatchNorm2d)]
    still = [m for m in norms if not m.weight.requires_grad]
    assert 0 < len(still) < len(norms)
    assert not any(m.training for m in still)
    assert all(m.training for m in norms if m.weight.requires_grad)
    moving = select_trainable(built.network, model.model_copy(update={"freeze_batch_norm": False}))
    assert moving.still == ()
