"""Fixtures of the tests with the official Python SDK."""

from kit.sdk import sdk, wire  # noqa: F401  fixtures
