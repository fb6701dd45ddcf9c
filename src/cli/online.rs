//! `watchfire check --online`: whether the platforms accept the credentials. Sends nothing.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::channel::Probe;
use crate::channel::alertmanager::Alertmanager;
use crate::channel::kit;
use crate::config::codes;
use crate::delivery::{ChannelPlan, Plan};
use crate::model::{Finding, format_duration};

/// Asks all platforms at once, then the Alertmanagers of `silence`, and reports each answer as it comes: a line, or what is wrong.
pub async fn probe(plan: &Plan, told: &mut dyn FnMut(Result<String, Box<Finding>>)) {
    let mut answers: FuturesUnordered<_> = plan.channels.values().cloned().map(ask).collect();
    while let Some(answer) = answers.next().await {
        told(answer);
    }
    for (_, cluster) in plan.senders.silence.clusters() {
        for (address, server) in cluster.servers() {
            told(ask_alertmanager(address, server).await);
        }
    }
}

/// Whether an Alertmanager that can be asked to be silent answers.
async fn ask_alertmanager(address: &str, server: &Alertmanager) -> Result<String, Box<Finding>> {
    match server.version(kit::probe_deadline()).await {
        Ok(version) => Ok(format!("{address:<20} {:<12} ok, version {version}", "alertmanager")),
        Err(error) => {
            Err(Box::new(Finding::error(codes::REFUSED_SILENCE, format!("the Alertmanager {address} cannot be asked")).label(error.to_string())))
        }
    }
}

async fn ask(channel: Arc<ChannelPlan>) -> Result<String, Box<Finding>> {
    let refused = |why: String| {
        let message = format!("channel `{}` ({}) cannot deliver as it is configured", channel.name, channel.platform.name);
        Err(Box::new(Finding::error(codes::REFUSED_CHANNEL, message).label(why)))
    };
    let said = match tokio::time::timeout(channel.timeout, channel.driver.probe()).await {
        Ok(Probe::Ok) => "ok",
        Ok(Probe::Unsupported) => "cannot be asked without sending; try `watchfire send`",
        Ok(Probe::Failed(error)) => return refused(error.to_string()),
        Err(_) => return refused(format!("no answer within {}", format_duration(channel.timeout))),
    };
    Ok(format!("{:<20} {:<12} {said}", channel.name, channel.platform.name))
}
