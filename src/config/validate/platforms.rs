//! What a channel's platform must have for what a channel or route asks of it: a template set, people to ping.

use super::Validator;
use super::people::missing;
use crate::channel::descriptor::{Ping, Reach};
use crate::channel::{ChannelConfig, Living, LivingMode, Platform};
use crate::config::codes;
use crate::config::source::Anchor;
use crate::config::suggest::{hint, listed};
use crate::model::yaml::Path;
use crate::model::{Finding, Mentions};
use crate::template::TemplateRegistry;

/// Reports when a platform has no template set of a name.
pub fn template(validator: &mut Validator<'_, '_>, templates: &TemplateRegistry, set: Option<&str>, platform: &str, path: &Path) {
    let Some(set) = set else { return };
    if !templates.has_set(platform, set) {
        let sets: Vec<&str> = templates.sets(platform).collect();
        let finding = Finding::error(codes::UNKNOWN_TEMPLATE, format!("{platform} has no template set `{set}`"))
            .label(format!("make `{platform}/{set}.<field>.hbs` in the template folder{}", hint(set, sets.iter().copied())))
            .note(format!("template sets of {platform}: {}", listed(sets.iter().copied())));
        validator.report.add(finding, &path.key("template"), Anchor::Value);
    }
}

/// Reports a route's template set that no channel uses: all of them are `format: text`.
pub fn unused_template(validator: &mut Validator<'_, '_>, path: &Path) {
    let finding = Finding::warning(codes::DOUBTFUL_ROUTE, "`template` does nothing here: every channel of this route is `format: text`")
        .label("plain text uses no template: remove it, or add a channel that does");
    validator.report.add(finding, &path.key("template"), Anchor::Key);
}

/// Reports whom a channel's platform cannot ping: its messages name them instead.
pub fn pings(validator: &mut Validator<'_, '_>, platform: &Platform, channel: &str, mentions: &Mentions, at: &Path) {
    turn_pings(validator, platform, channel, mentions, at);
    let named = platform.pings.pick(mentions, &[Ping::Named]);
    let parts =
        [("all", named.all), ("mobiles", !named.mobiles.is_empty()), ("users", !named.users.is_empty()), ("groups", !named.groups.is_empty())];
    let parts: Vec<String> = parts.iter().filter(|(_, there)| *there).map(|(part, _)| format!("`{part}`")).collect();
    if parts.is_empty() {
        return;
    }
    pings_nobody(validator, &parts.join(", "), platform, channel, at);
}

/// Reports parts of `mentions` that a platform cannot ping.
fn pings_nobody(validator: &mut Validator<'_, '_>, parts: &str, platform: &Platform, channel: &str, at: &Path) {
    let finding = Finding::warning(codes::DOUBTFUL_ROUTE, format!("{parts} of `mentions` pings nobody on `{channel}` ({})", platform.name))
        .label("its messages name them instead; give that channel a route with `mentions` of its own")
        .note("docs/platforms has a page for each platform: whom it can ping, and how");
    validator.report.add(finding, at, Anchor::Key);
}

/// Reports whom of a rota a channel's platform cannot ping.
fn turn_pings(validator: &mut Validator<'_, '_>, platform: &Platform, channel: &str, mentions: &Mentions, at: &Path) {
    for (key, name) in [("oncall", &mentions.oncall), ("next", &mentions.next)] {
        let Some(rota) = name.as_ref().and_then(|name| validator.people.rotas.get(name.as_str())).cloned() else { continue };
        if !matches!(platform.pings.person, Reach::Mention(_)) {
            pings_nobody(validator, &format!("`{key}`"), platform, channel, at);
            continue;
        }
        let people = validator.people.people.clone();
        for person in rota.people.iter().filter_map(|name| people.get(name)) {
            if let Err(missed) = person.way(platform) {
                let message = format!("`{channel}` ({}) cannot mention `{}`, who is in the rota `{}`", platform.name, person.name, rota.name);
                let finding = Finding::warning(codes::DOUBTFUL_ROUTE, message).label(missing(person, platform, missed));
                validator.report.add(finding, at, Anchor::Key);
            }
        }
    }
}

/// Reports `format: text` where the platform has no such kind of message, and a template set that it leaves without effect.
pub fn format(validator: &mut Validator<'_, '_>, config: &ChannelConfig, platform: &str, takes_text: bool, path: &Path) {
    if !takes_text {
        let message = format!("{platform} has no other kind of message that is plain text");
        let label = "remove it; it is for dingtalk, discord, email, feishu, slack, telegram, wecom and wecom_robot";
        validator.report.error(codes::BAD_CHANNEL, &path.key("format"), Anchor::Value, message, label);
    } else if config.template.is_some() {
        let finding = Finding::warning(codes::DOUBTFUL_CHANNEL, "`template` does nothing beside `format: text`")
            .label("plain text uses no template: keep one of the two");
        validator.report.add(finding, &path.key("template"), Anchor::Key);
    }
}

/// How a channel notifies of an incident that goes on; reports what its platform cannot do.
pub fn living(validator: &mut Validator<'_, '_>, asked: Option<LivingMode>, platform: &Platform, can: Living, path: &Path) -> LivingMode {
    let impossible = match asked {
        Some(LivingMode::Edit) if !can.edit => "change a message",
        Some(LivingMode::Reply) if !can.reply => "answer a message",
        _ => return asked.unwrap_or(can.default),
    };
    let best = if can.reply { "`reply`, " } else { "" };
    let message = format!("this channel cannot {impossible} that it has sent");
    let label = format!("write {best}`new` or `off`, or leave it out; docs/platforms/{}.md says what edits need", platform.name);
    validator.report.error(codes::BAD_CHANNEL, &path.key("living"), Anchor::Value, message, label);
    can.default
}
