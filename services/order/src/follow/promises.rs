//! What becomes of stock that is held for promises: filled, fallen short, lapsed. Their orders are not there yet.

use super::fact::Fact;
use crate::convert;
use crate::line::Line;
use crate::store;
use crate::store::promise::Kept;
use anyhow::Context as _;
use pesan_feed::Event;
use sqlx::PgConnection;
use std::collections::HashMap;
use uuid::Uuid;

/// Adds inventory's facts about orders that are not there to the promises that they may become.
pub async fn apply(conn: &mut PgConnection, facts: &[(Uuid, &Event, &Fact)]) -> anyhow::Result<()> {
    if facts.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = facts.iter().map(|(order_id, ..)| *order_id).collect();
    let kept = store::promise::of_orders(conn, &ids).await?;
    let mut by_order: HashMap<Uuid, Kept> = kept.into_iter().map(|kept| (kept.order_id, kept)).collect();
    for (order_id, event, fact) in facts {
        let Some(kept) = by_order.get_mut(order_id).filter(|kept| event.version > kept.inventory_version) else {
            continue;
        };
        kept.inventory_version = event.version;
        add(kept, fact).with_context(|| format!("{} {} of promise {order_id}", event.kind, event.event_id))?;
    }
    let mut changed: Vec<&Kept> = by_order.values().collect();
    changed.sort_unstable_by_key(|kept| kept.order_id);
    for kept in changed {
        store::promise::write(conn, kept).await?;
    }
    Ok(())
}

fn add(kept: &mut Kept, fact: &Fact) -> anyhow::Result<()> {
    let Some(held) = &mut kept.held else { return Ok(()) };
    let mut lines = held.iter().map(Line::promised).collect::<Result<Vec<Line>, _>>()?;
    let line = |lines: &mut [Line], line_no: i32| lines.iter().position(|line| line.line_no == line_no);
    match fact {
        Fact::Filled(fact) => {
            for stock in &fact.lines {
                let place = line(&mut lines, stock.line_no).context("there is no such line")?;
                lines[place].fill(convert::location(&stock.location_id).unwrap_or_default(), stock.quantity);
            }
        }
        Fact::Short(fact) => {
            let place = line(&mut lines, fact.line_no).context("there is no such line")?;
            let location = convert::location(&fact.location_id).unwrap_or_default();
            lines[place].fall_short(location, fact.quantity, fact.backordered)?;
        }
        Fact::Expired => {
            kept.held = None;
            return Ok(());
        }
        // Only of confirmed orders, and it takes nothing yet.
        Fact::Missing(_)
        | Fact::TakenBack(_)
        | Fact::Issued(_)
        | Fact::Delivered(_)
        | Fact::Returned(_)
        | Fact::Invoiced(_)
        | Fact::Credited(_)
        | Fact::Allowed(_)
        | Fact::Closed(_) => {}
    }
    *held = lines.iter().map(Line::as_promise).collect();
    Ok(())
}
