"""schemathesis: requests made from the OpenAPI document, and checks of their answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kit.harness import Server, environment

# Checks of each answer. Two checks of schemathesis are left out, because the contract differs: a
# request without credentials is answered 400 with 9106 instead of 401, and input that fits the
# schema can still be refused (a schema does not describe a well-formed CSR).
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "use_after_free",
)

# Operations whose body may be missing.
OPTIONAL_BODIES = [
    "client-certificate-for-a-zone-delete-client-certificate",
    "client-certificate-for-a-zone-edit-client-certificate",
    "managed-authorities-rotate",
    "managed-authority-requests-create",
    "user-edit-user",
    "zones-0-patch",
]

# An empty value of a parameter counts as absent, even if it does not fit the schema.
HOOKS = """
import schemathesis


@schemathesis.hook
def filter_case(context, case):
    is_negative = case.meta is not None and case.meta.generation.mode.is_negative
    return not is_negative or "" not in dict(case.query or {}).values()
"""

# Examples of each operation in each phase: enough for every parameter, and far below the time
# limit.
EXAMPLES = 40

# The whole run has about two minutes.
PHASE_SECONDS = 240


@pytest.mark.parametrize("phase", ["coverage", "fuzzing"])
def test_every_answer_matches_the_openapi_document(
    shared: Server, csr: str, tmp_path: Path, phase: str
) -> None:
    api = shared.api()
    # An earlier phase may have set rules that permit no such request.
    rules = f"/certgate/v1/zones/{shared.zone_id}/issuance_rules"
    assert api.call("PUT", rules, {}).status == 200
    certificate = api.issue(csr).result["id"]
    # A certificate that prevents the deletion of the zone.
    api.issue(csr)
    token = {"name": "spare", "policies": [reading(shared)]}
    spare = api.call("POST", "/client/v4/user/tokens", token).result["id"]
    api.close()
    ids = {
        "account_id": shared.made["account_id"],
        "zone_id": shared.zone_id,
        "client_certificate_id": certificate,
        "token_id": spare,
    }
    config = tmp_path / "schemathesis.toml"
    parameters = "".join(f'"path.{name}" = "{value}"\n' for name, value in ids.items())
    # No request waits for changes. A body that is too long for its schema can be too long for the
    # server. Null, which clients send where a body may be missing, is not in a schema: some
    # generators of clients cannot make a body that is both missing and null. The requests make more
    # CAs than an account may have within an hour.
    refusals = [400, 401, 403, 404, 405, 413]
    config.write_text(
        f'[parameters]\n{parameters}"query.wait_seconds" = 0\n"query.for_seconds" = 0\n'
        f"[checks.negative_data_rejection]\nexpected-statuses = {refusals}\n"
        f"[[operations]]\ninclude-operation-id = {json.dumps(OPTIONAL_BODIES)}\n"
        "[operations.checks.negative_data_rejection]\n"
        f"expected-statuses = {[200, 429, *refusals]}\n"
    )
    (tmp_path / "without_empty_values.py").write_text(HOOKS)
    command = [
        *(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--config-file",
            config,
            "run",
            f"{shared.url}/openapi.json",
        ),
        *("--header", f"Authorization: Bearer {shared.token}"),
        *("--phases", phase, "--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES)),
        *("--seed", "1", "--generation-deterministic", "--workers", "1"),
        *(
            "--continue-on-failure",
            "--no-color",
            "--suppress-health-check",
            "all",
            "--warnings",
            "off",
        ),
    ]
    done = subprocess.run(
        list(map(str, command)),
        cwd=tmp_path,
        env=environment(SCHEMATHESIS_HOOKS="without_empty_values"),
        capture_output=True,
        text=True,
        timeout=PHASE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    selected = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", done.stdout)
    assert selected and len(set(selected.groups())) == 1, (
        "an operation was left out:\n" + done.stdout
    )
    cases = re.search(r"(\d+) generated", done.stdout)
    assert cases and int(cases[1]) > 100, done.stdout


def reading(server: Server) -> dict[str, object]:
    """A policy that permits reading the certificates of the zone."""
    api = server.api()
    groups = {
        group["name"]: group["id"]
        for group in api.call("GET", "/client/v4/user/tokens/permission_groups").result
    }
    api.close()
    return {
        "effect": "allow",
        "permission_groups": [{"id": groups["SSL and Certificates Read"]}],
        "resources": {f"com.cloudflare.api.account.zone.{server.zone_id}": "*"},
    }
