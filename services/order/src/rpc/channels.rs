//! ChannelService.

use crate::convert;
use crate::error::Error;
use crate::ops;
use crate::ops::Books;
use crate::rpc::{next_token, page_after};
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::channel_service_server::ChannelService;
use pesan_grpc::{Violations, run};
use std::collections::HashSet;
use tonic::{Request, Response, Status};

/// Most channels of a call.
const MOST: usize = 100;

/// The service.
#[derive(Clone)]
pub struct Channels {
    /// The books.
    pub books: Books,
}

#[tonic::async_trait]
impl ChannelService for Channels {
    async fn upsert_channels(
        &self,
        request: Request<pb::UpsertChannelsRequest>,
    ) -> Result<Response<pb::UpsertChannelsResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let request_id = v.optional_uuid("request_id", &request.request_id);
        if request.channels.is_empty() || request.channels.len() > MOST {
            v.add("channels", format!("must have 1 to {MOST} entries, not {}", request.channels.len()));
        }
        let (mut channels, mut codes) = (Vec::new(), HashSet::new());
        for (i, channel) in request.channels.iter().take(MOST).enumerate() {
            if !codes.insert(channel.code.as_str()) {
                v.add(format!("channels[{i}].code"), "is there twice");
            }
            channels.push(convert::channels::read(&mut v, &format!("channels[{i}]"), channel.clone()));
        }
        v.into_result(()).map_err(Error::from)?;
        let books = self.books.clone();
        run::to_end(
            async move { Ok(Response::new(ops::channels::upsert(&books, request_id, channels, &request).await?)) },
        )
        .await
    }

    async fn get_channel(
        &self,
        request: Request<pb::GetChannelRequest>,
    ) -> Result<Response<pb::GetChannelResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        convert::place::channel(&mut v, "code", &request.code);
        v.into_result(()).map_err(Error::from)?;
        let channel = ops::channels::get(&self.books, &request.code).await?;
        Ok(Response::new(pb::GetChannelResponse { channel: Some(convert::channels::channel(channel)) }))
    }

    async fn list_channels(
        &self,
        request: Request<pb::ListChannelsRequest>,
    ) -> Result<Response<pb::ListChannelsResponse>, Status> {
        let request = request.into_inner();
        let (size, after) = page_after(request.page_size, &request.page_token)?;
        let (channels, is_last) = ops::channels::list(&self.books, after.as_deref(), size).await?;
        let next_page_token = next_token(channels.last().map(|last| last.code.as_str()), is_last);
        let channels = channels.into_iter().map(convert::channels::channel).collect();
        Ok(Response::new(pb::ListChannelsResponse { channels, next_page_token }))
    }
}
