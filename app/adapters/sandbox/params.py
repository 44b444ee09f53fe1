"""The requests the provider takes, a strict part of Stripe's, and the form encoding they arrive in."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from app.adapters.sandbox.answers import invalid

_MOST_FIELDS: Final = 200
_DEEPEST: Final = 6


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError("Not a valid URL")
    return value


def _true(value: bool) -> bool:
    if not value:
        raise ValueError("The sandbox takes only true here")
    return value


Always = Annotated[bool, AfterValidator(_true)]
Url = Annotated[str, Field(max_length=5000), AfterValidator(_web_address)]
Currency = Annotated[str, Field(pattern="^[a-z]{3}$")]
Metadata = Annotated[dict[Annotated[str, Field(max_length=40)], Annotated[str, Field(max_length=500)]],
                     Field(max_length=50)]  # fmt: skip
Amount = Annotated[int, Field(gt=0, le=99_999_999)]
Expand = Annotated[list[str], Field(max_length=10)]


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    expand: Expand = []


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProductData(_Part):
    name: Annotated[str, Field(min_length=1, max_length=250)]


class PriceData(_Part):
    currency: Currency
    unit_amount: Amount
    product_data: ProductData


class LineItem(_Part):
    price_data: PriceData
    quantity: Annotated[int, Field(gt=0, le=999_999)] = 1


class IntentData(_Part):
    description: Annotated[str, Field(max_length=1000)] = ""
    metadata: Metadata = {}
    setup_future_usage: Literal["off_session"] | None = None


class CustomSentence(_Part):
    message: Annotated[str, Field(min_length=1, max_length=1200)]


class CustomText(_Part):
    submit: CustomSentence


class _AnySessionParams(Params):
    """What both kinds of checkout take."""

    success_url: Url
    cancel_url: Url
    custom_text: CustomText | None = None

    @property
    def consent(self) -> str:
        return self.custom_text.submit.message if self.custom_text else ""


class SetupData(_Part):
    metadata: Metadata = {}


class SetupSessionParams(_AnySessionParams):
    mode: Literal["setup"]
    client_reference_id: Annotated[str, Field(max_length=200)] | None = None
    customer: str | None = None
    customer_creation: Literal["always"] | None = None
    customer_email: Annotated[str, Field(max_length=800)] = ""
    allowed_payment_method_types: list[Literal["card"]] = ["card"]
    setup_intent_data: SetupData = SetupData()
    metadata: Metadata = {}
    expires_at: int | None = None


class SessionParams(_AnySessionParams):
    mode: Literal["payment"]
    line_items: Annotated[list[LineItem], Field(min_length=1, max_length=100)]
    client_reference_id: Annotated[str, Field(max_length=200)] | None = None
    customer_creation: Literal["always", "if_required"] = "if_required"
    customer_email: Annotated[str, Field(max_length=800)] = ""
    allowed_payment_method_types: list[Literal["card"]] = ["card"]
    payment_intent_data: IntentData = IntentData()
    metadata: Metadata = {}
    expires_at: int | None = None


class IntentParams(Params):
    """A charge of a kept card; cards are entered on the pay page only."""

    amount: Amount
    currency: Currency
    customer: str
    payment_method: str
    confirm: Always
    off_session: Always
    allowed_payment_method_types: list[Literal["card"]] = ["card"]
    description: Annotated[str, Field(max_length=1000)] = ""
    metadata: Metadata = {}


class Range(_Part):
    gte: int


class IntentListParams(Params):
    customer: str
    created: Range | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    starting_after: str | None = None


class CustomerParams(Params):
    email: Annotated[str, Field(max_length=512)] = ""
    metadata: Metadata = {}


class RefundParams(Params):
    payment_intent: str | None = None
    charge: str | None = None
    amount: Amount | None = None  # the rest, if it is not said
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] | None = None
    metadata: Metadata = {}


class RefundListParams(Params):
    charge: str
    limit: Annotated[int, Field(ge=1, le=100)] = 10


class ListParams(Params):
    limit: Annotated[int, Field(ge=1, le=100)] = 10
    starting_after: str | None = None
    type: str | None = None


class SearchParams(Params):
    """The one query of Stripe's search language that is understood: one metadata value."""

    query: Annotated[str, Field(pattern=r"^metadata\['[a-z_]{1,40}'\]:'[A-Za-z0-9_-]{1,100}'$")]
    limit: Annotated[int, Field(ge=1, le=100)] = 10

    def wanted(self) -> tuple[str, str]:
        """The metadata key and the value it must have."""
        _, key, _, value, _ = self.query.split("'")
        return key, value


AnyParams = TypeVar("AnyParams", bound=Params)


def read(kind: type[AnyParams], given: Mapping[str, Any]) -> AnyParams:
    """Check a request. Raises Refused (400) that names the first parameter to change, as Stripe does."""
    try:
        return kind.model_validate(given)
    except ValidationError as exc:
        error = exc.errors()[0]
        head, *rest = [str(part) for part in error["loc"]] or ["request"]
        param = head + "".join(f"[{part}]" for part in rest)
        code = {"missing": "parameter_missing", "extra_forbidden": "parameter_unknown"}.get(error["type"])
        raise invalid(f"{param}: {error['msg']}", code=code or "parameter_invalid", param=param) from exc


def decode(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Nest `a[b][0][c]=v`, Stripe's form encoding. Raises Refused (400) where the names contradict each other."""
    root: dict[str, Any] = {}
    for count, (name, value) in enumerate(pairs):
        if "\0" in name or "\0" in value:
            raise invalid("A parameter contains a zero byte.")
        head, *inner = name.replace("]", "").split("[")
        keys = [head, *inner]
        if not head:
            raise invalid("A parameter has no name.")
        if count >= _MOST_FIELDS or len(keys) > _DEEPEST:
            raise invalid("The request has too many parameters or nests them too deeply.")
        _place(root, keys, value)
    return {key: _lists(value) for key, value in root.items()}


def _place(root: dict[str, Any], keys: list[str], value: str) -> None:
    here = root
    for key in keys[:-1]:
        # `expand[]=a&expand[]=b` counts up; everything else names its place.
        here = here.setdefault(key or str(len(here)), {})
        if not isinstance(here, dict):
            raise invalid(f"'{keys[0]}' is both a value and a hash.", param=keys[0])
    here[keys[-1] or str(len(here))] = value


def _lists(value: object) -> object:
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(each) for key, each in value.items()}
    if inner and all(key.isdecimal() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner
