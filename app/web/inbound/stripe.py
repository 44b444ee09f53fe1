"""Payment events: verified over the raw bytes, stored, answered; a job does the rest (ADR 0005)."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.core import inbox, jobs
from app.core.clock import transport_now
from app.flows.ports import Ports
from app.flows.provider_events import handle_event
from app.payments.errors import ForgedEvent
from app.payments.provider import ProviderEvent
from app.web.problems import problems

router = APIRouter(prefix="/inbound", tags=["inbound"])


@router.post(
    "/stripe", status_code=200, operation_id="receive_payment_event", responses=problems(ForgedEvent),
    response_class=Response,
)  # fmt: skip
async def receive_payment_event(request: Request) -> Response:
    """The payment provider's events. Storing one again, or one of another kind, is answered with 200 as well."""
    raw = await request.body()
    signature = request.headers.get("stripe-signature", "")
    await run_in_threadpool(_take, request.app.state.ports, raw, signature)
    return Response(status_code=200)


def _take(ports: Ports, raw: bytes, signature: str) -> None:
    event = ports.payments.verify_event(raw, signature)
    with ports.db.transaction() as tx:
        stored = inbox.store(tx, ports.payments.name, event.id, event.type, _kept(event), transport_now())
        if stored is not None:
            jobs.defer(tx, handle_event, event_id=stored)


def _kept(event: ProviderEvent) -> dict[str, object]:
    return {**event.names(), "event": event.payload}
