//! Advice on where stock should stand, as it is shown.

use crate::location::LocationId;
use crate::network::Network;
use crate::ops::placement::ItemAdvice;
use crate::placement::{Move, Share};
use pesan_api::inventory::v1 as pb;

/// The advice for one item.
pub fn advice(network: &Network, told: &ItemAdvice) -> pb::PlacementAdvice {
    let share = |share: &Share| pb::LocationShare {
        location_id: id(network, share.site.location),
        code: code(network, share.site.location).to_owned(),
        demand: share.demand,
        demand_share: share.demand_share,
        shipped: told.shipped_from.get(&share.site.location).copied().unwrap_or(0),
        free: share.site.free,
        incoming: share.site.incoming,
        stock_share: share.stock_share,
        target: share.target,
    };
    let country =
        |(country, quantity): &(String, i64)| pb::CountryDemand { country: country.clone(), quantity: *quantity };
    pb::PlacementAdvice {
        sku: told.sku.clone(),
        shipped: told.shipped,
        elsewhere: told.elsewhere.iter().map(country).collect(),
        shares: told.advice.shares.iter().map(share).collect(),
        moves: told.advice.moves.iter().map(|suggested| suggestion(network, suggested)).collect(),
        why: why(network, told),
    }
}

#[expect(clippy::cast_precision_loss, reason = "kilometres, to be read by people")]
fn suggestion(network: &Network, suggested: &Move) -> pb::SuggestedMove {
    let Move { from, to, quantity, kilometres_saved_each } = *suggested;
    pb::SuggestedMove {
        from_location_id: id(network, from),
        to_location_id: id(network, to),
        quantity,
        kilometres_saved_each,
        kilometres_saved: kilometres_saved_each * quantity as f64,
        why: format!(
            "{} has more than its share, {} less; a piece for the customers around {1} travels {kilometres_saved_each:.0} km less from there",
            code(network, from),
            code(network, to),
        ),
    }
}

fn why(network: &Network, told: &ItemAdvice) -> Vec<String> {
    let mut why = Vec::new();
    if told.shipped == 0 {
        why.push("no order it was shipped to had coordinates: nothing can be said".to_owned());
        return why;
    }
    for share in told.advice.shares.iter().filter(|share| share.demand > 0).take(5) {
        why.push(format!(
            "{:.0} % of what was shipped went to places nearest to {}, where {:.0} % of the stock stands or arrives",
            share.demand_share * 100.0,
            code(network, share.site.location),
            share.stock_share * 100.0,
        ));
    }
    if told.advice.moves.is_empty() {
        why.push("no move of what is free would bring it nearer to its customers".to_owned());
    }
    why
}

fn id(network: &Network, location: LocationId) -> String {
    network.place(location).map(|place| place.id().to_string()).unwrap_or_default()
}

fn code(network: &Network, location: LocationId) -> &str {
    network.place(location).map_or("", |place| place.location.code.as_str())
}
