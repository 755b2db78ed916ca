//! Reorder policies: when to buy, and how much, with every figure that led to it.

use super::demand::Demand;
use super::normal;
use crate::supplier::{LeadTime, in_packs};

const BOOK: &str = "Silver, Pyke & Thomas, Inventory and Production Management in Supply Chains, 4th ed.";
const HARRIS: &str = "F. W. Harris, How Many Parts to Make at Once, 1913";
/// Largest quantity that is suggested.
const MOST: i64 = 1_000_000_000;

/// When to buy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// At or below `min`, up to `max`.
    MinMax { min: i64, max: i64 },
    /// At or below the reorder point: economic order quantities. Cost of one order, and the share of a unit's price that
    /// keeping it for a year costs.
    ReorderPoint { order_cost: f64, holding_share: f64 },
    /// At or below the reorder point: up to what lasts for these days beyond the lead time.
    DaysOfCover { days: i32 },
}

/// What is there of an item at a location, and what is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub on_hand: i64,
    pub reserved: i64,
    /// Of purchase orders and transfers.
    pub incoming: i64,
    /// In the backorder queue.
    pub waiting: i64,
}

impl Position {
    /// On hand + incoming − reserved − waiting: what reordering is decided by.
    pub fn units(self) -> i64 {
        self.on_hand + self.incoming - self.reserved - self.waiting
    }
}

/// What a suggestion is made from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    pub rule: Rule,
    pub position: Position,
    pub demand: Demand,
    pub lead_time: LeadTime,
    /// Probability of no stock-out in a replenishment cycle.
    pub service_level: f64,
    /// Of one unit; 0 where nobody offers it.
    pub unit_price: f64,
    pub min_quantity: i64,
    pub pack_size: i64,
}

/// A figure of the calculation.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
    /// Empty where it was not calculated.
    pub formula: &'static str,
    /// The formula with its figures.
    pub calculation: String,
    /// Where it comes from.
    pub source: &'static str,
}

/// What should be bought, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Suggestion {
    /// 0: nothing now.
    pub quantity: i64,
    pub reason: String,
    pub arithmetic: Vec<Figure>,
}

/// Safety stock: z·√(L·σd² + d²·σL²), the demand and the lead time varying independently.
pub fn safety_stock(z: f64, demand: &Demand, lead_time: LeadTime) -> f64 {
    let of_demand = lead_time.mean * demand.std.powi(2);
    let of_lead_time = demand.mean.powi(2) * lead_time.std.powi(2);
    (z * (of_demand + of_lead_time).sqrt()).max(0.0)
}

/// Economic order quantity: √(2·D·S ÷ H) for a year's demand D, the cost of an order S and the cost of keeping a unit for
/// a year H; none where one of them is not known.
pub fn economic_order_quantity(demand_per_year: f64, order_cost: f64, holding_cost: f64) -> Option<f64> {
    let known = demand_per_year > 0.0 && order_cost > 0.0 && holding_cost > 0.0;
    known.then(|| (2.0 * demand_per_year * order_cost / holding_cost).sqrt())
}

/// A whole number that is at least as large, of the size that quantities have.
pub fn whole(units: f64) -> i64 {
    // A hair above a whole number is the rounding error of the arithmetic, not a unit.
    let rounded = (units - 1e-9).ceil().clamp(0.0, MOST as f64);
    #[expect(clippy::cast_possible_truncation, reason = "clamped to 0 … 10⁹")]
    let whole = rounded as i64;
    whole
}

#[derive(Default)]
struct Paper(Vec<Figure>);

impl Paper {
    fn given(&mut self, name: &'static str, value: f64, unit: &'static str, source: &'static str) {
        self.0.push(Figure { name, value, unit, formula: "", calculation: String::new(), source });
    }

    fn calculated(
        &mut self,
        name: &'static str,
        value: f64,
        formula: &'static str,
        calculation: String,
        source: &'static str,
    ) {
        self.0.push(Figure { name, value, unit: "units", formula, calculation, source });
    }
}

/// Decides whether to buy, and how much.
pub fn suggest(case: &Case) -> Suggestion {
    let mut paper = Paper::default();
    let position = case.position;
    paper.given("on_hand", position.on_hand as f64, "units", "stock");
    paper.given("reserved", position.reserved as f64, "units", "stock");
    paper.given("incoming", position.incoming as f64, "units", "purchase orders sent and transfers shipped");
    paper.given("waiting", position.waiting as f64, "units", "backorder queue");
    paper.calculated(
        "position",
        position.units() as f64,
        "on hand + incoming − reserved − waiting",
        format!("{} + {} − {} − {}", position.on_hand, position.incoming, position.reserved, position.waiting),
        BOOK,
    );
    let (point, wanted) = match case.rule {
        Rule::MinMax { min, max } => {
            paper.given("min", min as f64, "units", "reorder policy");
            paper.given("max", max as f64, "units", "reorder policy");
            (min, max.saturating_sub(position.units()))
        }
        Rule::ReorderPoint { order_cost, holding_share } => {
            let point = reorder_point(case, &mut paper);
            let lot = economic_lot(case, order_cost, holding_share, &mut paper);
            let short = point.saturating_sub(position.units()).saturating_add(1).max(1);
            // As many whole lots as lift the position above the point.
            let lots = short / lot + i64::from(short % lot != 0);
            paper.given("lots", lots as f64, "lots", "the least that lift the position above the reorder point");
            (point, lots.saturating_mul(lot))
        }
        Rule::DaysOfCover { days } => {
            let point = reorder_point(case, &mut paper);
            let days = f64::from(days);
            let up_to = whole(case.demand.mean * (case.lead_time.mean + days)).saturating_add(safety_of(&paper));
            paper.given("days_of_cover", days, "days", "reorder policy");
            paper.calculated(
                "order_up_to",
                up_to as f64,
                "d·(L + days of cover) + safety stock, rounded up",
                format!("{:.3} × ({} + {days}) + {}", case.demand.mean, case.lead_time.mean, safety_of(&paper)),
                BOOK,
            );
            (point, up_to.saturating_sub(position.units()))
        }
    };
    let needed = position.units() <= point && wanted > 0;
    let relation = if position.units() <= point { "at or below" } else { "above" };
    let what = if matches!(case.rule, Rule::MinMax { .. }) { "the minimum" } else { "the reorder point" };
    let reason = format!("position {} is {relation} {what} {point}", position.units());
    let quantity = if needed { in_packs(wanted.min(MOST), case.min_quantity, case.pack_size) } else { 0 };
    if needed {
        paper.given("min_quantity", case.min_quantity as f64, "units", "supplier's offer");
        paper.given("pack_size", case.pack_size as f64, "units", "supplier's offer");
        paper.calculated(
            "quantity",
            quantity as f64,
            "max(wanted, least order), rounded up to whole packs",
            format!("max({wanted}, {}) in packs of {}", case.min_quantity, case.pack_size),
            "supplier's offer",
        );
    }
    Suggestion { quantity, reason, arithmetic: paper.0 }
}

fn safety_of(paper: &Paper) -> i64 {
    paper.0.iter().find(|figure| figure.name == "safety_stock").map_or(0, |figure| whole(figure.value))
}

/// d·L + safety stock, rounded up.
fn reorder_point(case: &Case, paper: &mut Paper) -> i64 {
    let Case { demand, lead_time, .. } = case;
    paper.given("demand_window", f64::from(demand.days), "days", "reorder policy");
    paper.given("demand_mean", demand.mean, "units/day", "goods issues of the window");
    paper.given("demand_std", demand.std, "units/day", "goods issues of the window, sample standard deviation");
    paper.given("lead_time_mean", lead_time.mean, "days", "supplier");
    paper.given("lead_time_std", lead_time.std, "days", "supplier");
    paper.given("service_level", case.service_level, "probability", "reorder policy");
    let z = normal::quantile(case.service_level);
    paper.given("z", z, "", "standard normal quantile of the service level");
    let safety = whole(safety_stock(z, demand, *lead_time));
    paper.calculated(
        "safety_stock",
        safety as f64,
        "z·√(L·σd² + d²·σL²), rounded up",
        format!("{z:.3} × √({} × {:.3}² + {:.3}² × {}²)", lead_time.mean, demand.std, demand.mean, lead_time.std),
        BOOK,
    );
    let during = demand.mean * lead_time.mean;
    let point = whole(during).saturating_add(safety);
    paper.calculated(
        "reorder_point",
        point as f64,
        "d·L, rounded up, + safety stock",
        format!("{:.3} × {} + {safety}", demand.mean, lead_time.mean),
        BOOK,
    );
    point
}

/// The economic order quantity, or, where it cannot be told, the demand of the lead time; at least 1.
fn economic_lot(case: &Case, order_cost: f64, holding_share: f64, paper: &mut Paper) -> i64 {
    let per_year = case.demand.mean * 365.0;
    let holding = case.unit_price * holding_share;
    paper.given("order_cost", order_cost, "money", "reorder policy");
    paper.given("unit_price", case.unit_price, "money", "supplier's offer");
    match economic_order_quantity(per_year, order_cost, holding) {
        Some(quantity) => {
            paper.calculated(
                "economic_order_quantity",
                quantity,
                "√(2·D·S ÷ H)",
                format!("√(2 × {per_year:.3} × {order_cost} ÷ ({} × {holding_share}))", case.unit_price),
                HARRIS,
            );
            whole(quantity).max(1)
        }
        None => {
            let lot = whole(case.demand.mean * case.lead_time.mean).max(1);
            let source = "without a demand, an order cost and a price there is no economic order quantity";
            paper.calculated("lot", lot as f64, "d·L, at least 1", String::new(), source);
            lot
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn case(rule: Rule, on_hand: i64) -> Case {
        Case {
            rule,
            position: Position { on_hand, ..Position::default() },
            demand: Demand { mean: 20.0, std: 4.0, days: 90, units: 1800.0 },
            lead_time: LeadTime { mean: 10.0, std: 2.0 },
            service_level: 0.95,
            unit_price: 10.0,
            min_quantity: 1,
            pack_size: 1,
        }
    }

    fn figure(suggestion: &Suggestion, name: &str) -> f64 {
        suggestion.arithmetic.iter().find(|figure| figure.name == name).unwrap().value
    }

    #[test]
    fn safety_stock_by_hand() {
        // L 10, σd 4: 10 × 16 = 160; d 20, σL 2: 400 × 4 = 1,600; √1,760 = 41.952; × 1.644854 = 69.005.
        let demand = Demand { mean: 20.0, std: 4.0, days: 90, units: 0.0 };
        let stock = safety_stock(1.644_854, &demand, LeadTime { mean: 10.0, std: 2.0 });
        assert!((stock - 69.005).abs() < 0.001, "{stock}");
        // With a lead time that never varies: z·σd·√L = 1.644854 × 4 × 3.162278 = 20.806.
        let stock = safety_stock(1.644_854, &demand, LeadTime { mean: 10.0, std: 0.0 });
        assert!((stock - 20.806).abs() < 0.001, "{stock}");
    }

    #[test]
    fn economic_order_quantity_by_hand() {
        // The textbooks' example: D 1,000 a year, S 10, H 0.5: √40,000 = 200.
        assert_eq!(economic_order_quantity(1000.0, 10.0, 0.5), Some(200.0));
        assert_eq!(economic_order_quantity(0.0, 10.0, 0.5), None);
        assert_eq!(economic_order_quantity(1000.0, 10.0, 0.0), None);
    }

    #[test]
    fn at_the_reorder_point_an_economic_lot_is_bought() {
        // The point: 20 × 10 + 70 = 270. The lot: √(2 × 7,300 × 20 ÷ (10 × 0.2)) = √146,000 = 382.1, so 383.
        let rule = Rule::ReorderPoint { order_cost: 20.0, holding_share: 0.2 };
        let above = suggest(&case(rule, 271));
        assert_eq!((above.quantity, above.reason.as_str()), (0, "position 271 is above the reorder point 270"));
        let at = suggest(&case(rule, 270));
        assert_eq!(at.quantity, 383);
        assert_eq!((figure(&at, "safety_stock"), figure(&at, "reorder_point")), (70.0, 270.0));
        assert!((figure(&at, "economic_order_quantity") - 382.099).abs() < 0.001);
        // So far below that one lot does not lift it above the point.
        let below = suggest(&Case { position: Position { waiting: 200, ..Position::default() }, ..case(rule, 0) });
        assert_eq!((figure(&below, "position"), figure(&below, "lots"), below.quantity), (-200.0, 2.0, 766));
    }

    #[test]
    fn min_max_fills_up_and_packs_round_up() {
        let rule = Rule::MinMax { min: 40, max: 100 };
        let position = Position { on_hand: 50, reserved: 25, incoming: 10, waiting: 5 };
        let packed = Case { position, pack_size: 12, ..case(rule, 0) };
        let suggestion = suggest(&packed);
        // Position 50 + 10 − 25 − 5 = 30; 70 are wanted; six packs of 12 are 72.
        assert_eq!(suggestion.quantity, 72);
        assert_eq!(suggestion.reason, "position 30 is at or below the minimum 40");
        assert_eq!(suggest(&case(rule, 41)).quantity, 0);
    }

    #[test]
    fn days_of_cover_last_beyond_the_lead_time() {
        // Up to 20 × (10 + 30) + 70 = 870.
        let suggestion = suggest(&case(Rule::DaysOfCover { days: 30 }, 100));
        assert_eq!((figure(&suggestion, "order_up_to"), suggestion.quantity), (870.0, 770));
        assert_eq!(suggest(&case(Rule::DaysOfCover { days: 30 }, 300)).quantity, 0);
    }

    #[test]
    fn what_nobody_wants_is_not_bought() {
        for rule in [Rule::ReorderPoint { order_cost: 20.0, holding_share: 0.2 }, Rule::DaysOfCover { days: 30 }] {
            let still = Case { demand: Demand { days: 90, ..Demand::default() }, ..case(rule, 1) };
            assert_eq!(suggest(&still).quantity, 0);
        }
    }

    proptest! {
        #[test]
        fn what_is_suggested_lifts_the_position_above_its_point(
            on_hand in 0i64..2_000, reserved in 0i64..500, waiting in 0i64..500, incoming in 0i64..500,
            mean in 0.0f64..200.0, std in 0.0f64..100.0, lead in 0.0f64..60.0, lead_std in 0.0f64..20.0,
            pack in 1i64..50, least in 1i64..200, kind in 0u8..3
        ) {
            let rule = match kind {
                0 => Rule::MinMax { min: 100, max: 400 },
                1 => Rule::ReorderPoint { order_cost: 15.0, holding_share: 0.25 },
                _ => Rule::DaysOfCover { days: 14 },
            };
            let position = Position { on_hand, reserved, incoming, waiting };
            let case = Case {
                position,
                demand: Demand { mean, std, days: 90, units: 90.0 * mean },
                lead_time: LeadTime { mean: lead, std: lead_std },
                pack_size: pack,
                min_quantity: least,
                ..case(rule, 0)
            };
            let suggestion = suggest(&case);
            let point = match rule {
                Rule::MinMax { min, .. } => min,
                _ => whole(figure(&suggestion, "reorder_point")),
            };
            prop_assert_eq!(suggestion.quantity % pack, 0);
            if position.units() > point {
                prop_assert_eq!(suggestion.quantity, 0);
            } else if suggestion.quantity > 0 {
                prop_assert!(suggestion.quantity >= least);
                prop_assert!(position.units() + suggestion.quantity > point || kind == 2);
                prop_assert!(position.units() + suggestion.quantity >= point);
            }
        }
    }
}
