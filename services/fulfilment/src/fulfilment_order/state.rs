//! The states of a fulfilment order and what can be done in each.

use std::fmt;

/// Where a fulfilment order stands. The numbers are the proto's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    Open = 1,
    Picked = 2,
    Packed = 3,
    Shipped = 4,
    Delivered = 5,
    /// Everything was withdrawn or not found.
    Cancelled = 6,
}

/// What can be asked of a fulfilment order. The numbers are the proto's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Pick = 1,
    Pack = 2,
    Ship = 3,
    ConfirmDelivery = 4,
    Withdraw = 5,
}

impl State {
    /// Every state there is.
    pub const ALL: [Self; 6] =
        [Self::Open, Self::Picked, Self::Packed, Self::Shipped, Self::Delivered, Self::Cancelled];

    /// What can be done now.
    pub fn allowed(self) -> &'static [Action] {
        match self {
            Self::Open => &[Action::Pick, Action::Withdraw],
            Self::Picked => &[Action::Pack],
            Self::Packed => &[Action::Ship],
            Self::Shipped => &[Action::ConfirmDelivery],
            Self::Delivered | Self::Cancelled => &[],
        }
    }

    /// Whether this can be done now.
    pub fn allows(self, action: Action) -> bool {
        self.allowed().contains(&action)
    }
}

impl Action {
    /// Every action there is.
    pub const ALL: [Self; 5] = [Self::Pick, Self::Pack, Self::Ship, Self::ConfirmDelivery, Self::Withdraw];

    /// "cannot be …".
    pub fn done(self) -> &'static str {
        match self {
            Self::Pick => "picked",
            Self::Pack => "packed",
            Self::Ship => "shipped",
            Self::ConfirmDelivery => "confirmed as delivered",
            Self::Withdraw => "withdrawn from",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "OPEN",
            Self::Picked => "PICKED",
            Self::Packed => "PACKED",
            Self::Shipped => "SHIPPED",
            Self::Delivered => "DELIVERED",
            Self::Cancelled => "CANCELLED",
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pick => "PICK",
            Self::Pack => "PACK",
            Self::Ship => "SHIP",
            Self::ConfirmDelivery => "CONFIRM_DELIVERY",
            Self::Withdraw => "WITHDRAW",
        })
    }
}
