//! GoodwillService.

use crate::convert::goodwill::GrantGoodwill;
use crate::convert::orders::order_name;
use crate::error::Error;
use crate::ops::goodwill::Grantor;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::goodwill_service_server::GoodwillService;
use pesan_grpc::{Violations, page, run};
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// The service.
#[derive(Clone)]
pub struct Goodwill(pub Grantor);

#[tonic::async_trait]
impl GoodwillService for Goodwill {
    async fn grant_goodwill(
        &self,
        request: Request<pb::GrantGoodwillRequest>,
    ) -> Result<Response<pb::GrantGoodwillResponse>, Status> {
        let command = GrantGoodwill::try_from(request.into_inner())?;
        let grantor = self.0.clone();
        run::to_end(async move { Ok(Response::new(grantor.grant(command).await?)) }).await
    }

    async fn list_goodwill(
        &self,
        request: Request<pb::ListGoodwillRequest>,
    ) -> Result<Response<pb::ListGoodwillResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let name = order_name(&mut v, "order_name", &request.order_name);
        let size = page::size(&mut v, request.page_size);
        let after = page::key(&mut v, &request.page_token, 1).and_then(|key| {
            let after = key.first().and_then(|text| Uuid::try_parse(text).ok());
            if after.is_none() {
                v.add("page_token", "must come from the answer to the same request");
            }
            after
        });
        v.into_result(()).map_err(Error::from)?;
        let (goodwill, last) = self.0.list((&name, &request.order_name), after, size).await?;
        let next_page_token = last.map(|id| page::token(&[&id.to_string()])).unwrap_or_default();
        Ok(Response::new(pb::ListGoodwillResponse { goodwill, next_page_token }))
    }
}
