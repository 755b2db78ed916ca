//! Each service's own house, and its places in the feeds it follows.

use futures::future::join_all;
use pesan_api::feed::v1::GetPositionRequest;
use pesan_api::proof::v1::{CheckInvariantsRequest, CheckInvariantsResponse};
use tonic::Status;

use super::report::{Follower, Invariant, Violation};
use crate::endpoints::{Service, Suite};

/// What one service says of itself.
pub struct House {
    pub service: Service,
    pub answer: Result<CheckInvariantsResponse, Status>,
}

impl House {
    /// Asks these services at the same time.
    pub async fn inspect(suite: &Suite, services: &[Service]) -> Vec<Self> {
        join_all(services.iter().map(async |service| {
            let answer = suite.proof(*service).check_invariants(CheckInvariantsRequest {}).await;
            Self { service: *service, answer: answer.map(tonic::Response::into_inner) }
        }))
        .await
    }

    pub fn has_violations(&self) -> bool {
        self.answer.as_ref().is_ok_and(|answer| answer.results.iter().any(|result| !result.violations.is_empty()))
    }

    /// As invariants, with the service's name before theirs.
    pub fn invariants(&self) -> Vec<Invariant> {
        let answer = match &self.answer {
            Ok(answer) => answer,
            Err(status) => return vec![unanswered(self.service, status)],
        };
        let results = answer.results.iter().map(|result| {
            let violations = result.violations.iter().map(|of| Violation { id: of.id.clone(), what: of.what.clone() });
            let rows = u64::try_from(result.rows_checked).unwrap_or(0);
            Invariant::new(format!("{}.{}", self.service.name(), result.name), rows, violations.collect(), 0)
        });
        results.collect()
    }
}

/// A service that cannot be asked proves nothing.
pub fn unanswered(service: Service, status: &Status) -> Invariant {
    let what = format!("{:?}: {}", status.code(), status.message());
    let violation = Violation { id: service.name().to_owned(), what };
    Invariant::new(format!("{}.answers", service.name()), 1, vec![violation], 0)
}

/// Asks the followed services whether they can go on from every cursor.
pub async fn followers(suite: &Suite, houses: &[House]) -> (Invariant, Vec<Follower>) {
    let mut violations = Vec::new();
    let mut followers = Vec::new();
    for house in houses {
        let Ok(answer) = &house.answer else { continue };
        for position in &answer.followers {
            let found = position_of(suite, &position.source, &position.cursor).await;
            let id = format!("{} of {}", house.service.name(), position.source);
            let (reachable, behind) = match found {
                Ok((true, behind)) => (true, behind),
                Ok((false, behind)) => {
                    let what = format!("the feed cannot go on from cursor {:?} without a loss", position.cursor);
                    violations.push(Violation { id, what });
                    (false, behind)
                }
                Err(what) => {
                    violations.push(Violation { id, what });
                    (false, 0)
                }
            };
            let source = position.source.clone();
            followers.push(Follower { service: house.service.name(), source, reachable, behind });
        }
    }
    let invariant = Invariant::new("followers_reachable".to_owned(), followers.len() as u64, violations, 0);
    (invariant, followers)
}

async fn position_of(suite: &Suite, source: &str, cursor: &str) -> Result<(bool, i64), String> {
    let Some(service) = Service::named(source) else { return Err(format!("there is no service {source:?}")) };
    let request = GetPositionRequest { cursor: cursor.to_owned() };
    match suite.feed(service).get_position(request).await {
        Ok(answer) => Ok((answer.get_ref().reachable, answer.get_ref().behind)),
        Err(status) => Err(format!("{:?}: {}", status.code(), status.message())),
    }
}
