//! DocumentService.

use crate::{convert, ops};
use pesan_api::billing::v1 as pb;
use pesan_api::billing::v1::document_service_server::DocumentService;
use pesan_api::billing::v1::issue_credit_note_result::Outcome;
use pesan_feed::Feed;
use pesan_grpc::{Violations, page, refuse, run};
use pesan_host::Clock;
use sqlx::PgPool;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Invoices, credit notes, and the ledger behind them.
pub struct Documents {
    pub pool: PgPool,
    pub clock: Clock,
    pub feed: Feed,
}

#[tonic::async_trait]
impl DocumentService for Documents {
    async fn get_document(
        &self,
        request: Request<pb::GetDocumentRequest>,
    ) -> Result<Response<pb::GetDocumentResponse>, Status> {
        let mut violations = Violations::new();
        let name = violations.text("name", request.into_inner().name, 1, 100);
        violations.into_result(()).map_err(|v| refuse::invalid(&v))?;
        let document = ops::read::document(&self.pool, &name, convert::parse_name(&name)).await?;
        Ok(Response::new(pb::GetDocumentResponse { document: Some(convert::document(&document)?) }))
    }

    async fn list_documents(
        &self,
        request: Request<pb::ListDocumentsRequest>,
    ) -> Result<Response<pb::ListDocumentsResponse>, Status> {
        let (filter, size) = convert::parse_filter(request.get_ref())?;
        let (documents, more) = ops::read::documents(&self.pool, &filter, size).await?;
        let next_page_token = match documents.last().filter(|_| more) {
            Some(last) => page::token(&[&last.series, &last.number.to_string()]),
            None => String::new(),
        };
        let documents = documents.iter().map(convert::document).collect::<Result<_, _>>()?;
        Ok(Response::new(pb::ListDocumentsResponse { documents, next_page_token }))
    }

    async fn issue_credit_notes(
        &self,
        request: Request<pb::IssueCreditNotesRequest>,
    ) -> Result<Response<pb::IssueCreditNotesResponse>, Status> {
        let notes = request.into_inner().credit_notes;
        let mut violations = Violations::new();
        violations.within("credit_notes", notes.len(), 0, 500);
        violations.into_result(()).map_err(|v| refuse::invalid(&v))?;
        let (pool, feed, now) = (self.pool.clone(), self.feed.clone(), self.clock.now());
        run::to_end(async move {
            let parsed: Vec<_> = notes.into_iter().map(|note| convert::parse_note(note, now)).collect();
            let new: Vec<_> = parsed.iter().filter_map(|note| note.as_ref().ok().cloned()).collect();
            let mut issued = ops::notes::issue(&pool, &new, now).await?.into_iter();
            feed.wake();
            let mut results = Vec::with_capacity(parsed.len());
            for note in parsed {
                let (outcome, already_existed) = match note.map(|_| issued.next()) {
                    Err(problem) => (Outcome::Problem(problem), false),
                    Ok(Some(Err(refusal))) => (Outcome::Problem(refusal.into()), false),
                    Ok(Some(Ok((document, existed)))) => (Outcome::Document(convert::document(&document)?), existed),
                    Ok(None) => return Err(Status::internal("internal error")),
                };
                results.push(pb::IssueCreditNoteResult { outcome: Some(outcome), already_existed });
            }
            Ok(Response::new(pb::IssueCreditNotesResponse { results }))
        })
        .await
    }

    async fn list_postings(
        &self,
        request: Request<pb::ListPostingsRequest>,
    ) -> Result<Response<pb::ListPostingsResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::new();
        let size = page::size(&mut violations, request.page_size);
        let reference = violations.optional_uuid("reference", &request.reference);
        let after =
            page::key(&mut violations, &request.page_token, 1).map(|key| violations.uuid("page_token", &key[0]));
        violations.into_result(()).map_err(|v| refuse::invalid(&v))?;
        let after = after.unwrap_or_else(Uuid::nil);
        let (postings, more) = ops::read::postings(&self.pool, after, reference, size).await?;
        let next_page_token = match postings.last().filter(|_| more) {
            Some(last) => page::token(&[&last.id.to_string()]),
            None => String::new(),
        };
        let postings = postings.iter().map(convert::posting).collect::<Result<_, _>>()?;
        Ok(Response::new(pb::ListPostingsResponse { postings, next_page_token }))
    }

    async fn get_trial_balance(
        &self,
        request: Request<pb::GetTrialBalanceRequest>,
    ) -> Result<Response<pb::GetTrialBalanceResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::new();
        let from = violations.time("from", request.from.as_ref());
        let to = violations.time("to", request.to.as_ref());
        if let (Some(from), Some(to)) = (from, to)
            && to < from
        {
            violations.add("to", "must not be before from");
        }
        violations.into_result(()).map_err(|v| refuse::invalid(&v))?;
        let rows = ops::read::trial_balance(&self.pool, from, to).await?;
        let rows = rows.iter().map(convert::trial_balance_row).collect::<Result<_, _>>()?;
        Ok(Response::new(pb::GetTrialBalanceResponse { rows }))
    }
}
