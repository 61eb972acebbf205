"""The whole story on small textures and a small network: chosen, judged, fitted, reported."""

import re
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import pytest
import torch

from harmonic.bundles import bundle
from harmonic.data import Images
from harmonic.errors import FeatureError
from harmonic.transfer import Transferred, Wanted, fit, report, report_page, survey
from harmonic.transfer.findings import advice, class_table, tried_lines, worst_confusions


def test_textures_are_told_apart_as_well_as_was_judged(fitted: Transferred, images: Images) -> None:
    assert fitted.judgement.accuracy.value > 0.8
    found = [fitted.bundle.predict(images.open(i)).label for i in range(len(images))]
    right = np.mean([label == images.classes[images.labels[i]] for i, label in enumerate(found)])
    assert right >= fitted.judgement.accuracy.low
    alone = {f"{fitted.chosen.name} at {side} px" for side in (12, 16)}
    assert {str(one.candidate) for one in fitted.tried} in [alone | {f"{one}, 3 stages joined"} for one in alone]
    losses = [one.loss for one in fitted.tried]
    assert losses == sorted(losses)


def test_the_bundle_carries_its_figures_and_is_loaded_again(fitted: Transferred, tmp_path: Path) -> None:
    bundle.save(fitted.bundle, tmp_path / "made")
    card = bundle.load(tmp_path / "made").card
    figures = card.metrics["fit"]
    assert figures["backbone"] == "bundle"
    assert str(Path(fitted.chosen.name).parent) not in card.model_dump_json()  # where it lay is nobody's business
    assert figures["images"] == 42
    assert figures["accuracy"]["low"] <= figures["accuracy"]["value"] <= figures["accuracy"]["high"]


def test_the_same_images_and_seed_give_the_same_bits(fitted: Transferred, backbone: str, images: Images) -> None:
    again = fit(survey(images), Wanted(backbone, sides=(12, 16)))
    for name, tensor in again.bundle.model.state_dict().items():
        assert torch.equal(tensor, fitted.bundle.model.state_dict()[name]), name
    assert again.bundle.card == fitted.bundle.card


def test_the_threshold_keeps_what_was_right_in_95_of_100_cases(fitted: Transferred) -> None:
    assert fitted.threshold is not None
    mean, labels = fitted.judgement.mean, fitted.survey.images.labels
    sure = mean.max(1) >= fitted.threshold
    assert (mean.argmax(1) == labels)[sure].mean() >= 0.95


def test_what_would_take_too_long_is_left_out_and_said(backbone: str, images: Images) -> None:
    said: list[str] = []
    found = fit(survey(images), Wanted(backbone, sides=(12, 16), minutes=1e-6), said.append)
    assert len(found.tried) == 1
    assert any("at 16 px: left out, its features would take" in line for line in said)


def test_of_many_images_a_part_chooses_and_all_are_learned_from(
    backbone: str, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harmonic.transfer.procedure._CHOOSING", 21)
    found = fit(survey(images), Wanted(backbone, sides=(12,)))
    assert len(found.chosen.features) == 42
    assert found.judgement.probabilities.shape[1] == 42


def test_without_any_network_it_is_said_what_to_do(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harmonic.transfer.backbones.starter.at_hand", lambda: False)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    with pytest.raises(FeatureError, match=r"pip install 'harmonic-inference\[starter\]'"):
        fit(survey(images), Wanted())


def test_the_report_is_one_file_that_says_what_was_found(fitted: Transferred) -> None:
    text = report_page(fitted)
    assert not re.search(r"(src|href)=\"(?!data:)|url\(|@import|<script", text)
    assert "<b>a" not in text
    assert "&lt;b&gt;a" in text
    assert text.count("<svg") == 3
    for words in (str(fitted.judgement.accuracy), advice(fitted), *tried_lines(fitted)):
        assert escape(words) in text
    wrong = int((fitted.judgement.mean.argmax(1) != fitted.survey.images.labels).sum())
    assert text.count("<img") == 4 * min(24, wrong)


def test_what_is_published_says_the_same_without_a_picture_or_a_files_name(fitted: Transferred) -> None:
    found, judged = report(fitted), fitted.judgement
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx((judged.accuracy.low, judged.accuracy.high), 1e-3)
    np.testing.assert_allclose([(one.images, one.accuracy) for one in found.learning], judged.curve, atol=1e-4)
    np.testing.assert_allclose(found.confusion, judged.confusion, atol=1e-4)
    assert found.remarks == (advice(fitted),)
    assert found.judged_by == "3 x 5-fold cross-validation"
    assert not [name for name in fitted.survey.images.names if name in found.written()]
    assert "data:" not in found.written()


def test_confusions_are_shares_of_the_true_class(fitted: Transferred) -> None:
    for true, answer, share in worst_confusions(fitted):
        assert true != answer
        assert 0 < share <= 1
    assert class_table(fitted).row_count == 3


def test_advice_asks_for_images_only_where_the_curve_rises(fitted: Transferred) -> None:
    flat = replace(fitted, judgement=replace(fitted.judgement, curve=((10, 0.9), (20, 0.9), (30, 0.9), (40, 0.901))))
    steep = replace(fitted, judgement=replace(fitted.judgement, curve=((10, 0.2), (20, 0.4), (30, 0.6), (40, 0.9))))
    assert "more of the same would help little" in advice(flat)
    assert "still rises: more images help" in advice(steep)
