"""What a paper says of the design: data, labels, cohorts, split, models, recipes, seeds and software of a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from subgroup_audit.diagnosis import METADATA_MODEL
from subgroup_audit.report.contents import RunContents, distinct, rows_of
from subgroup_audit.report.numerals import count, is_number, listed, percent, plural
from subgroup_audit.study import Augmentation, Model, Recipe, Study

SOURCE_REFERENCES = {
    "rsna": ("Shih 2019", "Wang 2017"),
    "nih": ("Wang 2017",),
    "chexpert": ("Irvin 2019",),
    "mimic_cxr": ("Johnson 2019", "Johnson 2019b"),
}
MONITORS = {"val_auc": "validation AUC", "val_loss": "validation loss"}
SOURCE_WORDS = {"table": "a table of images", "folder": "a folder of images", "phantom": "synthetic phantoms"}
OPTIMISERS = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD", "rmsprop": "RMSprop"}


def cite(names: Iterable[str]) -> str:
    """Works in brackets, with a space before; '' for none.

    >>> cite(("Holm 1979",)), cite(())
    (' [Holm 1979]', '')
    """
    found = "; ".join(names)
    return f" [{found}]" if found else ""


def design_paragraphs(contents: RunContents) -> list[str]:
    """Data and labels; cohorts and split; models, recipes and seeds."""
    return [_data_paragraph(contents), _cohort_paragraph(contents), _training_paragraph(contents)]


def _data_paragraph(contents: RunContents) -> str:
    study = contents.study
    cited = SOURCE_REFERENCES.get(study.data.source, ())
    noun = "The finding was" if len(study.finding_names) == 1 else "The findings were"
    return (
        f"Radiographs came from {source_words(contents)}{cite(cited)}. "
        f"{noun} {listed(list(study.finding_names))}. {label_words(study)}{flow_words(contents)} "
        f"Images were stored as squares of {study.data.stored_size} px."
    )


def label_words(study: Study) -> str:
    """Which source labels make an image positive and negative."""
    if study.is_multiclass:
        said = [f"{name} ({listed(list(labels))})" for name, labels in study.classes.items()]
        return f"The classes exclude each other and were made from the source's labels: {listed(said)}."
    said = []
    for name, rule in study.findings.items():
        negative = "every other labelled image" if rule.negative == "rest" else listed(list(rule.negative))
        said.append(f"{name}: positive {listed(list(rule.positive))}, negative {negative}")
    doubts = {rule.uncertain for rule in study.findings.values()}
    counted = "left out" if doubts == {"exclude"} else f"counted as {listed(sorted(doubts))}"
    return f"Labels of the source were used ({'; '.join(said)}). Uncertain labels were {counted}."


def flow_words(contents: RunContents) -> str:
    """How many images were found, why some were left out, and what remained, from the flow of this run."""
    rows = [row for row in rows_of(contents.flow) if not isinstance(row["cohort"], str) or not row["cohort"]]
    if not rows:
        return ""
    lost = [row for row in rows if isinstance(row["reason"], str) and row["reason"] and row["n_images"]]
    why = [f"{row['reason']}: {count(row['n_images'])}" for row in lost]
    out = sum(round(float(row["n_images"])) for row in lost)
    left = rows[-1]
    reasons = f", {count(out)} were left out ({'; '.join(why)})" if why else ", none was left out"
    persons = f" of {plural(left['left_patients'], 'person')}" if is_number(left["left_patients"]) else ""
    return (
        f" Of {plural(rows[0]['left_images'], 'image')} found{reasons}, and {count(left['left_images'])}{persons} "
        "were eligible."
    )


def _cohort_paragraph(contents: RunContents) -> str:
    study = contents.study
    cohorts = [f"{name} ({_where(study, name)})" for name in study.cohorts]
    unit = (
        "by person, so that no person is in two splits"
        if study.split.unit == "person"
        else "BY IMAGE, as the study asked for, so that images of one person can be in training and test"
    )
    shares = ", ".join(
        f"{percent(getattr(study.split, name))} {word}"
        for name, word in (("train", "training"), ("val", "validation"), ("test", "test"))
    )
    official = study.split.official
    split = f"an official split (attribute {official})" if official else f"{shares}, seed {study.split.seed}"
    return (
        f"From these images {plural(len(study.cohorts), 'cohort was', 'cohorts were')} formed: {listed(cohorts)}."
        f"{balance_words(study)} Data were split {unit} ({split}).{size_words(contents)}"
    )


def balance_words(study: Study) -> str:
    """How images were drawn into the cohorts."""
    balance = study.balance
    has_own_sizes = all(cohort.n_asked for cohort in study.cohorts.values())
    size = {
        "own": "Each cohort has the number of images that the study asked for.",
        "equal": "All cohorts have the same size, the largest that all could reach.",
        "ceiling": "Each cohort has the largest size that balance allowed.",
        "all": "Cohorts were not balanced: every eligible image was used.",
    }.get("own" if has_own_sizes else str(balance.size), f"Each cohort has {balance.size} images.")
    is_balanced = balance.size != "all" and balance.over
    found = (
        [f"Images were balanced over {listed(list(balance.over))} (seed {balance.seed})."] if is_balanced else []
    )
    found.append(size)
    if balance.test == "natural" and balance.size != "all":
        found.append("Test sets were not balanced: they hold every eligible test image.")
    if balance.max_images_per_person:
        found.append(f"No person has more than {plural(balance.max_images_per_person, 'image')} in a cohort.")
    return "".join(f" {sentence}" for sentence in found)


def size_words(contents: RunContents) -> str:
    """How many training, validation and test images the cohorts hold, from the flow of this run."""
    rows = [row for row in rows_of(contents.flow) if isinstance(row["cohort"], str) and row["cohort"]]
    said = []
    for split, word in (("train", "training"), ("val", "validation"), ("test", "test")):
        sizes = [round(float(row["left_images"])) for row in rows if row["step"] == split]
        if sizes:
            low, high = count(min(sizes)), count(max(sizes))
            said.append(f"{low if low == high else f'{low} to {high}'} {word}")
    return f" A cohort holds {listed(said)} images." if said else ""


def _training_paragraph(contents: RunContents) -> str:
    study = contents.study
    models = [model_words(name, model) for name, model in study.models.items()]
    recipes = [_recipe_words(name, recipe) for name, recipe in study.recipes.items()]
    seeds = len(study.seeds)
    which = f"{'seed' if seeds == 1 else 'seeds'} {listed([str(seed) for seed in study.seeds])}"
    return (
        f"{listed(models)} {'was' if len(models) == 1 else 'were'} trained on "
        f"{'each of ' if len(study.train_cohorts) > 1 else ''}{listed(list(study.train_cohorts))}, "
        f"with {plural(seeds, 'random seed')} per combination ({which}).{_missing_fits(contents)} "
        f"{' '.join(recipes)} All scores come from evaluation mode without augmentation."
        f"{_baseline_words(contents)}"
    )


def _missing_fits(contents: RunContents) -> str:
    """How many fits are not there; '' where all are, or where the run does not say."""
    made, planned = contents.provenance.get("n_fits"), len(contents.study.fit_combinations())
    if not is_number(made) or made is None or round(float(made)) >= planned:
        return ""
    return f" Only {count(made)} of {plural(planned, 'planned fit')} ended and are in the results."


def _baseline_words(contents: RunContents) -> str:
    result = contents.result
    if result is None or METADATA_MODEL not in distinct(result.estimates["model"]):
        return ""
    return f" A baseline without the image was fitted to the same training persons ({METADATA_MODEL})."


def software_sentences(contents: RunContents) -> str:
    """With what the run was made, as far as it has stored it."""
    stored = contents.provenance
    libraries = stored.get("libraries")
    named = dict(libraries) if isinstance(libraries, dict) else {}
    if "torch" in stored:
        named.setdefault("torch", stored["torch"])
    shown = [f"PyTorch {named['torch']} [Paszke 2019]"] if "torch" in named else []
    shown += [
        f"{name} {named[name]}" for name in ("timm", "scikit-learn", "scipy", "numpy", "pandas") if name in named
    ]
    start = [f"Python {stored['python']}"] if "python" in stored else []
    with_what = f" with {listed([*start, *shown])}" if shown or start else ""
    where = stored.get("machine")
    device = (
        f"Fits ran on {stored['device']}{f' ({where})' if where else ''}{with_what}. "
        if "device" in stored
        else ""
    )
    version = stored.get("version")
    return f"{device}The audit was made with subgroup_audit{f' {version}' if version else ''}."


def source_words(contents: RunContents) -> str:
    source = contents.study.data.source
    named = contents.provenance.get("data")
    words = SOURCE_WORDS.get(source, f"the data set {source}")
    return f"{words} ({named})" if named and source in SOURCE_WORDS else words


def _where(study: Study, name: str) -> str:
    cohort = study.cohorts[name]
    parts = [f"{attribute} {_values(value)}" for attribute, value in cohort.where.items()]
    for attribute, shares in cohort.mix.items():
        parts.append(attribute + " " + ", ".join(f"{percent(s)} {value}" for value, s in shares.items()))
    for attribute, counts in cohort.counts.items():
        parts.append(attribute + " " + ", ".join(f"{count(n)} {value}" for value, n in counts.items()))
    return "; ".join(parts) or "all eligible images"


def _values(value: Any) -> str:
    return " or ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def model_words(name: str, model: Model) -> str:
    start = "given weights" if model.weights else "pretrained" if model.pretrained else "from scratch"
    part = {"all": "all layers trained", "head": "head only trained"}.get(
        model.trainable, f"trained from the last layer down to {model.trainable}"
    )
    architecture = "" if model.architecture == name else f"{model.architecture}, "
    return f"{name} ({architecture}{start}, {part})"


def _recipe_words(name: str, recipe: Recipe) -> str:
    stopped = (
        f", early stopping after {recipe.early_stopping.patience} epochs without improvement"
        if recipe.early_stopping
        else ""
    )
    kept = f" The epoch with the best {MONITORS[recipe.monitor]} was kept." if recipe.restore_best else ""
    optimiser = OPTIMISERS.get(recipe.optimiser, recipe.optimiser)
    return (
        f"Recipe {name}: {recipe.image_size} px, batches of {recipe.batch_size}, {recipe.epochs} epochs, "
        f"{optimiser} at learning rate {recipe.learning_rate:g} ({recipe.schedule} schedule){stopped}. "
        f"{augmentation_words(recipe.augmentation)}{kept}"
    )


def augmentation_words(changes: Augmentation) -> str:
    """How training images were changed at random, each with its range."""
    words = {
        "horizontal flip": f"probability {changes.horizontal_flip:g}" if changes.horizontal_flip else "",
        "vertical flip": f"probability {changes.vertical_flip:g}" if changes.vertical_flip else "",
        "turns by multiples of 90°": "at random" if changes.rotate_quarter else "",
        "rotation": f"up to {changes.rotation_degrees:g}°" if changes.rotation_degrees else "",
        "shift": f"up to {percent(changes.shift)}" if changes.shift else "",
        "zoom": f"up to {percent(changes.zoom)}" if changes.zoom else "",
        "shear": f"up to {changes.shear:g}" if changes.shear else "",
        "brightness": f"up to {percent(changes.brightness)}" if changes.brightness else "",
        "contrast": f"up to {percent(changes.contrast)}" if changes.contrast else "",
    }
    found = [f"{name} ({text})" for name, text in words.items() if text]
    return f"Training images were augmented by {listed(found)}." if found else "Images were not augmented."
