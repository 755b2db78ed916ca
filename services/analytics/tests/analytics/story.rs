//! Two months of a small shop, worked out by hand.
//!
//! | order | placed (UTC) | who | where | lines: units, gross (discount) | |
//! | --- | --- | --- | --- | --- | --- |
//! | 1 | Jan 5 10:00 | A | web GB retail ann | P1: 2, 20.00 (2.00) · P2: 1, 5.00 | 1 of P1 comes back in February |
//! | 2 | Jan 20 09:07 | B | edi FR trade bob | P1: 10, 100.00 | waits for stock; shipped 6 + 4 |
//! | 3 | Jan 31 23:30 | A | web GB retail ann | P2: 4, 20.00 | in Berlin it is February |
//! | 4 | Feb 10 12:00 | A | web GB retail ann | P3: 1, 50.00 | |
//! | 5 | Feb 11 12:00 | guest | web FR – – | P1: 1, 10.00 | |
//! | 6 | Feb 12 12:00 | C | web GB retail ann | P2: 3, 15.00 | rejected |
//! | 7 | Feb 20 12:00 | C | web GB retail ann | P1: 3, 30.00 · P2: 2, 10.00 | cancelled as a whole |

use crate::script::{NewOrder, Script};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

pub const JANUARY: OffsetDateTime = datetime!(2011-01-01 00:00 UTC);
pub const FEBRUARY: OffsetDateTime = datetime!(2011-02-01 00:00 UTC);
pub const MARCH: OffsetDateTime = datetime!(2011-03-01 00:00 UTC);

const O1: OffsetDateTime = datetime!(2011-01-05 10:00 UTC);
const O2: OffsetDateTime = datetime!(2011-01-20 09:07 UTC);
const O3: OffsetDateTime = datetime!(2011-01-31 23:30 UTC);
const O7: OffsetDateTime = datetime!(2011-02-20 12:00 UTC);

const BASE: NewOrder = NewOrder {
    number: 0,
    at: O1,
    customer: Some(1),
    channel: "web",
    country: "GB",
    segment: "retail",
    sales_rep: "ann",
    currency: "GBP",
    lines: &[],
};

pub fn story() -> Script {
    let mut s = Script::default();
    let minutes = Duration::minutes;
    let hours = Duration::hours;

    s.accept(&NewOrder { number: 1, at: O1, lines: &[("P1", 2, 2000, 200), ("P2", 1, 500, 0)], ..BASE });
    s.reserve(1, O1, &[(1, "P1", 2, 0), (2, "P2", 1, 0)]);
    s.confirm(1, O1 + hours(1));
    s.ship(1, 1, O1 + hours(25), &[("P1", 2), ("P2", 1)]);
    s.invoice(1, 1, O1 + hours(25), &[("P1", 1800), ("P2", 500)]);
    s.deliver(1, 1, O1 + hours(49), &[("P1", 2), ("P2", 1)]);

    s.accept(&NewOrder {
        number: 2,
        at: O2,
        customer: Some(2),
        channel: "edi",
        country: "FR",
        segment: "trade",
        sales_rep: "bob",
        lines: &[("P1", 10, 10_000, 0)],
        ..BASE
    });
    s.reserve(2, O2, &[(1, "P1", 4, 6)]);
    s.confirm(2, O2 + hours(2));
    s.hold(2, "h1", O2 + hours(3), O2 + hours(4));
    s.hold(2, "h2", O2 + hours(3) + minutes(30), O2 + hours(5));
    s.ship(2, 1, O2 + hours(10), &[("P1", 6)]);
    s.invoice(2, 2, O2 + hours(10), &[("P1", 6000)]);
    s.ship(2, 2, O2 + hours(20), &[("P1", 4)]);
    s.invoice(3, 2, O2 + hours(20), &[("P1", 4000)]);
    s.deliver(2, 1, O2 + hours(30), &[("P1", 6)]);
    s.deliver(2, 2, O2 + hours(40), &[("P1", 4)]);

    s.accept(&NewOrder { number: 3, at: O3, lines: &[("P2", 4, 2000, 0)], ..BASE });
    s.confirm(3, O3);
    s.ship(3, 1, O3 + hours(1), &[("P2", 4)]);
    s.invoice(4, 3, O3 + hours(1) + minutes(30), &[("P2", 2000)]);
    s.deliver(3, 1, O3 + hours(2), &[("P2", 4)]);

    s.noise();
    s.credit_alone(5, datetime!(2011-02-03 08:00 UTC), &[("P9", 1234)], "web", "GB");
    s.accept(&NewOrder { number: 4, at: datetime!(2011-02-10 12:00 UTC), lines: &[("P3", 1, 5000, 0)], ..BASE });
    s.accept(&NewOrder {
        number: 5,
        at: datetime!(2011-02-11 12:00 UTC),
        customer: None,
        country: "FR",
        segment: "",
        sales_rep: "",
        lines: &[("P1", 1, 1000, 0)],
        ..BASE
    });
    s.accept(&NewOrder {
        number: 6,
        at: datetime!(2011-02-12 12:00 UTC),
        customer: Some(3),
        lines: &[("P2", 3, 1500, 0)],
        ..BASE
    });
    s.reserve(6, datetime!(2011-02-12 12:00 UTC), &[(1, "P2", 0, 3)]);
    s.reject(6, datetime!(2011-02-12 12:01 UTC));
    s.take_back(1, datetime!(2011-02-15 09:00 UTC), "P1", 0, 1);
    s.credit(6, 1, datetime!(2011-02-15 09:00 UTC), &[("P1", 900)]);
    s.accept(&NewOrder {
        number: 7,
        at: O7,
        customer: Some(3),
        lines: &[("P1", 3, 3000, 0), ("P2", 2, 1000, 0)],
        ..BASE
    });
    s.confirm(7, O7);
    s.cancel(7, O7 + hours(1), &[(1, 3), (2, 2)], true);
    s
}
