"""Hides a library's start-up messages from the terminal; used around the first calls into MediaPipe and
InsightFace.
"""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

log = logging.getLogger(__name__)

_STDERR = 2
_LOCK = threading.RLock()
# Lines of glog and absl (`W0000 00:00:17.29   10339 file.cc:114] ...`), two start-up messages of theirs, and
# lines of ONNX Runtime, coloured or not (`2026-01-31 00:00:17.294 [W:onnxruntime:Default, file.cc:65 Call]
# ...`).
_CHATTER = re.compile(
    rb"^([IWE]\d{4} |WARNING: All log messages|INFO: Created TensorFlow"
    rb"|(\x1b\[[\d;]*m)*\d{4}-\d\d-\d\d [\d:.]+ \[[VIW]:onnxruntime)"
)


@contextmanager
def quiet_start() -> Iterator[None]:
    """Does the same as `quiet_native_logs`, for a library that also prints to standard output and warns from
    Python: both become debug records. Standard output carries the worker's events, one JSON document a line.
    """
    printed = io.StringIO()
    with quiet_native_logs(), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            with redirect_stdout(printed):
                yield
        finally:
            for line in (*printed.getvalue().splitlines(), *(str(one.message) for one in warned)):
                log.debug("%s", line)


@contextmanager
def quiet_native_logs() -> Iterator[None]:
    """Turns log lines that native code writes to file descriptor 2 meanwhile into debug records of this
    module.

    Anything else written there meanwhile, by whatever thread, reaches the real standard error afterwards.
    """
    with _LOCK, tempfile.TemporaryFile() as captured:
        sys.stderr.flush()
        try:
            real = os.dup(_STDERR)
        except OSError:  # no standard error at all (a daemon): nothing to keep clean
            yield
            return
        os.dup2(captured.fileno(), _STDERR)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real, _STDERR)
            os.close(real)
            captured.seek(0)
            for line in captured.read().splitlines(keepends=True):
                if _CHATTER.match(line):
                    log.debug("%s", line.decode(errors="replace").rstrip())
                else:
                    os.write(_STDERR, line)
