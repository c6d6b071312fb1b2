"""Makes `0.1.0.tar.xz`, the data directory of an earlier version, with the program of that version.

The tests only read the archive. It was made once, on 2026-11-30, with a debug build of the commit
52d9719, the last one with version 1 of the tables:

    cd tests/python
    CERTGATE_TEST_BINARY=/path/to/certgate python -m storage.upgrade.make

The archive has a CA's key, the master key and tokens. They are test keys, made for this archive:
nothing trusts them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from kit.backups import back_up, talking
from kit.clock import Clock
from kit.harness import Server, make_csr
from kit.installation import Estate

ARCHIVE = Path(__file__).with_name("0.1.0.tar.xz")

# Days before today on which the installation was made, and days for which its first certificates
# are valid: they have expired since.
AGE, VALIDITY = 40, 10

# Certificates of the first zone beyond one page of a list, and each of them that is revoked.
CERTIFICATES, EACH_REVOKED = 60, 6


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        made = fill(Path(directory))
        names = sorted(path.name for path in made.iterdir())
        packed = ["tar", "--create", "--xz", "--sort=name", "--owner=0", "--group=0"]
        subprocess.run([*packed, "--file", ARCHIVE, "--directory", made, *names], check=True)
    print(f"{ARCHIVE}: {ARCHIVE.stat().st_size} octets", file=sys.stderr)


def fill(directory: Path) -> Path:
    """Returns a folder with the data directory, a backup, and the answers of the server."""
    csr = make_csr(directory)
    made = directory / "made"
    made.mkdir()
    server = Server(made / "data", init=None)
    clock = Clock(server)
    clock.set(f"-{AGE}d")
    server.start()
    try:
        server.adopt()
        with talking(server) as api:
            expired = [api.issue(csr, VALIDITY).result["id"] for _ in range(3)]
        server.terminate()
        server.ended(tells_token=True)
        server.log_path.unlink()
        # The lease of the enforcement point has ended since, too.
        clock.set("-2d")
        server.start()
        with talking(server) as api:
            for number in range(CERTIFICATES):
                one = api.issue(csr, 365).result
                if number % EACH_REVOKED == 0:
                    api.revoke(one["id"])
                    api.settled(one["id"], "revoked")
        back_up(server, "backup.db")
        estate = Estate(server, csr, directory)
        said = {
            "installation": server.made,
            "expired": expired,
            "estate": estate.record(),
            "answers": estate.said(server),
        }
        server.stop()
    finally:
        server.kill()
    (made / "said.json").write_text(json.dumps(said))
    for path in (server.log_path, clock.file):
        path.unlink()
    return made


if __name__ == "__main__":
    main()
