//! Messages as JSON with the protos' own field names, and the fields in which two messages differ: both from the
//! descriptors, so that they are true of every message.

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage as _, SerializeOptions, Value};
use std::sync::LazyLock;

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(pesan_api::DESCRIPTORS).unwrap_or_default());

fn dynamic(name: &str, bytes: &[u8]) -> Option<DynamicMessage> {
    DynamicMessage::decode(POOL.get_message_by_name(name)?, bytes).ok()
}

/// An encoded message of the full name `name` as JSON: field names as in the proto, 64-bit numbers as numbers, defaults
/// left out when `sparse`. None where the name is not known or the bytes are not such a message.
pub fn from_bytes(name: &str, bytes: &[u8], sparse: bool) -> Option<String> {
    let options =
        SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false).skip_default_fields(sparse);
    let mut out = Vec::new();
    let mut serializer = json_serializer(&mut out);
    dynamic(name, bytes)?.serialize_with_options(&mut serializer, &options).ok()?;
    String::from_utf8(out).ok()
}

/// A message as JSON, as [`from_bytes`].
pub fn from_message<M: Message + prost::Name>(message: &M, sparse: bool) -> Option<String> {
    from_bytes(&M::full_name(), &message.encode_to_vec(), sparse)
}

fn json_serializer(out: &mut Vec<u8>) -> serde_json::Serializer<&mut Vec<u8>> {
    serde_json::Serializer::new(out)
}

/// The paths in which two encoded messages of the same type differ, at most 20: `lines[1].quantity`.
pub fn differing_fields(name: &str, one: &[u8], other: &[u8]) -> Vec<String> {
    let (Some(one), Some(other)) = (dynamic(name, one), dynamic(name, other)) else { return vec!["(body)".into()] };
    let mut paths = Vec::new();
    diff_message("", &one, &other, &mut paths);
    paths.truncate(20);
    paths
}

fn diff_message(at: &str, one: &DynamicMessage, other: &DynamicMessage, paths: &mut Vec<String>) {
    for field in one.descriptor().fields() {
        let path = if at.is_empty() { field.name().to_owned() } else { format!("{at}.{}", field.name()) };
        if one.has_field(&field) != other.has_field(&field) {
            paths.push(path);
        } else {
            diff_value(&path, &one.get_field(&field), &other.get_field(&field), paths);
        }
    }
}

fn diff_value(path: &str, one: &Value, other: &Value, paths: &mut Vec<String>) {
    match (one, other) {
        (Value::Message(a), Value::Message(b)) => diff_message(path, a, b, paths),
        (Value::List(a), Value::List(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                diff_value(&format!("{path}[{i}]"), a, b, paths);
            }
        }
        (a, b) if a != b => paths.push(path.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pesan_api::order::v1::{CancelLine, CancelOrderRequest};

    fn request(quantity: i64) -> CancelOrderRequest {
        let line = |line_no, quantity| CancelLine { line_no, quantity };
        CancelOrderRequest {
            name: "SO-000001".into(),
            lines: vec![line(1, 1), line(2, quantity)],
            ..Default::default()
        }
    }

    #[test]
    fn differing_fields_are_named() {
        let name = "pesan.order.v1.CancelOrderRequest";
        let (one, other) = (request(2).encode_to_vec(), request(3).encode_to_vec());
        assert_eq!(differing_fields(name, &one, &other), ["lines[1].quantity"]);
        assert!(differing_fields(name, &one, &one).is_empty());
    }

    #[test]
    fn json_has_the_protos_names() {
        let json = from_bytes("pesan.order.v1.CancelOrderRequest", &request(2).encode_to_vec(), true).unwrap();
        assert_eq!(json, r#"{"name":"SO-000001","lines":[{"line_no":1,"quantity":1},{"line_no":2,"quantity":2}]}"#);
    }
}
