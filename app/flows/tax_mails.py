"""What customers are told about their tax numbers: each mail once."""

from app.accounts import service as accounts
from app.accounts.models import Account, AccountTaxId, LegalEntity
from app.core import jobs
from app.core.money import Money
from app.documents.mail_shapes import MailName
from app.documents.money_mails import TaxCorrected, TaxIdInvalid
from app.flows import notify, papers, paying_invoices
from app.flows.ports import Ports
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.orders import service as orders
from app.payments import credit


@jobs.job("notify.tax_corrected", retry=jobs.Retry(attempts=10, first=5))
def tax_corrected(ports: Ports, *, invoice_id: str, credit_note_id: str) -> None:
    """That an invoice was credited and issued again without the tax, and where the money is."""
    with ports.db.transaction() as tx:
        fresh, note = invoices.get(tx, invoice_id), credit_notes.get(tx, credit_note_id)
        old, order = invoices.get(tx, note.invoice_id), orders.get(tx, fresh.order_id)
        spent = credit.spent_on(tx, f"invoice:{fresh.id}", fresh.currency)
        old_page, page = (ports.link(paying_invoices.link(ports, each.id)) for each in (old, fresh))
        data = TaxCorrected(
            vendor=notify.vendor(ports, tx.get_one(LegalEntity, fresh.legal_entity_id)), person_name=order.buyer_name,
            number=fresh.number or "", replaced=old.number or "", left=invoices.owed(tx, fresh),
            tax_id=next((each["value"] for each in fresh.buyer["tax_ids"] if each["status"] == "valid"), ""),
            given_back=Money(old.tax_minor - fresh.tax_minor, fresh.currency),
            kept=Money(note.to_balance_minor, note.currency) - spent,
            invoice_url=f"{page}/pdf", credit_note_url=f"{old_page}/credit_notes/{note.id}/pdf",
        )  # fmt: skip
        locale = papers.locale_of(fresh)
    notify.send(ports, MailName.TAX_CORRECTED, data, to=order.buyer_email, locale=locale,
                message_id=f"tax-corrected-{fresh.id}")  # fmt: skip


@jobs.job("notify.tax_id_invalid", retry=jobs.Retry(attempts=10, first=5))
def tax_id_invalid(ports: Ports, *, tax_id: str, check_id: str) -> None:
    """That the registry calls a number invalid, once for each answer that changed what was known."""
    with ports.db.transaction() as tx:
        row = tx.get(AccountTaxId, tax_id)
        if row is None:
            return  # removed meanwhile
        account: Account = accounts.get(tx, row.account_id)
        data = TaxIdInvalid(vendor=notify.sender(tx, ports), person_name="", tax_id=row.value,
                            tax_ids_url=ports.link("/account/tax-ids"))  # fmt: skip
    notify.send(ports, MailName.TAX_ID_INVALID, data, to=account.email, locale=account.locale,
                message_id=f"tax-id-invalid-{row.id}-{check_id}")  # fmt: skip
