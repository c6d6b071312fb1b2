"""An upstream in a process of its own: no attack of the test delays its answers.

python -m kit.apart

The first line on standard output is the port. It ends with its standard input.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kit.gateway import Upstream
from kit.harness import PATIENCE_SECONDS


class UpstreamApart:
    """The process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kit.apart"],
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        try:
            assert self.process.wait(PATIENCE_SECONDS) == 0
        finally:
            self.process.kill()


if __name__ == "__main__":
    upstream = Upstream()
    print(upstream.port, flush=True)
    sys.stdin.read()
