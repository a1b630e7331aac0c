"""`avatar persona` writes a presenter of one's own that a scene can have."""

from pathlib import Path

import cv2
import pytest
from avatar.cli.main import main
from avatar.spec import random_design


def test_a_persona_is_written_and_drawn(tmp_path: Path) -> None:
    out, picture = tmp_path / "ada-lee.yaml", tmp_path / "ada.png"
    argv = [
        "persona",
        str(out),
        "--seed",
        "12",
        "--hair",
        "turban",
        "--brows",
        "1.2",
        "--picture",
        str(picture),
    ]
    assert main(argv) == 0
    text = out.read_text()
    design = random_design(12, hair="turban", brows=1.2)
    assert '\nid: "ada-lee"\nname: "Ada Lee"\n' in text
    assert '    hair: "turban"\n' in text and "    brows: 1.2\n" in text
    assert f'    clothes: "{design.clothes}"\n' in text
    drawn = cv2.imread(str(picture))
    assert drawn is not None and drawn.shape == (720, 1280, 3) and drawn.std() > 20


@pytest.mark.parametrize("wrong", [["--clothes-colour", "red"], ["--brows", "9"], ["--seed", "many"]])
def test_a_value_that_no_design_has_is_refused(
    wrong: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["persona", str(tmp_path / "a.yaml"), *wrong]) == 1
    assert "[spec.invalid]" in capfd.readouterr().err
    assert not (tmp_path / "a.yaml").exists()
