"""Networks whose values are no numbers: nothing of it is shown or kept, and people are told."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.engines.precision import require_finite  # noqa: E402
from avatar.errors import Unavailable  # noqa: E402


@pytest.mark.parametrize(
    ("numbers", "hint"), [("float16", "--precision fp32"), ("float32", "avatar models verify")]
)
def test_values_that_are_no_numbers_are_counted_and_the_hint_fits_what_was_computed_in(
    numbers: str, hint: str
) -> None:
    made = torch.zeros(4, 5, dtype=getattr(torch, numbers))
    require_finite(made, "latentsync")
    made[1, 2], made[3, 0] = torch.nan, -torch.inf
    with pytest.raises(Unavailable, match=r"gpu\.not_finite") as told:
        require_finite(made, "latentsync")
    assert told.value.message == f"2 of 20 values that latentsync computed in {numbers} are no numbers."
    assert hint in told.value.hint
