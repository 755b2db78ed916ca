//! Warranty claims: the goods come back, are repaired and sent back, or are beyond it.

use crate::exchanges::receive;
use crate::following::invoice;
use crate::return_policies::{policy, set, until};
use crate::returning::{approved, ask, new, shipped};
use crate::suite::{Suite, eur, parts, reason, start};
use pesan_api::order::v1::*;
use sqlx::PgPool;
use tonic::Status;
use uuid::Uuid;

/// A claim for two of what was shipped, with its goods back.
async fn claimed(suite: &Suite) -> (Order, Return) {
    let order = shipped(suite).await;
    let mut asked = NewReturn { resolution: ReturnResolution::Repair.into(), ..new(&order.id, &[(1, 2)]) };
    asked.lines[0].serial = "SN-7".into();
    asked.lines[0].claim = "does not pour".into();
    let rma = approved(&ask(suite, vec![asked]).await[0]);
    assert_eq!((rma.lines[0].serial.as_str(), rma.lines[0].claim.as_str()), ("SN-7", "does not pour"));
    (order, rma)
}

async fn step(suite: &Suite, rma: &Return, request: RecordRepairStepRequest) -> Result<Return, Status> {
    let request = RecordRepairStepRequest {
        request_id: Uuid::now_v7().to_string(),
        name: rma.number.clone(),
        by: "Agus".into(),
        ..request
    };
    Ok(suite.returns.clone().record_repair_step(request).await?.into_inner().r#return.unwrap())
}

fn plain(step: RepairStep) -> RecordRepairStepRequest {
    RecordRepairStepRequest { step: step.into(), ..Default::default() }
}

#[sqlx::test(migrations = false)]
async fn goods_are_repaired_and_go_back_with_a_service_shipment(pool: PgPool) {
    let suite = start(pool).await;
    let (order, rma) = claimed(&suite).await;
    let early = step(&suite, &rma, plain(RepairStep::Start)).await.unwrap_err();
    assert_eq!(reason(&early), "RETURN_STATE", "nothing is back yet");
    receive(&suite, &rma, &[(1, 0, 2, 2)], vec![]);
    until(&suite, &rma, ReturnState::Received).await;
    assert_eq!(step(&suite, &rma, plain(RepairStep::Start)).await.unwrap().state(), ReturnState::InRepair);
    assert_eq!(step(&suite, &rma, plain(RepairStep::Complete)).await.unwrap().state(), ReturnState::Repaired);
    let no_service = step(&suite, &rma, plain(RepairStep::SendBack)).await.unwrap_err();
    assert_eq!(no_service.code(), tonic::Code::InvalidArgument, "no policy names a service item");
    let send = RecordRepairStepRequest { service_sku: "SERVICE-RETURN".into(), ..plain(RepairStep::SendBack) };
    let sent = step(&suite, &rma, send).await.unwrap();
    assert_eq!(sent.state(), ReturnState::SentBack);
    let states: Vec<_> = sent.history.iter().map(|step| (step.state(), step.by.as_str())).collect();
    let expected = [
        (ReturnState::InRepair, "Agus"),
        (ReturnState::Repaired, "Agus"),
        (ReturnState::SentBack, "Agus"),
        (ReturnState::SentBack, ""),
    ];
    assert_eq!(states, expected);
    let linked = suite.until(&sent.linked_order_ids[0], OrderState::Confirmed).await;
    assert_eq!((linked.total, linked.return_id), (Some(eur(0)), rma.id.clone()));
    assert_eq!(linked.lines[0].sku, "SERVICE-RETURN");
    assert!(linked.lines[0].description.contains("SN-7"));
    let now = suite.get(&order.id).await;
    assert_eq!(parts(&now.lines[0].quantities), [("ordered", 5), ("reserved", 1), ("shipped", 4), ("returned", 2)]);
    let over = step(&suite, &rma, plain(RepairStep::Start)).await.unwrap_err();
    assert_eq!(reason(&over), "RETURN_STATE");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_beyond_repair_is_paid_back(pool: PgPool) {
    let suite = start(pool).await;
    let (order, rma) = claimed(&suite).await;
    receive(&suite, &rma, &[(1, 2, 0, 2)], vec![]);
    until(&suite, &rma, ReturnState::Received).await;
    let bare = step(&suite, &rma, plain(RepairStep::Scrap)).await.unwrap_err();
    assert_eq!(bare.code(), tonic::Code::InvalidArgument, "refund or replacement?");
    let scrap = |scrapped_for: ReturnResolution| RecordRepairStepRequest {
        scrapped_for: scrapped_for.into(),
        ..plain(RepairStep::Scrap)
    };
    let early = step(&suite, &rma, scrap(ReturnResolution::Refund)).await.unwrap_err();
    assert_eq!(reason(&early), "NOT_INVOICED_YET");
    invoice(&suite, &order.id, &[(1, 4)]);
    suite.until_it(&order.id, |order| order.quantities.as_ref().unwrap().invoiced == 4).await;
    let scrapped = step(&suite, &rma, scrap(ReturnResolution::Refund)).await.unwrap();
    assert_eq!((scrapped.state(), scrapped.linked_order_ids.len()), (ReturnState::Scrapped, 0));
    let credited: ReturnCredited = suite.fact(&order.id).await;
    assert_eq!((credited.return_id, credited.lines[0].quantity, credited.lines[0].credit.clone()), (rma.id, 2, None));
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_beyond_repair_is_replaced(pool: PgPool) {
    let suite = start(pool).await;
    set(&suite, vec![ReturnPolicy { warranty_months: 24, ..policy("all", vec![]) }]).await;
    let (_, rma) = claimed(&suite).await;
    receive(&suite, &rma, &[(1, 2, 0, 2)], vec![]);
    until(&suite, &rma, ReturnState::Received).await;
    step(&suite, &rma, plain(RepairStep::Start)).await.unwrap();
    let request =
        RecordRepairStepRequest { scrapped_for: ReturnResolution::Replacement.into(), ..plain(RepairStep::Scrap) };
    let scrapped = step(&suite, &rma, request).await.unwrap();
    let linked = suite.until(&scrapped.linked_order_ids[0], OrderState::Confirmed).await;
    assert_eq!((linked.lines[0].sku.as_str(), linked.total), ("TEA", Some(eur(0))));
    assert_eq!(parts(&linked.lines[0].quantities), [("ordered", 2), ("reserved", 2)]);
    suite.assert_proven().await;
}
