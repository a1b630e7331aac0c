"""What is said aloud of an answer, with which feeling, and when."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from avatar.spec.speech_sheet import SpeechSheet, TimedViseme, TimedWord

from agent.live.feelings import CALM, feelings, strongest
from agent.live.lexicon import EMOTIONS, languages, lexicon_of
from agent.live.service import CURVE_HZ, MAX_CHARS, MORE, emotion_curve, sentence_ends, speakable_text

EN = lexicon_of("en-us")
LISTS = Path(__file__).parents[2] / "agent" / "live" / "words"
SENTENCES: dict[str, list[tuple[str, str]]] = {
    "en": [
        ("Your video is ready. I am so glad!", "happy"),
        ("Unfortunately that face is gone.", "sad"),
        ("I am furious about it.", "angry"),
        ("Wow, that was unexpected!", "surprised"),
        ("Which one do you mean?", "curious"),
        ("It is running, the next step is waiting.", "focused"),
        ("Haha, a joke.", "playful"),
        ("The render failed: the disk has a problem.", "concerned"),
        ("You can be absolutely sure.", "confident"),
        ("That is not a problem.", "neutral"),
        ("It isn't great.", "neutral"),
        ("No, that is great.", "happy"),
        ("There are three machines.", "neutral"),
        ("¿", "neutral"),
    ],
    "de": [
        ("Ihr Video ist fertig. Das freut mich sehr!", "happy"),
        ("Leider ist dieses Gesicht verloren.", "sad"),
        ("Das ist unverschämt, ich bin wütend.", "angry"),
        ("Oh, das kam plötzlich und unerwartet.", "surprised"),
        ("Welches meinen Sie?", "curious"),
        ("Es läuft, der nächste Schritt wartet.", "focused"),
        ("Haha, ein lustiger Witz.", "playful"),
        ("Der Versuch ist fehlgeschlagen: ein Problem mit der Platte.", "concerned"),
        ("Das ist ganz SICHER so.", "confident"),
        ("Das ist kein Problem.", "neutral"),
        ("Das gefällt mir nicht.", "neutral"),
        ("Ich bin nicht froh.", "neutral"),
        ("Es gibt drei Rechner.", "neutral"),
    ],
    "fr": [
        ("Votre vidéo est prête. J'adore !", "happy"),
        ("Hélas, ce visage est perdu.", "sad"),
        ("Je suis furieuse, c'est inadmissible.", "angry"),
        ("Oh, c'est incroyable.", "surprised"),
        ("Lequel voulez-vous dire ?", "curious"),
        ("Je cherche, la prochaine étape attend.", "focused"),
        ("Haha, une blague amusante.", "playful"),
        ("Le rendu a échoué : une erreur du disque.", "concerned"),
        ("Oui, c'est absolument certain.", "confident"),
        ("Ce n'est pas un problème.", "neutral"),
        ("Je n'aime pas ça.", "neutral"),
        ("Il y a trois machines.", "neutral"),
    ],
    "es": [
        ("Tu vídeo está listo. ¡Me encanta!", "happy"),
        ("Lamentablemente esa cara está perdida.", "sad"),
        ("Estoy furiosa, es inaceptable.", "angry"),
        ("¡Vaya, qué sorpresa!", "surprised"),
        ("¿Cuál de ellas?", "curious"),
        ("Estoy buscando, el siguiente paso espera.", "focused"),
        ("Jaja, una broma divertida.", "playful"),
        ("Ha fallado: hay un error en el disco.", "concerned"),
        ("Estoy absolutamente seguro.", "confident"),
        ("No es un problema.", "neutral"),
        ("No me gusta.", "neutral"),
        ("Hay tres máquinas.", "neutral"),
    ],
    "it": [
        ("Il tuo video è pronto. Sono molto felice!", "happy"),
        ("Purtroppo quel volto è perso.", "sad"),
        ("Sono furiosa, è inaccettabile.", "angry"),
        ("Accidenti, che sorpresa!", "surprised"),
        ("Quale intendi?", "curious"),
        ("Sto cercando, il prossimo passo è in coda.", "focused"),
        ("Uno scherzo divertente.", "playful"),
        ("È fallito: c'è un errore del disco.", "concerned"),
        ("Sì, ne sono assolutamente sicuro.", "confident"),
        ("Non è un problema.", "neutral"),
        ("Non mi piace.", "neutral"),
        ("Ci sono tre macchine.", "neutral"),
    ],
    "nl": [
        ("Je video is klaar. Ik ben heel blij!", "happy"),
        ("Helaas is dat gezicht verloren.", "sad"),
        ("Ik ben woedend, dit is schandalig.", "angry"),
        ("Wauw, dat was onverwacht!", "surprised"),
        ("Welke bedoel je?", "curious"),
        ("Ik zoek, de volgende stap wacht.", "focused"),
        ("Haha, een grappige grap.", "playful"),
        ("Het is mislukt: een probleem met de schijf.", "concerned"),
        ("Dat is absoluut zeker.", "confident"),
        ("Dat is geen probleem.", "neutral"),
        ("Dat bevalt me niet.", "neutral"),
        ("Er zijn drie machines.", "neutral"),
    ],
}


@pytest.mark.parametrize(
    ("language", "text", "emotion"),
    [(language, *case) for language, cases in SENTENCES.items() for case in cases],
)
def test_words_and_marks_tell_the_feeling(language: str, text: str, emotion: str) -> None:
    lexicon = lexicon_of(language)
    assert lexicon is not None and strongest(feelings(text, lexicon)) == emotion


def test_each_language_has_its_sentences_here() -> None:
    assert languages() == SENTENCES.keys()
    for cases in SENTENCES.values():
        assert {emotion for _, emotion in cases} == set(EMOTIONS)


@pytest.mark.parametrize("language", sorted(SENTENCES))
def test_a_word_tells_one_feeling_and_takes_none_away(language: str) -> None:
    content = yaml.safe_load((LISTS / f"{language}.yaml").read_text(encoding="utf-8"))
    output = [word for words in content["feelings"].values() for word in words.split()]
    assert sorted(output) == sorted(set(output)) and set(content["feelings"]) == {*EMOTIONS} - {"neutral"}
    assert not set(output) & {*content["negations"].split(), *content["intensifiers"].split()}
    lexicon = lexicon_of(language)
    assert lexicon is not None
    for emotion, words in content["feelings"].items():
        for word in words.casefold().split():
            assert lexicon.feeling_of(word.rstrip("*")) == emotion
            assert lexicon.words_of(word.rstrip("*")) == [word.rstrip("*")], "it can be found in a sentence"


@pytest.mark.parametrize(
    ("tag", "found"), [("de-AT", "de"), ("en_gb", "en"), (" NL ", "nl"), ("pt-br", None)]
)
def test_a_region_speaks_its_language_and_an_unknown_one_is_none(tag: str, found: str | None) -> None:
    lexicon = lexicon_of(tag)
    assert (lexicon and lexicon.language) == found


@pytest.mark.parametrize("tag", ["pt-br", "", "../en", "*", "e"])
def test_in_an_unknown_language_all_is_neutral(tag: str) -> None:
    assert lexicon_of(tag) is None
    found = feelings("Estou feliz! Wow, great, is it?", lexicon_of(tag))
    assert {(one.emotion, one.intensity) for one in found} == {("neutral", CALM)}


def test_an_intensifier_makes_it_stronger() -> None:
    [plain], [strong] = feelings("I am glad.", EN), feelings("I am so glad.", EN)
    assert plain.emotion == strong.emotion == "happy" and plain.intensity < strong.intensity <= 1


def sheet(*words: tuple[str, int, int], duration_ms: int = 4000) -> SpeechSheet:
    return SpeechSheet(
        duration_ms=duration_ms,
        sample_rate_hz=22_050,
        words=tuple(TimedWord(text=text, start_ms=start, end_ms=end) for text, start, end in words),
        visemes=(TimedViseme(viseme="sil", start_ms=0, end_ms=duration_ms),),
        level=(1.0,) * 50 + (0.0,) * 50,
        phone_source="engine",
    )


def test_the_curve_changes_where_the_voice_begins_the_next_sentence() -> None:
    found = feelings("I am glad. It failed.", EN)
    reply = sheet(
        ("I", 0, 200), ("am", 200, 500), ("glad.", 500, 1500), ("It", 2500, 2700), ("failed.", 2700, 3900)
    )
    assert sentence_ends(found, reply) == [1500, 3900]
    curve = emotion_curve(found, reply)
    assert len(curve) == 4 * CURVE_HZ + 1 and (curve[0].time, curve[-1].time) == (0.0, 1.0)
    assert [sample.emotion for sample in curve] == ["happy"] * 15 + ["concerned"] * 26
    loud, quiet = curve[5].intensity, curve[-1].intensity
    assert loud == found[0].intensity and quiet < found[1].intensity


def test_a_sound_without_words_still_has_a_curve() -> None:
    curve = emotion_curve(feelings("Fine. Thanks.", EN), sheet(duration_ms=0))
    assert [sample.time for sample in curve] == [0.0, 1.0]


def test_marks_and_addresses_are_not_read_aloud() -> None:
    assert speakable_text("Done: *look*\n• [pause 9000ms] at https://a.example/x\n---\n/api/renders/7") == (
        "Done: look. pause 9000ms at."
    )
    assert speakable_text("—\n…") == ""
    with_id = "I am making “Tides” with Nova (rnd_01m8rwxxbpy8ve5t8za29pkmca)."
    assert speakable_text(with_id) == "I am making “Tides” with Nova."
    assert speakable_text("(rnd_01m8rwxxbpy8ve5t8za29pkmca).") == ""


def test_a_long_answer_is_said_up_to_a_whole_sentence_and_says_so() -> None:
    reply = speakable_text("This is one sentence. " * 100)
    assert reply.endswith(f"sentence. {MORE}") and len(reply) <= MAX_CHARS + len(MORE) + 2
    assert speakable_text("x" * 5000).endswith(MORE)
