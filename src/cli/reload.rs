//! `watchfire reload`: the running server reads its configuration again.

use anyhow::{Result, bail};
use axum::http::Method;
use serde_json::json;

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
        let reloaded = status == 200;
        // A login page before the server answers 200 too.
        if reloaded && !text.starts_with("reloaded\n") {
            bail!("nothing was reloaded: what answers is not Watchfire; name the server's own address, without a login page before it");
        }
        let said = text.trim_end();
        if common.json {
            anstream::println!("{}", json!({ "reloaded": reloaded, "said": said }));
            return Ok(if reloaded { ExitStatus::Success } else { ExitStatus::Failure });
        }
        if !reloaded {
            bail!("{said}");
        }
        anstream::println!("{said}");
        Ok(ExitStatus::Success)
    })?
}
