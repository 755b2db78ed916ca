//! Prices: lists of what items cost, for whom and when; which of them holds for a line; and what an order comes to.

mod agree;
mod list;

pub use agree::{Agreed, Amiss, Deviation, Disagreement, Prices, agree, complete_line, totals};
pub use list::{Circumstances, Entry, Found, Listed, PriceBook, PriceList, Table, Terms, Verdict, find};
