"""The methods paragraph of what ran, its references, and the glossary: text to read and to paste into a paper."""

from __future__ import annotations

from typing import Any

from subgroup_audit.report.contents import RunContents, distinct
from subgroup_audit.report.numerals import count, decimal, listed, percent, plural
from subgroup_audit.study import Augmentation, Model, Recipe, Study

REFERENCES: dict[str, str] = {
    "DeLong 1988": "DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more correlated "
    "receiver operating characteristic curves. Biometrics 1988;44:837-845. doi:10.2307/2531595",
    "Obuchowski 1997": "Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics "
    "1997;53:567-578. doi:10.2307/2533958",
    "Newcombe 2006": "Newcombe RG. Confidence intervals for an effect size measure based on the Mann-Whitney "
    "statistic. Part 2. Statistics in Medicine 2006;25:559-573. doi:10.1002/sim.2324",
    "Zou and Donner 2008": "Zou GY, Donner A. Construction of confidence limits about effect measures: a general "
    "approach. Statistics in Medicine 2008;27:1693-1702. doi:10.1002/sim.3095",
    "Efron and Tibshirani 1993": "Efron B, Tibshirani RJ. An Introduction to the Bootstrap. Chapman & Hall, 1993.",
    "Schuirmann 1987": "Schuirmann DJ. A comparison of the two one-sided tests procedure and the power approach "
    "for assessing the equivalence of average bioavailability. J Pharmacokinet Biopharm 1987;15:657-680. "
    "doi:10.1007/BF01068419",
    "Holm 1979": "Holm S. A simple sequentially rejective multiple test procedure. Scandinavian Journal of "
    "Statistics 1979;6:65-70.",
    "Benjamini and Hochberg 1995": "Benjamini Y, Hochberg Y. Controlling the false discovery rate: a practical "
    "and powerful approach to multiple testing. J R Stat Soc B 1995;57:289-300.",
    "Glocker 2023": "Glocker B, Jones C, Bernhardt M, Winzeck S. Algorithmic encoding of protected "
    "characteristics in chest X-ray disease detection models. eBioMedicine 2023;89:104467. "
    "doi:10.1016/j.ebiom.2023.104467",
    "Janes and Pepe 2009": "Janes H, Pepe MS. Adjusting for covariate effects on classification accuracy "
    "using the covariate-adjusted receiver operating characteristic curve. Biometrika 2009;96:371-382. "
    "doi:10.1093/biomet/asp002",
    "Robins 2000": "Robins JM, Hernan MA, Brumback B. Marginal structural models and causal inference in "
    "epidemiology. Epidemiology 2000;11:550-560. doi:10.1097/00001648-200009000-00011",
    "Dodd and Pepe 2003": "Dodd LE, Pepe MS. Semiparametric regression for the area under the receiver "
    "operating characteristic curve. Journal of the American Statistical Association 2003;98:409-417. "
    "doi:10.1198/016214503000198",
    "Kallus and Zhou 2019": "Kallus N, Zhou A. The fairness of risk scores beyond classification: bipartite "
    "ranking and the xAUC metric. NeurIPS 2019. arXiv:1902.05826",
    "Shih 2019": "Shih G, Wu CC, Halabi SS, et al. Augmenting the National Institutes of Health chest radiograph "
    "dataset with expert annotations of possible pneumonia. Radiology: AI 2019;1:e180041. "
    "doi:10.1148/ryai.2019180041",
    "Wang 2017": "Wang X, Peng Y, Lu L, et al. ChestX-ray8: hospital-scale chest X-ray database and benchmarks. "
    "CVPR 2017:3462-3471. doi:10.1109/CVPR.2017.369",
}
SOURCE_REFERENCES = {"rsna": ("Shih 2019", "Wang 2017"), "nih": ("Wang 2017",)}
METHOD_REFERENCES = {
    "delong": "DeLong 1988",
    "obuchowski": "Obuchowski 1997",
    "newcombe": "Newcombe 2006",
    "mover": "Zou and Donner 2008",
}
CASE_MIX_PARAGRAPH = (
    "Every subgroup gap was estimated again with the recorded mix of the two groups made equal: by "
    "re-weighting both test sets to their pooled mix of class and strata [Glocker 2023]; within strata, "
    "averaged over strata with the positives' common weights [Janes and Pepe 2009]; by stabilised "
    "inverse-probability weights from a logistic model within each class, cut at their 99th percentile "
    "[Robins 2000]; and by regression of each positive's placement among the negatives of its own group on "
    "group and covariates, with persons as clusters and the variance of the negatives included [Dodd and Pepe"
    " 2003]. Intervals count what each person adds to the estimate, the estimated weights included. Beside "
    "them stands the difference of the two cross-group AUCs [Kallus and Zhou 2019]."
)
MONITORS = {"val_auc": "validation AUC", "val_loss": "validation loss"}
MULTIPLICITY = {
    "holm": ("Holm's step-down method", "Holm 1979"),
    "benjamini-hochberg": ("the Benjamini-Hochberg method", "Benjamini and Hochberg 1995"),
}
# Methods as the tables name them, in words; the first key that a name contains is its method.
METHOD_WORDS = {
    "MOVER": "the MOVER combination of two such intervals",
    "crossed seeds": "seeds and persons as crossed random effects (Satterthwaite t)",
    "Newcombe 5": "Newcombe's method 5",
}
SOURCE_WORDS = {"table": "a table of images", "folder": "a folder of images", "phantom": "synthetic phantoms"}
OPTIMISERS = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD", "rmsprop": "RMSprop"}
GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "AUC",
        "Area under the ROC curve: how often the model scores a positive image above a negative one. 0.5 is a "
        "coin, 1 is perfect. It says nothing about any one threshold.",
    ),
    (
        "Interval",
        "The range of values that are compatible with the data, at the stated confidence level. The first one is "
        "the default, made for few and for repeated images of a person. The second, marked bootstrap, is the "
        "percentile interval over draws of persons.",
    ),
    (
        "Person",
        "The unit that is split, resampled and counted. Several images of one person always stay together, unless "
        "the study asks for an image-level split, which is then reported as such.",
    ),
    ("Cohort", "A named set of images that a model is trained or tested on, for example women imaged PA."),
    ("Test group", "The cohort whose test images are scored."),
    ("Subgroup gap", "AUC of one model in one group minus its AUC in the reference group. Different persons."),
    (
        "Transfer gap",
        "AUC of the model trained on one group minus AUC of the model trained on another, same test persons.",
    ),
    (
        "Train/test gap",
        "AUC on the training images minus AUC on the test images, the same model, both without augmentation. "
        "Descriptive: a model has seen its training images.",
    ),
    (
        "Gap waterfall",
        "The way from the AUC in the training log to that on other people, taken in steps that were each measured "
        "and that add up to the whole.",
    ),
    (
        "Control",
        "The study's own fits once more with one thing changed on purpose, to see what that thing does.",
    ),
    (
        "Margin",
        "The largest AUC difference that the study's authors declared to be of no consequence.",
    ),
    (
        "No gap beyond the margin",
        "The data show that the difference is smaller than the margin. This is more than 'not significant'.",
    ),
    (
        "Inconclusive",
        "The data can neither show a gap nor rule out one beyond the margin. It is not evidence of equality.",
    ),
    ("Minimal detectable gap", "The smallest true gap that data like these would show in 80 % of repetitions."),
    ("Seed", "One repetition of the same training with other random numbers; results are means over seeds."),
    (
        "Standardised mean difference (SMD)",
        "The difference of two sets of images in units of their spread. Above 0.1 is often called an imbalance.",
    ),
    ("Leakage", "Test images whose person, file or picture was also in training. It makes a model look better."),
)


def methods_paragraphs(contents: RunContents) -> list[str]:
    """What ran, in the past tense of a paper, with references in brackets."""
    study = contents.study
    paragraphs = [_data_paragraph(contents), _training_paragraph(study)]
    if contents.result is not None:
        paragraphs.append(_statistics_paragraph(contents))
        if contents.result.case_mix is not None and len(contents.result.case_mix):
            paragraphs.append(CASE_MIX_PARAGRAPH)
    paragraphs += [words for words in (_waterfall_words(contents), _control_words(contents)) if words]
    version = contents.provenance.get("version")
    paragraphs.append(f"The audit was made with subgroup_audit{f' {version}' if version else ''}.")
    return paragraphs


def _waterfall_words(contents: RunContents) -> str:
    """How the train/test gap was taken apart; '' where it was not."""
    if not contents.has("waterfall") or contents.waterfall is None:
        return ""
    stages = set(contents.waterfall["stage"])
    recomputed = "with batch statistics recomputed from them, " if "recomputed" in stages else ""
    return (
        "The train/test gap was taken apart in steps: the same fits were scored on their training images as "
        f"augmented in the kept epoch, on the same images in evaluation mode, {recomputed}on validation persons, "
        "and on test persons of the same and of other cohorts. Each step is the difference of two such AUCs with "
        "an interval that counts persons and seeds shared by both; steps from training images are descriptive."
    )


def _control_words(contents: RunContents) -> str:
    """Which controls were fitted; '' where none was."""
    if not contents.has("controls") or contents.controls is None:
        return ""
    words = listed(distinct(contents.controls["words"]))
    return f"As controls, the first model and recipe were fitted again for every cohort and seed with: {words}."


def method_words(method: Any) -> str:
    """The method of an interval, as the tables name it, in words; a name that is not known stands as it is.

    >>> method_words("MOVER, crossed seeds x patients, Satterthwaite t")
    'the MOVER combination of two such intervals'
    """
    return next((words for key, words in METHOD_WORDS.items() if key in str(method)), str(method))


def _source_words(contents: RunContents) -> str:
    source = contents.study.data.source
    named = contents.provenance.get("data")
    words = SOURCE_WORDS.get(source, f"the data set {source}")
    return f"{words} ({named})" if named and source in SOURCE_WORDS else words


def _data_paragraph(contents: RunContents) -> str:
    study = contents.study
    cited = SOURCE_REFERENCES.get(study.data.source, ())
    cohorts = [f"{name} ({_where(study, name)})" for name in study.cohorts]
    unit = (
        "by person, so that no person is in two splits"
        if study.split.unit == "person"
        else "BY IMAGE, as the study asked for, so that images of one person can be in training and test"
    )
    has_own_sizes = all(cohort.n_asked for cohort in study.cohorts.values())
    size = {
        "own": "Each cohort has the number of images that the study asked for.",
        "equal": "All cohorts have the same size, the largest that all could reach.",
        "ceiling": "Each cohort has the largest size that balance allowed.",
        "all": "Cohorts were not balanced: every eligible image was used.",
    }.get("own" if has_own_sizes else str(study.balance.size), f"Each cohort has {study.balance.size} images.")
    shares = ", ".join(
        f"{percent(getattr(study.split, name))} {word}"
        for name, word in (("train", "training"), ("val", "validation"), ("test", "test"))
    )
    is_balanced = study.balance.size != "all" and study.balance.over
    balanced = f" Images were balanced over {listed(list(study.balance.over))}." if is_balanced else ""
    split = f"an official split (attribute {study.split.official})" if study.split.official else shares
    return (
        f"Radiographs came from {_source_words(contents)}{_cite(cited)}. "
        f"{'The finding was' if len(study.finding_names) == 1 else 'The findings were'} "
        f"{listed(list(study.finding_names))}. "
        f"{count(len(study.cohorts))} cohorts were formed: {listed(cohorts)}.{balanced} {size} "
        f"Data were split {unit} ({split})."
    )


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


def _training_paragraph(study: Study) -> str:
    models = [_model_words(name, model) for name, model in study.models.items()]
    recipes = [_recipe_words(name, recipe) for name, recipe in study.recipes.items()]
    seeds = len(study.seeds)
    return (
        f"{listed(models)} {'was' if len(models) == 1 else 'were'} trained on "
        f"{'each of ' if len(study.train_cohorts) > 1 else ''}{listed(list(study.train_cohorts))}, "
        f"with {plural(seeds, 'random seed')} per combination. {' '.join(recipes)} "
        "All scores come from evaluation mode without augmentation."
    )


def _model_words(name: str, model: Model) -> str:
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
        f"{_augmentation_words(recipe.augmentation)}{kept}"
    )


def _augmentation_words(changes: Augmentation) -> str:
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


def _statistics_paragraph(contents: RunContents) -> str:
    study, result = contents.study, contents.result
    if result is None:
        return ""
    analysis, settings = study.analysis, result.settings
    level = f"{100 * float(settings.get('confidence_level', analysis.confidence_level)):.4g} %"
    resamples = count(settings.get("n_resamples", analysis.n_resamples))
    methods = distinct([*result.estimates["method"], *result.contrasts["method"]])
    named = [method for method in methods if method and method not in {"nan", "none"}]
    words = distinct(method_words(method) for method in named if "MOVER" not in method)
    combined = _combined_words(named)
    cited = [ref for key, ref in METHOD_REFERENCES.items() if key in " ".join(named).lower()]
    name = str(settings.get("multiplicity", analysis.multiplicity))
    corrected, reference = MULTIPLICITY.get(name, ("", ""))
    multiplicity = (
        f" P-values were adjusted by {corrected}{_cite((reference,))}."
        if corrected
        else " P-values were not adjusted."
    )
    return (
        f"Performance is the area under the ROC curve{_seed_words(study)} "
        f"Intervals at {level} confidence come from {listed(words)}{combined}{_cite(cited)}; "
        f"percentile bootstrap intervals over {resamples} draws of persons stand beside them"
        f"{_cite(('Efron and Tibshirani 1993',))}. Gaps are differences of AUC on the same draws. "
        f"Differences within ±{decimal(analysis.margin, 2)} AUC counted as no gap, judged by two one-sided tests"
        f"{_cite(('Schuirmann 1987',))}.{multiplicity} Cells with fewer than {analysis.min_persons} positive or "
        "negative persons are marked as small."
    )


def _combined_words(methods: list[str]) -> str:
    """Which intervals are put together from others."""
    if not any("MOVER" in name for name in methods):
        return ""
    is_longer = any("linear functions" in name for name in methods)
    longer = ", those of sums of AUCs all of theirs" if is_longer else ""
    return f"; those of gaps combine two of them{longer} (MOVER)"


def _seed_words(study: Study) -> str:
    if len(study.seeds) > 1:
        return ", averaged over seeds."
    return (
        " of one fit a cell: with a single training seed the intervals are for these trained models, and what "
        "another training would give is not in them."
    )


def _cite(names: Any) -> str:
    return f" [{'; '.join(names)}]" if names else ""


def references_cited(paragraphs: list[str]) -> list[tuple[str, str]]:
    """The references that the paragraphs name, with their full entries."""
    text = " ".join(paragraphs)
    return [(name, entry) for name, entry in REFERENCES.items() if name in text]
