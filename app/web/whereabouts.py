"""From which country a caller comes, as far as the operator's own proxy says so; nothing is looked up here.

`BLP_IP_COUNTRY_HEADER` names the header that a trusted proxy sets, such as Cloudflare's CF-IPCountry. From anybody else
it is worth nothing: uvicorn puts port 0 where it took the caller's address from a proxy of `BLP_TRUSTED_PROXIES`.
"""

from typing import Final

from fastapi import Request

from app.tax import locating
from app.tax.names import country_codes
from app.tax.request import Evidence

_FROM_PROXY: Final = 0  # the port that uvicorn writes beside a forwarded address


def seen(request: Request) -> tuple[Evidence, ...]:
    """The country of the caller's address as an item of evidence, or nothing."""
    header: str = request.app.state.ip_country_header
    if not header or request.client is None or request.client.port != _FROM_PROXY:
        return ()
    country = request.headers.get(header, "").strip().upper()
    return (Evidence(locating.IP, country),) if country in country_codes() else ()
