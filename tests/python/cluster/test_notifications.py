"""Notifications of several nodes of one PostgreSQL: one of them delivers."""

from __future__ import annotations

from pathlib import Path

from kit.harness import eventually
from kit.postgres import MakeNode, Postgres
from kit.receiver import OK, Webhook, status


def test_one_node_delivers_the_events_of_all(
    postgres: Postgres, make_node: MakeNode, tmp_path: Path, csr: str
) -> None:
    url = postgres.url(postgres.database())
    webhook = Webhook(tmp_path)
    nodes = [make_node(url, *webhook.flags), make_node(url, *webhook.flags)]
    issued = [node.api().issue(csr).result["id"] for node in nodes * 5]
    requests = webhook.receiver.wait(len(issued))
    assert [one.certificate for one in requests] == issued
    # The node that delivers is killed while the receiver fails: the other one continues.
    webhook.receiver.answer = lambda _: status("503 Later")
    issued += [node.api().issue(csr).result["id"] for node in nodes * 5]
    webhook.receiver.wait(len(requests) + 1)
    holder = next(node for node in nodes if "cannot be delivered" in node.log)
    other = next(node for node in nodes if node is not holder)
    holder.kill()
    other.sql("UPDATE leases SET until = 0 WHERE job = 'notifying'")
    webhook.receiver.answer = lambda _: OK

    def delivered() -> list[str]:
        return list({one.id: one.certificate for one in webhook.receiver.requests}.values())

    eventually("every event", lambda: len(delivered()) == len(issued))
    assert delivered() == issued
    # Each node lists the same.
    answers = [other.api().call("GET", "/certgate/v1/notifications").result]
    holder.start()
    answers.append(holder.api().call("GET", "/certgate/v1/notifications").result)
    assert answers[0] == answers[1] and answers[0][0]["delivered"] == len(issued)
    webhook.receiver.close()
