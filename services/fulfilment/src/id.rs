//! Ids, told apart by type.

use std::fmt;
use uuid::Uuid;

/// An order's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(pub Uuid);

/// A fulfilment order's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FulfilmentOrderId(pub Uuid);

/// A return's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReturnId(pub Uuid);

/// A location's. Nil stands for no place at all, which is where some services come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocationId(pub Uuid);

/// As it is written in messages: nothing for no place.
impl fmt::Display for LocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_nil() { Ok(()) } else { self.0.fmt(f) }
    }
}
