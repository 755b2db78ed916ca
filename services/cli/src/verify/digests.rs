//! Reads the digests of all services side by side, in constant memory.

use futures::future::try_join_all;
use pesan_api::proof::v1::{Digest, StreamDigestsRequest, StreamDigestsResponse};
use tonic::{Status, Streaming};

use super::compare::Look;
use crate::endpoints::{Service, Suite};

/// A service that did not tell, and what it said instead.
pub type Unanswered = (Service, Status);

/// Looks at these subjects, or at all.
pub async fn look(suite: &Suite, subjects: &[String]) -> Result<Look, Unanswered> {
    let open = Service::ALL.map(|service| Reader::open(suite, service, subjects.to_vec()));
    let mut readers = try_join_all(open).await?;
    let told: Vec<_> = readers.iter().map(|reader| (reader.service, reader.measures.clone())).collect();
    let mut look = Look::new(&told);
    while let Some(subject) = readers.iter().filter_map(|reader| reader.next.as_ref()).map(|d| &d.subject).min() {
        let subject = subject.clone();
        let mut digests = Vec::with_capacity(readers.len());
        for reader in &mut readers {
            if reader.next.as_ref().is_some_and(|digest| digest.subject == subject)
                && let Some(digest) = reader.take().await?
            {
                digests.push((reader.service, digest));
            }
        }
        look.subject(&subject, &digests);
    }
    Ok(look)
}

/// One service's digests, one by one.
struct Reader {
    service: Service,
    measures: Vec<String>,
    stream: Streaming<StreamDigestsResponse>,
    /// Of the message that was read last; reversed, so that the next one is at the end.
    rest: Vec<Digest>,
    next: Option<Digest>,
}

impl Reader {
    async fn open(suite: &Suite, service: Service, subjects: Vec<String>) -> Result<Self, Unanswered> {
        let request = StreamDigestsRequest { subjects };
        let opened = suite.proof(service).stream_digests(request).await.map_err(|status| (service, status))?;
        let mut reader =
            Self { service, measures: Vec::new(), stream: opened.into_inner(), rest: Vec::new(), next: None };
        reader.take().await?;
        Ok(reader)
    }

    /// The next digest; the one after it is read.
    async fn take(&mut self) -> Result<Option<Digest>, Unanswered> {
        let taken = self.next.take();
        while self.rest.is_empty() {
            let Some(mut message) = self.stream.message().await.map_err(|status| (self.service, status))? else {
                return Ok(taken);
            };
            message.digests.reverse();
            self.rest = message.digests;
            self.measures = message.measures;
        }
        self.next = self.rest.pop();
        // The comparison goes on the order, so a service that breaks it would seem to hold nothing.
        if let (Some(taken), Some(next)) = (&taken, &self.next)
            && taken.subject >= next.subject
        {
            let what = format!("digests do not ascend: {} before {}", taken.subject, next.subject);
            return Err((self.service, Status::data_loss(what)));
        }
        Ok(taken)
    }
}
