//! Reserved stock that a count did not find. What this service keeps back of it, it gives up; fulfilment is told of the
//! rest, and takes off what is not picked. Either way inventory then books the shortage.

use super::fold::Fold;
use crate::cancellation::Part;
use crate::convert;
use crate::error::Error;
use crate::store;
use pesan_api::order::v1 as pb;
use pesan_feed::NewEvent;
use sqlx::PgConnection;
use std::collections::HashMap;
use uuid::Uuid;

/// Gives up what is missing of what is kept back; the facts of it. What the batch keeps back is written already.
pub async fn tell(conn: &mut PgConnection, fold: &mut Fold<'_>) -> Result<Vec<NewEvent>, Error> {
    let missing: Vec<(Uuid, Vec<Part>)> = fold.missing().into_iter().map(|(id, parts)| (id, parts.to_vec())).collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = missing.iter().map(|(order_id, _)| *order_id).collect();
    let mut withheld: HashMap<Uuid, Vec<Part>> = HashMap::new();
    for (order_id, part) in store::delivery::withheld(conn, &ids).await? {
        withheld.entry(order_id).or_default().push(part);
    }
    let mut events = Vec::with_capacity(missing.len());
    for (order_id, parts) in missing {
        let (lines, given_up) = share_out(&parts, withheld.remove(&order_id).unwrap_or_default());
        if !given_up.is_empty() {
            store::delivery::take(conn, order_id, &given_up).await?;
        }
        events.extend(fold.tell(order_id, &pb::OrderStockMissing { order_id: order_id.to_string(), lines }));
    }
    Ok(events)
}

/// What is kept back is certainly not in a picker's hands: it goes first. What goes of it, for whom it has to be told.
fn share_out(missing: &[Part], mut withheld: Vec<Part>) -> (Vec<pb::MissingLine>, Vec<Part>) {
    let mut lines = Vec::with_capacity(missing.len());
    let mut given_up = Vec::new();
    for part in missing {
        let here = withheld.iter_mut().find(|w| (w.line_no, w.location) == (part.line_no, part.location));
        let own = here.as_ref().map_or(0, |here| here.quantity.min(part.quantity));
        if let Some(here) = here.filter(|_| own > 0) {
            here.quantity -= own;
            given_up.push(Part { quantity: own, ..*part });
        }
        lines.push(pb::MissingLine {
            line_no: part.line_no,
            location_id: convert::location_text(part.location),
            quantity: part.quantity - own,
            withheld: own,
        });
    }
    (lines, given_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_back_goes_first() {
        let part = |line_no, place, quantity| Part { line_no, location: Uuid::from_u128(place), quantity };
        let missing = [part(1, 1, 3), part(1, 1, 4), part(1, 2, 2), part(2, 1, 1)];
        let (lines, given_up) = share_out(&missing, vec![part(1, 1, 5), part(2, 2, 9)]);
        let told: Vec<_> = lines.iter().map(|line| (line.line_no, line.quantity, line.withheld)).collect();
        assert_eq!(told, [(1, 0, 3), (1, 2, 2), (1, 2, 0), (2, 1, 0)]);
        assert_eq!(given_up, [part(1, 1, 3), part(1, 1, 2)]);
    }
}
