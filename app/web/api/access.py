"""Who may see what over the API: keys of the vendor see every account, keys of an account its own rows only.

What belongs to another account does not exist for the asker: every door finds its rows here (S15, S16).
"""

from typing import Annotated, Any, Final, Protocol, TypeVar

from fastapi import Depends, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Select

from app.accounts.errors import TooManyTries
from app.accounts.models import ApiKey
from app.core import ids
from app.core.db import Tx
from app.core.errors import NotAllowed, NotFound
from app.web import deps
from app.web.api.shapes import ID
from app.web.deps import NotSignedIn, ScopeMissing, Wired

_scheme: Final = HTTPBearer(auto_error=False, scheme_name="api_key", description="`blp_…`, made under /v1/api_keys.")
_Shown = Annotated[HTTPAuthorizationCredentials | None, Security(_scheme)]

# What doors may answer because of a key: where one is wanted, and where one may be sent.
KEYED: Final = (NotSignedIn, ScopeMissing, TooManyTries)
KEYLESS: Final = (NotSignedIn, TooManyTries)


class Owned(Protocol):
    """A row that belongs to an account."""

    id: str
    account_id: str


O = TypeVar("O", bound=Owned)  # noqa: E741 -- the owned row
T = TypeVar("T")


def key_with(scope: str) -> Any:
    """A dependency: the API key of the request, if it carries `scope`."""
    check = deps.requires(scope)

    def key(_shown: _Shown, checked: Annotated[ApiKey, Depends(check)]) -> ApiKey:
        return checked

    return Depends(key)


def vendor_with(scope: str) -> Any:
    """The same for doors of the vendor only. Raises NotAllowed for a key of an account."""
    check = deps.requires(scope)

    def key(_shown: _Shown, checked: Annotated[ApiKey, Depends(check)]) -> ApiKey:
        if checked.account_id is not None:
            raise NotAllowed("This needs a key of the vendor; yours is bound to an account.")
        return checked

    return Depends(key)


def anyone(request: Request, ports: Wired) -> ApiKey | None:
    """The key if one was sent; a wrong one is refused rather than taken for nobody."""
    return deps.api_key(request, ports) if "authorization" in request.headers else None


Anyone = Annotated[ApiKey | None, Depends(anyone)]


def key_or_license(_shown: _Shown, request: Request, ports: Wired) -> ApiKey | None:
    """The same for doors that want an API key where no license speaks for the asker."""
    return anyone(request, ports)


KeyOrLicense = Annotated[ApiKey | None, Depends(key_or_license)]


def find(tx: Tx, table: type[O], prefix: str, row_id: str, key: ApiKey) -> O:
    """The row with this id that `key` may see. Raises NotFound, in the same words, for missing and foreign."""
    row = tx.get(table, ids.require_form(prefix, row_id))
    if row is None or not sees(key, row.account_id):
        raise NotFound(f"There is no {row_id} here.")
    return row


def sees(key: ApiKey, account_id: str) -> bool:
    return key.account_id is None or key.account_id == account_id


OfAccount = Annotated[str | None, Query(pattern=f"^acc_{ID}$", description="Only what belongs to this account.")]


def visible(query: Select[T], account_column: Any, key: ApiKey, account_id: str | None = None) -> Select[T]:
    """The query narrowed to what `key` may see, and to one account where that is asked for."""
    if account_id is not None:
        query = query.where(account_column == account_id)
    return query if key.account_id is None else query.where(account_column == key.account_id)
