"""deploy/compose: its script and its services run, and only clients with a certificate pass."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose

from kit.deployed import DEPLOY, IS_ROOT
from kit.harness import CERTGATE, REPOSITORY, environment

COMPOSE = DEPLOY / "compose"


def test_clients_with_a_certificate_pass_until_it_is_revoked(tmp_path: Path) -> None:
    if not IS_ROOT:
        pytest.skip("only root can make a network of its own: NOT TESTED")
    for name in ("deploy/compose", "docs"):
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("made"))
    docker = tmp_path / "bin/docker"
    docker.parent.mkdir()
    docker.write_text(f'#!/bin/sh\nexec {sys.executable} -m kit.compose "$@"\n')
    docker.chmod(0o755)
    state = tmp_path / "state"
    state.mkdir()
    story = ["unshare", "--net", sys.executable, "-m", "kit.compose_story", tmp_path]
    here = Path(__file__).parents[1]
    path = f"{docker.parent}:{environment()['PATH']}"
    done = subprocess.run(
        [*map(str, story)],
        cwd=here,
        env=environment(
            PATH=path,
            PYTHONPATH=str(here),
            CERTGATE_TEST_COMPOSE=str(state),
            CERTGATE_TEST_BINARY=str(CERTGATE),
        ),
        capture_output=True,
        text=True,
        timeout=120,
    )
    logs = "".join(f"{log.name}:\n{log.read_text()}" for log in state.glob("*.log"))
    assert done.returncode == 0 and done.stdout.endswith("done\n"), done.stderr + logs


def test_the_compose_file_is_of_the_specification() -> None:
    text = (COMPOSE / "compose.yaml").read_text()
    PyCompose.from_yaml(text).validate()
    with pytest.raises(ValueError, match="read_onlyy"):
        PyCompose.from_yaml(text.replace("read_only:", "read_onlyy:"))


def test_the_services_of_certgate_have_few_rights() -> None:
    services = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]
    for name, service in services.items():
        if not service["image"].startswith("certgate:"):
            continue
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    published = services["certgate"]["ports"]
    assert all(port.startswith("127.0.0.1:") for port in published), published
    assert not any(":8787" in port for port in published), "the management API is not reachable"
