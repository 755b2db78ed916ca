//! RuleService.

use crate::convert;
use crate::convert::orders::order_name;
use crate::convert::rules::UpsertRules;
use crate::error::Error;
use crate::ops;
use crate::ops::Books;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::rule_service_server::RuleService;
use pesan_grpc::{Violations, page, run};
use tonic::{Request, Response, Status};

/// Most rules and orders of a call.
const MOST: usize = 100;

/// The service.
#[derive(Clone)]
pub struct Rules {
    /// The books.
    pub books: Books,
}

#[tonic::async_trait]
impl RuleService for Rules {
    async fn upsert_rules(
        &self,
        request: Request<pb::UpsertRulesRequest>,
    ) -> Result<Response<pb::UpsertRulesResponse>, Status> {
        let books = self.books.clone();
        let command = UpsertRules::try_from(request.into_inner())?;
        run::to_end(async move {
            let rules = ops::rules::upsert(&books, command).await?;
            Ok(Response::new(pb::UpsertRulesResponse { rules }))
        })
        .await
    }

    async fn get_rule(&self, request: Request<pb::GetRuleRequest>) -> Result<Response<pb::GetRuleResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        convert::rules::code(&mut v, "name", &request.name, 60);
        v.within("version", request.version, 0, i64::MAX);
        v.into_result(()).map_err(Error::from)?;
        let version = Some(request.version).filter(|version| *version > 0);
        let rule = ops::rules::get(&self.books, &request.name, version).await?;
        Ok(Response::new(pb::GetRuleResponse { rule: Some(rule) }))
    }

    async fn list_rules(
        &self,
        request: Request<pb::ListRulesRequest>,
    ) -> Result<Response<pb::ListRulesResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let size = page::size(&mut v, request.page_size);
        let after = page::key(&mut v, &request.page_token, 2).and_then(|key| {
            let rank = key[0].parse::<i32>().ok();
            if rank.is_none() {
                v.add("page_token", "must come from the answer to the same request");
            }
            Some((rank?, key[1].clone()))
        });
        v.into_result(()).map_err(Error::from)?;
        let after = after.as_ref().map(|(rank, name)| (*rank, name.as_str()));
        let (rules, is_last) = ops::rules::list(&self.books, after, size).await?;
        let next_page_token = match rules.last() {
            Some(last) if !is_last => page::token(&[&last.rank.to_string(), &last.name]),
            _ => String::new(),
        };
        Ok(Response::new(pb::ListRulesResponse { rules, next_page_token }))
    }

    async fn delete_rule(
        &self,
        request: Request<pb::DeleteRuleRequest>,
    ) -> Result<Response<pb::DeleteRuleResponse>, Status> {
        let (books, request) = (self.books.clone(), request.into_inner());
        let mut v = Violations::new();
        let request_id = v.uuid("request_id", &request.request_id);
        convert::rules::code(&mut v, "name", &request.name, 60);
        v.into_result(()).map_err(Error::from)?;
        run::to_end(async move { Ok(Response::new(ops::rules::delete(&books, request_id, &request).await?)) }).await
    }

    async fn test_rules(
        &self,
        request: Request<pb::TestRulesRequest>,
    ) -> Result<Response<pb::TestRulesResponse>, Status> {
        let request = request.into_inner();
        let now = self.books.clock.now();
        let mut v = Violations::new();
        let rules = convert::rules::rules(&mut v, &request.rules, MOST);
        let count = request.orders.len() + request.names.len();
        if count == 0 || count > MOST {
            v.add("orders", format!("must have 1 to {MOST} entries together with names, not {count}"));
        }
        let lines: usize = request.orders.iter().map(|order| order.lines.len()).sum();
        if lines > 20_000 {
            v.add("orders", format!("must have at most 20000 lines together, not {lines}"));
        }
        let named = request.names.into_iter().take(MOST).enumerate();
        let names: Vec<_> = named.map(|(i, text)| (order_name(&mut v, &format!("names[{i}]"), &text), text)).collect();
        v.into_result(()).map_err(Error::from)?;
        let orders = request.orders.into_iter().map(|order| convert::place::draft(order, now, None)).collect();
        let results = ops::rules::test(&self.books, rules, orders, &names).await?;
        Ok(Response::new(pb::TestRulesResponse { results }))
    }
}
