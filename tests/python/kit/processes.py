"""Processor time and memory of processes, as the system counts them."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path


def tree(process: int) -> list[int]:
    """A process and its children, which do not end while they are measured."""
    listed = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True)
    return [process, *map(int, listed.stdout.split())]


def processor_seconds(*processes: int) -> float:
    """User and system time of the threads so far, which the scheduler counts in nanoseconds."""
    total = 0
    for process in processes:
        for thread in Path(f"/proc/{process}/task").iterdir():
            with suppress(OSError):
                total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


def private_kib(*processes: int) -> int:
    """The memory that only these processes use."""
    total = 0
    for process in processes:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        fields = {line.split(":")[0]: line.split()[1] for line in lines[1:]}
        total += int(fields["Private_Clean"]) + int(fields["Private_Dirty"])
    return total
