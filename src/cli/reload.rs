//! `watchfire reload`: the running server reads its configuration again.

use anyhow::{Result, bail};
use axum::http::Method;

use super::remote::Remote;
use super::{Common, ExitStatus, block_on};

/// Asks for it; prints what changed, or what is wrong.
pub fn run(common: &Common) -> Result<ExitStatus> {
    block_on(async {
        let remote = Remote::open(common).await?;
        if !remote.is_server() {
            remote.close().await;
            bail!("no server runs, so nothing was reloaded; the next one reads the configuration as it is, and `watchfire check` finds its mistakes");
        }
        let (status, text) = remote.text(Method::POST, "/-/reload").await?;
        anstream::println!("{}", text.trim_end());
        Ok(if status == 200 { ExitStatus::Success } else { ExitStatus::Failure })
    })?
}
