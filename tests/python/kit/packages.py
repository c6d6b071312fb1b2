"""The files of a release that `cargo xtask dist` made."""

from __future__ import annotations

import os
from pathlib import Path


def only(pattern: str) -> Path:
    """Returns the single file of this kind."""
    (found,) = Path(os.environ["CERTGATE_TEST_PACKAGES"]).glob(pattern)
    return found
