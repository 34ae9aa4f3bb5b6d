"""The tables of a diagnosis: waterfall, controls, encoding, saliency, order, errors and causes."""

from __future__ import annotations

from subgroup_audit.schema.columns import COUNTS, ENDING, FITTED, LIMITS, NAMED, STATUS
from subgroup_audit.schema.tables import Column

WATERFALL_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study"),
    *FITTED,
    Column("position", "int", "place in the waterfall, 0 first; all other test groups share the last"),
    Column("stage", "string", "while training, evaluation mode, recomputed, validation, own test or other test"),
    Column("test_group", "string", "cohort whose images are scored"),
    Column("from_stage", "string", "stage that the step starts from; '' for the first"),
    Column("auc", "float", "AUC of the stage, mean over seeds", nullable=True),
    Column("auc_low", "float", "lower limit of the AUC", nullable=True),
    Column("auc_high", "float", "upper limit of the AUC", nullable=True),
    Column("change", "float", "AUC of this stage minus that of the one before", nullable=True),
    Column("low", "float", "lower limit of the change", nullable=True),
    Column("high", "float", "upper limit of the change", nullable=True),
    Column("standard_error", "float", "of the change", nullable=True),
    Column("p_value", "float", "two-sided, that the change is zero", nullable=True),
    Column("whole_change", "float", "AUC of this stage minus that of the first", nullable=True),
    Column("whole_low", "float", "lower limit of the whole change", nullable=True),
    Column("whole_high", "float", "upper limit of the whole change", nullable=True),
    Column("whole_p_value", "float", "two-sided, that the whole change is zero", nullable=True),
    Column("confidence_level", "float", "of all intervals"),
    Column("method", "string", "of the interval of the change, or of the first AUC"),
    *COUNTS,
    *ENDING,
)


CONTROL_COLUMNS: tuple[Column, ...] = (
    Column("control", "string", "shuffled_labels, image_level_split, learning_curve or label_noise"),
    Column("amount", "float", "share of persons kept, or of labels turned over; 1 where there is no amount"),
    Column("words", "string", "the control in a few words"),
    Column("finding", "string", "finding of the study"),
    *FITTED,
    Column("test_group", "string", "cohort whose test images are scored"),
    Column("auc", "float", "AUC of the control's fits, mean over seeds", nullable=True),
    Column("auc_low", "float", "lower limit of the AUC", nullable=True),
    Column("auc_high", "float", "upper limit of the AUC", nullable=True),
    Column("usual_auc", "float", "AUC of the study's own fits", nullable=True),
    Column(
        "change",
        "float",
        "the control's AUC minus the study's own, or minus 0.5 with shuffled labels",
        nullable=True,
    ),
    Column("low", "float", "lower limit of the change", nullable=True),
    Column("high", "float", "upper limit of the change", nullable=True),
    Column("standard_error", "float", "of the change", nullable=True),
    Column("confidence_level", "float", "of both intervals"),
    Column("method", "string", "of the AUC's interval"),
    Column("n_patients", "int", "persons tested"),
    Column("n_images", "int", "images tested"),
    Column("n_positive", "int", "positive images"),
    Column("n_negative", "int", "negative images"),
    *ENDING,
)


ENCODING_COLUMNS: tuple[Column, ...] = (
    Column("train_cohort", "string", "cohort that the fits were trained on, and whose test images are probed"),
    *NAMED,
    Column("attribute", "string", "sex, view or age_band; 'finding' for the model's own task"),
    Column("value", "string", "value that is told from the others"),
    Column("against", "string", "the other value, or 'the rest'"),
    Column("source", "string", "fitted, untrained, shuffled (probes), or model (the model's own score)"),
    Column("auc", "float", "AUC of the probe on test persons, mean over seeds", nullable=True),
    *LIMITS,
    Column("standard_error", "float", "of the AUC", nullable=True),
    Column("confidence_level", "float", "of the interval"),
    Column("method", "string", "of the interval"),
    Column("n_features", "int", "features that the probe sees; 0 for the model's own score"),
    Column("n_train_patients", "int", "persons that the probe learned from"),
    Column("n_patients", "int", "test persons"),
    Column("n_images", "int", "test images"),
    Column("n_positive", "int", "test images with the value"),
    Column("n_negative", "int", "test images with another value"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("n_probes", "int", "probes averaged; with shuffled values several a seed"),
    *STATUS,
)


ADVANTAGE_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study"),
    *FITTED,
    Column("test_group", "string", "cohort whose test images are scored"),
    Column("attribute", "string", "sex, view or age_band"),
    Column("auc_all", "float", "AUC of the model, mean over seeds", nullable=True),
    Column("auc_all_low", "float", "lower limit", nullable=True),
    Column("auc_all_high", "float", "upper limit", nullable=True),
    Column("auc_within", "float", "AUC among images of the same value, weighted by positives", nullable=True),
    Column("auc_within_low", "float", "lower limit", nullable=True),
    Column("auc_within_high", "float", "upper limit", nullable=True),
    Column("auc_alone", "float", "AUC of the attribute alone, its scores learned in training", nullable=True),
    Column("auc_alone_low", "float", "lower limit", nullable=True),
    Column("auc_alone_high", "float", "upper limit", nullable=True),
    Column("share", "float", "(auc_all - auc_within) / (auc_all - 0.5)", nullable=True),
    Column("low", "float", "lower limit of the share", nullable=True),
    Column("high", "float", "upper limit of the share", nullable=True),
    Column("confidence_level", "float", "of the intervals"),
    Column("method", "string", "of the interval of the share"),
    Column("n_left_out", "int", "images left out, of values that lack a class"),
    *COUNTS,
    Column("n_seeds", "int", "training seeds averaged"),
    Column("status", "string", "ok, small, degenerate or not estimable"),
    Column("reason", "string", "why, where the status is not ok; and what was left out"),
)


SALIENCY_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study"),
    *FITTED,
    Column("test_group", "string", "cohort whose test images are looked at"),
    Column("label", "string", "positive or negative", allowed=("positive", "negative")),
    Column("place", "int", "row of the mean map in the stored arrays; -1 where there is none"),
    Column("n_available", "int", "test images of the cell"),
    Column("n_images", "int", "images drawn from them"),
    Column("n_patients", "int", "persons of the images drawn"),
    Column("n_without_heat", "int", "maps of these images, over all seeds, that are zero everywhere"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("status", "string", "ok, small or not available"),
    Column("reason", "string", "why, where the status is not ok"),
)


BOX_HEAT_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study"),
    *FITTED,
    Column("test_group", "string", "cohort whose positive test images are looked at"),
    Column("attribute", "string", "sex or view; '' for all"),
    Column("value", "string", "value of the attribute, or 'all'"),
    Column("source", "string", "fitted, or untrained: the same network with its first random weights"),
    Column("heat_share", "float", "mean share of an image's heat that lies inside its boxes", nullable=True),
    Column("area_share", "float", "mean share of the image that its boxes cover", nullable=True),
    Column("estimate", "float", "heat share minus area share: 0 for heat spread evenly", nullable=True),
    Column("low", "float", "lower limit of the difference", nullable=True),
    Column("high", "float", "upper limit of the difference", nullable=True),
    Column("standard_error", "float", "of the difference", nullable=True),
    Column("gain", "float", "heat share less that of the untrained network, on the same images", nullable=True),
    Column("gain_low", "float", "lower limit of the gain", nullable=True),
    Column("gain_high", "float", "upper limit of the gain", nullable=True),
    Column("confidence_level", "float", "of the intervals"),
    Column("method", "string", "of the intervals"),
    Column("n_images", "int", "images with boxes and heat"),
    Column("n_patients", "int", "persons"),
    Column("n_seeds", "int", "training seeds averaged"),
    Column("status", "string", "ok, small or not estimable"),
    Column("reason", "string", "why, where the status is not ok"),
)


ORDER_CHECK_COLUMNS: tuple[Column, ...] = (
    Column("fit_id", "string", "key of the fit"),
    Column("train_cohort", "string", "cohort that the fit was trained on"),
    *NAMED,
    Column("seed", "int", "training seed"),
    Column("control", "string", "the control in a few words; '' for a fit of the study"),
    Column("n_images", "int", "test images predicted again"),
    Column("n_different", "int", "of them, images whose fresh score is not the stored one"),
    Column("n_elsewhere", "int", "of those, images whose fresh score is stored under another image"),
    Column("n_wrong_labels", "int", "stored labels that are not those of the cohorts"),
    Column("largest_difference", "float", "between a fresh and a stored score", nullable=True),
    Column("precision", "string", "in which the fit computes: fp32, bf16 or fp16"),
    Column("tolerance", "float", "difference that counts as none", nullable=True),
    Column(
        "result",
        "string",
        "matches, scores belong to other images, another model, wrong labels, or not checked",
        allowed=("matches", "scores belong to other images", "another model", "wrong labels", "not checked"),
    ),
    Column("reason", "string", "why it was not checked"),
)


SAME_SCORE_COLUMNS: tuple[Column, ...] = (
    Column("first", "string", "one fit or model, in words"),
    Column("second", "string", "another"),
    Column("finding", "string", "finding whose scores are compared"),
    Column("n_images", "int", "images that both have scored"),
    Column("relation", "string", "the same scores, the same order, or the opposite order"),
)


PERSON_ERROR_COLUMNS: tuple[Column, ...] = (
    Column("fit_id", "string", "key of the fit"),
    Column("train_cohort", "string", "cohort that the fit was trained on"),
    *NAMED,
    Column("seed", "int", "training seed"),
    Column("finding", "string", "finding of the study"),
    Column("patient_id", "string", "the person"),
    Column("threshold", "float", "score from which on an image is called positive"),
    Column("n_images", "int", "test images of the person"),
    Column("n_wrong", "int", "of them, called wrongly"),
    Column("n_false_positive", "int", "negative images called positive"),
    Column("n_false_negative", "int", "positive images called negative"),
    Column("is_all_wrong", "bool", "whether every image is called wrongly"),
    Column("longest_run", "int", "most wrong images in a row"),
    Column("runs", "string", "wrong images by their place in the person's series, as 1-20, 92-105"),
    Column("ordered_by", "string", "what puts the images of a person in order"),
)


ERROR_COUNT_COLUMNS: tuple[Column, ...] = (
    Column("train_cohort", "string", "cohort that the fit was trained on"),
    *NAMED,
    Column("seed", "int", "training seed"),
    Column("finding", "string", "finding of the study"),
    Column("test_group", "string", "cohort whose test images are called"),
    Column("threshold", "float", "score from which on an image is called positive; Youden on validation images"),
    Column("n_patients", "int", "persons"),
    Column("n_images", "int", "images"),
    Column("n_wrong", "int", "images called wrongly"),
    Column("n_persons_with_errors", "int", "persons with a wrong image"),
    Column("n_persons_of_several", "int", "persons with two images or more"),
    Column("n_all_wrong", "int", "of them, persons whose every image is wrong"),
    Column("expected_all_wrong", "float", "as many as if errors fell on images whosever they are"),
    Column("share_all_wrong", "float", "of the persons with two images or more", nullable=True),
    Column("share_low", "float", "lower limit", nullable=True),
    Column("share_high", "float", "upper limit", nullable=True),
    Column("held", "float", "share of all errors that the persons with every image wrong hold", nullable=True),
    Column("held_low", "float", "lower limit", nullable=True),
    Column("held_high", "float", "upper limit", nullable=True),
    Column("longest_run", "int", "most wrong images in a row of one person"),
    Column("confidence_level", "float", "of both intervals"),
)


CAUSE_COLUMNS: tuple[Column, ...] = (
    Column("finding", "string", "finding of the study"),
    *FITTED,
    Column("cause", "string", "what is asked for, in words"),
    Column("group", "string", "test group that it is about; '' for all"),
    Column(
        "verdict",
        "string",
        "found, not found, or cannot be told",
        allowed=("found", "not found", "cannot be told"),
    ),
    Column("sentence", "string", "the numbers that the verdict rests on"),
    Column("size", "float", "a change of AUC, or a share, as the sentence says", nullable=True),
    Column("low", "float", "lower limit of the size", nullable=True),
    Column("high", "float", "upper limit of the size", nullable=True),
)
