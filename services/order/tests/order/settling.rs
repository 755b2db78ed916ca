//! From placed to promised, and what can come between.

use crate::suite::{LONG, eur, line, order, order_of, parts, start, start_with};
use pesan_api::order::v1::*;
use sqlx::PgPool;

#[sqlx::test(migrations = false)]
async fn an_order_with_stock_and_money_is_confirmed(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    let placed = suite.place(order_of(&customer, &[("TEA", 3), ("SERVICE-WRAP", 1)])).await;
    assert_eq!(placed.state(), OrderState::Confirmed);
    assert_eq!(placed.number, "SO-000001");
    assert_eq!((placed.gross.clone(), placed.total.clone()), (Some(eur(5_00)), Some(eur(5_00))));
    assert_eq!(parts(&placed.quantities), [("ordered", 4), ("reserved", 4)]);
    assert_eq!(placed.ship_to.as_ref().unwrap().country, "ID", "the customer's first address");
    assert_eq!(placed.sales_rep, "Siti");

    assert_eq!(suite.fact_names(&placed.id).await, ["OrderAccepted", "OrderConfirmed"]);
    let accepted: OrderAccepted = suite.fact(&placed.id).await;
    assert_eq!((accepted.segment.as_str(), accepted.country.as_str()), ("wholesale", "ID"));
    assert_eq!(accepted.customer_external_id, "C-1");
    assert_eq!(accepted.lines[0].line_total, Some(eur(3_75)));
    let confirmed: OrderConfirmed = suite.fact(&placed.id).await;
    let stocked: Vec<_> = confirmed.allocations.iter().map(|a| (a.line_no, a.quantity, a.stocked)).collect();
    assert_eq!(stocked, [(1, 3, true), (2, 1, false)]);
    assert_eq!(confirmed.allocations[0].location_id, crate::peers::HALL);
    let charges = suite.peers.billing.charges.lock().unwrap().clone();
    assert_eq!(charges[0].customer_id, customer.id);
    assert_eq!(charges[0].lines[0].line_total, Some(eur(3_75)));
    suite.assert_proven().await;
}
