//! Orders that are placed for a return: the exchange, the replacement, the shipment of what was repaired. Each is placed in
//! the transaction of what it follows from, and settled as any other order.

use crate::convert;
use crate::draft::{DraftLine, NewLinked, Totals};
use crate::error::Error;
use crate::name::order_number;
use crate::order::Order;
use crate::rma::Rma;
use crate::settlement::WorkLine;
use crate::store;
use pesan_api::order::v1::{ReturnResolution, ReturnState};
use pesan_feed::NewEvent;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// What the customer wanted instead, or else what comes back; for a replacement at no charge.
    Wished(ReturnResolution),
    /// What was repaired: one service item, at no charge.
    Repaired {
        /// The service item.
        sku: &'a str,
    },
}

/// The order that a return's goods came from, with its lines.
pub async fn original(conn: &mut PgConnection, order_id: Uuid) -> Result<Order, Error> {
    let order = store::read::orders(conn, &[order_id], true).await?.remove(&order_id);
    order.ok_or(Error::Broken("the order of a return"))
}

/// Places an order for a return, which the caller then saves; the fact of it. `placed_at` and when it is recorded.
pub async fn place(
    conn: &mut PgConnection,
    rma: &mut Rma,
    original: &Order,
    content: Content<'_>,
    (placed_at, now): (OffsetDateTime, OffsetDateTime),
) -> Result<NewEvent, Error> {
    let lines = lines(rma, original, content)?;
    let totals = Totals::of(&lines).ok_or(Error::Broken("amounts of a linked order"))?;
    let token = rma.wish.as_ref().map(|wish| wish.payment_token.clone()).unwrap_or_default();
    let new = NewLinked {
        order_id: Uuid::now_v7(),
        return_id: rma.return_id,
        original: original.head.order_id,
        lines: &lines,
        totals,
        payment_token: if totals.gross + totals.tax > totals.discount { &token } else { "" },
        placed_at,
        recorded_at: now,
    };
    let number = store::linked::insert(conn, &new).await?;
    let customer = match original.customer_id {
        Some(id) => store::customer::find(conn, &[id], &[]).await?.pop(),
        None => None,
    };
    let segment = customer.map(|customer| customer.details.segment).unwrap_or_default();
    let fact = convert::events::accepted_for_return(&new, number, original, &segment);
    let event = NewEvent::new(new.order_id, 1, &fact, placed_at).of_journey(new.order_id);
    rma.linked.push(new.order_id);
    if let Some(wish) = &mut rma.wish {
        wish.payment_token.clear();
    }
    rma.note(now, "", &format!("placed {}", order_number(number)));
    Ok(event.in_trace(original.head.traceparent.as_deref()))
}

fn lines(rma: &Rma, original: &Order, content: Content<'_>) -> Result<Vec<DraftLine>, Error> {
    let resolution = match content {
        Content::Wished(resolution) => resolution,
        Content::Repaired { sku } => {
            let what: Vec<&str> = rma.lines.iter().map(|line| line.serial.as_str()).filter(|s| !s.is_empty()).collect();
            let description = format!("Repaired goods of return {} {}", rma.number, what.join(", "));
            let description = description.trim_end().chars().take(500).collect();
            return Ok(vec![DraftLine { sku: sku.to_owned(), description, quantity: 1, ..DraftLine::default() }]);
        }
    };
    let wished = rma.wish.as_ref().map(|wish| convert::returns::wished_lines(wish, resolution, original.currency));
    let wished = wished.transpose().map_err(|_| Error::Broken("a stored wish"))?.unwrap_or_default();
    if !wished.is_empty() {
        return Ok(wished);
    }
    // Sent ahead of the goods it stands for all that may come back.
    let is_ahead = rma.state() == ReturnState::Approved;
    let same = rma.lines.iter().filter_map(|line| {
        let quantity = if is_ahead { line.quantity } else { line.received };
        let ordered = original.lines.iter().find(|one| one.line.line_no == line.line_no).filter(|_| quantity > 0)?;
        let draft = DraftLine {
            sku: ordered.sku.clone(),
            description: ordered.description.clone(),
            quantity,
            ..DraftLine::default()
        };
        if resolution == ReturnResolution::Replacement {
            return Some(draft);
        }
        let [line_total, discount, tax] = work_line(ordered).amounts_for(original.currency, quantity);
        Some(DraftLine { unit_price: ordered.unit_price, line_total, discount, tax, ..draft })
    });
    Ok(same.collect())
}

/// A line with what its amounts are shared out by.
pub fn work_line(line: &crate::order::OrderLine) -> WorkLine {
    WorkLine {
        line_no: line.line.line_no,
        sku: line.sku.clone(),
        quantity: line.line.quantities.ordered,
        line_total: line.line_total,
        discount: line.discount,
        tax: line.tax,
    }
}
