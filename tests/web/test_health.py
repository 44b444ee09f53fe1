"""The process says how it is."""

from tests.world import World


def test_a_migrated_installation_is_ready(world: World) -> None:
    client = world.browser()
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert "blp_http_requests_total" in client.get("/metrics").text


def test_an_unknown_address_is_a_problem_with_a_request_id(world: World) -> None:
    answer = world.browser().get("/v1/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"].startswith("req_")
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


def test_a_body_over_the_limit_is_refused(world: World) -> None:
    answer = world.browser().post("/v1/previews", content=b"x" * 300_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
