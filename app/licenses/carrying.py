"""Requests of servers without a network, answered with signed files (R-LIC-8); what is said in them is `offline.py`."""

import hmac
from datetime import datetime, timedelta
from typing import Final

from app.core import keys
from app.core.db import Tx
from app.core.errors import Invalid
from app.core.security import Secrets
from app.licenses import activating, offline
from app.licenses.activating import By, Server
from app.licenses.activation_models import Activation, ActivationState
from app.licenses.models import License
from app.licenses.offline import Action, Request

_RELEASE: Final = "activation-release"


def carry(
    tx: Tx, secrets: Secrets, license_: License, request: Request, *, by: By, now: datetime, real_now: datetime
) -> Activation:
    """Do what a request asks; `answer` writes the file to be carried back.

    The same request again changes nothing. Raises Invalid for a request of another license, one used before, and a
    wrong `release`; and what `activating.activate` and `deactivate` raise.
    """
    if request.license != license_.file_id:
        raise Invalid(
            "The request is about another license file. Open the license whose file the server has installed.",
            param="text",
        )
    if request.action is Action.ACTIVATE:
        server = Server(request.fingerprint, request.name, request.hostname, request.version, request.nonce)
        return activating.activate(tx, license_, server, by=by, now=now, real_now=real_now)[0]
    row = activating.get(tx, license_, request.activation or "")
    genuine = hmac.compare_digest(_release(secrets, row), request.release or "")
    if not row.offline or not genuine or row.fingerprint != request.fingerprint:
        raise Invalid("It does not show the activation file that this server was given.", param="text")
    if row.state is ActivationState.DEACTIVATED:
        return row
    return activating.deactivate(
        tx, license_, row.id, by=by, reason="carried here by the customer", proven=True, now=now
    )  # fmt: skip


def answer(tx: Tx, secrets: Secrets, license_: License, row: Activation, now: datetime) -> str:
    """The signed text for a server that was activated by request: its activation, or the receipt that it gave up.

    After a renewal it is fetched again from the newer license, whose file it then goes with. Raises NoSigningKey and
    Invalid.
    """
    if not row.offline:
        raise Invalid("This server was activated over the network and needs no file.", param="text")
    said: dict[str, object] = {
        "activation": row.id, "fingerprint": row.fingerprint, "license": license_.file_id, "nonce": row.request_nonce,
    }  # fmt: skip
    if row.state is ActivationState.DEACTIVATED:
        said |= {"type": offline.DEACTIVATION, "deactivated_at": row.deactivated_at}
    else:
        said |= {
            "type": offline.ACTIVATION, "place": row.slot, "issued_at": row.activated_at,
            "expires_at": license_.expires_at + timedelta(days=license_.grace_days), "release": _release(secrets, row),
        }  # fmt: skip
    return offline.sign(said, keys.evidence_signer(tx, secrets, now))


def _release(secrets: Secrets, row: Activation) -> str:
    """Known to whoever has the activation file, and made again from nothing but the installation's secret."""
    return secrets.fingerprint(_RELEASE, row.id)[:40]
