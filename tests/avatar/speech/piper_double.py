"""Speaks Piper's command line: one line of text on standard input, a WAV at the rate of the voice's card.

It takes the options that rhasspy/piper's C++ and Python programs and piper1-gpl share, and refuses any other,
as they do. Run as a program; PIPER_SAYS names a WAV with the sound, PIPER_LOG gets what it was asked.
"""

import argparse
import json
import os
import sys
import wave
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("-c", "--config")
    parser.add_argument("-f", "--output_file", "--output-file")
    parser.add_argument("-s", "--speaker", type=int)
    parser.add_argument("--length_scale", "--length-scale", type=float, default=1.0)
    arguments = parser.parse_args()
    lines = sys.stdin.read().splitlines()
    with Path(os.environ["PIPER_LOG"]).open("a") as log:
        log.write(json.dumps({**vars(arguments), "lines": lines}) + "\n")
    if not Path(arguments.model).is_file():
        raise FileNotFoundError(arguments.model)
    card = json.loads(Path(arguments.config or f"{arguments.model}.json").read_text())
    match os.environ.get("PIPER_FAULT"):
        case "crash":
            sys.stderr.write("terminate called: bad model\n")
            return 134
        case "silent":
            return 0
        case "garbage":
            Path(arguments.output_file).write_bytes(b"no sound at all" * 100)
            return 0
    with wave.open(os.environ["PIPER_SAYS"]) as source:
        frames, rate = source.readframes(source.getnframes()), source.getframerate()
    step = rate / card["audio"]["sample_rate"] / arguments.length_scale
    samples = [frames[2 * int(n * step) : 2 * int(n * step) + 2] for n in range(int(len(frames) / 2 / step))]
    with wave.open(arguments.output_file, "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(card["audio"]["sample_rate"])
        target.writeframes(b"".join(samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
