//! QuotationService.

use crate::convert;
use crate::convert::quotations::{
    AcceptQuotation, CreateQuotation, Decision, ListQuotations, ReviseQuotation, at_revision,
};
use crate::ops;
use crate::ops::accept::Acceptor;
use crate::rpc::answer_by;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::quotation_service_server::QuotationService;
use pesan_grpc::run;
use tonic::{Request, Response, Status};

/// The service.
#[derive(Clone)]
pub struct Quotations {
    /// Accepts them.
    pub acceptor: Acceptor,
}

#[tonic::async_trait]
impl QuotationService for Quotations {
    async fn create_quotation(
        &self,
        request: Request<pb::CreateQuotationRequest>,
    ) -> Result<Response<pb::CreateQuotationResponse>, Status> {
        let books = self.acceptor.books.clone();
        let command = CreateQuotation::read(request.into_inner(), books.clock.now())?;
        run::to_end(async move { Ok(Response::new(ops::quotations::create(&books, command).await?)) }).await
    }

    async fn revise_quotation(
        &self,
        request: Request<pb::ReviseQuotationRequest>,
    ) -> Result<Response<pb::ReviseQuotationResponse>, Status> {
        let books = self.acceptor.books.clone();
        let command = ReviseQuotation::read(request.into_inner(), books.clock.now())?;
        run::to_end(async move { Ok(Response::new(ops::quotations::revise(&books, command).await?)) }).await
    }

    async fn send_quotation(
        &self,
        request: Request<pb::SendQuotationRequest>,
    ) -> Result<Response<pb::SendQuotationResponse>, Status> {
        let (books, request) = (self.acceptor.books.clone(), request.into_inner());
        let by = ("", "");
        let decision = Decision::read(&request.request_id, &request.name, by, "", request.expected_version)?;
        run::to_end(async move { Ok(Response::new(ops::quotations::send(&books, decision, request).await?)) }).await
    }

    async fn withdraw_quotation(
        &self,
        request: Request<pb::WithdrawQuotationRequest>,
    ) -> Result<Response<pb::WithdrawQuotationResponse>, Status> {
        let (books, request) = (self.acceptor.books.clone(), request.into_inner());
        let by = ("withdrawn_by", request.withdrawn_by.as_str());
        let decision = Decision::read(&request.request_id, &request.name, by, &request.note, 0)?;
        run::to_end(async move { Ok(Response::new(ops::quotations::withdraw(&books, decision, request).await?)) }).await
    }

    async fn reject_quotation(
        &self,
        request: Request<pb::RejectQuotationRequest>,
    ) -> Result<Response<pb::RejectQuotationResponse>, Status> {
        let (books, request) = (self.acceptor.books.clone(), request.into_inner());
        let by = ("rejected_by", request.rejected_by.as_str());
        let decision = Decision::read(&request.request_id, &request.name, by, &request.note, 0)?;
        run::to_end(async move { Ok(Response::new(ops::quotations::reject(&books, decision, request).await?)) }).await
    }

    async fn accept_quotation(
        &self,
        request: Request<pb::AcceptQuotationRequest>,
    ) -> Result<Response<pb::AcceptQuotationResponse>, Status> {
        let (acceptor, deadline) = (self.acceptor.clone(), answer_by(&self.acceptor.books, &request));
        let command = AcceptQuotation::try_from(request.into_inner())?;
        run::to_end(async move { Ok(Response::new(acceptor.accept(&command, deadline).await?)) }).await
    }

    async fn get_quotation(
        &self,
        request: Request<pb::GetQuotationRequest>,
    ) -> Result<Response<pb::GetQuotationResponse>, Status> {
        let (books, request) = (&self.acceptor.books, request.into_inner());
        let name = at_revision(&request.name, request.revision)?;
        let at = ops::quotations::get(books, name, &request.name, request.revision).await?;
        let quotation = Some(convert::quotations::quotation(&at, books.clock.now(), true));
        Ok(Response::new(pb::GetQuotationResponse { quotation }))
    }

    async fn list_quotations(
        &self,
        request: Request<pb::ListQuotationsRequest>,
    ) -> Result<Response<pb::ListQuotationsResponse>, Status> {
        let command = ListQuotations::try_from(request.into_inner())?;
        let (quotations, next_page_token) = ops::quotations::list(&self.acceptor.books, command).await?;
        Ok(Response::new(pb::ListQuotationsResponse { quotations, next_page_token }))
    }

    async fn get_quotation_document(
        &self,
        request: Request<pb::GetQuotationDocumentRequest>,
    ) -> Result<Response<pb::GetQuotationDocumentResponse>, Status> {
        let (books, request) = (&self.acceptor.books, request.into_inner());
        let name = at_revision(&request.name, request.revision)?;
        Ok(Response::new(ops::quotations::document(books, name, &request.name, request.revision).await?))
    }
}
