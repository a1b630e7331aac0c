"""Voices speak what is written short in German in full: one table, written -> spoken."""

from __future__ import annotations

from pathlib import Path

import pytest
from avatar.spec import EspeakVoice, Scene
from avatar.speech import speak
from avatar.speech.spoken import in_words

TABLE = [
    ("Das kostet 1.500,50 € im Jahr.", "Das kostet 1500 Euro 50 im Jahr."),
    ("Für 2,99€ oder 0,99 € oder €5", "Für 2 Euro 99 oder 99 Cent oder 5 Euro"),
    ("Es kostet 1,50€/kg, 1 € mehr.", "Es kostet 1 Euro 50 pro Kilogramm, 1 Euro mehr."),
    ("Umsatz: 3,5 Mio. € und 2 Mrd. EUR.", "Umsatz: 3,5 Millionen Euro und 2 Milliarden Euro."),
    ("Am 3.5.2026 um 14:30 Uhr.", "Am dritten Mai 2026 um 14 Uhr 30."),
    ("Am 03.05.26 um 9:00 Uhr", "Am dritten Mai 2026 um 9 Uhr"),
    ("Der 3.10.1990 war wichtig.", "Der dritte Oktober neunzehnhundert 90 war wichtig."),
    ("Montag, 3. Mai, um 8.15 Uhr", "Montag, dritter Mai, um 8 Uhr 15"),
    ("Vom 1. Januar bis 31. März", "Vom ersten Januar bis einunddreißigsten März"),
    ("Bis zum 24.12. bleibt es so.", "Bis zum vierundzwanzigsten Dezember bleibt es so."),
    ("Am 2026-04-03 und am 31.13.2026", "Am dritten April 2026 und am 31.13.2026"),
    ("Im 21. Jahrhundert, auf dem 2. Platz", "Im einundzwanzigsten Jahrhundert, auf dem zweiten Platz"),
    ("Es waren 21. Danach 22.", "Es waren 21. Danach 22."),
    ("Seit 1995 oder 1800, nicht 2026", "Seit neunzehnhundert 95 oder achtzehnhundert, nicht 2026"),
    ("Um 14:30 los, 0:05 Uhr an", "Um 14 Uhr 30 los, 0 Uhr 5 an"),
    ("Mit 120 km/h, 5 m/s und 3 kg", "Mit 120 Kilometer pro Stunde, 5 Meter pro Sekunde und 3 Kilogramm"),
    ("20m² bei -3 °C", "20 Quadratmeter bei minus 3 Grad Celsius"),
    ("1 kWh oder 2 kWh", "1 Kilowattstunde oder 2 Kilowattstunden"),
    ("Tiere, z. B. Hunde, d. h. Haustiere", "Tiere, zum Beispiel Hunde, das heißt Haustiere"),
    ("Tiere (z.B. Hunde), u. a. Katzen", "Tiere (zum Beispiel Hunde), unter anderem Katzen"),
    ("In der Regel, i. d. R. so", "In der Regel, in der Regel so"),
    ("Prof. Dr. Lee, Nr. 5, S. 12, § 3", "Professor Doktor Lee, Nummer 5, Seite 12, Paragraf 3"),
    ("Hauptstr. 5, Elmer Str. 12", "Hauptstraße 5, Elmer Straße 12"),
    ("Äpfel, Birnen usw. Danach Brot usw.", "Äpfel, Birnen und so weiter. Danach Brot und so weiter."),
    ("Ca. 5 Min. oder 3 Std.", "circa 5 Minuten oder 3 Stunden."),
    ("Fr. Weber kommt Fr., 3. Mai", "Frau Weber kommt Freitag, dritter Mai"),
    ("Offen Mo.–Fr. 9–17 Uhr", "Offen Montag bis Freitag 9 bis 17 Uhr"),
    ("3 % mehr, 2,5% weniger, 1/2 Liter", "3 Prozent mehr, 2,5 Prozent weniger, ein halb Liter"),
    ("Es hat 12.500 Seiten, 1.5 oder 3,14", "Es hat 12500 Seiten, 1.5 oder 3,14"),
    ("500 v. Chr. Danach", "500 vor Christus. Danach"),
    ("Müller & Söhne = gut", "Müller und Söhne gleich gut"),
    ("In der 2. Klasse, die 3. Runde", "In der zweiten Klasse, die dritte Runde"),
    ("So. Das war es. Nr. Sie", "So. Das war es. Nr. Sie"),
    ("Ganz normaler Text, ohne etwas.", "Ganz normaler Text, ohne etwas."),
]  # fmt: skip


@pytest.mark.parametrize(("written", "spoken"), TABLE)
def test_what_is_written_is_spoken_in_full(written: str, spoken: str) -> None:
    words = written.split()
    readings = in_words(words, "de-AT")
    assert " ".join(readings) == spoken and len(readings) == len(words)


def phones_of(script: str, folder: Path) -> list[str]:
    scene = Scene(id="s", script=script, language="de", voice=EspeakVoice(voice="de"))
    track = speak(scene, folder, lambda ref: Path())
    assert " ".join(word.text for word in track.words) == script
    starts = [word.start_ms for word in track.words]
    assert starts == sorted(starts)
    return [phone.ipa for phone in track.phones if phone.ipa]


def test_the_voice_says_the_words_and_captions_show_what_is_written(tmp_path: Path) -> None:
    written = phones_of("Am 3.5.2026 um 14:30 Uhr, z. B. für 2,99 € je kg", tmp_path / "written")
    spelt = "Am dritten Mai 2026 um 14 Uhr 30, zum Beispiel für 2 Euro 99 je kg"
    assert written == phones_of(spelt, tmp_path / "spelt")


def test_a_language_without_tables_is_left_to_the_voice() -> None:
    assert in_words(["1.500,50", "€"], "nl") == ["1.500,50", "€"]
    assert in_words(["5", "kg"], "") == ["5", "kilograms"]
