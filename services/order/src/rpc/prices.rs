//! PriceService.

use crate::convert;
use crate::convert::orders::order_name;
use crate::convert::place::draft;
use crate::error::Error;
use crate::ops;
use crate::ops::Books;
use crate::rpc::{next_token, page_after};
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::price_service_server::PriceService;
use pesan_api::r#type::v1::Address;
use pesan_grpc::{Violations, page, run};
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Most lines of a quote, and ranges of units.
const MOST: usize = 1000;

/// The service.
#[derive(Clone)]
pub struct Prices {
    /// The books.
    pub books: Books,
}

#[tonic::async_trait]
impl PriceService for Prices {
    async fn upsert_price_lists(
        &self,
        request: Request<pb::UpsertPriceListsRequest>,
    ) -> Result<Response<pb::UpsertPriceListsResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let request_id = v.optional_uuid("request_id", &request.request_id);
        let (lists, is_merge) = convert::prices::read_all(&mut v, &request);
        v.into_result(()).map_err(Error::from)?;
        let books = self.books.clone();
        run::to_end(async move {
            Ok(Response::new(ops::prices::upsert(&books, request_id, lists, is_merge, &request).await?))
        })
        .await
    }

    async fn get_price_list(
        &self,
        request: Request<pb::GetPriceListRequest>,
    ) -> Result<Response<pb::GetPriceListResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        convert::prices::code(&mut v, &request.code);
        let size = page::size(&mut v, request.page_size);
        let after = page::key(&mut v, &request.page_token, 2);
        let after = after.as_ref().map(|key| (key[0].as_str(), key[1].parse::<i32>().unwrap_or(0)));
        v.into_result(()).map_err(Error::from)?;
        let (list, entries, is_last) = ops::prices::get(&self.books, &request.code, after, size).await?;
        let next_page_token = match entries.last() {
            Some(last) if !is_last => page::token(&[&last.sku, &last.min_quantity.to_string()]),
            _ => String::new(),
        };
        let price_list = Some(convert::prices::list(&list, &entries));
        Ok(Response::new(pb::GetPriceListResponse { price_list, next_page_token }))
    }

    async fn list_price_lists(
        &self,
        request: Request<pb::ListPriceListsRequest>,
    ) -> Result<Response<pb::ListPriceListsResponse>, Status> {
        let request = request.into_inner();
        let (size, after) = page_after(request.page_size, &request.page_token)?;
        let (lists, is_last) = ops::prices::list(&self.books, after.as_deref(), size).await?;
        let next_page_token = next_token(lists.last().map(|last| &*last.code), is_last);
        let price_lists = lists.iter().map(|list| convert::prices::list(list, &[])).collect();
        Ok(Response::new(pb::ListPriceListsResponse { price_lists, next_page_token }))
    }

    async fn quote_prices(
        &self,
        request: Request<pb::QuotePricesRequest>,
    ) -> Result<Response<pb::QuotePricesResponse>, Status> {
        let request = request.into_inner();
        if request.lines.len() > MOST {
            let asked = format!("must have 1 to {MOST} entries, not {}", request.lines.len());
            return Err(Error::invalid("lines", &asked).into());
        }
        // Read as an order is, so that both are judged alike; what only an order needs is filled in.
        let order = pb::NewOrder {
            request_id: Uuid::now_v7().to_string(),
            channel: request.channel,
            customer_id: request.customer_id,
            customer_external_id: request.customer_external_id,
            currency_code: request.currency_code,
            lines: request.lines,
            order_discount: request.order_discount,
            order_discount_basis_points: request.order_discount_basis_points,
            ship_to: Some(Address { country: "-".to_owned(), ..Address::default() }),
            ..pb::NewOrder::default()
        };
        let now = self.books.clock.now();
        let mut draft = draft(order, now, None).map_err(Error::from)?;
        let mut v = Violations::new();
        draft.placed_at = v.time("at", request.at.as_ref());
        v.into_result(()).map_err(Error::from)?;
        Ok(Response::new(ops::prices::quote(&self.books, &draft).await?))
    }

    async fn get_agreed_amounts(
        &self,
        request: Request<pb::GetAgreedAmountsRequest>,
    ) -> Result<Response<pb::GetAgreedAmountsResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let name = order_name(&mut v, "name", &request.name);
        if request.units.is_empty() || request.units.len() > MOST {
            v.add("units", format!("must have 1 to {MOST} entries, not {}", request.units.len()));
        }
        v.into_result(()).map_err(Error::from)?;
        let amounts = ops::prices::agreed_amounts(&self.books, &name, &request.name, &request.units).await?;
        Ok(Response::new(pb::GetAgreedAmountsResponse { amounts }))
    }
}
