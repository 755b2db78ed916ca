//! InquiryService.

use crate::convert;
use crate::convert::inquiries::{
    AdvanceInquiry, CreateInquiry, ListInquiries, RespondToInquiry, UpdateInquiry, inquiry_name,
};
use crate::error::Error;
use crate::ops;
use crate::ops::Books;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::inquiry_service_server::InquiryService;
use pesan_grpc::{Violations, run};
use tonic::{Request, Response, Status};

/// The service.
#[derive(Clone)]
pub struct Inquiries {
    /// The books.
    pub books: Books,
}

#[tonic::async_trait]
impl InquiryService for Inquiries {
    async fn create_inquiry(
        &self,
        request: Request<pb::CreateInquiryRequest>,
    ) -> Result<Response<pb::CreateInquiryResponse>, Status> {
        let books = self.books.clone();
        let command = CreateInquiry::read(request.into_inner(), books.clock.now())?;
        run::to_end(async move { Ok(Response::new(ops::inquiries::create(&books, command).await?)) }).await
    }

    async fn get_inquiry(
        &self,
        request: Request<pb::GetInquiryRequest>,
    ) -> Result<Response<pb::GetInquiryResponse>, Status> {
        let text = request.into_inner().name;
        let mut v = Violations::new();
        let name = inquiry_name(&mut v, "name", &text);
        v.into_result(()).map_err(Error::from)?;
        let inquiry = Some(ops::inquiries::get(&self.books, name, &text).await?);
        Ok(Response::new(pb::GetInquiryResponse { inquiry }))
    }

    async fn list_inquiries(
        &self,
        request: Request<pb::ListInquiriesRequest>,
    ) -> Result<Response<pb::ListInquiriesResponse>, Status> {
        let command = ListInquiries::try_from(request.into_inner())?;
        let (inquiries, next_page_token) = ops::inquiries::list(&self.books, &command).await?;
        Ok(Response::new(pb::ListInquiriesResponse { inquiries, next_page_token }))
    }

    async fn update_inquiry(
        &self,
        request: Request<pb::UpdateInquiryRequest>,
    ) -> Result<Response<pb::UpdateInquiryResponse>, Status> {
        let books = self.books.clone();
        let command = UpdateInquiry::try_from(request.into_inner())?;
        run::to_end(async move { Ok(Response::new(ops::inquiries::update(&books, command).await?)) }).await
    }

    async fn advance_inquiry(
        &self,
        request: Request<pb::AdvanceInquiryRequest>,
    ) -> Result<Response<pb::AdvanceInquiryResponse>, Status> {
        let books = self.books.clone();
        let command = AdvanceInquiry::try_from(request.into_inner())?;
        run::to_end(async move { Ok(Response::new(ops::inquiries::advance(&books, command).await?)) }).await
    }

    async fn respond_to_inquiry(
        &self,
        request: Request<pb::RespondToInquiryRequest>,
    ) -> Result<Response<pb::RespondToInquiryResponse>, Status> {
        let books = self.books.clone();
        let command = RespondToInquiry::read(request.into_inner(), books.clock.now())?;
        run::to_end(async move { Ok(Response::new(ops::inquiries::respond(&books, command).await?)) }).await
    }

    async fn get_stage_probabilities(
        &self,
        _: Request<pb::GetStageProbabilitiesRequest>,
    ) -> Result<Response<pb::GetStageProbabilitiesResponse>, Status> {
        let known = ops::inquiries::probabilities(&self.books).await?;
        let probabilities = Some(convert::inquiries::probabilities(&known));
        Ok(Response::new(pb::GetStageProbabilitiesResponse { probabilities }))
    }

    async fn set_stage_probabilities(
        &self,
        request: Request<pb::SetStageProbabilitiesRequest>,
    ) -> Result<Response<pb::SetStageProbabilitiesResponse>, Status> {
        let (books, request) = (self.books.clone(), request.into_inner());
        let (request_id, asked) = convert::inquiries::set_probabilities(&request)?;
        run::to_end(async move {
            Ok(Response::new(ops::inquiries::set_probabilities(&books, request_id, asked, request).await?))
        })
        .await
    }

    async fn get_pipeline(
        &self,
        request: Request<pb::GetPipelineRequest>,
    ) -> Result<Response<pb::GetPipelineResponse>, Status> {
        let filter = convert::inquiries::pipeline_filter(request.into_inner(), self.books.clock.now())?;
        Ok(Response::new(ops::inquiries::pipeline(&self.books, &filter).await?))
    }
}
