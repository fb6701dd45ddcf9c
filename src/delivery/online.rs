//! Whether the platforms accept the credentials, without sending anything: what `watchfire check --online` and the console ask.

use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt};

use super::{ChannelPlan, Plan};
use crate::channel::Probe;
use crate::channel::kit;
use crate::model::format_duration;

/// Questions that are open at once: a gateway with a thousand channels asks in turn.
const AT_ONCE: usize = 32;

/// What was said of one channel, or of one Alertmanager of `silence`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The channel's name, or the Alertmanager's address.
    pub name: String,
    /// The platform.
    pub platform: &'static str,
    /// What it said.
    pub answer: Answer,
}

/// Whether the credentials are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// They are; with the version of an Alertmanager.
    Accepted(Option<String>),
    /// The platform has no way to ask without sending.
    Unasked,
    /// They are not, or nothing answered: why.
    Refused(String),
}

/// Asks every platform and every Alertmanager, and yields each answer as it comes. Each is waited for as long as the channel's `timeout`.
pub fn ask(plan: &Plan) -> impl Stream<Item = Said> + '_ {
    let channels = stream::iter(plan.channels.values().cloned()).map(ask_channel).buffer_unordered(AT_ONCE);
    let servers: Vec<_> = plan.senders.silence.clusters().flat_map(|(_, cluster)| cluster.servers()).collect();
    let alertmanagers = stream::iter(servers).then(async |(address, server)| {
        let answer = match server.version(kit::probe_deadline()).await {
            Ok(version) => Answer::Accepted(Some(version)),
            Err(error) => Answer::Refused(error.to_string()),
        };
        Said { name: address.to_owned(), platform: "alertmanager", answer }
    });
    channels.chain(alertmanagers)
}

/// Asks the platform of one channel, and waits as long as its `timeout`.
pub async fn ask_channel(channel: Arc<ChannelPlan>) -> Said {
    let asking = async {
        match channel.driver.probe().await {
            Probe::Ok => channel.driver.may_deliver().await.map_or_else(Probe::Failed, |()| Probe::Ok),
            other => other,
        }
    };
    let answer = match tokio::time::timeout(channel.timeout, asking).await {
        Ok(Probe::Ok) => Answer::Accepted(None),
        Ok(Probe::Unsupported) => Answer::Unasked,
        Ok(Probe::Failed(error)) => Answer::Refused(error.to_string()),
        Err(_) => Answer::Refused(format!("no answer within {}", format_duration(channel.timeout))),
    };
    Said { name: channel.name.to_string(), platform: channel.platform.name, answer }
}
