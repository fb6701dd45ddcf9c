//! Whether the platforms accept the credentials, without sending anything: what `watchfire check --online` and the console ask.

use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt};

use super::{ChannelPlan, PeoplePlan, Person, Plan};
use crate::channel::Probe;
use crate::channel::kit;
use crate::model::{ErrorKind, Mentions, SendError, format_duration};

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
    let channels = stream::iter(plan.channels.values().cloned()).map(|channel| ask_channel(plan, channel)).buffer_unordered(AT_ONCE);
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
pub async fn ask_channel(plan: &Plan, channel: Arc<ChannelPlan>) -> Said {
    let asking = async {
        match channel.driver.probe().await {
            Probe::Ok => may(plan, &channel).await.map_or_else(Probe::Failed, |()| Probe::Ok),
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

/// Whether the channel may do what the configuration has it do: deliver, and look up the ids of people. One whom its messages name is looked up, where they
/// name somebody without an id: the platform says whether that is allowed only when it is asked. That it knows nobody under an address, or was asked too
/// often, is no matter of rights.
async fn may(plan: &Plan, channel: &ChannelPlan) -> Result<(), SendError> {
    channel.driver.may_deliver().await?;
    let Some(address) = looked_up(plan, channel) else { return Ok(()) };
    match channel.driver.look_up(&address, kit::probe_deadline()).await {
        Err(error) if error.kind == ErrorKind::Misconfigured => Err(error),
        _ => Ok(()),
    }
}

/// The address of somebody whose id the channel looks up: whom its own mentions name, those of a route to it, or a step of an escalation.
fn looked_up(plan: &Plan, channel: &ChannelPlan) -> Option<String> {
    let routes = plan.tree.nodes().iter().filter(|node| node.to.all().any(|to| **to == *channel.name));
    let steps = plan.people.escalations.values().flat_map(|escalation| &escalation.steps).flat_map(|step| &step.targets);
    let steps = steps.filter(|target| *target.channel == *channel.name).filter_map(|target| target.mentions.as_ref());
    let asked = std::iter::once(&channel.content.mentions).chain(routes.filter_map(|node| node.mentions.as_deref())).chain(steps);
    let address = |person: &Person| {
        let unknown = person.way(channel.platform).is_err();
        person.looked_up_by(channel.content.looks_up).filter(|_| unknown).map(|(_, address)| address.to_owned())
    };
    asked.flat_map(|mentions| meant(&plan.people, mentions)).find_map(address)
}

/// Everybody whom mentions may mean at some time.
fn meant<'p>(all: &'p PeoplePlan, mentions: &Mentions) -> Vec<&'p Person> {
    let mut found: Vec<&Person> = Vec::new();
    for name in &mentions.people {
        match (all.people.get(name), all.teams.get(name.as_str())) {
            (Some(one), _) => found.push(one),
            (None, Some(team)) => found.extend(all.members(team)),
            (None, None) => {}
        }
    }
    let rotas = mentions.oncall.iter().chain(&mentions.next).filter_map(|name| all.rotas.get(name.as_str()));
    found.extend(rotas.flat_map(|rota| &rota.people).filter_map(|name| all.people.get(name)));
    if mentions.label.is_some() {
        found.extend(all.people.names().filter_map(|name| all.people.get(name)));
    }
    found
}
