//! Customers.

use crate::convert::address;
use crate::customer::{Customer, Details};
use pesan_api::order::v1 as pb;
use pesan_grpc::Violations;

/// Reads what a CRM says about a customer.
///
/// # Errors
/// All that is wrong with it.
pub fn details(customer: pb::Customer) -> Result<Details, Violations> {
    let mut v = Violations::new();
    if customer.addresses.len() > 20 {
        v.add("addresses", format!("must have at most 20 entries, not {}", customer.addresses.len()));
    }
    let addresses = customer.addresses.into_iter().take(20).enumerate();
    let details = Details {
        external_id: v.text("external_id", customer.external_id, 1, 100),
        name: v.text("name", customer.name, 0, 300),
        email: v.text("email", customer.email, 0, 300),
        segment: v.text("segment", customer.segment, 0, 100),
        sales_rep: v.text("sales_rep", customer.sales_rep, 0, 100),
        addresses: addresses.map(|(i, a)| address(&mut v, &format!("addresses[{i}]"), a)).collect(),
    };
    v.into_result(details)
}

/// A customer as clients see it.
pub fn customer(customer: Customer) -> pb::Customer {
    let Details { external_id, name, email, segment, sales_rep, addresses } = customer.details;
    pb::Customer {
        id: customer.customer_id.to_string(),
        external_id,
        name,
        email,
        segment,
        sales_rep,
        addresses,
        version: customer.version,
    }
}

/// The fact that a customer was created or changed.
pub fn changed(customer: &Customer) -> pb::CustomerChanged {
    pb::CustomerChanged {
        customer_id: customer.customer_id.to_string(),
        external_id: customer.details.external_id.clone(),
        segment: customer.details.segment.clone(),
        sales_rep: customer.details.sales_rep.clone(),
    }
}
