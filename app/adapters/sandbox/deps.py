"""What the doors of the sandbox's site are given."""

from typing import Annotated

from fastapi import Depends, Path, Request

from app.adapters.sandbox.provider_core import Provider
from app.core.db import Database


def _provider(request: Request) -> Provider:
    provider: Provider = request.app.state.provider
    return provider


def _database(provider: Annotated[Provider, Depends(_provider)]) -> Database:
    return provider.database


# Anything else cannot be a reference of ours and never reaches a query.
Ref = Annotated[str, Path(pattern="^[A-Za-z0-9_]{1,80}$")]
Desk = Annotated[Provider, Depends(_provider)]
Db = Annotated[Database, Depends(_database)]
