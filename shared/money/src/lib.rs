//! Amounts of money that cannot go astray.
//!
//! A [`Money`] is an exact decimal in one [`Currency`]. Arithmetic is checked: it refuses to mix currencies and never
//! rounds in silence. The only places that round are [`Money::round`] and [`Money::times`] (and so
//! [`Money::line_total`]), once each, half-even, to the currency's minor unit. Splitting an amount with
//! [`Money::allocate`] is exact: the parts always sum to the whole. So is cutting it by unit ([`slice`]).

mod allocate;
mod currency;
mod error;
mod exact;
mod money;
pub mod slice;

pub use currency::Currency;
pub use error::MoneyError;
pub use money::Money;
