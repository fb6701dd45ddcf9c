//! `watchfire health`: one question to the running server, for containers and service managers. Needs no secrets.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::json;

use super::remote::{Found, Server};
use super::{Common, ExitStatus, block_on, load};
use crate::config::{self, LoadOptions};

/// Asks the running server whether it is healthy.
pub fn run(common: &Common) -> Result<ExitStatus> {
    ensure!(!common.said.remote, "`watchfire health` asks the server of this machine; `watchfire status` asks the one of --server or --context");
    let options = LoadOptions { listen: common.listen.clone(), ..LoadOptions::without_secrets() };
    let server = match config::server(&common.config, &options) {
        Some(settings) => Server::of(&settings)?,
        // The whole says why.
        None => Server::of(&load(common, false)?.server)?,
    };
    block_on(async {
        let advice = "is `watchfire serve` running with this configuration and --listen?";
        match server.detect().await {
            Found::Watchfire => {}
            Found::Other(why) | Found::NotRunning(why) => bail!("{why}; {advice}"),
        }
        let answer = server.client.get(format!("{}/-/ready", server.base)).timeout(Duration::from_secs(5)).send().await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => match server.failed(&error) {
                Found::Watchfire => bail!("{} did not answer; {advice}", server.base),
                Found::Other(why) | Found::NotRunning(why) => bail!("{why}; {advice}"),
            },
        };
        let ok = answer.status().is_success();
        let text = answer.text().await.unwrap_or_default();
        let said = text.trim();
        if common.json {
            anstream::println!("{}", json!({ "ready": ok, "said": said }));
        } else {
            anstream::println!("{said}");
        }
        Ok(if ok { ExitStatus::Success } else { ExitStatus::Failure })
    })?
}
