//! Receivers become channels: one for each configuration of a receiver. What has no driver here, or cannot be carried, becomes a `log` channel of the
//! same name, so that its alerts still arrive somewhere, are recorded, and the routing tree stays the one that was.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde::Deserialize;

use super::by_label::{self, ByLabel};
use super::context::{ImportContext, Unsupported, plain_name};
use super::reader::{Keys, Notes};
use super::text::Yaml;
use super::{mail, platforms, webhook};
use crate::channel::ChannelConfig;
use crate::model::SecretSource;
use crate::model::yaml::{Kind, Node};

/// The channels made of all receivers.
pub struct Channels {
    /// Channel name to channel.
    pub channels: Yaml,
    /// Receiver to channel names.
    pub of: IndexMap<String, Vec<String>>,
    /// Those that only print because their room or address is made of the label that takes their receiver apart.
    pub by_room: BTreeSet<String>,
}

/// How the comment above a channel begins that only prints, because what it was is not carried.
const WAS: &str = "was ";

impl Channels {
    /// Those that only print, because what they were is not carried.
    pub fn printing(&self) -> Vec<String> {
        let Yaml::Map(entries) = &self.channels else { return Vec::new() };
        entries.iter().filter(|entry| entry.comment.iter().any(|line| line.starts_with(WAS))).map(|entry| entry.key.clone()).collect()
    }

    /// Drops the channels of [`Channels::by_room`]: values without a channel go to the receiver of the nearest route above that notifies somebody. There is
    /// one for all of them where the first route's does, else nothing is dropped. The receivers of which channels were dropped.
    pub fn drop_printing(&mut self, first: Option<&str>, by_label: &IndexMap<String, ByLabel>, notes: &mut Notes) -> BTreeSet<String> {
        let printing = self.printing();
        let notifies = |channels: &Vec<String>| channels.iter().any(|channel| !printing.contains(channel));
        if !first.and_then(|first| self.of.get(first)).is_some_and(notifies) {
            return BTreeSet::new();
        }
        let mut receivers = BTreeSet::new();
        for (receiver, channels) in self.of.iter_mut().filter(|(receiver, _)| by_label.contains_key(*receiver)) {
            let dropped: Vec<String> = channels.extract_if(.., |channel| self.by_room.contains(channel)).collect();
            if dropped.is_empty() {
                continue;
            }
            if let Yaml::Map(entries) = &mut self.channels {
                entries.retain(|entry| !dropped.contains(&entry.key));
            }
            let printed: Vec<String> = dropped.iter().map(|channel| printed_by(channel)).collect();
            notes.remarks.retain(|remark| !printed.iter().any(|text| remark.todo.starts_with(text)));
            let apart = taken_apart(receiver);
            for remark in notes.remarks.iter_mut().filter(|remark| remark.what.starts_with(&apart)) {
                remark.why.push_str("; all others go where the route above sends");
            }
            receivers.insert(receiver.clone());
        }
        receivers
    }
}

/// How the remark about a channel that only prints says so.
fn printed_by(channel: &str) -> String {
    format!("its alerts are printed by the channel {channel} until then: ")
}

/// How the remark about a receiver begins that a label takes apart.
fn taken_apart(receiver: &str) -> String {
    format!("receiver {receiver} sends to a room or address that is made of the label ")
}

/// Reads `receivers:`.
pub fn receivers<'n>(list: Option<&'n Node>, by_label: &IndexMap<String, ByLabel>, global: &mut Keys<'n>, notes: &mut Notes) -> Channels {
    let mut made = Channels { channels: Yaml::map::<&str>([]), of: IndexMap::new(), by_room: BTreeSet::new() };
    let Some(Node { kind: Kind::List(items), .. }) = list else { return made };
    let mut taken = BTreeSet::new();
    for item in items {
        let mut keys = Keys::new(item, "a receiver", notes);
        let Some(name) = keys.text("name", notes) else {
            notes.refuse(item.span, "a receiver has no name", "name it; Alertmanager refuses it too");
            continue;
        };
        if made.of.contains_key(name) {
            notes.refuse(item.span, format!("two receivers are called {name}"), "rename one of them; Alertmanager refuses this too");
            continue;
        }
        let remarks = notes.remarks.len();
        let label = by_label.get(name).map(|by| by.label.as_str());
        let names = receiver((name, label), item.span.line, keys, &mut taken, &mut made, global, notes);
        // What is said of the receiver of one value holds for those of the others.
        if by_label.values().any(|by| by.receivers.iter().skip(1).any(|(_, one)| one == name)) {
            notes.remarks.truncate(remarks);
        }
        if let Some(by) = by_label.get(name) {
            let (label, values) = (&by.label, by.receivers.iter().map(|(value, _)| value.as_str()).collect::<Vec<_>>().join(", "));
            let known = if values.is_empty() { "the routes name none".to_owned() } else { format!("the routes name {values}") };
            let why = format!("here a label chooses among values that are listed, and {known}");
            let todo = format!(
                "list the others: a channel for each, `teams: {{ VALUE: {{ to: [CHANNEL] }} }}`, and `to: {{ label: {label}, default: .. }}` on its routes"
            );
            notes.remark(item.span.line, format!("{}{label}", taken_apart(name)), why, todo);
        }
        made.of.insert(name.to_owned(), names);
    }
    made
}

/// Reads one, and the label that takes it apart.
fn receiver<'n>(
    (receiver, label): (&str, Option<&str>),
    line: usize,
    keys: Keys<'n>,
    taken: &mut BTreeSet<String>,
    made: &mut Channels,
    global: &mut Keys<'n>,
    notes: &mut Notes,
) -> Vec<String> {
    let base = plain_name(receiver);
    if base != receiver {
        let todo = format!("it is called {base} now; rename the channel and what names it as you like");
        notes.remark(line, format!("the name of receiver {receiver:?}"), "names of channels have letters, digits, `-`, `_` and `.` only", todo);
    }
    let mut configs: Vec<(&str, &Node, usize)> = Vec::new();
    for entry in keys.rest() {
        match (&entry.value.kind, entry.key.strip_suffix("_configs")) {
            (Kind::List(items), Some("webhook")) => {
                configs.extend(items.iter().flat_map(|item| (0..webhook::count(item)).map(move |robot| ("webhook", item, robot))));
            }
            (Kind::List(items), Some(kind)) => configs.extend(items.iter().map(|item| (kind, item, 0))),
            (_, Some(_)) if entry.value.is_null() => {}
            _ => notes.remark(
                entry.key_span.line,
                format!("`{}` of receiver {receiver}", entry.key),
                "it is no list of configurations that is known here",
                "see what it was for",
            ),
        }
    }
    if configs.is_empty() {
        let name = free(&base, taken);
        let silent = Yaml::map([("log", Yaml::map::<&str>([])), ("disabled", Yaml::bool(true))]);
        let comment = vec![format!("receiver {receiver:?} has no configuration: alerts end here, recorded and not sent")];
        made.channels.push_noted(&name, silent, comment);
        return vec![name];
    }
    let several = configs.len() > 1;
    let one_kind = configs.iter().all(|(kind, ..)| *kind == configs[0].0);
    let mut names = Vec::new();
    for (kind, node, robot) in configs {
        let wanted = if several && !one_kind { format!("{base}-{}", plain_name(kind)) } else { base.clone() };
        let name = free(&wanted, taken);
        let remarks = notes.remarks.len();
        let (channel, comment) = one((receiver, &name), (kind, node, robot), global, notes);
        // What is said of the first robot of an address holds for the others.
        if robot > 0 {
            notes.remarks.truncate(remarks);
        }
        let prints = !comment.is_empty();
        made.channels.push_noted(&name, channel, comment);
        if prints && label.is_some_and(|label| by_label::is_made_of(node, label)) {
            made.by_room.insert(name.clone());
        }
        names.push(name);
    }
    names
}

/// One configuration as a channel, and the comment above it.
fn one<'n>(
    (receiver, name): (&str, &str),
    (kind, node, robot): (&str, &'n Node, usize),
    global: &mut Keys<'n>,
    notes: &mut Notes,
) -> (Yaml, Vec<String>) {
    let line = node.span.line;
    let what = format!("{kind}_configs of receiver {receiver}");
    let mut keys = Keys::new(node, &what, notes);
    let resolved = keys.flag("send_resolved", notes);
    let mark = notes.mark();
    let mut context = ImportContext { global, notes, channel: name, what: what.clone(), robot };
    let carried = match kind {
        "email" => mail::email(&mut keys, &mut context),
        "slack" => platforms::slack(&mut keys, &mut context),
        "wechat" => platforms::wechat(&mut keys, &mut context),
        "webhook" => webhook::webhook(&mut keys, &mut context),
        "telegram" => platforms::telegram(&mut keys, &mut context),
        "pagerduty" => platforms::pagerduty(&mut keys, &mut context),
        "pushover" => platforms::pushover(&mut keys, &mut context),
        "discord" => platforms::discord(&mut keys, &mut context),
        "msteams" | "msteamsv2" => platforms::teams(&mut keys, &mut context, kind),
        "mattermost" => webhook::mattermost(&mut keys, &mut context),
        "rocketchat" => Err(Unsupported::new(
            "it posts as a user of Rocket.Chat, and Watchfire posts through an incoming webhook",
            "make one under Administration, Integrations, and write `preset: { name: rocketchat, params: { url, hook, token } }` in place of the `log` block",
        )),
        other => Err(Unsupported::new(
            format!("Watchfire has no platform {other}"),
            "replace the `log` block, or keep this receiver in Alertmanager beside Watchfire (route with `continue: true`)",
        )),
    };
    // Alertmanager sends resolved alerts to mail, Slack, WeCom and Rocket.Chat only when asked to, and to the others unless asked not to.
    let default = !matches!(kind, "email" | "slack" | "wechat" | "rocketchat");
    let resolved = resolved.unwrap_or(default);
    let finish = |block: Yaml, platform: &str, channel_settings: Vec<(&'static str, Yaml)>| {
        let mut channel = Yaml::map([(platform, block)]);
        for (key, value) in channel_settings {
            channel.push(key, value);
        }
        if !resolved {
            channel.push("send_resolved", Yaml::bool(false));
        }
        channel
    };
    let failed = match carried {
        Ok(carried) => {
            let mut why = String::new();
            for block in carried.blocks {
                let channel = finish(block, carried.platform, carried.channel_settings.clone());
                match fits(&channel) {
                    Ok(()) => {
                        for entry in keys.rest() {
                            leftover(&entry.key, entry.key_span.line, &what, carried.platform, notes);
                        }
                        return (channel, Vec::new());
                    }
                    Err(reason) if why.is_empty() => why = reason,
                    Err(_) => {}
                }
            }
            Unsupported::new(format!("the driver {} does not take it: {why}", carried.platform), "replace the `log` block by hand")
        }
        Err(failed) => failed,
    };
    // What a configuration that is not carried would have needed is not needed.
    notes.back_to(mark);
    let comment = vec![format!("{WAS}{what} (line {line}): {}", failed.why)];
    notes.remark(line, what, failed.why, format!("{}{}", printed_by(name), failed.todo));
    (finish(Yaml::map::<&str>([]), "log", Vec::new()), comment)
}

/// Whether the types and the driver take a channel.
fn fits(channel: &Yaml) -> Result<(), String> {
    let config = ChannelConfig::deserialize(channel.value()).map_err(|error| error.to_string())?;
    if matches!(config.proxy, Some(SecretSource::Invalid(why)) if !why.is_empty()) {
        return Err("`proxy` is no address".into());
    }
    let problem = config.blocks().into_iter().flat_map(|(_, block)| block.check()).next();
    problem.map_or(Ok(()), |problem| Err(format!("{}: {}", problem.path, problem.message)))
}

/// Reports a key that no one asked for.
fn leftover(key: &str, line: usize, what: &str, platform: &str, notes: &mut Notes) {
    let wording = ["title", "text", "html", "message", "summary", "headers", "pretext", "fallback", "subject", "content", "description", "footer"];
    let what = format!("`{key}` of {what}");
    if wording.contains(&key) {
        let todo = format!("write templates/{platform}/default.<field>.hbs in Handlebars; `watchfire render` shows the result");
        notes.remark(line, what, "Go templates are not carried; the built-in message is used", todo);
    } else {
        notes.remark(line, what, format!("{platform} has no such setting here"), "nothing, unless it matters to you");
    }
}

/// A name that is not taken: `ops`, `ops-2`.
fn free(wanted: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = wanted.to_owned();
    let mut n = 1;
    while !taken.insert(name.to_lowercase()) {
        n += 1;
        name = format!("{wanted}-{n}");
    }
    name
}
