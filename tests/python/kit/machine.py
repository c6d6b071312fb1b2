"""Machines of their own for the commands of an operator, without virtual machine or systemd.

Network and processes of each are its own. `Machine` is this host, whose files in /etc, /root,
/usr/local, /var/lib and the like are its own. `FreshMachine` is a new Debian. A small `systemctl`
runs the units that a page installs.
"""

from __future__ import annotations

import grp  # noqa: F401  shutil.chown uses it, and cannot find it after chroot
import os
import pwd  # noqa: F401  the same
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from kit.deployed import IS_ROOT, Unit
from kit.harness import CERTGATE, REPOSITORY, environment, eventually, needs

UNITS = (Path("/etc/systemd/system"), Path("/lib/systemd/system"))
RUNNING = Path("/run/units")

# Folders that the commands change. Everything else is that of the host.
OWN = ("etc", "root", "usr/lib/sysusers.d", "usr/local", "var/lib")

# `lo` is up, ports below 1024 need no privilege, and changes of files stay in memory.
BOOT = """
ip link set lo up
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
mount -t tmpfs tmpfs "$LAYERS"
for folder in $OWN; do
  mkdir -p "$LAYERS/$folder/upper" "$LAYERS/$folder/work"
  layers="lowerdir=/$folder,upperdir=$LAYERS/$folder/upper,workdir=$LAYERS/$folder/work"
  mount -t overlay overlay -o "$layers" "/$folder"
done
mount -t tmpfs tmpfs /run
mkdir -p /etc/systemd/system
echo '127.0.0.1 pki.example.com enrol.example.com service.example.com' >> /etc/hosts
cp "$SYSTEMCTL" /usr/local/bin/systemctl
echo ready
exec sleep infinity
"""


# A Debian in a directory. /run/agent has the request of a `systemctl` and its answer.
FRESH_BOOT = """
ip link set lo up
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
mount -t tmpfs tmpfs "$ROOT/run"
mkdir -p "$ROOT/run/agent" "$ROOT/run/systemd/system"
mkfifo "$ROOT/run/agent/request" "$ROOT/run/agent/answer"
echo ready
exec chroot "$ROOT" sleep infinity
"""

AGENT = Path("/run/agent")

# The programs of this host cannot run in the other system: `agent` answers.
ASKING = f"""#!/bin/sh
echo "$*" > {AGENT}/request
read -r answer < {AGENT}/answer
[ "$answer" = done ] || {{ echo "systemctl: $answer" >&2; exit 1; }}
"""


class Machine:
    """A machine with a clone of the project in which certgate was built."""

    def __init__(self, directory: Path) -> None:
        assert IS_ROOT, "only root can make another view of /etc"
        self.directory = directory
        self.clone = directory / "clone"
        (self.clone / "target/release").mkdir(parents=True)
        (self.clone / "target/release/certgate").symlink_to(CERTGATE)
        (self.clone / "deploy").symlink_to(REPOSITORY / "deploy")
        layers = directory / "layers"
        layers.mkdir()
        program = directory / "systemctl"
        path = f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})"
        program.write_text(
            f"#!{sys.executable}\nimport sys\n{path}\n"
            "from kit.machine import systemctl\nsystemctl(*sys.argv[1:])\n"
        )
        program.chmod(0o755)
        self.variables = environment(HOME="/root", LAYERS=str(layers), OWN=" ".join(OWN))
        self.variables["SYSTEMCTL"] = str(program)
        self.boot(BOOT, "--mount-proc")

    def boot(self, script: str, *more: str) -> None:
        """Runs the script of a start, which continues as the first process."""
        own = ("--mount", "--net", "--pid", "--fork", "--kill-child", *more)
        self.process = subprocess.Popen(
            [needs("unshare"), *own, "sh", "-eu", "-c", script],
            env=self.variables,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout and self.process.stdout.readline() == "ready\n"
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        first = children.read_text().strip()
        self.enter = ["nsenter", f"--target={first}", "--mount", "--net", "--pid"]

    def run(self, script: str, cwd: Path | None = None, **more: str) -> str:
        """Runs a script as root, which must succeed. Returns its standard output."""
        done = subprocess.run(
            [*self.enter, "sh", "-eu", "-c", f"cd {cwd or self.clone}\n{script}"],
            env=self.variables | more,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


class FreshMachine(Machine):
    """A new Debian, whose packages come from its own archives: it reaches no network."""

    def __init__(self, root: Path) -> None:
        self.clone = Path("/root")
        self.variables = environment(
            HOME="/root",
            ROOT=str(root),
            DEBIAN_FRONTEND="noninteractive",
            LC_ALL="C.UTF-8",
            PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        with (root / "etc/hosts").open("a") as hosts:
            hosts.write("127.0.0.1 localhost\n")
        program = root / "usr/local/bin/systemctl"
        program.write_text(ASKING)
        program.chmod(0o755)
        self.boot(FRESH_BOOT)
        path = f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})"
        script = f"import sys\n{path}\nfrom kit.machine import agent\nagent({str(root)!r})\n"
        self.agent = subprocess.Popen([*self.enter, sys.executable, "-c", script])
        self.enter += ["--root", "--wd"]

    def has_systemd(self) -> None:
        """Lets packages restart services. Before, they start none, as in a container."""
        self.run("rm /usr/sbin/policy-rc.d\ncp /usr/local/bin/systemctl /usr/bin/systemctl")

    def stop(self) -> None:
        super().stop()
        self.agent.kill()
        self.agent.wait()


def agent(root: str) -> None:
    """Answers the `systemctl` of a fresh machine, whose root it enters."""
    os.chroot(root)
    os.chdir("/")
    while True:
        words = (AGENT / "request").read_text().split()
        try:
            systemctl(*words)
            answer = "done"
        except (Exception, SystemExit) as error:
            answer = " ".join(str(error).split())
        (AGENT / "answer").write_text(f"{answer}\n")


def systemctl(*words: str) -> None:
    """The verbs of systemctl that pages and packages use. A service opens its socket itself."""
    verb, *names = [word for word in words if not word.startswith("-")]
    for name in (name for name in names if not name.endswith((".socket", ".timer"))):
        unit = Service(name.removesuffix(".service"))
        match verb:
            case "stop" | "try-restart" if not unit.pid.exists():
                pass
            case "stop":
                unit.stop()
            case "restart" | "try-restart":
                unit.stop()
                unit.start()
            case "reload":
                os.kill(unit.process(), signal.SIGHUP)
            case "start" | "enable":
                unit.start()
            case _:
                raise SystemExit(f"systemctl: unknown verb {verb}")


class Service:
    """A unit on the machine."""

    def __init__(self, name: str) -> None:
        files = (folder / f"{name}.service" for folder in UNITS)
        file = next((file for file in files if file.exists()), UNITS[0] / f"{name}.service")
        self.name = name
        self.unit = Unit(file, *sorted(Path(f"{file}.d").glob("*.conf")))
        self.pid = RUNNING / f"{name}.pid"

    def process(self) -> int:
        return int(self.pid.read_text())

    def start(self) -> None:
        """Starts the process as the unit says: user, directories, credentials and environment."""
        unit = self.unit
        user = (unit.all("User") or ["root"])[-1]
        secrets = RUNNING / f"{self.name}.credentials"
        secrets.mkdir(parents=True, exist_ok=True)
        for name, file in unit.credentials().items():
            shutil.copy(file, secrets / name)
        roots = {"StateDirectory": "/var/lib", "RuntimeDirectory": "/run"}
        owned = [secrets, *secrets.iterdir()]
        for setting, root in roots.items():
            owned += [Path(root, folder) for value in unit.all(setting) for folder in value.split()]
        for path in owned:
            path.mkdir(parents=True, exist_ok=True) if not path.is_file() else None
            shutil.chown(path, user, user)
            path.chmod(0o700 if path.is_dir() else 0o400)
        values = unit.environment(str(secrets), "/var/lib")
        for file in unit.all("EnvironmentFile"):
            lines = shlex.split(Path(file).read_text(), comments=True)
            values |= dict(line.split("=", 1) for line in lines)
        own = environment(**values)
        become = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"]
        with (RUNNING / f"{self.name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*become, *unit.command(**values)],
                cwd="/",
                env=own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid.write_text(str(process.pid))

    def stop(self) -> None:
        """Sends SIGTERM and waits for the end."""
        process = self.process()
        os.kill(process, signal.SIGTERM)

        def ended() -> bool:
            status = Path(f"/proc/{process}/stat")
            return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z"

        eventually(f"{self.name} ends", ended)
        self.pid.unlink()
