"""A bounded soak, by hand: every fault at the same time under mixed load, for ten minutes.

Run it as root in `tests/python`, with `CERTGATE_TEST_BINARY` of a build with the dist profile:

    python -m soak.soak --seconds 600

Until the end, the server is killed again and again, its disk is full at times, fsync fails at
times, its clock moves by hours, its standard error has no reader, and 10,000 sockets of one address
send nothing. Then no acknowledged write is lost, `certgate check` finds no problem, and the memory
of the server is within 20 % of that after a new start and the same reads. It needs cc, faketime and
permission to mount.
"""

from __future__ import annotations

import argparse
import http.client
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from kit.crash import RESTORED, REVOKED, Certificate, verify
from kit.disk import Disk, failing_fsync
from kit.harness import Api, Server, eventually, make_csr, needs

SOCKETS = 10_000
CLIENTS = 8
DISK_MB = 256
MEMORY_RATIO_MAX = 1.2

# Seconds between two events of each kind.
PAUSES = {"kill": 25.0, "full disk": 7.0, "failing fsync": 5.0, "clock": 3.0}

# Hours by which the clock moves.
CLOCK_HOURS = (-240, -24, -1, 0, 1, 24, 240)


class Faulty(Server):
    """A server with a false clock and a false fsync, whose standard error has no room."""

    preload = ""

    def launch(self, **more: str) -> None:
        super().launch(
            LD_PRELOAD=self.preload,
            FAKETIME_TIMESTAMP_FILE=str(self.directory.parent / "clock"),
            FAKETIME_NO_CACHE="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
            FAIL_FSYNC=str(self.directory.parent / "fail"),
            **more,
        )

    def memory(self) -> int:
        assert self.process
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        assert found, text
        return int(found[1])


class Client(threading.Thread):
    """Changes its own certificates, and remembers each answer."""

    def __init__(self, soak: Soak, seed: int) -> None:
        super().__init__(daemon=True)
        self.soak, self.random = soak, random.Random(seed)
        self.own: list[Certificate] = []
        self.unanswered = 0
        self.answered = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.soak.ended.is_set():
                api = self.soak.server.api()
                try:
                    while not self.soak.ended.is_set():
                        self.step(api)
                except (OSError, http.client.HTTPException):
                    # Killed, or restarted on another port.
                    self.soak.ended.wait(0.05)
                finally:
                    api.close()
        except BaseException as failure:
            self.failure = failure

    def step(self, api: Api) -> None:
        if not self.own or self.random.random() < 0.3:
            self.unanswered += 1
            answer = api.issue(self.soak.csr)
            if answer.status == 200:
                self.own.append(Certificate(answer.result))
            # Only 10504 leaves open if the certificate exists.
            if answer.status == 200 or answer.error["code"] != 10504:
                self.unanswered -= 1
        elif self.random.random() < 0.5:
            answer = api.call("GET", f"{api.certificates}?limit=200")
        else:
            certificate = self.random.choice(self.own)
            before = certificate.statuses
            is_revoked = before <= REVOKED
            after = RESTORED if is_revoked else REVOKED
            certificate.statuses = before | after
            change = api.restore if is_revoked else api.revoke
            answer = change(certificate.answered["id"])
            if answer.status == 200:
                certificate.statuses = after
            elif answer.status != 503:
                # 503 asks for the same change again, which may have been made.
                certificate.statuses = before
        self.answered += answer.status == 200
        # A clock before or after the dates of a CA or a token refuses a write; the rest is 503.
        assert answer.status in (200, 400, 403, 503), (answer.status, answer.text)


class Soak:
    def __init__(self, directory: Path, seconds: float) -> None:
        self.directory, self.seconds = directory, seconds
        self.ended = threading.Event()
        self.chance = random.Random(1)
        self.csr = make_csr(directory)
        place = directory / "disk"
        place.mkdir()
        needs("mount")
        size = f"size={DISK_MB}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)], check=True)
        self.disk = Disk(place)
        shim = failing_fsync(directory)
        library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        self.clock, self.fail = place / "clock", place / "fail"
        self.set_clock(0)
        self.server = Faulty(place / "data")
        self.server.preload = f"{library}:{shim}"
        self.server.log_path = Path("/dev/full")

    def set_clock(self, hours: int) -> None:
        # Written in place: a full disk must not leave it empty.
        with self.clock.open("r+" if self.clock.exists() else "w") as file:
            file.write(f"{hours * 3600:+010d}")

    def attack(self) -> None:
        """Holds silent sockets at both listeners, and opens closed ones again."""
        sockets: list[socket.socket] = []
        while not self.ended.is_set():
            for port in (self.server.port, self.server.public_port):
                for _ in range(250):
                    try:
                        sockets.append(socket.create_connection(("127.0.0.1", port), 1))
                    except OSError:
                        break
            while len(sockets) > SOCKETS:
                sockets.pop(0).close()
            self.ended.wait(0.5)
        for connection in sockets:
            connection.close()

    def break_things(self) -> None:
        due = dict.fromkeys(PAUSES, time.monotonic())
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            for kind, pause in PAUSES.items():
                if time.monotonic() >= due[kind]:
                    self.happen(kind)
                    due[kind] = time.monotonic() + pause * self.chance.uniform(0.5, 1.5)
            self.ended.wait(0.1)
        self.repair()

    def happen(self, kind: str) -> None:
        match kind:
            case "kill":
                self.server.kill()
                self.repair()
                self.server.start()
            case "full disk":
                if self.disk.filler.exists():
                    self.disk.free()
                else:
                    self.disk.fill()
            case "failing fsync":
                if self.fail.exists():
                    self.fail.unlink()
                else:
                    self.fail.touch()
            case "clock":
                self.set_clock(self.chance.choice(CLOCK_HOURS))

    def repair(self) -> None:
        if self.disk.filler.exists():
            self.disk.free()
        self.fail.unlink(missing_ok=True)
        self.set_clock(0)

    def run(self) -> None:
        self.server.start()
        clients = [Client(self, seed) for seed in range(CLIENTS)]
        for client in clients:
            client.start()
        attack = threading.Thread(target=self.attack, daemon=True)
        attack.start()
        self.break_things()
        self.ended.set()
        for thread in (*clients, attack):
            thread.join()
        for client in clients:
            assert client.failure is None, repr(client.failure)
        answered = sum(client.answered for client in clients)
        print(f"{answered} answers, {sum(len(client.own) for client in clients)} certificates")

        def api_works() -> bool:
            api = self.server.api()
            status = api.call("GET", "/readyz").status
            api.close()
            return status == 200

        def measure() -> int:
            """Compares everything with the answers, and returns the memory of the server then."""
            eventually("the server is ready", api_works)
            own = [client.own for client in clients]
            verify(self.server, own, sum(client.unanswered for client in clients))
            return self.server.memory()

        after = measure()
        self.server.terminate()
        assert self.server.process and self.server.process.wait(60) == 0
        self.server._forget()
        checked = self.server.check()
        assert checked.returncode == 0, checked.stdout + checked.stderr
        print(checked.stdout.strip())
        # The same reads of the same data fill the same caches.
        self.server.start()
        fresh = measure()
        print(f"memory: {after} kB at the end, {fresh} kB after a new start")
        assert after <= fresh * MEMORY_RATIO_MAX, "memory is not returned"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        soak = Soak(directory, arguments.seconds)
        unmount = ["umount", "--lazy", str(directory / "disk")]
        stack.callback(subprocess.run, unmount, check=False)
        stack.callback(soak.server.kill)
        soak.run()
    print("the soak held")


if __name__ == "__main__":
    sys.exit(main())
