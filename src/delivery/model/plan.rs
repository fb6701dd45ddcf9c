//! What the configuration of a world says: channels, their names and credentials, and routes.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::channel::{LivingMode, Platform};
use crate::delivery::plan::{ChannelPlan, ContentPlan, IncidentsPlan, Legacy, MessagesPlan, Plan, RetentionPlan, SelfMonitoringPlan, SendersPlan};
use crate::model::{DeliveryId, Language, Mentions, OutletKey, Recipient, Secret, SeverityScale, UnixMs};
use crate::route::mute::matchers_text;
use crate::route::{Destinations, Matcher, Mute, MuteTime, Op, RouteSpec, TimeInterval, TimeIntervalConfig, Tree, matcher};
use crate::template::{PlatformFields, TemplateRegistry};

use super::platform::{CHAT, FREE, Line, MAIL, VOICE, Wire};
use super::{Dice, Shape, World};

/// 2026-11-24 03:00 UTC.
pub const BEGIN: UnixMs = UnixMs(1_795_489_200_000);
/// The interval that mutes a route of each channel.
pub const QUIET: &str = "quiet";
pub const CHANNELS: [(&str, &Platform); 4] = [("chat", &CHAT), ("mail", &MAIL), ("voice", &VOICE), ("free", &FREE)];

impl World {
    pub fn new(dice: &mut Dice) -> Self {
        let world = Self { wall: BEGIN.into(), truth: UnixMs::EPOCH.into(), ..Self::default() };
        let wires = CHANNELS.iter().enumerate().map(|(index, (name, card))| (*name, Wire::new(index, name, card, dice.next()))).collect();
        Self { wires, ..world }
    }

    pub fn plan(&self, digest: bool, hash: &str) -> Plan {
        let shape = *self.shape.lock().unwrap();
        let channels: IndexMap<String, Arc<ChannelPlan>> = CHANNELS
            .iter()
            .map(|(name, card)| {
                let to = if *name == "mail" { vec!["a@x", "b@x", "c@x"] } else { vec![*name] };
                let (called, was) = shape.name(name);
                let credential = shape.credential(name);
                let plan = ChannelPlan {
                    name: called.into(),
                    platform: card,
                    outlet: OutletKey::new("log", &format!("{name}{credential}")),
                    driver: Arc::new(Line(self.wires[name].clone(), credential)),
                    recipients: to.into_iter().map(Recipient::new).collect(),
                    content: ContentPlan {
                        plain: false,
                        template: "default".into(),
                        language: Language::En,
                        send_resolved: true,
                        looks_up: &[],
                        mentions: Default::default(),
                        living: LivingMode::Off,
                        actions: Default::default(),
                        max_pages: 3,
                    },
                    rate_limit: Some(card.pace.limits.to_vec()).filter(|l| !l.is_empty()),
                    digest: digest.then_some(Duration::from_secs(30)),
                    timeout: Duration::from_secs(10),
                    max_age: Duration::from_secs(6 * 3600),
                    fallback: if *name == "voice" { vec!["mail".into()] } else { Vec::new() },
                    fallback_after: None,
                    allowance: Default::default(),
                    disabled: false,
                    previous_names: was.into_iter().map(str::to_owned).collect(),
                };
                (called.to_owned(), Arc::new(plan))
            })
            .collect();
        let root = RouteSpec { name: "route".into(), to: Destinations::to(["mail"]), routes: shape.routes(), ..RouteSpec::default() };
        let (templates, findings) = TemplateRegistry::compile(&[PlatformFields { platform: "log", fields: CHAT.fields }], Vec::new());
        assert!(findings.is_empty(), "{findings:?}");
        Plan {
            hash: hash.into(),
            channels,
            tree: Tree::compile(root, &[(QUIET.to_owned(), Arc::new(quiet()))].into()).expect("a tree").with_mutes(shape.mutes()),
            templates: Arc::new(templates),
            scale: SeverityScale::default(),
            messages: MessagesPlan { time_zone: TimeZone::UTC, shown: crate::model::Shown::default() },
            external_url: String::new(),
            link_key: Secret::new("key"),
            senders: SendersPlan::default(),
            legacy: Legacy::default(),
            self_monitoring: SelfMonitoringPlan::default(),
            incidents: IncidentsPlan::default(),
            retention: RetentionPlan::default(),
            heartbeats: Vec::new(),
            people: Default::default(),
        }
    }

    /// The platform behind a channel, whatever it is called now.
    pub fn wire(&self, channel: &str) -> &Wire {
        let shape = *self.shape.lock().unwrap();
        self.wires.iter().find(|(wire, _)| **wire == channel || shape.name(wire).0 == channel).map(|(_, wire)| &**wire).expect("a platform")
    }

    /// A delivery got another life on another channel, or a second one: it is not the previous channel that must receive it.
    pub fn moved(&self, id: DeliveryId) {
        self.ledger.lock().unwrap().remove(&id);
    }

    /// The next alert of a lane, and its number.
    pub fn next_uid(&self, lane: u64) -> (String, u64) {
        let mut next = self.next.lock().unwrap();
        let seq = next.entry(lane).or_default();
        *seq += 1;
        (format!("uidL{lane}S{seq}"), *seq)
    }
}

impl Shape {
    /// Four routes to each channel: two are muted by an interval, which defers what they route, for the same lanes as the others; two ping somebody, for
    /// lanes of their own.
    fn routes(self) -> Vec<RouteSpec> {
        let routes = CHANNELS.iter().flat_map(|(name, _)| [(name, "yes"), (name, "no")]).flat_map(|(name, pages)| {
            let to = Destinations::to([self.name(name).0]);
            let is = |label: &str, value: &str| Matcher::new(label, Op::Equal, value).expect("a matcher");
            let mentions = (pages == "yes").then(|| Mentions { users: vec!["who".into()], ..Mentions::default() });
            let muted = RouteSpec {
                name: format!("{name}, quiet"),
                matchers: vec![is("to", name), is("pages", pages), is("quiet", "yes")],
                to: to.clone(),
                mentions: mentions.clone(),
                mute_time_intervals: vec![QUIET.into()],
                ..RouteSpec::default()
            };
            [muted, RouteSpec { name: (*name).into(), matchers: vec![is("to", name), is("pages", pages)], to, mentions, ..RouteSpec::default() }]
        });
        routes.collect()
    }

    /// A mute of what the routes mute at times, too: what it matches changes with its kind, and its name stays.
    pub fn mutes(self) -> Vec<Mute> {
        let (text, time) = match self.mute {
            1 => (r#"quiet="yes",to=~"free|mail""#, MuteTime::During(vec![Arc::new(quiet())])),
            2 => (r#"quiet="yes",to="mail""#, MuteTime::Until(BEGIN + Duration::from_secs(400 * 86_400))),
            _ => return Vec::new(),
        };
        let matchers = matcher::parse(text).expect("matchers");
        let text = matchers_text(&matchers);
        vec![Mute {
            name: Some("noise".into()),
            matchers,
            text,
            time,
            drop: false,
            reason: "at random".into(),
            owner: String::new(),
            ticket: String::new(),
        }]
    }

    /// What a channel is called, and what it was.
    pub fn name(self, wire: &'static str) -> (&'static str, Option<&'static str>) {
        match (wire, self.renamed) {
            ("chat", true) => ("talk", Some("chat")),
            ("chat", false) => ("chat", Some("talk")),
            _ => (wire, None),
        }
    }

    /// Its credential. Another one is another robot, with a limit of its own.
    fn credential(self, wire: &str) -> u64 {
        if matches!(wire, "chat" | "free") { self.credential } else { 0 }
    }
}

/// Every other ten minutes.
pub fn quiet() -> TimeInterval {
    let time = |hour: u32, minute: u32| format!("{:02}:{:02}", hour + minute / 60, minute % 60);
    let times = (0..24).flat_map(|hour| [0, 20, 40].map(|minute| json!({ "start_time": time(hour, minute), "end_time": time(hour, minute + 10) })));
    let rules = json!([{ "times": times.collect::<Vec<_>>() }]);
    TimeIntervalConfig { name: QUIET.into(), time_intervals: serde_json::from_value(rules).expect("rules") }.compile().expect("an interval")
}
