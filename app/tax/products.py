"""Tax codes: what is sold, and whether a law that tells business from personal use reads it as business."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from app.tax.rates import BadTaxData, Document
from app.tax.request import BuyerType


@dataclass(frozen=True, slots=True)
class Product:
    """`kind` selects taxability rows; `use` is fixed by the code or follows the buyer."""

    code: str
    kind: Literal["saas", "download"]
    use: Literal["by_buyer", "consumer"]

    def used_by(self, buyer: BuyerType) -> BuyerType:
        return buyer if self.use == "by_buyer" else "consumer"


def read_products(document: Document) -> Mapping[str, Product]:
    """Products by their code and by each alias (Stripe's codes). Raises BadTaxData where one name has two meanings."""
    found: dict[str, Product] = {}
    for entry in document["products"]:
        product = Product(entry["code"], entry["kind"], entry["use"])
        for name in (product.code, *entry["aliases"]):
            if name in found:
                raise BadTaxData(f"{product.code}: {name} already stands for {found[name].code}: keep it in one row")
        found.update(dict.fromkeys((product.code, *entry["aliases"]), product))
    return found
