//! What a plan would do, as it is told.

use crate::cancellation::Part;
use crate::change::{Amendment, Amounts, Parts};
use crate::convert::{location, location_text, money as amount_of};
use crate::delivery::Delivery;
use crate::line::LinePromise;
use crate::order::{Order, OrderLine};
use crate::store::address;
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::fulfilment::v1::FulfilmentState;
use pesan_api::order::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, HashMap};
use time::OffsetDateTime;
use uuid::Uuid;

/// What becomes of stock.
pub fn stock(order: &Order, amendment: &Amendment, parts: &Parts, promised: &[LinePromise]) -> Vec<pb::StockEffect> {
    let mut skus: HashMap<i32, &str> = order.lines.iter().map(|line| (line.line.line_no, line.sku.as_str())).collect();
    skus.extend(amendment.added.iter().map(|line| (line.line_no, line.sku.as_str())));
    skus.extend(amendment.rewritten.iter().flatten().map(|line| (line.line_no, line.sku.as_str())));
    let of = |line_no: i32| pb::StockEffect {
        line_no,
        sku: skus.get(&line_no).copied().unwrap_or_default().to_owned(),
        ..Default::default()
    };
    let at =
        |line_no, place: Uuid, reserved| pb::StockEffect { location_id: location_text(place), reserved, ..of(line_no) };
    let mut effects = Vec::new();
    if !amendment.promised {
        // What was held for it meanwhile is let go, and looked for anew.
        for line in &order.lines {
            let line = &line.line;
            effects.extend(line.allocations.iter().map(|a| at(line.line_no, a.location, -a.reserved)));
            if line.quantities.backordered > 0 {
                effects.push(pb::StockEffect { backordered: -line.quantities.backordered, ..of(line.line_no) });
            }
        }
        let mut wanted: BTreeMap<i32, i64> = BTreeMap::new();
        if amendment.cancel_all || amendment.rewritten.is_some() {
            for line in &order.lines {
                *wanted.entry(line.line.line_no).or_default() -= line.line.quantities.ordered;
            }
        }
        for line in amendment.rewritten.iter().flatten() {
            *wanted.entry(line.line_no).or_default() += line.quantity;
        }
        let some = wanted.into_iter().filter(|(_, quantity)| *quantity != 0);
        effects.extend(some.map(|(line_no, unpromised)| pb::StockEffect { unpromised, ..of(line_no) }));
        return effects;
    }
    effects.extend(parts.gone().map(|part| at(part.line_no, part.location, -part.quantity)));
    effects.extend(
        parts.waiting.iter().map(|(line_no, quantity)| pb::StockEffect { backordered: -quantity, ..of(*line_no) }),
    );
    for line in promised {
        effects.extend(line.reserved.iter().map(|(place, quantity)| at(line.line_no, *place, *quantity)));
        if line.backordered > 0 {
            effects.push(pb::StockEffect { backordered: line.backordered, ..of(line.line_no) });
        }
    }
    effects
}

/// What becomes of fulfilment orders, and of goods that are kept back.
pub fn parcels(
    order: &Order,
    amendment: &Amendment,
    parts: &Parts,
    promised: &[LinePromise],
    warehouse: &[fulfilment::FulfilmentOrder],
    kept_back: Option<&pb::KeptBack>,
) -> Vec<pb::ParcelEffect> {
    let mut left: HashMap<(i32, Uuid), i64> =
        parts.withdrawn().iter().map(|part| ((part.line_no, part.location), part.quantity)).collect();
    let mut effects = Vec::new();
    for open in warehouse.iter().filter(|order| order.state() == FulfilmentState::Open) {
        let place = location(&open.location_id).unwrap_or_default();
        let mut loses = Vec::new();
        for line in &open.lines {
            let Some(left) = left.get_mut(&(line.line_no, place)) else { continue };
            let unpicked = line.allocated - line.withdrawn - line.short - line.picked;
            let quantity = unpicked.min(*left);
            if quantity > 0 {
                *left -= quantity;
                loses.push(pb::CancelLine { line_no: line.line_no, quantity });
            }
        }
        if !loses.is_empty() {
            effects.push(pb::ParcelEffect {
                fulfilment_order_id: open.id.clone(),
                fulfilment_order_number: open.number.clone(),
                location_id: open.location_id.clone(),
                loses,
                ..Default::default()
            });
        }
    }
    effects.extend(handed_over(order, amendment, parts, promised, kept_back));
    effects
}

/// What is offered to fulfilment with the change, and what it does to goods that are kept back.
fn handed_over(
    order: &Order,
    amendment: &Amendment,
    parts: &Parts,
    promised: &[LinePromise],
    kept_back: Option<&pb::KeptBack>,
) -> Vec<pb::ParcelEffect> {
    type Lines = BTreeMap<i32, i64>;
    let mut places: BTreeMap<Uuid, (Lines, Lines)> = BTreeMap::new();
    let new = promised.iter().flat_map(|line| line.reserved.iter().map(|(place, q)| (line.line_no, *place, *q)));
    let part = |part: &Part| (part.line_no, part.location, part.quantity);
    let moved = parts.resent.iter().map(part);
    // What waited goes with the rest, where nothing keeps it any more.
    let freed = parts.kept.iter().filter(|_| kept_back.is_none()).map(part);
    for (line_no, place, quantity) in new.chain(moved).chain(freed) {
        *places.entry(place).or_default().0.entry(line_no).or_default() += quantity;
    }
    if kept_back.is_some() {
        for part in &parts.withheld {
            *places.entry(part.location).or_default().1.entry(part.line_no).or_default() += part.quantity;
        }
        for part in parts.kept.iter().filter(|_| amendment.moves()) {
            places.entry(part.location).or_default();
        }
    }
    let new_address = amendment.ship_to.as_ref().and_then(|bytes| address(bytes).ok());
    let ship_to = new_address.unwrap_or_else(|| order.ship_to.clone());
    let lines = |lines: Lines| {
        lines.into_iter().map(|(line_no, quantity)| pb::CancelLine { line_no, quantity }).collect::<Vec<_>>()
    };
    let effect = |(place, (gets, loses)): (Uuid, (Lines, Lines))| pb::ParcelEffect {
        location_id: location_text(place),
        gets: lines(gets),
        loses: lines(loses),
        ship_to: Some(ship_to.clone()),
        kept_back: kept_back.cloned(),
        ..Default::default()
    };
    places.into_iter().map(effect).collect()
}

/// What keeps a promised order's goods back once it is changed, and blocked where `block` says so.
pub fn kept_back(
    order: &Order,
    amendment: &Amendment,
    parts: &Parts,
    promised: &[LinePromise],
    block: Option<&str>,
    now: OffsetDateTime,
) -> Option<pb::KeptBack> {
    let own = &order.head.delivery;
    let block = order.delivery_block.as_deref().or(block);
    let not_before = if amendment.rescheduled { amendment.not_before } else { own.not_before };
    let then = Delivery { is_blocked: block.is_some(), not_before, ..*own };
    let waits_for = order.head.standing.quantities.backordered
        - parts.waiting.iter().map(|(_, quantity)| quantity).sum::<i64>()
        + promised.iter().map(|line| line.backordered).sum::<i64>();
    then.withholds(waits_for, now).then(|| pb::KeptBack {
        until: then.due_at(now).map(to_timestamp),
        waits_for: if then.is_complete { waits_for } else { 0 },
        block: block.unwrap_or_default().to_owned(),
    })
}

fn amounts(line: &OrderLine) -> Amounts {
    let OrderLine { unit_price, line_total, discount, tax, .. } = *line;
    Amounts { unit_price, line_total, discount, tax }
}

/// What becomes of money.
pub fn money(order: &Order, amendment: &Amendment) -> pb::MoneyEffect {
    let currency = order.currency;
    let part =
        |line: &OrderLine, quantity: i64| amounts(line).of(currency, quantity, line.line.quantities.ordered).due();
    let old_due: Decimal =
        order.lines.iter().map(|line| part(line, line.line.quantities.ordered - line.line.quantities.cancelled)).sum();
    let old = [order.gross, order.discount, order.tax];
    let sums = |all: &mut dyn Iterator<Item = Amounts>| {
        all.fold([Decimal::ZERO; 3], |[gross, discount, tax], a| {
            [gross + a.line_total, discount + a.discount, tax + a.tax]
        })
    };
    let (new, new_due) = if amendment.promised {
        let added = sums(&mut amendment.added.iter().map(|line| line.amounts));
        let line = |line_no: i32| order.lines.iter().find(|line| line.line.line_no == line_no);
        let repriced = sums(&mut amendment.repriced.iter().map(|line| line.whole));
        let before = sums(&mut amendment.repriced.iter().filter_map(|r| line(r.line_no)).map(amounts));
        let reduced: Decimal =
            amendment.reduced.iter().filter_map(|(line_no, quantity)| Some(part(line(*line_no)?, *quantity))).sum();
        let new: Vec<Decimal> = (0..3).map(|i| old[i] + added[i] + repriced[i] - before[i]).collect();
        let due = |[gross, discount, tax]: [Decimal; 3]| gross - discount + tax;
        ([new[0], new[1], new[2]], old_due - reduced + due(added) + due(repriced) - due(before))
    } else if amendment.cancel_all {
        (old, Decimal::ZERO)
    } else if let Some(lines) = &amendment.rewritten {
        let new = sums(&mut lines.iter().map(|line| line.amounts));
        (new, new[0] - new[1] + new[2])
    } else {
        (old, old_due)
    };
    let amount = |amount: Decimal| money_of(currency, amount);
    pb::MoneyEffect {
        old_gross: amount(old[0]),
        new_gross: amount(new[0]),
        old_discount: amount(old[1]),
        new_discount: amount(new[1]),
        old_tax: amount(old[2]),
        new_tax: amount(new[2]),
        old_due: amount(old_due),
        new_due: amount(new_due),
        // Before the promise nothing is authorised for good.
        authorisation: amount(if amendment.promised { new_due - old_due } else { Decimal::ZERO }),
    }
}

fn money_of(currency: pesan_money::Currency, amount: Decimal) -> Option<pesan_api::r#type::v1::Money> {
    amount_of(currency, amount)
}

/// What becomes of dates, where any does.
pub fn dates(order: &Order, amendment: &Amendment) -> Option<pb::DateEffect> {
    amendment.rescheduled.then(|| pb::DateEffect {
        old_not_before: order.not_before.map(to_timestamp),
        new_not_before: amendment.not_before.map(to_timestamp),
    })
}

/// What is split off.
pub fn splits(order: &Order, amendment: &Amendment) -> Vec<pb::SplitEffect> {
    let effect = |split: &crate::change::Split| pb::SplitEffect {
        lines: split
            .from
            .iter()
            .map(|(line_no, quantity)| pb::CancelLine { line_no: *line_no, quantity: *quantity })
            .collect(),
        gross: money_of(order.currency, split.lines.iter().map(|line| line.amounts.line_total).sum()),
    };
    amendment.splits.iter().map(effect).collect()
}
