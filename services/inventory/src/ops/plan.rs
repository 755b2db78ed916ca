//! Planning: reorder policies, what can be promised when, what should be bought, and what MRP needs to know. Reads in one
//! snapshot; only policies and draft purchase orders are written.

use super::{Inventory, insist, once};
use crate::convert::{planning as shown, purchase as shown_purchase};
use crate::error::Error;
use crate::item::ItemId;
use crate::planning::demand::Demand;
use crate::planning::policy::{NamedPolicy, Policy};
use crate::planning::reorder::{self, Case, Position, Rule, Suggestion};
use crate::planning::requirements::{self, Needs, Requirement};
use crate::planning::{Horizon, midnight, normal, promise};
use crate::purchase::{Line, PurchaseOrder};
use crate::stock::StockKey;
use crate::store;
use crate::store::planning::{Filter, There};
use crate::store::supply::Coming;
use crate::supplier::{KnownOffer, LeadTime, SupplierId};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::idempotency::Claim;
use rust_decimal::prelude::ToPrimitive as _;
use sqlx::PgConnection;
use std::collections::{BTreeMap, HashMap};
use time::OffsetDateTime;
use uuid::Uuid;

/// Policies of one page of an export.
pub const PAGE: i64 = 200;

/// A policy as its keeper wants it: the names of what it is about, and its figures.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedPolicy {
    pub sku: String,
    pub location_id: Uuid,
    /// Empty: any.
    pub supplier_code: String,
    /// Its key and supplier are not known yet.
    pub policy: Policy,
}

/// Creates or changes policies by item and location. Of one that comes twice the last counts.
pub async fn set_policies(
    inventory: &Inventory,
    wanted: Vec<Result<WantedPolicy, Error>>,
) -> Result<Vec<Result<NamedPolicy, Error>>, Error> {
    let readable = || wanted.iter().flatten();
    inventory.learn_skus(readable().map(|policy| policy.sku.as_str()).collect()).await?;
    inventory.learn_locations(readable().map(|policy| policy.location_id).collect()).await?;
    let codes: Vec<&str> = readable().map(|policy| policy.supplier_code.as_str()).collect();
    let mut tx = store::begin(&inventory.pool).await?;
    let suppliers = store::supplier::find(&mut tx, &codes).await?;
    let suppliers: HashMap<&str, SupplierId> =
        suppliers.iter().map(|(id, supplier)| (supplier.code.as_str(), *id)).collect();
    let resolve = |wanted: &WantedPolicy| {
        let item = inventory.stocked_item(&wanted.sku, "sku")?;
        let location = inventory.known().location(wanted.location_id).ok_or(Error::UnknownLocation)?;
        let supplier = match wanted.supplier_code.as_str() {
            "" => None,
            code => Some(*suppliers.get(code).ok_or(Error::UnknownSupplier("supplier_code"))?),
        };
        Ok(NamedPolicy {
            policy: Policy { key: StockKey { item, location }, supplier, ..wanted.policy.clone() },
            sku: wanted.sku.clone(),
            location_id: wanted.location_id,
            supplier_code: wanted.supplier_code.clone(),
        })
    };
    let outcomes: Vec<Result<NamedPolicy, Error>> =
        wanted.iter().map(|wanted| wanted.as_ref().map_err(Error::clone).and_then(resolve)).collect();
    let rows: BTreeMap<StockKey, &Policy> =
        outcomes.iter().flatten().map(|named| (named.policy.key, &named.policy)).collect();
    if !rows.is_empty() {
        store::planning::write(&mut tx, &rows.into_values().collect::<Vec<_>>()).await?;
    }
    tx.commit().await?;
    Ok(outcomes)
}

/// Policies after a sku and location, ascending; one more than `size` where there are more.
pub async fn policies(
    inventory: &Inventory,
    after: Option<(&str, Uuid)>,
    filter: Filter<'_>,
    size: i64,
) -> Result<Vec<NamedPolicy>, Error> {
    let mut conn = inventory.pool.acquire().await?;
    Ok(store::planning::page(&mut conn, after, filter, size + 1).await?)
}

/// What can be promised of an item, bucket by bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Promised {
    pub there: There,
    pub horizon: Horizon,
    pub coming: Vec<i64>,
    pub going: Vec<i64>,
    pub promises: Vec<promise::Promise>,
    /// With its number and the bucket it counts in.
    pub supplies: Vec<(usize, String, Coming)>,
}

/// What can be promised of an item at a location, or at all of them, over time.
pub async fn promised(
    inventory: &Inventory,
    sku: &str,
    location_id: Option<Uuid>,
    horizon: Horizon,
) -> Result<Promised, Error> {
    inventory.learn_skus(vec![sku]).await?;
    inventory.learn_locations(location_id.into_iter().collect()).await?;
    let item = inventory.stocked_item(sku, "sku")?;
    let location = match location_id {
        None => None,
        Some(id) => Some(inventory.known().location(id).ok_or(Error::UnknownLocation)?),
    };
    let mut tx = store::begin_snapshot(&inventory.pool).await?;
    let there = store::planning::there(&mut tx, item, location).await?;
    let supplies = store::supply::coming(&mut tx, &[item], location).await?;
    let planned = store::transfer::planned(&mut tx, &[item]).await?;
    tx.commit().await?;

    let now = inventory.clock.now();
    let mut coming = vec![0; horizon.buckets];
    let mut placed = Vec::with_capacity(supplies.len());
    for (number, supply) in supplies {
        if let Some(bucket) = bucket_of(&horizon, supply.expected_at, now) {
            coming[bucket] += supply.quantity;
            placed.push((bucket, number, supply));
        }
    }
    let mut going = vec![0; horizon.buckets];
    // Between locations nothing is lost: what leaves one stays with the whole.
    for (_, _, at, quantity) in planned.into_iter().filter(|(_, source, _, _)| Some(*source) == location) {
        if let Some(bucket) = horizon.bucket_of(at) {
            going[bucket] += quantity;
        }
    }
    let free = there.on_hand - there.reserved - there.safety - there.waiting;
    let promises = promise::available_to_promise(free, &coming, &going);
    Ok(Promised { there, horizon, coming, going, promises, supplies: placed })
}

/// The bucket that something expected counts in. What is overdue did not come yet: it counts in the second.
fn bucket_of(horizon: &Horizon, expected_at: OffsetDateTime, now: OffsetDateTime) -> Option<usize> {
    if expected_at < now {
        return Some(1).filter(|second| *second < horizon.buckets);
    }
    horizon.bucket_of(expected_at)
}

/// A policy with what was suggested for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    pub policy: NamedPolicy,
    pub offer: Option<KnownOffer>,
    pub suggestion: Suggestion,
}

/// What a page of policies suggests, and the draft purchase orders made of it.
pub async fn suggest(
    inventory: &Inventory,
    claim: Option<Claim>,
    after: Option<(&str, Uuid)>,
    filter: Filter<'_>,
    size: i64,
    include_satisfied: bool,
) -> Result<pb::SuggestPurchasesResponse, Error> {
    if let Some(location_id) = filter.location {
        expect_location(inventory, location_id).await?;
    }
    let Some(claim) = claim else {
        let mut tx = store::begin_snapshot(&inventory.pool).await?;
        let (advice, next) = advise(inventory, &mut tx, after, filter, size).await?;
        tx.commit().await?;
        return Ok(shown::suggestions(inventory.clock.now(), &advice, include_satisfied, Vec::new(), next));
    };
    insist(async || {
        let mut tx = store::begin(&inventory.pool).await?;
        if let Some(answer) = once::answered(&mut tx, &claim).await? {
            return Ok(answer);
        }
        let (advice, next) = advise(inventory, &mut tx, after, filter, size).await?;
        let mut drafts = drafts(inventory.clock.now(), &advice);
        if !drafts.is_empty() {
            store::purchase::save(&mut tx, &mut drafts).await?;
        }
        inventory
            .learn(
                &mut tx,
                drafts.iter().flat_map(|draft| draft.lines.iter().map(|line| line.item)).collect(),
                drafts.iter().map(|draft| draft.location).collect(),
            )
            .await?;
        let drafts = drafts.iter().map(|draft| shown_purchase::order(&inventory.known(), draft, &[])).collect();
        let answer = shown::suggestions(inventory.clock.now(), &advice, include_satisfied, drafts, next);
        once::keep(&mut tx, &claim, &answer).await?;
        tx.commit().await?;
        Ok(answer)
    })
    .await
}

/// The advice for a page of policies, and whether there is a further page.
async fn advise(
    inventory: &Inventory,
    conn: &mut PgConnection,
    after: Option<(&str, Uuid)>,
    filter: Filter<'_>,
    size: i64,
) -> Result<(Vec<Advice>, bool), Error> {
    let mut policies = store::planning::page(conn, after, filter, size + 1).await?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let more = policies.len() > size;
    policies.truncate(size);
    let facts = Facts::read(inventory, conn, &policies).await?;
    let advice = policies.into_iter().map(|policy| {
        let offer = facts.offer(&policy.policy).cloned();
        let suggestion = reorder::suggest(&facts.case(&policy.policy, offer.as_ref()));
        Advice { policy, offer, suggestion }
    });
    Ok((advice.collect(), more))
}

/// What planning reads for some policies.
struct Facts {
    demands: HashMap<StockKey, Demand>,
    positions: HashMap<StockKey, Position>,
    offers: HashMap<ItemId, Vec<KnownOffer>>,
}

impl Facts {
    async fn read(inventory: &Inventory, conn: &mut PgConnection, policies: &[NamedPolicy]) -> Result<Self, Error> {
        let keys: Vec<StockKey> = policies.iter().map(|named| named.policy.key).collect();
        let windows: Vec<(StockKey, i32)> =
            policies.iter().map(|named| (named.policy.key, named.policy.window_days)).collect();
        let mut items: Vec<ItemId> = keys.iter().map(|key| key.item).collect();
        items.sort_unstable();
        items.dedup();
        let until = midnight(inventory.clock.now());
        let mut offers: HashMap<ItemId, Vec<KnownOffer>> = HashMap::new();
        for offer in store::supplier::offers_of(conn, &items).await? {
            offers.entry(offer.item).or_default().push(offer);
        }
        Ok(Self {
            demands: store::planning::demands(conn, &windows, until).await?,
            positions: store::planning::positions(conn, &keys).await?,
            offers,
        })
    }

    /// The offer that a policy buys by: of its supplier, or the preferred one.
    fn offer(&self, policy: &Policy) -> Option<&KnownOffer> {
        let offers = self.offers.get(&policy.key.item)?;
        offers.iter().find(|offer| policy.supplier.is_none_or(|supplier| supplier == offer.supplier))
    }

    fn case(&self, policy: &Policy, offer: Option<&KnownOffer>) -> Case {
        let same_currency = |cost: &pesan_money::Money| offer.is_none_or(|offer| offer.currency == cost.currency);
        let order_cost = policy.order_cost.filter(same_currency).and_then(|cost| cost.amount.to_f64());
        let rule = match policy.rule {
            1 => Rule::MinMax { min: policy.minimum, max: policy.maximum },
            2 => Rule::ReorderPoint {
                order_cost: order_cost.unwrap_or(0.0),
                holding_share: policy.holding_percent / 100.0,
            },
            _ => Rule::DaysOfCover { days: policy.days_of_cover },
        };
        Case {
            rule,
            position: self.positions.get(&policy.key).copied().unwrap_or_default(),
            demand: self.demands.get(&policy.key).copied().unwrap_or_default(),
            lead_time: offer.map_or(LeadTime::default(), |offer| offer.lead_time),
            service_level: policy.service_level,
            unit_price: offer.and_then(|offer| offer.price.to_f64()).unwrap_or(0.0),
            min_quantity: offer.map_or(1, |offer| offer.min_quantity),
            pack_size: offer.map_or(1, |offer| offer.pack_size),
        }
    }
}

/// Draft purchase orders of what is suggested: one for each supplier and location, of at most 1,000 lines.
fn drafts(now: OffsetDateTime, advice: &[Advice]) -> Vec<PurchaseOrder> {
    let mut groups: BTreeMap<(&str, Uuid), Vec<(&Advice, &KnownOffer)>> = BTreeMap::new();
    for advice in advice.iter().filter(|advice| advice.suggestion.quantity > 0) {
        if let Some(offer) = &advice.offer {
            groups.entry((&offer.supplier_code, advice.policy.location_id)).or_default().push((advice, offer));
        }
    }
    let draft = |lines: &[(&Advice, &KnownOffer)]| {
        let (advice, offer) = lines.first()?;
        let (supplier, location) = (offer.supplier, advice.policy.policy.key.location);
        let line = |(line_no, (advice, offer)): (i32, &(&Advice, &KnownOffer))| {
            Line::new(line_no, advice.policy.policy.key.item, advice.suggestion.quantity, offer.price)
        };
        let lines = (1..).zip(lines).map(line).collect();
        let draft = PurchaseOrder::draft(supplier, offer.supplier_code.clone(), location, offer.currency, lines, now);
        Some(PurchaseOrder { reference: "suggested".to_owned(), ..draft })
    };
    groups.values().flat_map(|lines| lines.chunks(1_000).filter_map(draft)).collect()
}

/// The material requirements record of one policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub policy: NamedPolicy,
    pub needs: Needs,
    pub demand: Demand,
    pub supplier_code: String,
    pub plan: Vec<Requirement>,
}

/// The records of the policies after one, at most [`PAGE`].
pub async fn requirements(
    inventory: &Inventory,
    after: Option<(&str, Uuid)>,
    filter: Filter<'_>,
    horizon: Horizon,
) -> Result<Vec<Record>, Error> {
    let mut tx = store::begin_snapshot(&inventory.pool).await?;
    let policies = store::planning::page(&mut tx, after, filter, PAGE).await?;
    let facts = Facts::read(inventory, &mut tx, &policies).await?;
    let items: Vec<ItemId> = policies.iter().map(|named| named.policy.key.item).collect();
    let supplies = store::supply::coming(&mut tx, &items, None).await?;
    let planned = store::transfer::planned(&mut tx, &items).await?;
    tx.commit().await?;

    let now = inventory.clock.now();
    let mut scheduled: HashMap<StockKey, Vec<i64>> = HashMap::new();
    for (_, supply) in supplies {
        if let Some(bucket) = bucket_of(&horizon, supply.expected_at, now) {
            let key = StockKey { item: supply.item, location: supply.location };
            scheduled.entry(key).or_insert_with(|| vec![0; horizon.buckets])[bucket] += supply.quantity;
        }
    }
    let mut leaving: HashMap<StockKey, Vec<i64>> = HashMap::new();
    for (item, location, at, quantity) in planned {
        if let Some(bucket) = horizon.bucket_of(at) {
            let key = StockKey { item, location };
            leaving.entry(key).or_insert_with(|| vec![0; horizon.buckets])[bucket] += quantity;
        }
    }
    let none = || vec![0; horizon.buckets];
    let record = |policy: NamedPolicy| {
        let key = policy.policy.key;
        let offer = facts.offer(&policy.policy);
        let case = facts.case(&policy.policy, offer);
        let mut firm = leaving.remove(&key).unwrap_or_else(none);
        firm[0] += case.position.reserved + case.position.waiting;
        let needs = Needs {
            on_hand: case.position.on_hand,
            safety_stock: safety(&case),
            lead_time: lead_buckets(case.lead_time, &horizon),
            min_quantity: case.min_quantity,
            pack_size: case.pack_size,
            firm,
            scheduled: scheduled.remove(&key).unwrap_or_else(none),
            #[expect(clippy::cast_precision_loss, reason = "1 or 7")]
            forecast: case.demand.mean * horizon.bucket.days() as f64,
        };
        let plan = requirements::plan(&needs);
        let supplier_code = offer.map(|offer| offer.supplier_code.clone()).unwrap_or_default();
        Record { policy, needs, demand: case.demand, supplier_code, plan }
    };
    Ok(policies.into_iter().map(record).collect())
}

/// What is to be kept: the minimum, or the safety stock.
fn safety(case: &Case) -> i64 {
    match case.rule {
        Rule::MinMax { min, .. } => min,
        Rule::ReorderPoint { .. } | Rule::DaysOfCover { .. } => {
            let z = normal::quantile(case.service_level);
            reorder::whole(reorder::safety_stock(z, &case.demand, case.lead_time))
        }
    }
}

fn lead_buckets(lead_time: LeadTime, horizon: &Horizon) -> usize {
    let days = reorder::whole(lead_time.mean);
    let bucket = horizon.bucket.days();
    usize::try_from(days / bucket + i64::from(days % bucket != 0)).unwrap_or(usize::MAX)
}

/// Makes sure that a location exists, before an answer is streamed.
pub async fn expect_location(inventory: &Inventory, location_id: Uuid) -> Result<(), Error> {
    inventory.learn_locations(vec![location_id]).await?;
    inventory.known().location(location_id).map(|_| ()).ok_or(Error::UnknownLocation)
}
