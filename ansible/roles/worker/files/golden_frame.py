"""Compares a frame that the worker makes with the golden one; `soundstage-health` calls it.

Runs with the worker's own Python, for its picture libraries.

Prints one JSON line per problem (code, message, hint) and ends with 0.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_SSIM = 0.99
MOMENT_MS = 400  # within the silence at the start: no version of the voice changes the mouth there


def main() -> int:
    avatar, golden = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="golden-frame-") as folder:
        frame = Path(folder) / "frame.png"
        command = [
            str(avatar),
            "still",
            str(golden / "spec.json"),
            "golden",
            str(frame),
            "--ms",
            str(MOMENT_MS),
        ]
        done = subprocess.run(
            [*command, "--cache", folder],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=folder,
        )
        if done.returncode != 0:
            lines = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()
            # The worker's own words begin with what is wrong; a crash ends with it.
            error_line = lines[-1] if lines[0].startswith("Traceback") else lines[0]
            _tell("worker.broken", f"The worker cannot make a frame: {error_line.strip()}")
            return 0
        drawn, expected = cv2.imread(str(frame)), cv2.imread(str(golden / "frame.png"))
    if drawn is None or expected is None or drawn.shape != expected.shape:
        _tell("worker.frame_shape", "The worker's frame is not of the size of the golden one.")
        return 0
    likeness = ssim(drawn, expected)
    if likeness < MIN_SSIM:
        _tell(
            "worker.frame_differs",
            f"The worker's frame is like the golden one to {likeness:.3f} (SSIM) only.",
        )
    return 0


def ssim(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Structural similarity of two pictures (height, width, 3), 1.0 for the same.

    Wang, Bovik, Sheikh, Simoncelli: Image quality assessment, IEEE TIP 13(4), 2004: Gaussian window of 11
    pixels and sigma 1.5, C1 = (0.01 * 255)^2, C2 = (0.03 * 255)^2, the mean over pixels and channels.
    """
    a, b = one.astype(np.float64), other.astype(np.float64)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def blur(picture: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(picture, (11, 11), 1.5), dtype=np.float64)

    mean_a, mean_b = blur(a), blur(b)
    variance_a, variance_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    likeness = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    )
    return float(likeness[5:-5, 5:-5].mean())  # at the edge the window looks at mirrored pixels


def _tell(code: str, message: str) -> None:
    hint = "Try `avatar doctor` on the machine; converge it again with -e worker__rebuild=true."
    print(json.dumps({"code": code, "message": message, "hint": hint}))


if __name__ == "__main__":
    sys.exit(main())
