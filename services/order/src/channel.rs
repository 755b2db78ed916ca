//! Channels: where orders come from, and what they mean when they do not say.

use pesan_api::order::v1::{ChannelKind, FulfilmentPolicy, PaymentMethod, PriceDeviationPolicy, ReservationPolicy};
use pesan_money::Currency;
use std::collections::HashMap;
use uuid::Uuid;

/// Where orders come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// What orders call it.
    pub code: String,
    /// Counts the changes.
    pub version: i64,
    /// What people decided.
    pub details: Details,
}

/// What people decided about a channel. None: the house's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// For people.
    pub name: String,
    /// What sort of place it is.
    pub kind: ChannelKind,
    /// Takes no new orders.
    pub closed: bool,
    /// 0 to 9.
    pub priority: Option<i32>,
    /// What to do about shortages.
    pub reservation_policy: Option<ReservationPolicy>,
    /// How it is shipped.
    pub fulfilment_policy: Option<FulfilmentPolicy>,
    /// How it is paid.
    pub payment_method: Option<PaymentMethod>,
    /// Of orders that name none.
    pub currency: Option<Currency>,
    /// From where to ship, if it can be.
    pub preferred_location_id: Option<Uuid>,
    /// What to do with a given price that is not the lists'.
    pub price_deviation: PriceDeviationPolicy,
    /// How far a given price may be from the lists' price: hundredths of a percent of that.
    pub price_tolerance: i32,
}

impl Default for Details {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: ChannelKind::Unspecified,
            closed: false,
            priority: None,
            reservation_policy: None,
            fulfilment_policy: None,
            payment_method: None,
            currency: None,
            preferred_location_id: None,
            price_deviation: PriceDeviationPolicy::Accept,
            price_tolerance: 0,
        }
    }
}

/// All channels there are.
#[derive(Clone, Debug, Default)]
pub struct Channels {
    by_code: HashMap<String, Details>,
    undefined: Details,
}

impl Channels {
    /// Of these.
    pub fn of(channels: Vec<Channel>) -> Self {
        let by_code = channels.into_iter().map(|channel| (channel.code, channel.details)).collect();
        Self { by_code, undefined: Details::default() }
    }

    /// What holds for orders of a channel; one that nobody defined is open and has no defaults of its own.
    pub fn get(&self, code: &str) -> &Details {
        self.by_code.get(code).unwrap_or(&self.undefined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_nobody_defined_is_open_and_has_no_defaults() {
        let details = Details { closed: true, priority: Some(1), ..Details::default() };
        let channels = Channels::of(vec![Channel { code: "kiosk".into(), version: 1, details: details.clone() }]);
        assert_eq!(channels.get("kiosk"), &details);
        assert_eq!(channels.get("web"), &Details::default());
        assert!(!channels.get("web").closed);
    }
}
