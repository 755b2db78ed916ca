//! Completing drafts: what an order leaves open is its customer's, its channel's, or the house's.

use crate::channel::Details;
use crate::convert::place::payment_token_fits;
use crate::customer::Customer;
use crate::draft::{Buyer, Draft, Ready};
use crate::error::Error;
use crate::ops::settings::Settings;
use crate::order::Hold;
use crate::price::{Agreed, Circumstances, Deviation, Disagreement, Prices, agree};
use crate::rule::Verdict;
use crate::store;
use pesan_api::order::v1::{FulfilmentPolicy, PaymentMethod, PriceDeviationPolicy, ReservationPolicy};
use pesan_grpc::Violations;
use pesan_money::Currency;
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// Who decides about orders whose prices deviate.
const PRICING: &str = "pricing";
/// Lines that a hold's note or a refusal names.
const NAMED: usize = 20;

/// The customers that drafts name, by both of their ids.
pub struct Customers {
    by_id: HashMap<Uuid, Customer>,
    ids: HashMap<String, Uuid>,
}

impl Customers {
    /// The one that a draft names.
    pub fn of(&self, buyer: &Buyer) -> Option<&Customer> {
        match buyer {
            Buyer::Guest => None,
            Buyer::Id(id) => self.by_id.get(id),
            Buyer::External(external_id) => self.by_id.get(self.ids.get(external_id)?),
        }
    }

    /// The same, where the one that is named has to be there.
    pub fn named(&self, draft: &Draft) -> Result<Option<&Customer>, Error> {
        match (&draft.buyer, self.of(&draft.buyer)) {
            (Buyer::Id(_), None) => Err(Error::invalid("customer_id", "is no customer")),
            (Buyer::External(_), None) => {
                Err(Error::invalid("customer_external_id", "is no customer: upsert the customer first"))
            }
            (Buyer::Guest | Buyer::Id(_) | Buyer::External(_), customer) => Ok(customer),
        }
    }
}

/// Finds the customers of drafts.
pub async fn customers_of(conn: &mut PgConnection, drafts: &[Draft]) -> Result<Customers, Error> {
    let (mut ids, mut external_ids) = (HashSet::new(), HashSet::new());
    for draft in drafts {
        match &draft.buyer {
            Buyer::Guest => {}
            Buyer::Id(id) => drop(ids.insert(*id)),
            Buyer::External(external_id) => drop(external_ids.insert(external_id.as_str())),
        }
    }
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let external_ids: Vec<&str> = external_ids.into_iter().collect();
    let found = if ids.is_empty() && external_ids.is_empty() {
        Vec::new()
    } else {
        store::customer::find(conn, &ids, &external_ids).await?
    };
    let ids = found.iter().map(|c| (c.details.external_id.clone(), c.customer_id)).collect();
    Ok(Customers { by_id: found.into_iter().map(|c| (c.customer_id, c)).collect(), ids })
}

/// Decides what a draft left open, and what it comes to.
pub fn make_ready<'a>(
    draft: &'a Draft,
    customers: &Customers,
    settings: &Settings,
    now: OffsetDateTime,
) -> Result<Ready<'a>, Error> {
    let customer = customers.named(draft)?;
    let first_address = || customer.and_then(|c| c.details.addresses.first().cloned());
    let Some(ship_to) = draft.ship_to.clone().or_else(first_address) else {
        return Err(Error::invalid("ship_to", "is required: the customer has no address"));
    };
    let sales_rep = match draft.sales_rep.as_str() {
        "" => customer.map(|c| c.details.sales_rep.clone()).unwrap_or_default(),
        own => own.to_owned(),
    };
    let channel = settings.channels.get(&draft.channel);
    if channel.closed {
        return Err(Error::ChannelClosed(draft.channel.clone()));
    }
    let payment_method = payment_method(draft, channel.payment_method)?;
    let currency = currency_of(draft, channel.currency)?;
    let placed_at = draft.placed_at.unwrap_or(now);
    let segment = customer.map_or("", |customer| &customer.details.segment);
    let lists;
    let prices = match draft.promise.as_ref().and_then(|promise| promise.prices.as_deref()) {
        Some(promised) => Prices::Promised(promised),
        None => {
            let order = Circumstances { currency, channel: &draft.channel, segment, at: placed_at };
            lists = settings.prices.lists_for(&order);
            Prices::Lists(&lists)
        }
    };
    let Agreed { lines, totals, order_discount, deviations } =
        agree(draft, currency, prices, tolerance_of(channel)).map_err(|d| disagreement(&d))?;
    let mut holds = Vec::new();
    if !deviations.is_empty() {
        if channel.price_deviation == PriceDeviationPolicy::Refuse {
            return Err(Error::PriceDeviation(named(&deviations)));
        }
        holds.push(hold(&deviations, now));
    }
    Ok(Ready {
        draft,
        customer_id: customer.map(|c| c.customer_id),
        currency,
        lines,
        totals,
        order_discount,
        ship_to,
        payment_method,
        reservation_policy: draft
            .reservation_policy
            .or(channel.reservation_policy)
            .unwrap_or(ReservationPolicy::Backorder),
        fulfilment_policy: draft.fulfilment_policy.or(channel.fulfilment_policy).unwrap_or(FulfilmentPolicy::Standard),
        priority: draft.priority.or(channel.priority).unwrap_or(5),
        preferred_location_id: draft.preferred_location_id.or(channel.preferred_location_id),
        sales_rep,
        placed_at,
        holds,
        verdict: Verdict::default(),
    })
}

/// How far given prices may be from the lists'; none: they are not measured.
pub fn tolerance_of(channel: &Details) -> Option<i32> {
    match channel.price_deviation {
        PriceDeviationPolicy::Accept | PriceDeviationPolicy::Unspecified => None,
        PriceDeviationPolicy::Hold | PriceDeviationPolicy::Refuse => Some(channel.price_tolerance),
    }
}

fn payment_method(draft: &Draft, default: Option<PaymentMethod>) -> Result<PaymentMethod, Error> {
    if let Some(given) = draft.payment_method {
        return Ok(given); // read as a whole already
    }
    let method = default.unwrap_or(PaymentMethod::OnAccount);
    let mut v = Violations::new();
    if draft.buyer == Buyer::Guest && method != PaymentMethod::Provider {
        v.add("payment_method", "must be PAYMENT_METHOD_PROVIDER for a guest");
    } else {
        payment_token_fits(&mut v, method, draft.payment_token.is_some());
    }
    Ok(v.into_result(method)?)
}

/// The currency of a draft.
pub fn currency_of(draft: &Draft, default: Option<Currency>) -> Result<Currency, Error> {
    match (draft.currency, default) {
        (Some(given), _) if draft.currency_is_given => Ok(given),
        (Some(amounts), Some(default)) if amounts != default => Err(Error::invalid(
            "currency_code",
            &format!("is required: the amounts are not in the channel's, {default}"),
        )),
        (_, Some(default)) => Ok(default),
        (_, None) => {
            Err(Error::invalid("currency_code", "is required: an ISO 4217 code such as EUR; the channel has none"))
        }
    }
}

/// Why a draft comes to nothing, for whoever sent it.
pub fn disagreement(disagreement: &Disagreement) -> Error {
    match disagreement {
        Disagreement::NoPrice(places) => Error::NoPrice(places.clone()),
        Disagreement::Amiss(None, amiss) => Error::invalid(amiss.field(), &amiss.to_string()),
        Disagreement::Amiss(Some(place), amiss) => {
            Error::invalid(&format!("lines[{place}].{}", amiss.field()), &amiss.to_string())
        }
    }
}

/// The lines that deviate, and by what, the first few of them.
fn named(deviations: &[Deviation]) -> Vec<(usize, String)> {
    let say = |d: &Deviation| (d.place, format!("{} instead of {} ({})", d.given, d.listed, d.list));
    deviations.iter().take(NAMED).map(say).collect()
}

fn hold(deviations: &[Deviation], now: OffsetDateTime) -> Hold {
    let mut note: Vec<String> =
        named(deviations).into_iter().map(|(place, what)| format!("line {}: {what}", place + 1)).collect();
    if deviations.len() > NAMED {
        note.push(format!("and {} more", deviations.len() - NAMED));
    }
    Hold::new("PRICE_DEVIATION", note.join("; "), PRICING, now)
}
