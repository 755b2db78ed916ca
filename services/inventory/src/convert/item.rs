use super::{pb_money, unit_cost};
use crate::calendar::{Calendar, EVERY_DAY, NO_CUT_OFF};
use crate::item::{BaseUnit, Item, ItemKind, Tracking, Unit, Valuation};
use crate::location::{Location, LocationKind};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::Violations;
use std::collections::{BTreeMap, BTreeSet};
use time::Date;
use uuid::Uuid;

/// Longest name, in characters.
const NAME: usize = 300;
/// Largest dimension or weight of one base unit.
const LARGEST: i64 = 1_000_000_000_000;

/// What the keeper of an item says of it.
pub fn parse_item(item: pb::Item) -> Result<Item, Violations> {
    let mut v = Violations::new();
    let kind = match pb::ItemKind::try_from(item.kind) {
        Ok(pb::ItemKind::Unspecified | pb::ItemKind::Stocked) => ItemKind::Stocked,
        Ok(pb::ItemKind::Service) => ItemKind::Service,
        Ok(pb::ItemKind::Kit) => ItemKind::Kit,
        Err(_) => {
            v.add("kind", format!("must be a known kind, not {}", item.kind));
            ItemKind::Stocked
        }
    };
    let base_unit = match pb::BaseUnit::try_from(item.base_unit) {
        Ok(pb::BaseUnit::Unspecified | pb::BaseUnit::Each) => BaseUnit::Each,
        Ok(pb::BaseUnit::Gram) => BaseUnit::Gram,
        Ok(pb::BaseUnit::Millilitre) => BaseUnit::Millilitre,
        Ok(pb::BaseUnit::Millimetre) => BaseUnit::Millimetre,
        Err(_) => {
            v.add("base_unit", format!("must be a known unit, not {}", item.base_unit));
            BaseUnit::Each
        }
    };
    let parsed = Item {
        sku: sku(&mut v, "sku", item.sku),
        name: v.text("name", item.name, 0, NAME),
        kind,
        base_unit,
        weight_grams: v.within("weight_grams", item.weight_grams, 0, LARGEST),
        length_mm: v.within("length_mm", item.length_mm, 0, LARGEST),
        width_mm: v.within("width_mm", item.width_mm, 0, LARGEST),
        height_mm: v.within("height_mm", item.height_mm, 0, LARGEST),
        standard_cost: unit_cost(&mut v, "standard_cost", item.standard_cost.as_ref()),
        components: components(&mut v, kind, item.components),
        tracking: tracking(&mut v, item.tracking),
        valuation: valuation(&mut v, item.valuation),
        units: units(&mut v, base_unit, item.units),
        version: 0,
    };
    if kind != ItemKind::Stocked && parsed.tracking != Tracking::None {
        v.add("tracking", "must be NONE: only what is stocked is tracked");
    }
    v.into_result(parsed)
}

/// What a kit is made of, ascending by SKU.
fn components(v: &mut Violations, kind: ItemKind, components: Vec<pb::KitComponent>) -> Vec<(String, i64)> {
    match (kind, components.len()) {
        (ItemKind::Kit, 1..=100) | (ItemKind::Stocked | ItemKind::Service, 0) => {}
        (ItemKind::Kit, n) => v.add("components", format!("must be 1 to 100, not {n}")),
        (ItemKind::Stocked | ItemKind::Service, _) => v.add("components", "only kits have components"),
    }
    let mut parsed = BTreeMap::new();
    for (i, component) in components.into_iter().take(100).enumerate() {
        let field = format!("components[{i}].sku");
        let quantity = v.within(&format!("components[{i}].quantity"), component.quantity, 1, 1_000_000);
        let sku = sku(v, &field, component.sku);
        if parsed.insert(sku, quantity).is_some() {
            v.add(field, "must be in the kit once");
        }
    }
    parsed.into_iter().collect()
}

fn tracking(violations: &mut Violations, tracking: i32) -> Tracking {
    match pb::Tracking::try_from(tracking) {
        Ok(pb::Tracking::Unspecified | pb::Tracking::None) => Tracking::None,
        Ok(pb::Tracking::Lot) => Tracking::Lot,
        Ok(pb::Tracking::Serial) => Tracking::Serial,
        Err(_) => {
            violations.add("tracking", format!("must be a known tracking, not {tracking}"));
            Tracking::None
        }
    }
}

fn valuation(violations: &mut Violations, valuation: i32) -> Valuation {
    match pb::ValuationMethod::try_from(valuation) {
        Ok(pb::ValuationMethod::Unspecified | pb::ValuationMethod::MovingAverage) => Valuation::MovingAverage,
        Ok(pb::ValuationMethod::Fifo) => Valuation::Fifo,
        Err(_) => {
            violations.add("valuation", format!("must be a known method, not {valuation}"));
            Valuation::MovingAverage
        }
    }
}

/// The base unit's name among the units of an item.
pub fn base_unit_name(base_unit: BaseUnit) -> &'static str {
    match base_unit {
        BaseUnit::Each => "EACH",
        BaseUnit::Gram => "GRAM",
        BaseUnit::Millilitre => "MILLILITRE",
        BaseUnit::Millimetre => "MILLIMETRE",
    }
}

fn units(v: &mut Violations, base_unit: BaseUnit, units: Vec<pb::ItemUnit>) -> Vec<Unit> {
    if units.len() > 20 {
        v.add("units", format!("must be at most 20, not {}", units.len()));
    }
    let mut parsed: Vec<Unit> = Vec::with_capacity(units.len().min(20));
    for (i, unit) in units.into_iter().take(20).enumerate() {
        let at = |field: &str| format!("units[{i}].{field}");
        let code = unit_code(v, &at("unit"), unit.unit);
        if parsed.iter().any(|other| other.code == code) {
            v.add(at("unit"), "must be unique in the item");
        }
        let quantity = v.within(&at("quantity"), unit.quantity, 1, 1_000_000_000);
        if code == base_unit_name(base_unit) && quantity != 1 {
            v.add(at("quantity"), "must be 1: it is the base unit");
        }
        let barcode = v.text(&at("barcode"), unit.barcode, 0, 50);
        if !barcode.is_empty() && parsed.iter().any(|other| other.barcode == barcode) {
            v.add(at("barcode"), "must be unique");
        }
        parsed.push(Unit { code, quantity, barcode });
    }
    parsed.sort_by(|a, b| a.code.cmp(&b.code));
    parsed
}

fn unit_code(violations: &mut Violations, field: &str, text: String) -> String {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=20).contains(&text.len()) || !text.bytes().all(plain) {
        violations.add(field, "must be 1 to 20 capitals, digits and underscores, such as CASE");
    }
    text
}

/// A unit that a quantity is in: empty is the base unit.
pub fn named_unit(violations: &mut Violations, field: &str, text: String) -> String {
    if text.is_empty() { text } else { unit_code(violations, field, text) }
}

/// Reads a conversion.
pub fn parse_conversion(conversion: pb::QuantityConversion) -> Result<pb::QuantityConversion, Violations> {
    let mut v = Violations::new();
    let parsed = pb::QuantityConversion {
        sku: sku(&mut v, "sku", conversion.sku),
        quantity: v.within("quantity", conversion.quantity, 0, LARGEST),
        from_unit: named_unit(&mut v, "from_unit", conversion.from_unit),
        to_unit: named_unit(&mut v, "to_unit", conversion.to_unit),
    };
    v.into_result(parsed)
}

/// A unit as it is shown.
pub fn unit(unit: &Unit) -> pb::ItemUnit {
    pb::ItemUnit { unit: unit.code.clone(), quantity: unit.quantity, barcode: unit.barcode.clone() }
}

/// A SKU: 1 to 100 characters without control characters.
pub fn sku(violations: &mut Violations, field: &str, text: String) -> String {
    if text.contains(['\n', '\t']) {
        violations.add(field, "must not have control characters");
    }
    violations.text(field, text, 1, 100)
}

/// An item as it is shown.
pub fn item(item: &Item) -> pb::Item {
    let kind = kind(item.kind);
    let base_unit = match item.base_unit {
        BaseUnit::Each => pb::BaseUnit::Each,
        BaseUnit::Gram => pb::BaseUnit::Gram,
        BaseUnit::Millilitre => pb::BaseUnit::Millilitre,
        BaseUnit::Millimetre => pb::BaseUnit::Millimetre,
    };
    pb::Item {
        sku: item.sku.clone(),
        name: item.name.clone(),
        kind: kind.into(),
        base_unit: base_unit.into(),
        weight_grams: item.weight_grams,
        length_mm: item.length_mm,
        width_mm: item.width_mm,
        height_mm: item.height_mm,
        standard_cost: pb_money(item.standard_cost),
        tracking: match item.tracking {
            Tracking::None => pb::Tracking::None,
            Tracking::Lot => pb::Tracking::Lot,
            Tracking::Serial => pb::Tracking::Serial,
        }
        .into(),
        valuation: match item.valuation {
            Valuation::MovingAverage => pb::ValuationMethod::MovingAverage,
            Valuation::Fifo => pb::ValuationMethod::Fifo,
        }
        .into(),
        units: item.units.iter().map(unit).collect(),
        version: item.version,
        components: item
            .components
            .iter()
            .map(|(sku, quantity)| pb::KitComponent { sku: sku.clone(), quantity: *quantity })
            .collect(),
    }
}

/// A kind as it is shown.
pub fn kind(kind: ItemKind) -> pb::ItemKind {
    match kind {
        ItemKind::Stocked => pb::ItemKind::Stocked,
        ItemKind::Service => pb::ItemKind::Service,
        ItemKind::Kit => pb::ItemKind::Kit,
    }
}

/// What the keeper of a location says of it.
pub fn parse_location(location: pb::Location) -> Result<Location, Violations> {
    let mut v = Violations::new();
    let kind = match pb::LocationKind::try_from(location.kind) {
        Ok(pb::LocationKind::Unspecified | pb::LocationKind::Warehouse) => LocationKind::Warehouse,
        Ok(pb::LocationKind::Store) => LocationKind::Store,
        Ok(pb::LocationKind::DropShip) => LocationKind::DropShip,
        Err(_) => {
            v.add("kind", format!("must be a known kind, not {}", location.kind));
            LocationKind::Warehouse
        }
    };
    let parsed = Location {
        id: Uuid::nil(),
        code: v.text("code", location.code, 1, 40),
        name: v.text("name", location.name, 0, NAME),
        latitude: degrees(&mut v, "latitude", location.latitude, 90.0),
        longitude: degrees(&mut v, "longitude", location.longitude, 180.0),
        rank: v.within("rank", location.rank, 0, 1000),
        kind,
        closed: location.closed,
        daily_capacity: v.within("daily_capacity", location.daily_capacity, 0, 1_000_000),
        calendar: Calendar {
            cut_off: cut_off(&mut v, &location.cut_off),
            time_zone: time_zone(&mut v, location.time_zone),
            working_days: working_days(&mut v, &location.working_days),
            holidays: holidays(&mut v, &location.holidays),
        },
        channels: channels(&mut v, location.channels),
        version: 0,
    };
    v.into_result(parsed)
}

/// "15:30" as minutes of the day.
fn cut_off(violations: &mut Violations, text: &str) -> i16 {
    if text.is_empty() {
        return NO_CUT_OFF;
    }
    let parsed = text.split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2);
    let parsed = parsed.and_then(|(h, m)| Some((h.parse::<u8>().ok()?, m.parse::<u8>().ok()?)));
    match parsed {
        Some((hour @ 0..=23, minute @ 0..=59)) if (hour, minute) > (0, 0) => i16::from(hour) * 60 + i16::from(minute),
        _ => {
            violations.add("cut_off", "must be a time of day from 00:01 to 23:59, like \"15:30\"");
            NO_CUT_OFF
        }
    }
}

fn time_zone(violations: &mut Violations, name: String) -> String {
    let name = if name.is_empty() { "UTC".to_owned() } else { name };
    if jiff::tz::TimeZone::get(&name).is_err() {
        violations.add("time_zone", "must be an IANA time zone like \"Asia/Jakarta\"");
    }
    name
}

fn working_days(violations: &mut Violations, days: &[i32]) -> i16 {
    if days.is_empty() {
        return EVERY_DAY;
    }
    let mut bits = 0;
    for (i, day) in days.iter().enumerate().take(10) {
        match day {
            1..=7 => bits |= 1 << (day - 1),
            _ => violations.add(format!("working_days[{i}]"), "must be 1 (Monday) to 7 (Sunday)"),
        }
    }
    bits
}

fn holidays(violations: &mut Violations, days: &[String]) -> BTreeSet<Date> {
    if days.len() > 1_000 {
        violations.add("holidays", format!("must be at most 1000 days, not {}", days.len()));
    }
    let format = time::macros::format_description!("[year]-[month]-[day]");
    let mut parsed = BTreeSet::new();
    for (i, day) in days.iter().enumerate().take(1_000) {
        match Date::parse(day, format) {
            Ok(day) => drop(parsed.insert(day)),
            Err(_) => violations.add(format!("holidays[{i}]"), "must be a date like \"2026-12-25\""),
        }
    }
    parsed
}

fn channels(violations: &mut Violations, channels: Vec<String>) -> BTreeSet<String> {
    if channels.len() > 100 {
        violations.add("channels", format!("must be at most 100 channels, not {}", channels.len()));
    }
    let channels = channels.into_iter().enumerate().take(100);
    channels.map(|(i, channel)| violations.text(&format!("channels[{i}]"), channel, 1, 60)).collect()
}

fn degrees(violations: &mut Violations, field: &str, value: f64, most: f64) -> f64 {
    if !(-most..=most).contains(&value) {
        violations.add(field, format!("must be -{most} to {most} degrees"));
    }
    value
}

/// A location as it is shown.
pub fn location(location: &Location) -> pb::Location {
    pb::Location {
        id: location.id.to_string(),
        code: location.code.clone(),
        name: location.name.clone(),
        latitude: location.latitude,
        longitude: location.longitude,
        rank: location.rank,
        version: location.version,
        kind: match location.kind {
            LocationKind::Warehouse => pb::LocationKind::Warehouse,
            LocationKind::Store => pb::LocationKind::Store,
            LocationKind::DropShip => pb::LocationKind::DropShip,
        }
        .into(),
        closed: location.closed,
        daily_capacity: location.daily_capacity,
        cut_off: if location.calendar.cut_off == NO_CUT_OFF {
            String::new()
        } else {
            format!("{:02}:{:02}", location.calendar.cut_off / 60, location.calendar.cut_off % 60)
        },
        time_zone: location.calendar.time_zone.clone(),
        working_days: (1..=7).filter(|day| location.calendar.working_days & (1 << (day - 1)) != 0).collect(),
        holidays: location.calendar.holidays.iter().map(Date::to_string).collect(),
        channels: location.channels.iter().cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pesan_api::r#type::v1::Money;

    #[test]
    fn every_wrong_field_is_named() {
        let item = pb::Item {
            kind: 9,
            base_unit: 9,
            weight_grams: -1,
            length_mm: -1,
            width_mm: -1,
            height_mm: -1,
            standard_cost: Some(Money { currency_code: "XXY".into(), units: 1, nanos: 0 }),
            ..pb::Item::default()
        };
        let violations = parse_item(item).unwrap_err();
        let fields: Vec<_> = violations.as_slice().iter().map(|v| v.field.as_str()).collect();
        let expected =
            ["kind", "base_unit", "sku", "weight_grams", "length_mm", "width_mm", "height_mm", "standard_cost"];
        assert_eq!(fields, expected);

        let location = pb::Location { latitude: f64::NAN, longitude: 180.5, rank: 1001, ..pb::Location::default() };
        let violations = parse_location(location).unwrap_err();
        let fields: Vec<_> = violations.as_slice().iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["code", "latitude", "longitude", "rank"]);
    }

    #[test]
    fn an_item_survives_the_way_there_and_back() {
        let shown = pb::Item {
            sku: "85123A".into(),
            name: "HEART T-LIGHT HOLDER".into(),
            kind: pb::ItemKind::Service.into(),
            base_unit: pb::BaseUnit::Millimetre.into(),
            weight_grams: 1,
            length_mm: 2,
            width_mm: 3,
            height_mm: 4,
            standard_cost: Some(Money { currency_code: "GBP".into(), units: 2, nanos: 550_001_000 }),
            tracking: pb::Tracking::None.into(),
            valuation: pb::ValuationMethod::Fifo.into(),
            units: [("CASE", 12), ("PALLET", 480)]
                .map(|(unit, quantity)| pb::ItemUnit { unit: unit.into(), quantity, barcode: format!("40{quantity}") })
                .to_vec(),
            version: 0,
            components: Vec::new(),
        };
        assert_eq!(item(&parse_item(shown.clone()).unwrap()), shown);
    }
}
