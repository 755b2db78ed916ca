//! What services hold about the same order, side by side. Pure.

use std::collections::BTreeSet;

use pesan_api::proof::v1::{Digest, Part};

use super::report::{Invariant, Violation};
use crate::endpoints::Service;

/// Of the subject as a whole (part 0); all others are of its lines.
const WHOLE: [&str; 5] = ["units_ordered", "gross", "units_shipped", "invoiced_amount", "credited_amount"];

/// What a service must know, so that one that lost everything, and therefore tells nothing, is found out.
fn must_know(service: Service) -> &'static [&'static str] {
    match service {
        Service::Order => &[
            "reserved",
            "allocated",
            "backordered",
            "shipped",
            "returned",
            "invoiced",
            "refunded",
            "units_ordered",
            "gross",
            "units_shipped",
        ],
        Service::Inventory => &["reserved", "backordered", "shipped", "returned"],
        Service::Fulfilment => &["allocated", "shipped", "returned"],
        Service::Billing => &["invoiced", "refunded", "invoiced_amount", "credited_amount"],
        Service::Analytics => &WHOLE,
    }
}

/// Subjects that are remembered for a second look; what is more needs another full look.
pub const MAX_SUSPECTS: usize = 10_000;

/// One measure of two services.
struct Comparison {
    measure: String,
    services: [Service; 2],
    /// Where the measure stands among the values of each; None: not told, so all zeros.
    columns: [Option<usize>; 2],
    is_whole: bool,
    rows: u64,
    violations: Vec<Violation>,
    /// Violations past those that are listed.
    more: u64,
}

/// One look at all subjects.
pub struct Look {
    comparisons: Vec<Comparison>,
    /// Subjects that services do not agree on.
    pub suspects: BTreeSet<String>,
    /// There were more suspects than are remembered.
    pub overflow: bool,
}

impl Look {
    /// `told` are the measures that each service tells of. The first service that knows a measure is compared with
    /// every other one that does.
    pub fn new(told: &[(Service, Vec<String>)]) -> Self {
        let column = |service: Service, measure: &str| {
            let (_, names) = told.iter().find(|(of, _)| *of == service)?;
            names.iter().position(|name| name == measure)
        };
        let knows =
            |service, measure: &str| column(service, measure).is_some() || must_know(service).contains(&measure);
        let fixed = Service::ALL.into_iter().flat_map(must_know).map(|name| (*name).to_owned());
        let measures: BTreeSet<String> = fixed.chain(told.iter().flat_map(|(_, names)| names.clone())).collect();
        let mut comparisons = Vec::new();
        for measure in measures {
            let mut knowing = Service::ALL.into_iter().filter(|service| knows(*service, &measure));
            let Some(first) = knowing.next() else { continue };
            for other in knowing {
                comparisons.push(Comparison {
                    services: [first, other],
                    columns: [column(first, &measure), column(other, &measure)],
                    is_whole: WHOLE.contains(&measure.as_str()),
                    measure: measure.clone(),
                    rows: 0,
                    violations: Vec::new(),
                    more: 0,
                });
            }
        }
        Self { comparisons, suspects: BTreeSet::new(), overflow: false }
    }

    /// Compares what services said of one subject. A service that said nothing said zeros.
    pub fn subject(&mut self, subject: &str, digests: &[(Service, Digest)]) {
        let parts = |service| {
            let digest = digests.iter().find(|(of, _)| *of == service);
            digest.map_or(&[][..], |(_, digest)| digest.parts.as_slice())
        };
        let mut agree = true;
        for comparison in &mut self.comparisons {
            let [left, right] = comparison.services.map(parts);
            agree &= comparison.compare(subject, left, right);
        }
        if !agree {
            if self.suspects.len() < MAX_SUSPECTS {
                self.suspects.insert(subject.to_owned());
            } else {
                self.overflow = true;
            }
        }
    }

    /// As invariants. After a look at some subjects only, the counts are those of `full`, the look at all of them.
    pub fn invariants(self, full: Option<&[Invariant]>) -> Vec<Invariant> {
        let rows_of = |name: &str, rows| {
            full.and_then(|full| full.iter().find(|of| of.name == name)).map_or(rows, |of| of.rows_checked)
        };
        let invariants = self.comparisons.into_iter().map(|comparison| {
            let [left, right] = comparison.services.map(Service::name);
            let name = format!("{left}_vs_{right}.{}", comparison.measure);
            let rows = rows_of(&name, comparison.rows);
            Invariant::new(name, rows, comparison.violations, comparison.more)
        });
        invariants.collect()
    }
}

impl Comparison {
    /// Both sides' parts ascend, or are brought into that order here.
    fn compare(&mut self, subject: &str, left: &[Part], right: &[Part]) -> bool {
        let (left, right) = (ascending(left), ascending(right));
        let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
        let mut agree = true;
        while let Some(part) = [left.peek(), right.peek()].into_iter().flatten().map(|next| next.part).min() {
            let ours = value(left.next_if(|next| next.part == part), self.columns[0]);
            let theirs = value(right.next_if(|next| next.part == part), self.columns[1]);
            if (part == 0) == self.is_whole {
                self.rows += 1;
            }
            if ours != theirs {
                agree = false;
                self.violated(subject, part, ours, theirs);
            }
        }
        agree
    }

    fn violated(&mut self, subject: &str, part: i32, ours: i64, theirs: i64) {
        if self.violations.len() >= super::report::LISTED {
            self.more += 1;
            return;
        }
        let id = if part == 0 { subject.to_owned() } else { format!("{subject} line {part}") };
        let [left, right] = self.services.map(Service::name);
        self.violations.push(Violation { id, what: format!("{left} holds {ours}, {right} holds {theirs}") });
    }
}

fn value(part: Option<&&Part>, column: Option<usize>) -> i64 {
    part.zip(column).and_then(|(part, column)| part.values.get(column).copied()).unwrap_or(0)
}

fn ascending(parts: &[Part]) -> Vec<&Part> {
    let mut parts: Vec<&Part> = parts.iter().collect();
    parts.sort_by_key(|part| part.part);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(parts: &[(i32, &[i64])]) -> Digest {
        let parts = parts.iter().map(|(part, values)| Part { part: *part, values: values.to_vec() });
        Digest { subject: "s".into(), parts: parts.collect() }
    }

    fn told(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn found(look: Look) -> Vec<(String, u64, Vec<String>)> {
        let violated = look.invariants(None).into_iter().filter(|i| !i.violations.is_empty());
        violated
            .map(|i| {
                (i.name, i.rows_checked, i.violations.into_iter().map(|v| format!("{}: {}", v.id, v.what)).collect())
            })
            .collect()
    }

    #[test]
    fn every_shared_measure_is_compared_with_the_first_that_knows_it() {
        let names: Vec<String> = Look::new(&[]).invariants(None).into_iter().map(|i| i.name).collect();
        assert_eq!(
            names,
            [
                "order_vs_fulfilment.allocated",
                "order_vs_inventory.backordered",
                "billing_vs_analytics.credited_amount",
                "order_vs_analytics.gross",
                "order_vs_billing.invoiced",
                "billing_vs_analytics.invoiced_amount",
                "order_vs_billing.refunded",
                "order_vs_inventory.reserved",
                "order_vs_inventory.returned",
                "order_vs_fulfilment.returned",
                "order_vs_inventory.shipped",
                "order_vs_fulfilment.shipped",
                "order_vs_analytics.units_ordered",
                "order_vs_analytics.units_shipped",
            ]
        );
    }

    #[test]
    fn a_new_measure_that_two_services_tell_of_is_compared_too() {
        let look = Look::new(&[(Service::Order, told(&["weight"])), (Service::Fulfilment, told(&["weight"]))]);
        assert!(look.invariants(None).iter().any(|invariant| invariant.name == "order_vs_fulfilment.weight"));
    }

    #[test]
    fn values_are_found_by_name_wherever_they_stand() {
        let mut look = Look::new(&[
            (Service::Order, told(&["reserved", "shipped"])),
            (Service::Inventory, told(&["shipped", "reserved"])),
        ]);
        let order = (Service::Order, digest(&[(1, &[5, 0]), (2, &[1, 0])]));
        look.subject("s", &[order.clone(), (Service::Inventory, digest(&[(2, &[0, 1]), (1, &[0, 5])]))]);
        assert!(look.suspects.is_empty());
        look.subject("s", &[order, (Service::Inventory, digest(&[(1, &[0, 5]), (2, &[0, 3])]))]);
        assert_eq!(look.suspects.len(), 1);
        let expected = (
            "order_vs_inventory.reserved".to_owned(),
            4,
            vec!["s line 2: order holds 1, inventory holds 3".to_owned()],
        );
        assert_eq!(found(look), [expected]);
    }

    #[test]
    fn who_says_nothing_says_zero() {
        let mut look = Look::new(&[(Service::Inventory, told(&["reserved"]))]);
        look.subject("s", &[(Service::Inventory, digest(&[(1, &[0])]))]);
        assert!(look.suspects.is_empty());
        look.subject("s", &[(Service::Inventory, digest(&[(1, &[2])]))]);
        let expected = (
            "order_vs_inventory.reserved".to_owned(),
            2,
            vec!["s line 1: order holds 0, inventory holds 2".to_owned()],
        );
        assert_eq!(found(look), [expected]);
    }

    #[test]
    fn measures_of_the_whole_do_not_count_lines() {
        let names = told(&["gross", "reserved"]);
        let mut look = Look::new(&[(Service::Order, names.clone()), (Service::Analytics, names)]);
        let both = digest(&[(0, &[100, 0]), (1, &[0, 1]), (2, &[0, 1])]);
        look.subject("s", &[(Service::Order, both.clone()), (Service::Analytics, both)]);
        let rows = |name: &str, all: &[Invariant]| all.iter().find(|i| i.name == name).map(|i| i.rows_checked);
        let all = look.invariants(None);
        assert_eq!(rows("order_vs_analytics.gross", &all), Some(1));
        assert_eq!(rows("order_vs_analytics.reserved", &all), Some(2));
    }

    #[test]
    fn a_flood_of_violations_is_bounded_and_counted() {
        let mut look = Look::new(&[(Service::Order, told(&["gross"])), (Service::Analytics, told(&["gross"]))]);
        for subject in 0..MAX_SUSPECTS + 5 {
            look.subject(&format!("{subject:08}"), &[(Service::Order, digest(&[(0, &[1])]))]);
        }
        assert!(look.overflow && look.suspects.len() == MAX_SUSPECTS);
        let gross = look.invariants(None).into_iter().find(|i| i.name == "order_vs_analytics.gross").unwrap();
        assert_eq!((gross.violations.len(), gross.more), (100, Some(MAX_SUSPECTS as u64 + 5 - 100)));
    }
}
