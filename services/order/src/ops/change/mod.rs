//! Changing orders: a plan says what it would do, a commit does exactly that or nothing.
//!
//! Before the promise a commit is one transaction. After it, it is a small machine like a cancellation's, and never runs
//! beside one: *begin* (lock; write down what is to be done) → fulfilment *withdraws* what goes or moves → inventory
//! *reserves* what is new → billing *agrees* to the money, and has the last word → *apply*. Each is asked under a key of
//! its own, so that it can be asked again after a crash. Who refuses before the last word has nothing changed anywhere: what
//! fulfilment let go of is handed to it again, and inventory follows `OrderChangeDropped`. After it nothing can refuse:
//! stock that comes for what the change cancels is passed over meanwhile.

mod apply;
mod ask;
mod commit;
mod effects;
mod judge;
mod plan;
mod split;
mod unpromised;

use crate::ops::Books;
use crate::ops::cancel::Canceller;
use crate::ops::saga::Saga;
use pesan_api::billing::v1::payment_service_client::PaymentServiceClient;
use pesan_api::inventory::v1::reservation_service_client::ReservationServiceClient;
use pesan_grpc::channel::PeerChannel;

/// What changes orders.
#[derive(Clone)]
pub struct Changer {
    /// The service's books.
    pub books: Books,
    /// Settles anew what is not promised yet.
    pub saga: Saga,
    /// Asks fulfilment.
    pub canceller: Canceller,
    /// Asked to reserve.
    pub inventory: ReservationServiceClient<PeerChannel>,
    /// Asked to authorise.
    pub billing: PaymentServiceClient<PeerChannel>,
}
