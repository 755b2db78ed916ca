//! What people do with returns.

use crate::convert::place::known;
use crate::error::Error;
use crate::name::ReturnName;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::{DiscrepancyDecision, RepairStep, ReturnResolution};
use pesan_grpc::Violations;
use prost::Message;
use uuid::Uuid;

/// Who does something with which return, and why.
#[derive(Clone, Debug)]
pub struct Deed {
    /// The caller's id of it.
    pub request_id: Uuid,
    /// The return.
    pub name: ReturnName,
    /// As it came.
    pub text: String,
    /// Who.
    pub by: String,
    /// Why.
    pub note: String,
    /// Type of the request.
    pub method: &'static str,
    /// The request as it came.
    pub body: Vec<u8>,
}

impl Deed {
    fn read<Q: Message>(
        v: &mut Violations,
        (method, request): (&'static str, &Q),
        (request_id, text): (&str, &str),
        (by, note): (&str, &str),
        needs_name: bool,
    ) -> Self {
        let name = ReturnName::parse(text).unwrap_or_else(|| {
            v.add("name", "must be a return's id or its number (\"RMA-000012\")");
            ReturnName::Number(0)
        });
        Self {
            request_id: v.uuid("request_id", request_id),
            name,
            text: text.to_owned(),
            by: v.text("by", by.to_owned(), usize::from(needs_name), 100),
            note: v.text("note", note.to_owned(), 0, 500),
            method,
            body: request.encode_to_vec(),
        }
    }
}

/// Reads an approval.
pub fn approve(q: &pb::ApproveReturnRequest) -> Result<Deed, Error> {
    let mut v = Violations::new();
    let deed = Deed::read(
        &mut v,
        ("pesan.order.v1.ApproveReturnRequest", q),
        (&q.request_id, &q.name),
        (&q.by, &q.note),
        true,
    );
    Ok(v.into_result(deed)?)
}

/// Reads a rejection.
pub fn reject(q: &pb::RejectReturnRequest) -> Result<Deed, Error> {
    let mut v = Violations::new();
    let deed =
        Deed::read(&mut v, ("pesan.order.v1.RejectReturnRequest", q), (&q.request_id, &q.name), (&q.by, &q.note), true);
    Ok(v.into_result(deed)?)
}

/// Reads a cancellation.
pub fn cancel(q: &pb::CancelReturnRequest) -> Result<Deed, Error> {
    let mut v = Violations::new();
    let deed = Deed::read(
        &mut v,
        ("pesan.order.v1.CancelReturnRequest", q),
        (&q.request_id, &q.name),
        (&q.by, &q.note),
        false,
    );
    Ok(v.into_result(deed)?)
}

/// Reads an end.
pub fn close(q: &pb::CloseReturnRequest) -> Result<Deed, Error> {
    let mut v = Violations::new();
    let deed =
        Deed::read(&mut v, ("pesan.order.v1.CloseReturnRequest", q), (&q.request_id, &q.name), (&q.by, &q.note), false);
    Ok(v.into_result(deed)?)
}

/// A discrepancy that is decided.
#[derive(Clone, Debug)]
pub struct Resolve {
    /// Who, which return, why.
    pub deed: Deed,
    /// Which one.
    pub discrepancy_id: Uuid,
    /// What.
    pub decision: DiscrepancyDecision,
}

/// Reads a decision.
pub fn resolve(q: &pb::ResolveDiscrepancyRequest) -> Result<Resolve, Error> {
    let mut v = Violations::new();
    let deed = Deed::read(
        &mut v,
        ("pesan.order.v1.ResolveDiscrepancyRequest", q),
        (&q.request_id, &q.name),
        (&q.by, &q.note),
        true,
    );
    let discrepancy_id = v.uuid("discrepancy_id", &q.discrepancy_id);
    let decision = known(&mut v, "decision", q.decision).unwrap_or_default();
    if decision == DiscrepancyDecision::Unspecified {
        v.add("decision", "is required");
    }
    Ok(v.into_result(Resolve { deed, discrepancy_id, decision })?)
}

/// A step of a repair.
#[derive(Clone, Debug)]
pub struct Repair {
    /// Who, which return, why.
    pub deed: Deed,
    /// Which step.
    pub step: RepairStep,
    /// Sends the repaired goods back; empty: the policy's.
    pub service_sku: String,
    /// What the customer gets for what is scrapped.
    pub scrapped_for: ReturnResolution,
}

/// Reads a step.
pub fn repair(q: &pb::RecordRepairStepRequest) -> Result<Repair, Error> {
    let mut v = Violations::new();
    let deed = Deed::read(
        &mut v,
        ("pesan.order.v1.RecordRepairStepRequest", q),
        (&q.request_id, &q.name),
        (&q.by, &q.note),
        true,
    );
    let step = known(&mut v, "step", q.step).unwrap_or_default();
    if step == RepairStep::Unspecified {
        v.add("step", "is required");
    }
    let service_sku = v.text("service_sku", q.service_sku.clone(), 0, 100);
    let scrapped_for = known(&mut v, "scrapped_for", q.scrapped_for).unwrap_or_default();
    let pays = matches!(scrapped_for, ReturnResolution::Refund | ReturnResolution::Replacement);
    if (step == RepairStep::Scrap) != pays {
        v.add("scrapped_for", "must be REFUND or REPLACEMENT for SCRAP, and is only for SCRAP");
    }
    Ok(v.into_result(Repair { deed, step, service_sku, scrapped_for })?)
}
