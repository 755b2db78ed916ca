//! Channels, as people define them.

use crate::channel::{Channel, Details};
use crate::convert;
use crate::error::Error;
use crate::ops::settings::{self, Part};
use crate::ops::{Books, answer, claim, page};
use crate::store;
use pesan_api::order::v1 as pb;
use std::collections::HashMap;
use uuid::Uuid;

/// Most channels there can be.
const MOST: usize = 1000;

/// Creates or replaces channels; all of them or none. Those that are the same already stay as they are.
pub async fn upsert(
    books: &Books,
    request_id: Option<Uuid>,
    channels: Vec<(String, Details)>,
    request: &pb::UpsertChannelsRequest,
) -> Result<pb::UpsertChannelsResponse, Error> {
    let mut tx = store::begin(&books.pool).await?;
    settings::lock(&mut tx, Part::Channels).await?;
    if let Some(id) = request_id
        && let Some(earlier) = claim(&mut tx, id, "pesan.order.v1.UpsertChannelsRequest", request).await?
    {
        return Ok(earlier);
    }
    let all = store::channel::all(&mut tx).await?;
    let mut known: HashMap<String, Channel> = all.into_iter().map(|channel| (channel.code.clone(), channel)).collect();
    let mut changed = Vec::new();
    let mut answers = Vec::with_capacity(channels.len());
    for (code, details) in channels {
        let before = known.get(&code);
        let channel = match before {
            Some(same) if same.details == details => same.clone(),
            _ => Channel { code, version: before.map_or(0, |channel| channel.version) + 1, details },
        };
        if before != Some(&channel) {
            changed.push(channel.clone());
            known.insert(channel.code.clone(), channel.clone());
        }
        answers.push(convert::channels::channel(channel));
    }
    if known.len() > MOST {
        return Err(Error::invalid("channels", &format!("would be more than the {MOST} there can be")));
    }
    if !changed.is_empty() {
        store::channel::write(&mut tx, &changed.iter().collect::<Vec<_>>()).await?;
        settings::changed(&mut tx, Part::Channels).await?;
    }
    let response = pb::UpsertChannelsResponse { channels: answers };
    if let Some(id) = request_id {
        answer(&mut tx, id, &response).await?;
    }
    tx.commit().await?;
    Ok(response)
}

/// A channel by its code.
pub async fn get(books: &Books, code: &str) -> Result<Channel, Error> {
    let mut conn = books.pool.acquire().await?;
    store::channel::find(&mut conn, &[code]).await?.pop().ok_or_else(|| Error::ChannelNotFound(code.to_owned()))
}

/// A page of channels, and whether it is the last one.
pub async fn list(books: &Books, after: Option<&str>, size: i64) -> Result<(Vec<Channel>, bool), Error> {
    let mut conn = books.pool.acquire().await?;
    Ok(page(store::channel::page(&mut conn, after, size + 1).await?, size))
}
