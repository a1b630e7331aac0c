"""The start-up messages of libraries become debug records, and errors of the start stay visible."""

from __future__ import annotations

import logging
import tempfile
import warnings
from typing import Any

import pytest
from avatar.face.quiet import quiet_start


def test_an_error_before_the_start_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no space left for a temporary file")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(OSError, match="no space left"), quiet_start():
        pass


def test_output_and_warnings_of_a_failed_start_become_debug_records(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, logger="avatar.face.quiet")
    with pytest.raises(ValueError, match="no model"), quiet_start():
        print("loading the model")
        warnings.warn("an old model", stacklevel=1)
        raise ValueError("no model")
    assert [record.getMessage() for record in caplog.records] == ["loading the model", "an old model"]
    assert capsys.readouterr().out == ""
