from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from avatar.engines.latentsync.sound import SoundFile

SHORT_MINUTES, LONG_MINUTES = 3, 20
"""The pools of torch and malloc fill within the first."""
FLAT_MIB = 20
HEARING = """
import sys
from pathlib import Path
import numpy as np
from avatar.engines.latentsync.engine import write_network_sound
from avatar.engines.latentsync.whisper import LogMel
from avatar.speech.sound import WavWriter

def most_mib():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

folder = Path(sys.argv[1])
second = (np.sin(np.arange(16_000) / 11) * np.linspace(0, 9000, 16_000)).astype(np.int16)
for minutes in map(int, sys.argv[2:]):
    with WavWriter(folder / "said.wav", 16_000) as wav:
        for number in range(60 * minutes):
            wav.write(second if number % 5 else 0 * second)
    mel = LogMel(write_network_sound(folder / "said.wav", folder / "heard.f32", gated=True)[0])
    heard = sum(frames for _, frames in mel.windows())
    print(heard, most_mib())
"""


def test_a_part_of_a_file_is_read_as_an_array_is_sliced(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
    samples.tofile(tmp_path / "sound.f32")
    sound = SoundFile(tmp_path / "sound.f32")
    assert len(sound) == 1000
    for part in (
        slice(None),
        slice(0, 1),
        slice(990, 2000),
        slice(-5, None),
        slice(700, 300),
        slice(1000, 1001),
    ):
        assert np.array_equal(sound[part], samples[part])
    with pytest.raises(ValueError, match="every 2"):
        sound[::2]


@pytest.mark.torch
def test_a_process_that_hears_a_long_sound_takes_no_more_memory_than_for_a_short_one(tmp_path: Path) -> None:
    """The most it ever had, pages of files included: a map of the sound would lie in it from end to end."""
    pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
    minutes = [str(SHORT_MINUTES), str(LONG_MINUTES)]
    process = subprocess.run(
        [sys.executable, "-c", HEARING, str(tmp_path), *minutes],
        env={"PYTHONPATH": ":".join(sys.path), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=300,
    ).stdout
    (short, short_mib), (long, long_mib) = (map(float, line.split()) for line in process.splitlines())
    assert (short, long) == (SHORT_MINUTES * 6000, LONG_MINUTES * 6000)
    assert long_mib - short_mib < FLAT_MIB
