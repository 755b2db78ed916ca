use super::{pb_money, unit_cost};
use crate::item::{BaseUnit, Item, ItemKind};
use crate::location::Location;
use pesan_api::inventory::v1 as pb;
use pesan_grpc::Violations;
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
        version: 0,
    };
    v.into_result(parsed)
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
        version: item.version,
    }
}

/// A kind as it is shown.
pub fn kind(kind: ItemKind) -> pb::ItemKind {
    match kind {
        ItemKind::Stocked => pb::ItemKind::Stocked,
        ItemKind::Service => pb::ItemKind::Service,
    }
}

/// What the keeper of a location says of it.
pub fn parse_location(location: pb::Location) -> Result<Location, Violations> {
    let mut v = Violations::new();
    let parsed = Location {
        id: Uuid::nil(),
        code: v.text("code", location.code, 1, 40),
        name: v.text("name", location.name, 0, NAME),
        latitude: degrees(&mut v, "latitude", location.latitude, 90.0),
        longitude: degrees(&mut v, "longitude", location.longitude, 180.0),
        rank: v.within("rank", location.rank, 0, 1000),
        version: 0,
    };
    v.into_result(parsed)
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
            version: 0,
        };
        assert_eq!(item(&parse_item(shown.clone()).unwrap()), shown);
    }
}
