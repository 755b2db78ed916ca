//! A second suite beside the first one, with orders stored.

use std::path::Path;

use anyhow::Result;

use super::prepare;
use crate::endpoints::Suite;
use crate::up;

/// Connects to the suite that runs on a data folder, and makes what the load needs there.
pub async fn open(data: &Path, skus: u32) -> Result<Vec<Suite>> {
    let suites = super::connect(&up::endpoints(data)?)?;
    prepare::prepare(&suites[0], skus).await?;
    Ok(suites)
}
