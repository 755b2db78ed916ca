//! Where stock should stand, judged by where it went.

use crate::location::LocationId;
use crate::sourcing::distance_km;
use std::collections::BTreeMap;

/// Degrees, WGS 84.
pub type Coordinates = (f64, f64);

/// A tenth of a degree, 11 km at most: destinations are counted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell(i32, i32);

impl Cell {
    /// The cell of a place.
    #[expect(clippy::cast_possible_truncation, reason = "degrees, checked to be at most 180")]
    pub fn of((latitude, longitude): Coordinates) -> Self {
        Self((latitude * 10.0).round() as i32, (longitude * 10.0).round() as i32)
    }

    fn centre(self) -> Coordinates {
        (f64::from(self.0) / 10.0, f64::from(self.1) / 10.0)
    }
}

/// A location, and what it has of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Site {
    pub location: LocationId,
    pub at: Coordinates,
    /// Nothing is promised from it: it is nobody's nearest.
    pub closed: bool,
    /// Neither reserved nor kept back.
    pub free: i64,
    /// On its way here.
    pub incoming: i64,
}

impl Site {
    fn has(&self) -> i64 {
        self.free + self.incoming
    }
}

/// What a location has, and what is wanted around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    pub site: Site,
    /// Went to places to which it is the nearest open location.
    pub demand: i64,
    pub demand_share: f64,
    pub stock_share: f64,
    /// What would stand here if everything were shared out as the demand is.
    pub target: i64,
}

/// Goods that would better stand elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Move {
    pub from: LocationId,
    pub to: LocationId,
    pub quantity: i64,
    /// By how much a piece would travel less, on average, to the customers around the target.
    pub kilometres_saved_each: f64,
}

/// What is advised for one item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Advice {
    /// Of all sites with demand or stock, most demand first.
    pub shares: Vec<Share>,
    /// Those that save most a piece first.
    pub moves: Vec<Move>,
}

/// The advice for one item: each destination counts for the open site that is nearest to it; what is free or on its way is
/// shared out in proportion (largest remainders first, so that it sums up exactly); whoever has more than its share gives
/// of what is free there, where that brings goods nearer to customers, the largest saving a piece first.
pub fn advise(demand: &BTreeMap<Cell, i64>, sites: &[Site]) -> Advice {
    let around = nearest(demand, sites);
    let wanted: Vec<i64> = around.iter().map(|cells| cells.iter().map(|(_, quantity)| quantity).sum()).collect();
    let (all_wanted, all): (i64, i64) = (wanted.iter().sum(), sites.iter().map(Site::has).sum());
    let targets = shared_out(all, &wanted);
    let share = |part: i64, whole: i64| if whole == 0 { 0.0 } else { as_f64(part) / as_f64(whole) };
    let of_site = |((site, demand), target): ((&Site, &i64), &i64)| Share {
        site: *site,
        demand: *demand,
        demand_share: share(*demand, all_wanted),
        stock_share: share(site.has(), all),
        target: *target,
    };
    let mut shares: Vec<Share> = sites.iter().zip(&wanted).zip(&targets).map(of_site).collect();
    let moves = if all_wanted == 0 { Vec::new() } else { moves(&shares, &around) };
    shares.retain(|share| share.demand > 0 || share.site.has() > 0);
    shares.sort_by_key(|share| (-share.demand, share.site.location));
    Advice { shares, moves }
}

/// For each site, the demand to which it is the nearest open one; of equally near ones the first has it.
fn nearest(demand: &BTreeMap<Cell, i64>, sites: &[Site]) -> Vec<Vec<(Cell, i64)>> {
    let mut around = vec![Vec::new(); sites.len()];
    for (cell, quantity) in demand {
        let open = sites.iter().enumerate().filter(|(_, site)| !site.closed);
        let near = open.map(|(place, site)| (place, distance_km(site.at, cell.centre())));
        if let Some((place, _)) = near.min_by(|a, b| a.1.total_cmp(&b.1)) {
            around[place].push((*cell, *quantity));
        }
    }
    around
}

/// A quantity in proportion to weights: whole numbers that sum up to it; zeros where nothing weighs.
fn shared_out(quantity: i64, weights: &[i64]) -> Vec<i64> {
    let whole: i128 = weights.iter().map(|weight| i128::from(*weight)).sum();
    if whole == 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: &i64| i128::from(quantity) * i128::from(*weight);
    let mut shares: Vec<i64> =
        weights.iter().map(|weight| i64::try_from(exact(weight) / whole).unwrap_or(i64::MAX)).collect();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|place| std::cmp::Reverse(exact(&weights[*place]) % whole));
    let left = quantity - shares.iter().sum::<i64>();
    for place in by_remainder.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        shares[place] += 1;
    }
    shares
}

fn moves(shares: &[Share], around: &[Vec<(Cell, i64)>]) -> Vec<Move> {
    let mut surplus: Vec<i64> =
        shares.iter().map(|share| (share.site.has() - share.target).clamp(0, share.site.free.max(0))).collect();
    let mut lacking: Vec<i64> = shares.iter().map(|share| (share.target - share.site.has()).max(0)).collect();
    let mut ways: Vec<(usize, usize, f64)> = Vec::new();
    for (from, giver) in shares.iter().enumerate().filter(|(place, _)| surplus[*place] > 0) {
        for (to, taker) in shares.iter().enumerate().filter(|(place, _)| lacking[*place] > 0) {
            let saved = saved_each(giver.site.at, taker.site.at, &around[to]);
            if saved > 0.0 {
                ways.push((from, to, saved));
            }
        }
    }
    ways.sort_by(|a, b| b.2.total_cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
    let mut moves = Vec::new();
    for (from, to, kilometres_saved_each) in ways {
        let quantity = surplus[from].min(lacking[to]);
        if quantity > 0 {
            surplus[from] -= quantity;
            lacking[to] -= quantity;
            let (from, to) = (shares[from].site.location, shares[to].site.location);
            moves.push(Move { from, to, quantity, kilometres_saved_each });
        }
    }
    moves
}

/// By how much nearer customers are to `to` than to `from`, on average over what they got.
fn saved_each(from: Coordinates, to: Coordinates, customers: &[(Cell, i64)]) -> f64 {
    let quantity: i64 = customers.iter().map(|(_, quantity)| quantity).sum();
    let saved = |(cell, quantity): &(Cell, i64)| {
        as_f64(*quantity) * (distance_km(from, cell.centre()) - distance_km(to, cell.centre()))
    };
    if quantity == 0 { 0.0 } else { customers.iter().map(saved).sum::<f64>() / as_f64(quantity) }
}

#[expect(clippy::cast_precision_loss, reason = "for shares and averages")]
fn as_f64(quantity: i64) -> f64 {
    quantity as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LONDON: Coordinates = (51.5, -0.1);
    const LEEDS: Coordinates = (53.8, -1.5);
    const MADRID: Coordinates = (40.4, -3.7);

    fn site(location: i32, at: Coordinates, free: i64) -> Site {
        Site { location: LocationId(location), at, closed: false, free, incoming: 0 }
    }

    fn demand(places: &[(Coordinates, i64)]) -> BTreeMap<Cell, i64> {
        places.iter().map(|(at, quantity)| (Cell::of(*at), *quantity)).collect()
    }

    #[test]
    fn stock_is_to_stand_where_it_is_wanted() {
        let sites = [site(1, LONDON, 100), site(2, MADRID, 0)];
        let advice = advise(&demand(&[(LONDON, 30), (MADRID, 90)]), &sites);
        let shares: Vec<_> = advice.shares.iter().map(|s| (s.site.location.0, s.demand, s.target)).collect();
        assert_eq!(shares, [(2, 90, 75), (1, 30, 25)]);
        assert_eq!((advice.shares[0].demand_share, advice.shares[0].stock_share), (0.75, 0.0));
        let moved = advice.moves[0];
        assert_eq!((advice.moves.len(), moved.from.0, moved.to.0, moved.quantity), (1, 1, 2, 75));
        assert!((moved.kilometres_saved_each - distance_km(LONDON, MADRID)).abs() < 1.0, "{moved:?}");
    }

    #[test]
    fn what_is_on_its_way_counts_where_it_arrives_and_cannot_be_moved() {
        let mut sites = [site(1, LONDON, 40), site(2, MADRID, 0)];
        sites[1].incoming = 60;
        let advice = advise(&demand(&[(LONDON, 40), (MADRID, 60)]), &sites);
        assert_eq!(advice.moves, []);
        let advice = advise(&demand(&[(LONDON, 100)]), &sites);
        assert_eq!(advice.moves, [], "nothing is free in Madrid yet");
    }

    #[test]
    fn nobody_is_nearest_to_a_closed_location_and_what_stands_there_leaves() {
        let mut sites = [site(1, LONDON, 10), site(2, LEEDS, 0)];
        sites[0].closed = true;
        let advice = advise(&demand(&[(LEEDS, 5)]), &sites);
        assert_eq!((advice.moves[0].to.0, advice.moves[0].quantity), (2, 10));
        // But not away from its customers.
        assert_eq!(advise(&demand(&[(LONDON, 5)]), &sites).moves, []);
    }

    #[test]
    fn without_demand_or_locations_nothing_is_advised() {
        assert_eq!(advise(&demand(&[]), &[site(1, LONDON, 10), site(2, LEEDS, 0)]).moves, []);
        assert_eq!(advise(&demand(&[(LEEDS, 5)]), &[]), Advice::default());
    }

    #[test]
    fn shares_sum_up() {
        assert_eq!(shared_out(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(shared_out(2, &[1, 3, 3]), [0, 1, 1]);
        assert_eq!(shared_out(7, &[0, 0]), [0, 0]);
        assert_eq!(shared_out(i64::MAX, &[i64::MAX, 1]).iter().sum::<i64>(), i64::MAX);
    }

    proptest! {
        #[test]
        fn nothing_is_moved_that_is_not_free_and_nothing_is_lost(
            places in prop::collection::vec((-60.0f64..60.0, -170.0f64..170.0, any::<bool>(), 0i64..500, 0i64..100), 0..7),
            wanted in prop::collection::vec((-60.0f64..60.0, -170.0f64..170.0, 1i64..50), 0..20),
        ) {
            let sites: Vec<Site> = (1..)
                .zip(&places)
                .map(|(location, (latitude, longitude, closed, free, incoming))| Site {
                    closed: *closed,
                    incoming: *incoming,
                    ..site(location, (*latitude, *longitude), *free)
                })
                .collect();
            let mut demand: BTreeMap<Cell, i64> = BTreeMap::new();
            for (latitude, longitude, quantity) in &wanted {
                *demand.entry(Cell::of((*latitude, *longitude))).or_default() += quantity;
            }
            let advice = advise(&demand, &sites);
            let all: i64 = sites.iter().map(Site::has).sum();
            let open = sites.iter().any(|site| !site.closed) && !demand.is_empty();
            prop_assert_eq!(advice.shares.iter().map(|s| s.target).sum::<i64>(), if open { all } else { 0 });
            let counted: i64 = advice.shares.iter().map(|s| s.demand).sum();
            prop_assert_eq!(counted, if open { demand.values().sum::<i64>() } else { 0 });
            let mut has: BTreeMap<LocationId, i64> = sites.iter().map(|site| (site.location, site.has())).collect();
            for moved in &advice.moves {
                prop_assert!(moved.quantity > 0 && moved.from != moved.to && moved.kilometres_saved_each > 0.0);
                *has.get_mut(&moved.from).unwrap() -= moved.quantity;
                *has.get_mut(&moved.to).unwrap() += moved.quantity;
            }
            prop_assert_eq!(has.values().sum::<i64>(), all);
            for site in &sites {
                let left: i64 = advice.moves.iter().filter(|m| m.from == site.location).map(|m| m.quantity).sum();
                prop_assert!(left <= site.free);
                // Nobody gives below its share, and nobody gets beyond it.
                let target = advice.shares.iter().find(|s| s.site.location == site.location).map_or(0, |s| s.target);
                let gives = left > 0;
                prop_assert!(!gives || has[&site.location] >= target);
                let gets = advice.moves.iter().any(|m| m.to == site.location);
                prop_assert!(!gets || has[&site.location] <= target);
            }
        }
    }
}
