//! A quotation for people: one self-contained page that prints well. Everything that was typed by somebody is escaped.

use crate::convert::place::MOST_UNITS;
use crate::name::quotation_number;
use crate::quotation::At;
use maud::{DOCTYPE, Markup, html};
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::QuotationState;
use pesan_api::r#type::v1::Address;
use pesan_grpc::parse::from_money;
use pesan_money::{Currency, Money};
use rust_decimal::Decimal;
use time::OffsetDateTime;
use time::macros::format_description;

const STYLE: &str = "
body { font: 11pt/1.4 system-ui, sans-serif; color: #111; max-width: 190mm; margin: 12mm auto; padding: 0 5mm }
h1 { font-size: 20pt; margin: 0 } header { display: flex; justify-content: space-between; align-items: baseline }
.stamp { border: 2px solid; padding: 1mm 3mm; font-weight: 700; letter-spacing: .08em; text-transform: uppercase }
.expired, .rejected, .withdrawn { color: #b00020 } .accepted { color: #08660f } .draft { color: #666 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 5mm } dt { color: #555 } dd { margin: 0 }
address { font-style: normal; white-space: pre-line } table { width: 100%; border-collapse: collapse; margin: 6mm 0 }
th, td { text-align: left; padding: 1.5mm 2mm; border-bottom: 1px solid #ccc; vertical-align: top }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap } tfoot td { border: 0 }
tfoot tr:last-child td { font-weight: 700; border-top: 2px solid #111 } .notes { white-space: pre-line }
thead { display: table-header-group } tr { break-inside: avoid }
@page { size: A4; margin: 15mm } @media print { body { margin: 0; max-width: none } }";

/// The page.
pub fn page(at: &At, customer: &str, now: OffsetDateTime) -> pb::GetQuotationDocumentResponse {
    let (quotation, revision) = at;
    let number = quotation_number(quotation.number);
    let title = format!("{number}, revision {}", revision.revision);
    let amount = |amount: Decimal| shown(revision.currency, amount);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Quotation " (title) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                header { h1 { "Quotation " (title) } (stamp(at, now)) }
                dl {
                    dt { "Date" } dd { (day(revision.revised_at)) }
                    dt { "Valid until" } dd { (minute(revision.valid_until)) }
                    @if !customer.is_empty() { dt { "Customer" } dd { (customer) } }
                    @if !quotation.sales_rep.is_empty() { dt { "Your contact" } dd { (quotation.sales_rep) } }
                    @if let Some(ship_to) = &revision.terms.ship_to { dt { "Delivery to" } dd { (address(ship_to)) } }
                }
                table {
                    thead { tr {
                        th { "#" } th { "Item" } th.n { "Quantity" } th.n { "Unit price" } th.n { "Discount" } th.n { "Amount" }
                    } }
                    tbody { @for (i, line) in (1..).zip(&revision.terms.lines) { (row(revision.currency, i, line)) } }
                    tfoot {
                        (sum("Total before discounts", &amount(revision.gross)))
                        @if !revision.discount.is_zero() { (sum("Discounts", &amount(-revision.discount))) }
                        (sum("Tax", &amount(revision.tax)))
                        (sum("Total", &amount(revision.gross - revision.discount + revision.tax)))
                    }
                }
                @if !revision.terms.notes.is_empty() { p.notes { (revision.terms.notes) } }
            }
        }
    };
    pb::GetQuotationDocumentResponse {
        content_type: "text/html; charset=utf-8".to_owned(),
        file_name: format!("{number}-{}.html", revision.revision),
        content: page.into_string().into_bytes(),
    }
}

/// What the reader must know before the rest.
fn stamp((quotation, revision): &At, now: OffsetDateTime) -> Markup {
    let (class, text) = match quotation.state_at(now) {
        _ if revision.revision < quotation.revision => ("withdrawn", "Replaced"),
        QuotationState::Draft => ("draft", "Draft"),
        QuotationState::Expired => ("expired", "Expired"),
        QuotationState::Accepted => ("accepted", "Accepted"),
        QuotationState::Rejected => ("rejected", "Rejected"),
        QuotationState::Withdrawn => ("withdrawn", "Withdrawn"),
        QuotationState::Sent | QuotationState::Unspecified => return html! {},
    };
    html! { span class={ "stamp " (class) } { (text) } }
}

fn row(currency: Currency, number: i32, line: &pb::NewOrderLine) -> Markup {
    let of = |money: &Option<_>| money.as_ref().and_then(|money| from_money(money).ok()).map(|money| money.amount);
    let price = of(&line.unit_price).unwrap_or_default();
    let discount = of(&line.discount).unwrap_or_default();
    let quantity = line.quantity.min(MOST_UNITS);
    let total = Money::line_total(currency, price, quantity).map_or(Decimal::ZERO, |total| total.amount);
    html! {
        tr {
            td { (number) }
            td { (line.sku) @if !line.description.is_empty() { br; (line.description) } }
            td.n { (grouped(&quantity.to_string())) }
            td.n { (shown(currency, price)) }
            td.n { @if !discount.is_zero() { (shown(currency, discount)) } }
            td.n { (shown(currency, total - discount)) }
        }
    }
}

fn sum(name: &str, amount: &str) -> Markup {
    html! { tr { td colspan="5" { (name) } td.n { (amount) } } }
}

fn address(address: &Address) -> Markup {
    let place = format!("{} {}", address.postal_code, address.city);
    let parts = std::iter::once(&address.recipient).chain(&address.lines);
    let parts = parts.chain([&place, &address.region, &address.country]).filter(|part| !part.trim().is_empty());
    html! { address { (parts.map(|part| part.trim()).collect::<Vec<_>>().join("\n")) } }
}

/// "1,234.50 EUR": no fewer decimals than the currency has, more where a unit price has more.
fn shown(currency: Currency, amount: Decimal) -> String {
    let mut amount = amount.normalize();
    let decimals = amount.scale().max(currency.exponent());
    amount.rescale(decimals);
    format!("{} {currency}", grouped(&amount.to_string()))
}

fn grouped(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("−", digits));
    let (whole, rest) = digits.find('.').map_or((digits, ""), |point| digits.split_at(point));
    let mut text = String::from(sign);
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

fn day(time: OffsetDateTime) -> String {
    time.format(format_description!("[year]-[month]-[day]")).unwrap_or_default()
}

fn minute(time: OffsetDateTime) -> String {
    time.format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_as_people_write_them() {
        let (eur, idr): (Currency, Currency) = ("EUR".parse().unwrap(), "JPY".parse().unwrap());
        assert_eq!(shown(eur, Decimal::new(123_456_750, 2)), "1,234,567.50 EUR");
        assert_eq!(shown(eur, Decimal::new(12_345, 4)), "1.2345 EUR");
        assert_eq!(shown(eur, Decimal::new(-5, 1)), "−0.50 EUR");
        assert_eq!(shown(idr, Decimal::new(100_000, 2)), "1,000 JPY");
        assert_eq!(grouped("999"), "999");
    }
}
