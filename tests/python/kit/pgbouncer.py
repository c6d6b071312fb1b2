"""PgBouncer in front of a PostgreSQL server."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kit.harness import eventually, free_port, needs
from kit.postgres import Postgres


@contextmanager
def pgbouncer(server: Postgres, pool_mode: str) -> Iterator[int]:
    """Runs it with the defaults of Debian, but this `pool_mode`. Gives its port."""
    port = free_port()
    settings = server.directory / f"{pool_mode}.ini"
    users = server.directory / "users.txt"
    users.write_text('"postgres" ""\n')
    settings.write_text(
        f"""
[databases]
* = host={server.directory} port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = {pool_mode}
"""
    )
    process = subprocess.Popen(
        [needs("pgbouncer"), "-q", str(settings)],
        stderr=subprocess.DEVNULL,
        **server.as_user(),
    )

    def accepts() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    try:
        eventually("it accepts connections", accepts)
        yield port
    finally:
        process.kill()
        process.wait()
