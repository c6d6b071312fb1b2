"""Fixtures of the tests of backups and journals."""

from kit.backups import stopped, story  # noqa: F401  fixtures
