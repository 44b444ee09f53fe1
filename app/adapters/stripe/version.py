"""The one version of Stripe's API that BLP speaks: sent with every request, expected of every event.

It is the version whose types the locked SDK carries, so that a new SDK cannot change the wire unnoticed: a test
compares the two (https://docs.stripe.com/api/versioning).
"""

from typing import Final

API_VERSION: Final = "2026-10-28.endive"
