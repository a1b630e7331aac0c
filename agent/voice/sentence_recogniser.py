"""Recognises sentences that are not in the grammar, by pocketsphinx and a model of how people word wishes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.voice.language_model import class_word, model_words
from agent.voice.pronunciations import dictionary, dictionary_path
from agent.voice.recogniser import Segment, decode_whole, entry_of, open_decoder, segments_of
from agent.voice.spoken_grammar import MAX_NAMES, words_of


class SentenceRecogniser:
    """Recognises one sentence at a time. Not for two threads at once. About 60 MB; a second of sound takes
    0.1 s of processor time. `model`: an ARPA file of `language_model`.
    """

    def __init__(self, model: Path) -> None:
        self._decoder = open_decoder(
            dict=dictionary_path(),
            lm=str(model),
            compallsen=True,  # Else scores are relative to the best senone that is still searched.
            bestpath=False,  # Scores of segments from a lattice are not those of the sound alone.
        )
        known = dictionary()
        self._unknown = [
            f"{entry_of(word, number)} {phones}"
            for word in model_words(model)
            if word not in known
            for number, phones in enumerate(known.pronunciations(word), 1)
        ]
        """Entries of the dictionary for words that it does not have: numbers, letters."""
        self._names: Mapping[str, Sequence[str]] | None = None
        self._texts: dict[str, str] = {}
        """The names, by their entries in the dictionary of the decoder."""

    def load(self, names: Mapping[str, Sequence[str]]) -> None:
        """Listens for these names of things, by their kind, from the next sentence on; for no others."""
        if names == self._names:
            return
        entries, texts = list(self._unknown), {}
        known = dictionary()
        for kind, found in names.items():
            word, number = class_word(kind), 1
            for name in found[:MAX_NAMES]:
                parts = [known.pronounce(part) for part in words_of(name)]
                if parts and all(parts):
                    texts[entry_of(word, number)] = name
                    entries.append(" ".join([entry_of(word, number), *(part for part in parts if part)]))
                    number += 1
        with tempfile.NamedTemporaryFile("w", prefix="soundstage-", suffix=".dict") as file:
            file.write(
                "\n".join([Path(dictionary_path()).read_text(encoding="utf-8").rstrip(), *entries, ""])
            )
            file.flush()
            self._decoder.load_dict(file.name)
        self._names, self._texts = names, texts

    def decode(self, pcm: bytes) -> Sequence[Segment]:
        """Returns the words of a sound, 16-bit mono at 16 kHz."""
        decode_whole(self._decoder, pcm)
        return segments_of(self._decoder, self._texts)
