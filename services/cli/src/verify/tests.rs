//! The proof against services that are made up, with violations planted in them.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use clap::Parser;
use futures::Stream;
use pesan_api::feed::v1::feed_service_server::{FeedService, FeedServiceServer};
use pesan_api::feed::v1::{
    GetPositionRequest, GetPositionResponse, PullRequest, PullResponse, TailRequest, TailResponse,
};
use pesan_api::proof::v1::proof_service_server::{ProofService, ProofServiceServer};
use pesan_api::proof::v1::{
    CheckInvariantsRequest, CheckInvariantsResponse, Digest, FollowerPosition, InvariantResult, Part,
    StreamDigestsRequest, StreamDigestsResponse, Violation,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use super::*;

const ONE: &str = "00000000-0000-7000-8000-000000000001";
const TWO: &str = "00000000-0000-7000-8000-000000000002";
const NOTE: &str = "00000000-0000-7000-8000-00000000000f";

/// What a made-up service tells. Every look takes the next of `digests`; the last one stays.
#[derive(Clone)]
struct Made {
    measures: Vec<&'static str>,
    digests: Vec<Vec<Digest>>,
    violations: Vec<Vec<Violation>>,
    cursor: &'static str,
    asked: Arc<Mutex<Vec<Vec<String>>>>,
    inspected: Arc<AtomicUsize>,
}

impl Made {
    fn new(measures: &[&'static str], digests: Vec<Digest>) -> Self {
        Self {
            measures: measures.to_vec(),
            digests: vec![digests],
            violations: vec![Vec::new()],
            cursor: "good",
            asked: Arc::default(),
            inspected: Arc::default(),
        }
    }
}

fn at<T: Clone>(looks: &[T], index: usize) -> T {
    looks[index.min(looks.len() - 1)].clone()
}

#[tonic::async_trait]
impl ProofService for Made {
    async fn check_invariants(
        &self,
        _: Request<CheckInvariantsRequest>,
    ) -> Result<Response<CheckInvariantsResponse>, Status> {
        let violations = at(&self.violations, self.inspected.fetch_add(1, Ordering::SeqCst));
        let results = vec![InvariantResult { name: "sums_agree".into(), rows_checked: 3, violations }];
        let followers = vec![FollowerPosition { source: "order".into(), cursor: self.cursor.into() }];
        Ok(Response::new(CheckInvariantsResponse { results, followers }))
    }

    type StreamDigestsStream = Pin<Box<dyn Stream<Item = Result<StreamDigestsResponse, Status>> + Send>>;

    async fn stream_digests(
        &self,
        request: Request<StreamDigestsRequest>,
    ) -> Result<Response<Self::StreamDigestsStream>, Status> {
        let subjects = request.into_inner().subjects;
        let mut asked = self.asked.lock().unwrap();
        let mut digests = at(&self.digests, asked.len());
        digests.retain(|digest| subjects.is_empty() || subjects.contains(&digest.subject));
        asked.push(subjects);
        let measures: Vec<String> = self.measures.iter().map(|name| (*name).to_owned()).collect();
        // A message for each, so that the reader has to go from one to the next.
        let messages = digests
            .into_iter()
            .map(move |d| Ok(StreamDigestsResponse { measures: measures.clone(), digests: vec![d] }));
        Ok(Response::new(Box::pin(futures::stream::iter(messages.collect::<Vec<_>>()))))
    }
}

#[tonic::async_trait]
impl FeedService for Made {
    async fn pull(&self, _: Request<PullRequest>) -> Result<Response<PullResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    type TailStream = Pin<Box<dyn Stream<Item = Result<TailResponse, Status>> + Send>>;

    async fn tail(&self, _: Request<TailRequest>) -> Result<Response<Self::TailStream>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn get_position(
        &self,
        request: Request<GetPositionRequest>,
    ) -> Result<Response<GetPositionResponse>, Status> {
        let reachable = request.get_ref().cursor == "good";
        Ok(Response::new(GetPositionResponse { head: "head".into(), reachable, behind: 7 }))
    }
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    endpoints: Endpoints,
}

/// Serves these five; None: nobody answers there.
async fn suite(services: [Option<Made>; 5]) -> Suite {
    let mut flags = vec!["verify".to_owned()];
    for (service, made) in Service::ALL.into_iter().zip(services) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        flags.push(format!("--{}-endpoint", service.name()));
        flags.push(format!("http://{}", listener.local_addr().unwrap()));
        if let Some(made) = made {
            let server = tonic::transport::Server::builder()
                .add_service(ProofServiceServer::new(made.clone()))
                .add_service(FeedServiceServer::new(made));
            tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        }
    }
    Flags::parse_from(flags).endpoints.connect(Duration::from_secs(5)).unwrap()
}

fn digest(subject: &str, parts: &[(i32, &[i64])]) -> Digest {
    let parts = parts.iter().map(|(part, values)| Part { part: *part, values: values.to_vec() });
    Digest { subject: subject.to_owned(), parts: parts.collect() }
}

/// Two orders that all agree on, and a credit note that stands alone.
fn sound() -> [Made; 5] {
    let order = ["reserved", "allocated", "backordered", "shipped", "returned", "invoiced", "refunded"]
        .into_iter()
        .chain(["units_ordered", "gross", "units_shipped"])
        .collect::<Vec<_>>();
    [
        Made::new(
            &order,
            vec![
                digest(ONE, &[(0, &[0, 0, 0, 0, 0, 0, 0, 9, 900, 5]), (1, &[3, 3, 1, 5, 2, 5, 2, 0, 0, 0])]),
                digest(TWO, &[(0, &[0, 0, 0, 0, 0, 0, 0, 1, 10, 0]), (1, &[1, 1, 0, 0, 0, 0, 0, 0, 0, 0])]),
            ],
        ),
        Made::new(
            &["shipped", "returned", "reserved", "backordered"],
            vec![digest(ONE, &[(1, &[5, 2, 3, 1])]), digest(TWO, &[(1, &[0, 0, 1, 0])])],
        ),
        Made::new(
            &["allocated", "shipped", "returned"],
            vec![digest(ONE, &[(1, &[3, 5, 2])]), digest(TWO, &[(1, &[1, 0, 0])])],
        ),
        Made::new(
            &["invoiced", "refunded", "invoiced_amount", "credited_amount"],
            vec![digest(ONE, &[(0, &[0, 0, 500, 200]), (1, &[5, 2, 0, 0])]), digest(NOTE, &[(0, &[0, 0, 0, 77])])],
        ),
        Made::new(
            &["units_ordered", "gross", "units_shipped", "invoiced_amount", "credited_amount"],
            vec![
                digest(ONE, &[(0, &[9, 900, 5, 500, 200])]),
                digest(TWO, &[(0, &[1, 10, 0, 0, 0])]),
                digest(NOTE, &[(0, &[0, 0, 0, 0, 77])]),
            ],
        ),
    ]
}

async fn report(services: [Made; 5], settle: Duration) -> Report {
    verify(&suite(services.map(Some)).await, settle).await
}

fn violated(report: &Report) -> Vec<(&str, &str)> {
    let violated = report.invariants.iter().flat_map(|i| i.violations.iter().map(|v| (i.name.as_str(), v.id.as_str())));
    violated.collect()
}

#[tokio::test]
async fn a_sound_suite_is_proven() {
    let report = report(sound(), Duration::ZERO).await;
    assert!(report.ok, "{report:?}");
    let rows = |name: &str| report.invariants.iter().find(|i| i.name == name).unwrap().rows_checked;
    assert_eq!((rows("inventory.sums_agree"), rows("followers_reachable")), (3, 5));
    assert_eq!((rows("order_vs_inventory.reserved"), rows("billing_vs_analytics.credited_amount")), (2, 3));
    assert!(report.followers.iter().all(|follower| follower.reachable && follower.behind == 7));
}

/// Raises one value of one service by one, and says which comparison must notice.
#[tokio::test]
async fn every_comparison_notices_its_own_violation() {
    for (service, column, part, name) in [
        (Service::Inventory, 2, 1, "order_vs_inventory.reserved"),
        (Service::Inventory, 3, 1, "order_vs_inventory.backordered"),
        (Service::Inventory, 0, 1, "order_vs_inventory.shipped"),
        (Service::Inventory, 1, 1, "order_vs_inventory.returned"),
        (Service::Fulfilment, 0, 1, "order_vs_fulfilment.allocated"),
        (Service::Fulfilment, 1, 1, "order_vs_fulfilment.shipped"),
        (Service::Fulfilment, 2, 1, "order_vs_fulfilment.returned"),
        (Service::Billing, 0, 1, "order_vs_billing.invoiced"),
        (Service::Billing, 1, 1, "order_vs_billing.refunded"),
        (Service::Analytics, 0, 0, "order_vs_analytics.units_ordered"),
        (Service::Analytics, 1, 0, "order_vs_analytics.gross"),
        (Service::Analytics, 2, 0, "order_vs_analytics.units_shipped"),
        (Service::Analytics, 3, 0, "billing_vs_analytics.invoiced_amount"),
        (Service::Analytics, 4, 0, "billing_vs_analytics.credited_amount"),
    ] {
        let mut services = sound();
        let parts = &mut services[service as usize].digests[0][0].parts;
        parts.iter_mut().find(|of| of.part == part).unwrap().values[column] += 1;
        let report = report(services, Duration::ZERO).await;
        let id = if part == 0 { ONE.to_owned() } else { format!("{ONE} line 1") };
        assert!(!report.ok);
        assert_eq!(violated(&report), [(name, id.as_str())]);
    }
}

#[tokio::test]
async fn an_order_that_one_service_lost_is_noticed() {
    let mut services = sound();
    services[Service::Inventory as usize].digests[0].remove(1);
    services[Service::Analytics as usize].digests[0].clear();
    let report = report(services, Duration::ZERO).await;
    let names: Vec<&str> = violated(&report).into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"order_vs_inventory.reserved"), "{names:?}");
    assert_eq!(names.iter().filter(|name| **name == "order_vs_analytics.gross").count(), 2);
}

#[tokio::test]
async fn what_is_in_flight_is_looked_at_again_and_only_that() {
    let mut services = sound();
    let settled = services[2].digests[0].clone();
    let mut early = settled.clone();
    early[1].parts[0].values[0] = 0;
    services[2].digests = vec![early.clone(), early, settled];
    let asked = services[2].asked.clone();
    let report = report(services, Duration::from_secs(60)).await;
    assert!(report.ok, "{report:?}");
    assert_eq!(*asked.lock().unwrap(), [vec![], vec![TWO.to_owned()], vec![TWO.to_owned()]]);
    let rows = report.invariants.iter().find(|i| i.name == "order_vs_fulfilment.allocated").unwrap().rows_checked;
    assert_eq!(rows, 2, "the count is that of the look at everything");
}

#[tokio::test]
async fn a_service_gets_a_second_look_at_its_own_house() {
    let violation = Violation { id: "SKU@here".into(), what: "5 on hand, movements sum to 4".into() };
    let mut services = sound();
    services[1].violations = vec![vec![violation.clone()], vec![]];
    assert!(report(services.clone(), Duration::from_secs(60)).await.ok);
    services[1].violations = vec![vec![violation]];
    let report = report(services, Duration::ZERO).await;
    assert_eq!(violated(&report), [("inventory.sums_agree", "SKU@here")]);
}

#[tokio::test]
async fn a_cursor_that_cannot_go_on_is_a_violation() {
    let mut services = sound();
    services[3].cursor = "gone";
    let report = report(services, Duration::ZERO).await;
    assert_eq!(violated(&report), [("followers_reachable", "billing of order")]);
    assert!(!report.ok);
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_no_proof() {
    let mut services = sound().map(Some);
    services[3] = None;
    let report = verify(&suite(services).await, Duration::from_secs(60)).await;
    assert!(!report.ok);
    assert!(violated(&report).contains(&("billing.answers", "billing")));
}

#[tokio::test]
async fn digests_out_of_order_are_not_believed() {
    let mut services = sound();
    services[0].digests[0].reverse();
    let report = report(services, Duration::ZERO).await;
    assert_eq!(violated(&report), [("order.answers", "order")]);
}

#[tokio::test]
async fn a_check_of_nothing_says_so() {
    let services = sound().map(|made| Made { digests: vec![Vec::new()], ..made });
    let report = report(services, Duration::ZERO).await;
    assert!(report.ok);
    let json = serde_json::to_value(&report).unwrap();
    let gross =
        json["invariants"].as_array().unwrap().iter().find(|i| i["name"] == "order_vs_analytics.gross").unwrap();
    assert_eq!(gross["note"], "0 rows were looked at: nothing is proven");
    assert_eq!(gross["violations"], serde_json::json!([]));
}
