"""The files of a release, for the tests that install them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.deployed import judged
from kit.harness import CERTGATE
from kit.packages import make


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the executable of the tests, without its debug information."""
    directory = tmp_path_factory.mktemp("packages")
    judged("strip", "-o", directory / "certgate", CERTGATE)
    return make(directory / "made", directory / "certgate")
