//! The plan: the immutable, validated snapshot of everything that decides what is sent where. `config` builds it; a reload swaps it whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use jiff::tz::TimeZone;

use crate::channel::alertmanager::Cluster;
use crate::channel::{Address, Channel, Limit, LivingMode, Platform};
use crate::model::{Escape, Labels, Language, Mentions, OutletKey, Recipient, Secret, SenderKind, SeverityScale, Shown, format_duration};
use crate::route::{Matcher, Tree};
use crate::template::TemplateRegistry;

use super::people::ActionsPlan;
use super::steps::PeoplePlan;

/// What decides what is sent where.
pub struct Plan {
    /// Hash of the configuration and the templates: events remember it, nodes compare it.
    pub hash: Arc<str>,
    /// Destinations by name, in the file's order.
    pub channels: IndexMap<String, Arc<ChannelPlan>>,
    /// The routing tree.
    pub tree: Tree,
    /// The templates of every platform.
    pub templates: Arc<TemplateRegistry>,
    /// How labels become severities.
    pub scale: SeverityScale,
    /// What messages show, on every channel.
    pub messages: MessagesPlan,
    /// This server's address as readers of messages reach it, without a trailing slash; empty when not set.
    pub external_url: String,
    /// Key of the signatures in links to this server.
    pub link_key: Secret,
    /// What senders have to do with one another.
    pub senders: SendersPlan,
    /// Bindings of the seven direct paths.
    pub legacy: Legacy,
    /// Where self-alerts go.
    pub self_monitoring: SelfMonitoringPlan,
    /// How incidents ring, go on and end.
    pub incidents: IncidentsPlan,
    /// How long final deliveries are kept.
    pub retention: RetentionPlan,
    /// Always-firing alerts by which senders show that they are alive.
    pub heartbeats: Vec<HeartbeatPlan>,
    /// People, and what happens when nobody acks an incident.
    pub people: PeoplePlan,
}

impl Plan {
    /// The language of a channel's messages; of one that does not exist the first channel's.
    pub fn language_of(&self, channel: &str) -> Language {
        let channel = self.channels.get(channel).or_else(|| self.channels.values().next());
        channel.map(|channel| channel.content.language).unwrap_or_default()
    }
}

/// What senders have to do with one another.
#[derive(Debug, Clone, Default)]
pub struct SendersPlan {
    /// Within which a repeat is a duplicate; zero turns dedup off.
    pub dedup_window: Duration,
    /// Senders (names of credentials, `?source=`) that are replicas of one site, each with the site's name.
    pub sites: BTreeMap<String, String>,
    /// Which of them can be asked to be silent.
    pub silence: SilencePlan,
}

/// Which senders can be asked to be silent about an incident.
#[derive(Debug, Clone, Default)]
pub struct SilencePlan {
    /// The clusters of Alertmanagers, by the site whose incidents they have; empty: of every site that has none of its own.
    clusters: BTreeMap<String, Arc<Cluster>>,
}

impl SilencePlan {
    /// Of these clusters.
    pub fn new(clusters: BTreeMap<String, Cluster>) -> Self {
        Self { clusters: clusters.into_iter().map(|(site, cluster)| (site, Arc::new(cluster))).collect() }
    }

    /// All clusters, by their sites.
    pub fn clusters(&self) -> impl Iterator<Item = (&str, &Cluster)> {
        self.clusters.iter().map(|(site, cluster)| (site.as_str(), &**cluster))
    }

    /// The cluster that has the incidents of a source, when it is an Alertmanager.
    pub fn of(&self, source: &str) -> Option<&Arc<Cluster>> {
        let site = site_of_alertmanager(source)?;
        self.clusters.get(site).or_else(|| self.clusters.get(""))
    }
}

/// The site of a source that is an Alertmanager.
pub fn site_of_alertmanager(source: &str) -> Option<&str> {
    let rest = source.strip_prefix(SenderKind::Alertmanager.as_str())?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix(':') }
}

/// Where Watchfire's own alarms go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelfMonitoringPlan {
    /// Channels, in order of preference.
    pub to: Vec<String>,
    /// A delivery that waits longer than this raises an alarm; zero turns it off.
    pub backlog: Duration,
}

/// How incidents ring, go on and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IncidentsPlan {
    /// What goes on rings again at most this often.
    pub repeat: Duration,
    /// What fires again within this time of its end is the same incident.
    pub reopen_within: Duration,
    /// An incident of which nothing is reported for this long is stale.
    pub stale_after: Duration,
    /// People are reminded of an ack after this.
    pub remind_after: Duration,
    /// An ack without a sign of life ends after this.
    pub ack_expires: Duration,
}

impl Default for IncidentsPlan {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            repeat: 60 * minute,
            reopen_within: 10 * minute,
            stale_after: 9 * 60 * minute,
            remind_after: 2 * 60 * minute,
            ack_expires: 8 * 60 * minute,
        }
    }
}

/// What messages show, on every channel.
#[derive(Debug, Clone)]
pub struct MessagesPlan {
    /// The zone of their times.
    pub time_zone: TimeZone,
    /// Which labels and annotations they list.
    pub shown: Shown,
}

/// How long final deliveries are kept, and how large the store may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionPlan {
    /// Sent, skipped and dropped ones.
    pub sent: Duration,
    /// Dead, expired and unknown ones.
    pub dead: Duration,
    /// Bytes on disk beyond which final deliveries are purged early and, if that does not help, new events are refused with 503; 0 turns it off.
    pub max_bytes: u64,
}

impl Default for RetentionPlan {
    fn default() -> Self {
        let day = Duration::from_secs(86_400);
        Self { sent: 30 * day, dead: 90 * day, max_bytes: 0 }
    }
}

/// What the messages of a channel say.
#[derive(Debug, Clone)]
pub struct ContentPlan {
    /// Whether they are plain text (`format: text`), whatever templates there are.
    pub plain: bool,
    /// Template set unless a route asks for another.
    pub template: String,
    /// The words' language.
    pub language: Language,
    /// Whether resolved alerts are sent.
    pub send_resolved: bool,
    /// Whom its messages ping unless a route says otherwise.
    pub mentions: Mentions,
    /// By what the ids of people are looked up whom its messages reach and who have none in the configuration.
    pub looks_up: &'static [Address],
    /// How people are notified of an incident that goes on.
    pub living: LivingMode,
    /// Who may press which button of them.
    pub actions: ActionsPlan,
    /// At most this many pages per message.
    pub max_pages: usize,
}

/// What the account and each recipient of a channel get at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowancePlan {
    /// Messages a month, where the platform counts them.
    pub per_month: Option<u32>,
    /// Messages or calls to one recipient, all of these at once; empty: any number.
    pub per_recipient: Vec<Limit>,
}

/// A configured destination, ready to send.
pub struct ChannelPlan {
    /// Its name.
    pub name: Arc<str>,
    /// Its platform's descriptor.
    pub platform: &'static Platform,
    /// What its rate limit, pause and suspension belong to.
    pub outlet: OutletKey,
    /// The driver.
    pub driver: Arc<dyn Channel>,
    /// Whom it sends to.
    pub recipients: Vec<Recipient>,
    /// What its messages say.
    pub content: ContentPlan,
    /// Its rate limit; `None` is `rate_limit: off`.
    pub rate_limit: Option<Vec<Limit>>,
    /// Merge what cannot leave within this time; `None` is `digest: off`.
    pub digest: Option<Duration>,
    /// Total time one attempt may take.
    pub timeout: Duration,
    /// How long a delivery may be retried.
    pub max_age: Duration,
    /// Channels to try when a delivery is dead.
    pub fallback: Vec<String>,
    /// Copy a delivery to the fallback when it has waited this long.
    pub fallback_after: Option<Duration>,
    /// What its account and each of its recipients get at most.
    pub allowance: AllowancePlan,
    /// Accept and record, send nothing.
    pub disabled: bool,
    /// Former names.
    pub previous_names: Vec<String>,
}

fn in_words(limits: &[Limit]) -> String {
    limits.iter().map(|limit| format!("{} per {}", limit.count, format_duration(limit.window))).collect::<Vec<_>>().join(", ")
}

impl ChannelPlan {
    /// Whose client shows its messages, as [`lookalike`](crate::lookalike) names it.
    pub fn client(&self) -> &'static str {
        if self.driver.is_plain() { "plain" } else { self.platform.name }
    }

    /// Its rate limit in words: `20 per 1m, 1000 per 1h`, or `off`; with what one recipient gets at most: `1 per 1s, and 10 per 1h to one recipient`.
    pub fn rate_limit_text(&self) -> String {
        let own = in_words(self.rate_limit.as_deref().unwrap_or_default());
        let own = if own.is_empty() { "off".to_owned() } else { own };
        let each = self.recipient_limit_text();
        if each.is_empty() { own } else { format!("{own}, and {each} to one recipient") }
    }

    /// What one of its recipients gets at most, in words; empty: any number.
    pub fn recipient_limit_text(&self) -> String {
        in_words(&self.allowance.per_recipient)
    }

    /// Messages that its rate limit allows in a minute: of the tightest of what counts in a minute or less, else of the shortest time that counts. `None`
    /// without one.
    pub fn per_minute(&self) -> Option<u64> {
        const MINUTE_MS: u128 = 60_000;
        let limits = self.rate_limit.as_deref().unwrap_or_default();
        let of = |limit: &Limit| u128::from(limit.count) * MINUTE_MS / limit.window.as_millis().clamp(1, MINUTE_MS);
        let short = limits.iter().filter(|limit| limit.window.as_millis() <= MINUTE_MS).map(of).min();
        let shortest = || limits.iter().min_by_key(|limit| limit.window).map(|limit| u128::from(limit.count));
        short.or_else(shortest).and_then(|n| u64::try_from(n).ok())
    }

    /// Whether what it was sent about an incident follows the incident: by edits of a message, or because the platform keeps the incident itself.
    pub fn follows_incidents(&self) -> bool {
        let edits = self.content.living == LivingMode::Edit && self.driver.living(self.platform).edit;
        edits || self.driver.keeps_incidents()
    }

    /// Whether it can bring messages up to date. Those that it kept so under an earlier configuration it does, whatever `living` says now.
    pub fn can_edit(&self) -> bool {
        self.driver.living(self.platform).edit || self.driver.keeps_incidents()
    }

    /// Merge what cannot leave within this time into a digest; `None`: never. An incident is of one group, so its platform gets no digests.
    pub fn digest_after(&self) -> Option<Duration> {
        self.digest.filter(|_| !self.driver.keeps_incidents())
    }

    /// Whether a message lists every alert that fits: it is kept or read on a large screen. Elsewhere it lists what a phone shows and counts the rest.
    pub fn lists_all(&self) -> bool {
        self.driver.wants_raw_payload() || self.platform.fields.iter().any(|field| field.escape == Escape::Html)
    }

    /// Whether a message is a few words: a text message or a call.
    pub fn is_brief(&self) -> bool {
        let is_plain = self.platform.fields.iter().all(|field| field.escape == Escape::None);
        self.driver.max_pages() == 1 && !self.driver.keeps_incidents() && is_plain
    }

    /// Whether the pages of a message after its first one answer it.
    pub fn threads_pages(&self) -> bool {
        matches!(self.content.living, LivingMode::Edit | LivingMode::Reply) && self.driver.living(self.platform).reply
    }

    /// Sends per second that its rate limit allows in the long run; infinite without one.
    pub fn rate(&self) -> f64 {
        super::rate_limit::RateLimiter::new(self.rate_limit.as_deref().unwrap_or_default()).rate()
    }
}

/// A dead man's switch: an always-firing alert proves that its sender is alive.
#[derive(Debug, Clone)]
pub struct HeartbeatPlan {
    /// Its name, unique: in messages, metrics and the store.
    pub name: Arc<str>,
    /// What an alert must match to count; all of them.
    pub matchers: Vec<Matcher>,
    /// A heartbeat that is not received for this long is reported.
    pub timeout: Duration,
    /// Channels that are notified, all of them.
    pub to: Vec<String>,
    /// Whether the alert also goes through the routing tree.
    pub route: bool,
}

impl HeartbeatPlan {
    /// Whether an alert with these labels counts for it.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.matches(labels))
    }
}

/// Which channel each direct path goes through; `None`: the path answers code 1 with a clear text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Legacy {
    /// `/email/send/message`.
    pub email: Option<LegacyEmail>,
    /// `/slack/send/message`: the caller's `channel` to a channel here.
    pub slack: IndexMap<String, String>,
    /// `/dingding/send/message`.
    pub dingding: Option<String>,
    /// `/wx/apps/send`.
    pub wx: Wx,
    /// `/sms/send`.
    pub sms: Option<String>,
    /// `/vms/send`.
    pub vms: Option<String>,
    /// `/dingding/call`.
    pub dingding_call: Option<String>,
    /// The targets of `/dingtalk/<target>/send` to channels here.
    pub dingtalk: IndexMap<String, Vec<String>>,
    /// The types of `/prometheusalert` to channels here.
    pub prometheusalert: IndexMap<String, Vec<String>>,
    /// The types of `/webhook/send` to channels here.
    pub webhook_send: IndexMap<String, Vec<String>>,
}

/// The binding of `/wx/apps/send`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Wx {
    /// None.
    #[default]
    Unbound,
    /// One application's channel; the caller's `agentid` goes out as it is.
    One(String),
    /// The caller's `agentid` to the channel of that application.
    ByAgent(IndexMap<String, String>),
}

/// The e-mail binding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LegacyEmail {
    /// The channel.
    pub channel: String,
    /// Patterns (`*@example.com`, one `*` each) a caller's `from` must match; empty: only the channel's own sender.
    pub allow_from: Vec<String>,
}

impl Plan {
    /// The channel of that name.
    pub fn channel(&self, name: &str) -> Option<&Arc<ChannelPlan>> {
        self.channels.get(name)
    }

    /// The site that a sender of that name belongs to; one that is not joined with others is its own.
    pub fn site<'a>(&'a self, sender: &'a str) -> &'a str {
        self.senders.sites.get(sender).map_or(sender, String::as_str)
    }

    /// The outlets of its channels.
    pub fn outlets(&self) -> BTreeSet<OutletKey> {
        self.channels.values().map(|channel| channel.outlet.clone()).collect()
    }

    /// The heartbeat that keeps alerts with these labels out of the routing tree, if one does.
    pub fn absorbed(&self, labels: &Labels) -> Option<&HeartbeatPlan> {
        self.heartbeats.iter().find(|heartbeat| !heartbeat.route && heartbeat.matches(labels))
    }
}
