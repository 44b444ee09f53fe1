"""A provisioner that stalls beyond its lease now and then, and that a test kills without warning.

Run as a program: address, API key, seed. It needs nothing of the software, as a real one would. What was accepted and
what was refused goes to standard output, a line each.
"""

import http.client
import json
import os
import sys
import time
from random import Random  # noqa: TID251 -- who stalls when; nothing secret is drawn
from typing import Any, Final

LEASE_SECONDS: Final = 1
_TASKS: Final = "/v1/provisioning/tasks"


def work(host: str, port: int, key: str, seed: int) -> None:
    """Claim, report, complete, for ever."""
    chance = Random(seed)  # noqa: S311 -- as above
    line = http.client.HTTPConnection(host, port, timeout=30)

    def post(path: str, **body: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        line.request("POST", f"{_TASKS}{path}", json.dumps(body), headers)
        answer = line.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    while True:
        status, task = post("/claim", lease_seconds=LEASE_SECONDS)
        if status != 200:
            time.sleep(0.05)
            continue
        reports: list[tuple[str, dict[str, Any]]] = [
            ("progress", {"progress": 30}), ("heartbeat", {}), ("progress", {"progress": 80}),
            ("complete", {"url": "https://acme.cloud.vendor.example"}),
        ]  # fmt: skip
        stalls = chance.random() < 0.15
        for name, body in reports:
            time.sleep(chance.uniform(0, 0.02))
            if stalls and name == "complete":
                time.sleep(LEASE_SECONDS + 0.3)
            status, said = post(f"/{task['id']}/{name}", fence=task["fence"], **body)
            if status != 200:
                _say(f"refused {task['id']} {task['fence']} {said['code']}")
                break
            if name == "complete":
                _say(f"done {task['id']} {task['fence']}")


def _say(text: str) -> None:
    """In one write, so that lines of many processes do not mix and nothing waits in a buffer of one that dies."""
    os.write(sys.stdout.fileno(), f"{text}\n".encode())


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
