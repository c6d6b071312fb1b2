"""curl with the lines of the public API documentation, on another host."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kit.harness import Server, needs

FIELDS = [
    "id",
    "certificate",
    "certificate_authority",
    "common_name",
    "country",
    "csr",
    "expires_on",
    "fingerprint_sha256",
    "issued_on",
    "location",
    "organization",
    "organizational_unit",
    "serial_number",
    "signature",
    "ski",
    "state",
    "status",
    "validity_days",
]

PATH = "/zones/$ZONE_ID/client_certificates"
BEARER = '-H "Authorization: Bearer $CLOUDFLARE_API_TOKEN"'
JSON_TYPE = "-H 'Content-Type: application/json'"

LIST = f"curl {{base}}{PATH} {BEARER}"
CREATE_JSON = f"curl {{base}}{PATH} {BEARER} --json @body.json"
CREATE_DATA = f"curl {{base}}{PATH} {JSON_TYPE} {BEARER} --data @body.json"
CREATE_POST = f"curl {{base}}{PATH} --request POST {BEARER} {JSON_TYPE} -d @body.json"
GET = f"curl {{base}}{PATH}/$CLIENT_CERTIFICATE_ID {BEARER}"
PATCH = f"curl {{base}}{PATH}/$CLIENT_CERTIFICATE_ID -X PATCH {BEARER}"
PATCH_TYPE = f"curl {{base}}{PATH}/$CLIENT_CERTIFICATE_ID --request PATCH {JSON_TYPE} {BEARER}"
PATCH_DATA = f"curl {{base}}{PATH}/$CLIENT_CERTIFICATE_ID -X PATCH {JSON_TYPE} {BEARER} -d '{{{{\"reactivate\":true}}}}'"
PATCH_JSON = f"curl {{base}}{PATH}/$CLIENT_CERTIFICATE_ID --request PATCH {BEARER} --json '{{{{\"reactivate\": true}}}}'"
DELETE = f"curl {{base}}{PATH}/$CLIENT_CERTIFICATE_ID -X DELETE {BEARER}"
DELETE_TYPE = f"curl --request DELETE {{base}}{PATH}/$CLIENT_CERTIFICATE_ID {JSON_TYPE} {BEARER}"


class Shell:
    """A shell in a directory, into which a user pastes the lines."""

    def __init__(self, server: Server, directory: Path) -> None:
        self.base, self.directory = f"{server.url}/client/v4", directory
        self.variables = {
            "PATH": str(Path(needs("curl")).parent),
            "ZONE_ID": server.zone_id,
            "CLOUDFLARE_API_TOKEN": server.token,
        }

    def run(self, line: str, **more: str) -> tuple[int, dict[str, Any]]:
        """Returns the status and the body."""
        line = (
            line.format(base=self.base)
            + " --silent --show-error --write-out ' %{http_code} %{content_type}'"
        )
        assert shlex.split(line)[0] == "curl"
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.directory,
            env=self.variables | more,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        text, status, kind = done.stdout.rsplit(" ", 2)
        assert kind == "application/json"
        return int(status), json.loads(text)

    def result(self, line: str, **more: str) -> Any:
        status, body = self.run(line, **more)
        assert status == 200, body
        assert (body["success"], body["errors"]) == (True, []) and list(body)[:4] == [
            "success",
            "errors",
            "messages",
            "result",
        ]
        return body["result"]


@pytest.fixture
def shell(shared: Server, tmp_path: Path, csr: str) -> Shell:
    (tmp_path / "body.json").write_text(json.dumps({"csr": csr, "validity_days": 3650}))
    return Shell(shared, tmp_path)


@pytest.mark.parametrize("line", [CREATE_JSON, CREATE_DATA, CREATE_POST])
def test_create(shell: Shell, csr: str, line: str) -> None:
    made = shell.result(line)
    assert list(made) == FIELDS, "the order of the public example"
    assert (made["status"], made["csr"], made["validity_days"]) == ("active", csr, 3650)
    assert shell.result(GET, CLIENT_CERTIFICATE_ID=made["id"]) == made
    assert shell.result(LIST)[0] == made


def test_create_with_the_newlines_that_a_shell_pastes(shell: Shell, csr: str) -> None:
    """The documentation shows \\n as two characters in a shell's single quotes."""
    pasted = csr.strip().replace("\n", "\\n")
    line = (
        f'curl {{base}}{PATH} {BEARER} --json \'{{{{"csr": "{pasted}", "validity_days": 3650}}}}\''
    )
    assert shell.result(line)["csr"] == csr.strip()


def test_create_with_the_content_type_that_curl_chooses(shell: Shell, csr: str) -> None:
    """curl sends the type of a form when the header is missing. The server accepts it."""
    assert shell.result(f"curl {{base}}{PATH} {BEARER} -d @body.json")["csr"] == csr


@pytest.mark.parametrize("delete", [DELETE, DELETE_TYPE])
@pytest.mark.parametrize("patch", [PATCH, PATCH_TYPE, PATCH_DATA, PATCH_JSON])
def test_revoke_and_reactivate(shell: Shell, delete: str, patch: str) -> None:
    made = shell.result(CREATE_JSON)
    identity = made["id"]
    revoked = shell.result(delete, CLIENT_CERTIFICATE_ID=identity)
    assert revoked == made | {"status": "pending_revocation"}
    assert shell.result(GET, CLIENT_CERTIFICATE_ID=identity)["status"] in (
        "pending_revocation",
        "revoked",
    )
    restored = shell.result(patch, CLIENT_CERTIFICATE_ID=identity)
    assert restored == made | {"status": "pending_reactivation"}
    again = shell.result(patch, CLIENT_CERTIFICATE_ID=identity)
    assert again["status"] in ("pending_reactivation", "active"), "a second time changes nothing"


def test_list_parameters(shell: Shell) -> None:
    for _ in range(6):
        shell.result(CREATE_JSON)
    url = f'"{{base}}{PATH}?page=1&per_page=5&status=active"'
    status, body = shell.run(f"curl {url} {BEARER}")
    info = body["result_info"]
    assert status == 200 and len(body["result"]) == info["count"] == info["per_page"] == 5
    assert info["total_pages"] == -(-info["total_count"] // 5)
    everything = shell.result(f"curl -G {{base}}{PATH} {BEARER} -d limit=1000 -d offset=0")
    assert [made["id"] for made in everything[:5]] == [made["id"] for made in body["result"]]


def test_legacy_headers_and_missing_ones(shell: Shell) -> None:
    no_key = f'curl {{base}}{PATH} -H "X-Auth-Key;" -H "X-Auth-Email;" {BEARER}'
    assert shell.run(no_key)[0] == 200
    for line, status, code in [
        (f"curl {{base}}{PATH}", 400, 9106),
        (f"curl {{base}}{PATH} -H 'Authorization: Basic YTpi'", 400, 6003),
        (f"curl {{base}}{PATH} -H 'Authorization: Bearer {'f' * 40}'", 403, 9109),
        (f"curl {{base}}{PATH} -X PUT {BEARER}", 405, 10405),
        (f"curl {{base}}/nothing/here {BEARER}", 404, 7003),
    ]:
        got, body = shell.run(line)
        assert (got, body["errors"][0]["code"], body["result"]) == (status, code, None)
