//! Documents, postings, and what asks for them.

use super::{amount, text};
use crate::document::{self as domain, Document, DocumentLine, Filter, Kind};
use crate::error::Error;
use crate::ledger::{Cause, LedgerAccount, Posting, TrialBalanceRow};
use crate::payment::{DocumentName, NewNote};
use crate::share::{MOST, MOST_UNITS};
use pesan_api::billing::v1 as pb;
use pesan_api::r#type::v1::Problem;
use pesan_grpc::Violations;
use pesan_grpc::parse::to_timestamp;
use rust_decimal::Decimal;
use time::OffsetDateTime;
use uuid::Uuid;

/// A document as its proto form.
pub fn document(document: &Document) -> Result<pb::Document, Error> {
    let money = |value: Decimal| amount(document.currency, value);
    let line = |line: &DocumentLine| {
        Ok(pb::DocumentLine {
            line_no: line.line_no,
            sku: line.sku.clone(),
            quantity: line.quantity,
            net: money(line.net)?,
            tax: money(line.tax)?,
        })
    };
    let kind = match document.kind {
        Kind::Invoice => pb::DocumentKind::Invoice,
        Kind::CreditNote => pb::DocumentKind::CreditNote,
    };
    Ok(pb::Document {
        id: document.id.to_string(),
        kind: kind.into(),
        number: domain::number_text(&document.series, document.number),
        order_id: text(document.order_id),
        customer_id: text(document.customer_id),
        lines: document.lines.iter().map(line).collect::<Result<_, Error>>()?,
        net: money(document.net)?,
        tax: money(document.tax)?,
        total: money(document.total())?,
        open: if document.kind == Kind::Invoice { money(document.open)? } else { None },
        issued_at: Some(to_timestamp(document.issued_at)),
        due_at: (document.kind == Kind::Invoice).then(|| to_timestamp(document.due_at)),
        reference: document.reference.clone(),
    })
}

/// An id or a number; none where it is neither.
pub fn parse_name(text: &str) -> Option<DocumentName> {
    match Uuid::try_parse(text) {
        Ok(id) => Some(DocumentName::Id(id)),
        Err(_) => domain::parse_number(text).map(|(series, number)| DocumentName::Number(series, number)),
    }
}

/// What a list of documents is narrowed to, and the page's size.
pub fn parse_filter(request: &pb::ListDocumentsRequest) -> Result<(Filter, i64), Error> {
    let mut v = Violations::new();
    let size = pesan_grpc::page::size(&mut v, request.page_size);
    let kind = match pb::DocumentKind::try_from(request.kind) {
        Ok(pb::DocumentKind::Unspecified) => None,
        Ok(pb::DocumentKind::Invoice) => Some(Kind::Invoice),
        Ok(pb::DocumentKind::CreditNote) => Some(Kind::CreditNote),
        Err(_) => {
            v.add("kind", "must be a known kind, or none for all");
            None
        }
    };
    let order_id = v.optional_uuid("order_id", &request.order_id);
    let customer_id = v.optional_uuid("customer_id", &request.customer_id);
    let after = pesan_grpc::page::key(&mut v, &request.page_token, 2).and_then(|key| match key.as_slice() {
        [series, number] => Some((series.clone(), number.parse().ok()?)),
        _ => None,
    });
    v.into_result((Filter { kind, order_id, customer_id, after }, size)).map_err(Error::Invalid)
}

/// A stand-alone credit note; paths start at the note.
pub fn parse_note(note: pb::NewCreditNote, now: OffsetDateTime) -> Result<NewNote, Problem> {
    let mut v = Violations::new();
    let external_id = v.text("external_id", note.external_id, 1, 100);
    let customer_id = v.optional_uuid("customer_id", &note.customer_id);
    let currency = v.currency("currency_code", &note.currency_code);
    v.within("lines", note.lines.len(), 1, 10_000);
    let reason = v.text("reason", note.reason, 1, 100);
    if !reason.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') {
        v.add("reason", "must be capitals and underscores, such as GOODWILL");
    }
    let effective_at = v.past_time("effective_at", note.effective_at.as_ref(), now);
    let country = v.text("country", note.country, 0, 100);
    let channel = v.text("channel", note.channel, 0, 40);
    let Some(currency) = currency else { return Err(v.into_problem()) };
    let most = Decimal::from(MOST);
    let mut lines = Vec::with_capacity(note.lines.len());
    for (line_no, line) in (1..).zip(note.lines) {
        let at = |field: &str| format!("lines[{}].{field}", line_no - 1);
        let net = v.amount_or_zero(&at("net"), line.net.as_ref(), currency);
        let tax = v.amount_or_zero(&at("tax"), line.tax.as_ref(), currency);
        for (field, value) in [("net", net), ("tax", tax)] {
            if value > most {
                v.add(at(field), format!("must be at most {MOST}"));
            }
        }
        lines.push(DocumentLine {
            line_no,
            quantity: v.within(&at("quantity"), line.quantity, 1, MOST_UNITS),
            sku: v.text(&at("sku"), line.sku, 1, 100),
            net,
            tax,
        });
    }
    let note = NewNote { external_id, customer_id, currency, lines, reason, effective_at, country, channel };
    v.into_result(note).map_err(Violations::into_problem)
}

fn ledger_account(account: LedgerAccount) -> pb::LedgerAccount {
    match account {
        LedgerAccount::Receivables => pb::LedgerAccount::Receivables,
        LedgerAccount::ProviderClearing => pb::LedgerAccount::ProviderClearing,
        LedgerAccount::Bank => pb::LedgerAccount::Bank,
        LedgerAccount::Inventory => pb::LedgerAccount::Inventory,
        LedgerAccount::Revenue => pb::LedgerAccount::Revenue,
        LedgerAccount::SalesReturns => pb::LedgerAccount::SalesReturns,
        LedgerAccount::SalesAllowances => pb::LedgerAccount::SalesAllowances,
        LedgerAccount::Tax => pb::LedgerAccount::Tax,
        LedgerAccount::CostOfGoods => pb::LedgerAccount::CostOfGoods,
    }
}

/// A posting as its proto form: one entry for each account.
pub fn posting(posting: &Posting) -> Result<pb::Posting, Error> {
    let cause = match posting.cause {
        Cause::Invoice => "invoice",
        Cause::Capture => "capture",
        Cause::Payment => "payment",
        Cause::CreditNote => "credit_note",
        Cause::Refund => "refund",
        Cause::CostOfGoods => "cost_of_goods",
        Cause::CostOfReturn => "cost_of_return",
    };
    let entry = |(account, value): (LedgerAccount, Decimal)| {
        let account = ledger_account(account).into();
        Ok(pb::PostingEntry { account, amount: amount(posting.currency, value)? })
    };
    Ok(pb::Posting {
        id: posting.id.to_string(),
        cause: cause.to_owned(),
        reference: posting.reference.to_string(),
        entries: posting.entries().into_iter().map(entry).collect::<Result<_, Error>>()?,
        effective_at: Some(to_timestamp(posting.effective_at)),
        recorded_at: Some(to_timestamp(posting.recorded_at)),
    })
}

/// A row of the trial balance as its proto form.
pub fn trial_balance_row(row: &TrialBalanceRow) -> Result<pb::TrialBalanceRow, Error> {
    Ok(pb::TrialBalanceRow {
        account: ledger_account(row.account).into(),
        debit: amount(row.currency, row.debit)?,
        credit: amount(row.currency, row.credit)?,
    })
}
