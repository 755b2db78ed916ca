//! Transfers between locations.

use crate::purchasing::id;
use crate::testing::{Service, all_or_nothing, backorder, gbp, receipt, start};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::refuse;
use sqlx::PgPool;
use tonic::Status;

pub fn plan(from: &str, to: &str, lines: &[(&str, i64)]) -> pb::CreateTransferRequest {
    let line = |(line_no, (sku, quantity)): (i32, &(&str, i64))| pb::NewTransferLine {
        line_no,
        sku: (*sku).into(),
        quantity: *quantity,
    };
    pb::CreateTransferRequest {
        request_id: id(),
        source_location_id: from.into(),
        destination_location_id: to.into(),
        lines: (1..).zip(lines).map(line).collect(),
        ..Default::default()
    }
}

pub fn arrived(received: i64, damaged: i64, lost: i64, reason: &str) -> pb::ArrivedLine {
    pb::ArrivedLine { line_no: 1, received, damaged, lost, reason: reason.into(), ..Default::default() }
}

impl Service {
    pub async fn planned(&mut self, request: pb::CreateTransferRequest) -> pb::Transfer {
        self.transfers.create_transfer(request).await.unwrap().into_inner().transfer.unwrap()
    }

    pub async fn ship(&mut self, name: &str) -> Result<pb::Transfer, Status> {
        let request = pb::ShipTransferRequest { request_id: id(), name: name.into(), ..Default::default() };
        Ok(self.transfers.ship_transfer(request).await?.into_inner().transfer.unwrap())
    }

    pub async fn unload(&mut self, name: &str, line: pb::ArrivedLine) -> Result<pb::Transfer, Status> {
        let request =
            pb::ReceiveTransferRequest { request_id: id(), name: name.into(), lines: vec![line], received_at: None };
        Ok(self.transfers.receive_transfer(request).await?.into_inner().transfer.unwrap())
    }

    async fn at(&mut self, sku: &str, location: &str) -> (i64, i64, i64) {
        let levels = self.availability(sku).await.locations;
        let level = levels.iter().find(|level| level.location_id == location).unwrap();
        (level.on_hand, level.damaged, level.in_transfer.unwrap())
    }
}

#[sqlx::test(migrations = false)]
async fn goods_leave_are_on_their_way_arrive_or_are_lost(pool: PgPool) {
    let mut service = start(&pool).await;
    let from = service.stocked(&[("MUG", 0)]).await;
    let to = service.location("SHOP", 1).await;
    service.receive_all(vec![pb::Receipt { unit_cost: Some(gbp(2, 0)), ..receipt("MUG", &from, 20) }]).await;
    let transfer = service.planned(plan(&from, &to, &[("MUG", 12)])).await;
    assert_eq!((transfer.number.as_str(), transfer.state()), ("TR-000001", pb::TransferState::Planned));
    assert_eq!(service.at("MUG", &from).await, (20, 0, 0), "a plan moves nothing");
    let early = service.unload("TR-000001", arrived(1, 0, 0, "")).await.unwrap_err();
    assert_eq!(refuse::reason(&early), "WRONG_STATE");

    let shipped = service.ship("TR-000001").await.unwrap();
    assert_eq!((shipped.state(), shipped.lines[0].in_transfer), (pb::TransferState::Shipped, 12));
    assert_eq!((service.at("MUG", &from).await, service.at("MUG", &to).await), ((8, 0, 0), (0, 0, 12)));
    // Waiting for more than is left: it gets what arrives.
    let waits = backorder(&[("MUG", 10)]);
    service.reserve(&waits).await.unwrap();
    let part = service.unload(&transfer.id, arrived(5, 1, 0, "")).await.unwrap();
    assert_eq!((part.state(), part.lines[0].in_transfer), (pb::TransferState::PartReceived, 6));
    service.fill().await;
    assert_eq!(service.reservation(&waits.order_id).await.lines[0].backordered, 0);
    let over = service.unload(&transfer.id, arrived(7, 0, 0, "")).await.unwrap_err();
    assert_eq!(refuse::reason(&over), "OVER_DELIVERY");
    assert!(service.unload(&transfer.id, arrived(0, 0, 2, "")).await.is_err(), "a loss needs a reason");
    let done = service.unload(&transfer.id, arrived(4, 0, 2, "FELL_OFF")).await.unwrap();
    assert_eq!((done.state(), done.lines[0].lost), (pb::TransferState::Received, 2));
    assert_eq!(service.at("MUG", &to).await, (9, 1, 0));

    let mut kinds: Vec<_> = service.movements("MUG").await.iter().map(|m| (m.kind(), m.quantity)).collect();
    kinds.reverse();
    use pb::MovementKind::{Adjustment, Receipt, TransferIn, TransferOut};
    assert_eq!(kinds, [(Receipt, 20), (TransferOut, -12), (TransferIn, 5), (TransferIn, 6), (Adjustment, -2)]);
    let last = service.movements("MUG").await.remove(0);
    assert_eq!((last.reason.as_str(), last.reference.as_str()), ("FELL_OFF", "TR-000001"));
    let costs: Vec<_> = service.movements("MUG").await.into_iter().map(|m| m.unit_cost).collect();
    assert!(costs.iter().all(|cost| *cost == Some(gbp(2, 0))), "the cost goes along: {costs:?}");
    assert_eq!(service.facts::<pb::TransferShipped>().await.len(), 1);
    let told = service.facts::<pb::TransferReceived>().await;
    assert_eq!(told.iter().map(|(_, fact)| fact.closed).collect::<Vec<_>>(), [false, true]);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn only_what_is_free_is_shipped_and_a_plan_can_be_given_up(pool: PgPool) {
    let mut service = start(&pool).await;
    let from = service.stocked(&[("MUG", 10)]).await;
    let to = service.location("SHOP", 1).await;
    service.reserve(&all_or_nothing(&[("MUG", 4)])).await.unwrap();
    let transfer = service.planned(plan(&from, &to, &[("MUG", 7)])).await;
    let refused = service.ship(&transfer.number).await.unwrap_err();
    assert_eq!(refuse::reason(&refused), "INSUFFICIENT_STOCK");
    assert!(refused.message().contains("only 6"), "{}", refused.message());
    let less = pb::ShipTransferRequest {
        request_id: id(),
        name: transfer.number.clone(),
        lines: vec![pb::ShippedLine { line_no: 1, quantity: 6, ..Default::default() }],
        shipped_at: None,
    };
    let first = service.transfers.ship_transfer(less.clone()).await.unwrap().into_inner();
    assert_eq!(first, service.transfers.ship_transfer(less).await.unwrap().into_inner(), "once");
    assert_eq!(first.transfer.unwrap().lines[0].shipped, 6);
    let cancel = |name: &str| pb::CancelTransferRequest { request_id: id(), name: name.into() };
    let late = service.transfers.cancel_transfer(cancel(&transfer.number)).await.unwrap_err();
    assert_eq!(refuse::reason(&late), "WRONG_STATE");
    let other = service.planned(plan(&from, &to, &[("MUG", 1)])).await;
    service.transfers.cancel_transfer(cancel(&other.number)).await.unwrap();
    let list = pb::ListTransfersRequest { state: pb::TransferState::Shipped.into(), ..Default::default() };
    let listed = service.transfers.list_transfers(list).await.unwrap().into_inner().transfers;
    assert_eq!(listed.iter().map(|t| t.number.as_str()).collect::<Vec<_>>(), [transfer.number.as_str()]);
    let same = service.transfers.create_transfer(plan(&from, &from, &[("MUG", 1)])).await.unwrap_err();
    assert_eq!(same.code(), tonic::Code::InvalidArgument);
    let get = pb::GetTransferRequest { name: "TR-000077".into() };
    assert_eq!(refuse::reason(&service.transfers.get_transfer(get).await.unwrap_err()), "TRANSFER_NOT_FOUND");
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn goods_that_vanish_between_locations_are_found(pool: PgPool) {
    let mut service = start(&pool).await;
    let from = service.stocked(&[("MUG", 10)]).await;
    let to = service.location("SHOP", 1).await;
    let transfer = service.planned(plan(&from, &to, &[("MUG", 7)])).await;
    service.ship(&transfer.number).await.unwrap();
    service.assert_proven().await;
    for (plant, undo, names) in [
        (
            "update transfer_line set received = 3",
            "update transfer_line set received = 0",
            vec!["supply_is_what_is_to_come", "transfers_are_their_movements"],
        ),
        ("update supply set location = 1", "update supply set location = 2", vec!["supply_is_what_is_to_come"]),
        (
            "update transfer set stage = 3",
            "update transfer set stage = 2",
            vec!["supply_is_what_is_to_come", "transfers_are_their_movements"],
        ),
    ] {
        sqlx::query(plant).execute(&pool).await.unwrap();
        let found: Vec<String> =
            service.check().await.into_iter().filter(|r| !r.violations.is_empty()).map(|r| r.name).collect();
        assert_eq!(found, names, "{plant}");
        sqlx::query(undo).execute(&pool).await.unwrap();
    }
    service.assert_proven().await;
}
