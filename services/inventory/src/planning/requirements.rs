//! Material requirements planning: the record of one item, bucket by bucket.

use super::reorder::whole;
use crate::supplier::in_packs;

/// What a record is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Needs {
    pub on_hand: i64,
    pub safety_stock: i64,
    /// Whole buckets from release to receipt.
    pub lead_time: usize,
    pub min_quantity: i64,
    pub pack_size: i64,
    /// By bucket: what is firm, and what comes. Of the same length.
    pub firm: Vec<i64>,
    pub scheduled: Vec<i64>,
    /// Expected demand of one bucket.
    pub forecast: f64,
}

/// One bucket of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    pub gross: i64,
    pub scheduled: i64,
    /// At the end of the bucket, with the planned receipts.
    pub projected: i64,
    pub net: i64,
    pub planned_receipts: i64,
    pub planned_releases: i64,
    /// Of the first bucket's releases, what should have been released before it.
    pub overdue_releases: i64,
}

/// Gross to net, lot for lot in the supplier's packs, offset by the lead time.
///
/// Gross requirements of a bucket are the larger of its forecast and what is firm in it (forecasts are consumed by firm
/// demand). What is missing to keep the safety stock is net; it is planned in whole packs, to be released a lead time
/// earlier, or now, where that is past. Source: J. Orlicky, Material Requirements Planning, 1975.
pub fn plan(needs: &Needs) -> Vec<Requirement> {
    let buckets = needs.firm.len();
    let mut plan = vec![Requirement::default(); buckets];
    let mut available = needs.on_hand;
    let mut forecast_before = 0;
    for bucket in 0..buckets {
        // Rounded as a running sum, so that a demand of a third a day is one every third day.
        let forecast_until = whole(needs.forecast * (bucket + 1) as f64);
        let forecast = forecast_until - forecast_before;
        forecast_before = forecast_until;
        let gross = forecast.max(needs.firm[bucket]);
        let scheduled = needs.scheduled[bucket];
        let left = available.saturating_add(scheduled).saturating_sub(gross);
        let net = (needs.safety_stock - left).max(0);
        let planned = in_packs(net, needs.min_quantity, needs.pack_size);
        available = left.saturating_add(planned);
        let record = &mut plan[bucket];
        (record.gross, record.scheduled, record.net) = (gross, scheduled, net);
        (record.planned_receipts, record.projected) = (planned, available);
        if planned > 0 {
            let release = &mut plan[bucket.saturating_sub(needs.lead_time)];
            release.planned_releases += planned;
            if bucket < needs.lead_time {
                release.overdue_releases += planned;
            }
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn column(plan: &[Requirement], value: fn(&Requirement) -> i64) -> Vec<i64> {
        plan.iter().map(value).collect()
    }

    #[test]
    fn the_record_by_hand() {
        // 35 on hand, 10 to be kept, lead time 2, packs of 20. Gross 10 20 30 0 50 25, 40 scheduled in the third.
        let needs = Needs {
            on_hand: 35,
            safety_stock: 10,
            lead_time: 2,
            min_quantity: 1,
            pack_size: 20,
            firm: vec![10, 20, 30, 0, 50, 25],
            scheduled: vec![0, 0, 40, 0, 0, 0],
            forecast: 0.0,
        };
        let plan = plan(&needs);
        // 35−10=25; 25−20=5, 5 short, a pack: 25; 25+40−30=35; 35; 35−50=−15, 25 short, two packs: 25; 25−25=0, a pack: 20.
        assert_eq!(column(&plan, |r| r.net), [0, 5, 0, 0, 25, 10]);
        assert_eq!(column(&plan, |r| r.planned_receipts), [0, 20, 0, 0, 40, 20]);
        assert_eq!(column(&plan, |r| r.projected), [25, 25, 35, 35, 25, 20]);
        assert_eq!(column(&plan, |r| r.planned_releases), [20, 0, 40, 20, 0, 0]);
        assert_eq!(
            column(&plan, |r| r.overdue_releases),
            [20, 0, 0, 0, 0, 0],
            "it should have been ordered a bucket ago"
        );
    }

    #[test]
    fn firm_demand_consumes_the_forecast() {
        let needs = Needs {
            on_hand: 100,
            safety_stock: 0,
            lead_time: 0,
            min_quantity: 1,
            pack_size: 1,
            firm: vec![5, 0, 0, 1],
            scheduled: vec![0; 4],
            forecast: 1.5,
        };
        assert_eq!(column(&plan(&needs), |r| r.gross), [5, 1, 2, 1]);
    }

    proptest! {
        #[test]
        fn safety_stock_is_kept_and_every_receipt_is_released(
            on_hand in 0i64..1_000, safety in 0i64..200, lead in 0usize..10, least in 1i64..100, pack in 1i64..50,
            flows in prop::collection::vec((0i64..300, 0i64..300), 1..40), forecast in 0.0f64..50.0
        ) {
            let (firm, scheduled): (Vec<i64>, Vec<i64>) = flows.into_iter().unzip();
            let needs = Needs {
                on_hand, safety_stock: safety, lead_time: lead, min_quantity: least, pack_size: pack, firm, scheduled,
                forecast,
            };
            let plan = plan(&needs);
            let mut level = on_hand;
            for record in &plan {
                level += record.scheduled + record.planned_receipts - record.gross;
                prop_assert_eq!(record.projected, level);
                prop_assert!(level >= safety);
                prop_assert_eq!(record.planned_receipts % pack, 0);
                prop_assert!(record.planned_receipts == 0 || record.planned_receipts - record.net < least.max(0) + pack);
            }
            let receipts: i64 = plan.iter().map(|r| r.planned_receipts).sum();
            prop_assert_eq!(receipts, plan.iter().map(|r| r.planned_releases).sum::<i64>());
        }
    }
}
