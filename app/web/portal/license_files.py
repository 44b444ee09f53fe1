"""A license as customers take it along: file name, download, how to install it."""

import re
import unicodedata
from datetime import date, datetime, timedelta
from typing import Final

from starlette.responses import Response

from app.core.clock import local_date
from app.core.db import Tx
from app.flows import export_gate
from app.flows.ports import Ports
from app.licenses import rendering
from app.licenses.errors import NotReleased
from app.licenses.formats.recognize import Format
from app.licenses.merging import require_usable
from app.licenses.models import License, MergedLicense
from app.licenses.rendering import Wanted
from app.licenses.service import require_released
from app.web.portal.views import InstallGuide, LicenseReady

_LONGEST_NAME: Final = 60


def file_name(company: str) -> str:
    """`beispiel-gmbh.mattermost-license`: plain letters, so that every browser and shell takes it as it is."""
    plain = unicodedata.normalize("NFKD", company).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST_NAME].strip("-")
    return f"{stem or 'license'}.mattermost-license"


def download(content: str | bytes, name: str, media_type: str) -> Response:
    """A file to be saved, never shown in the page's own origin."""
    return Response(
        content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )  # fmt: skip


def download_license(tx: Tx, license_: License, company: str, now: datetime) -> Response:
    """The file byte for byte as it was signed.

    Raises NotReleased for one that is held back (R-LIC-7), DestinationRefused and PartyRefused where nothing may be
    delivered any more.
    """
    require_released(license_, now)
    export_gate.require_deliverable(tx, license_.account_id, now)
    return download(license_.file_text.encode(), file_name(company), "application/octet-stream")


def download_in(
    tx: Tx, ports: Ports, license_: License, written: Format, company: str, *, by: str, now: datetime
) -> Response:  # fmt: skip
    """The license in any of its formats; raises what `download_license` does, and what `rendering.render` does."""
    require_released(license_, now)
    export_gate.require_deliverable(tx, license_.account_id, now)
    text = rendering.render(tx, ports.secrets, license_, Wanted(written), by=by, now=now)
    stem = file_name(company).removesuffix(rendering.SUFFIXES[Format.MATTERMOST])
    return download(text.encode(), f"{stem}{rendering.SUFFIXES[written]}", "application/octet-stream")


def download_merged(tx: Tx, row: MergedLicense, company: str, now: datetime) -> Response:
    """The same for a file of several licenses. Raises AlreadyRevoked, DestinationRefused, PartyRefused."""
    require_usable(row)
    export_gate.require_deliverable(tx, row.account_id, now)
    return download(row.file_text.encode(), file_name(f"{company} together"), "application/octet-stream")


def last_day(license_: License, time_zone: str) -> date:
    """The last day a license covers, where the customer is."""
    return local_date(license_.expires_at - timedelta(seconds=1), time_zone)


def guides(name: str) -> tuple[InstallGuide, ...]:
    return (
        InstallGuide(
            title="In the System Console",
            steps=(
                "Open the System Console as a system administrator and choose Edition and License.",
                "Choose Upload File, pick the file you downloaded, and confirm.",
                "The page shows the plan, the seats and the last day; nothing has to be restarted.",
            ),
        ),
        InstallGuide(
            title="From the command line",
            steps=("Copy the file to the server, then run this as the user Mattermost runs as.",),
            command=f"mmctl --local license upload {name}",
        ),
        InstallGuide(
            title="Without a connection to the internet",
            steps=(
                "The file is all a server needs: it checks the signature by itself and asks nobody.",
                "Carry the file, or its text, to the server by whatever way your rules allow.",
                "Compare the text's checksum on both sides before you upload it.",
            ),
            command=f"sha256sum {name}",
        ),
    )


def text_of(tx: Tx, license_: License, now: datetime) -> str:
    """The file as text; a sentence in its place while it is held back, or where it may not be delivered."""
    barred = export_gate.barred(tx, license_.account_id, now)
    if barred is not None:
        return barred.detail
    try:
        return require_released(license_, now).file_text
    except NotReleased as held_back:
        return held_back.detail


def ready(tx: Tx, license_: License, company: str, time_zone: str, href: str, now: datetime) -> LicenseReady:
    name = file_name(company)
    return LicenseReady(
        filename=name, download_href=href, text=text_of(tx, license_, now), seats=license_.seats,
        until=last_day(license_, time_zone), guides=guides(name),
    )  # fmt: skip
