//! What Zulip is sent: a form with a topic and markdown. Pure. <https://zulip.com/api/send-message>, <https://zulip.com/help/format-your-message-using-markdown>

use crate::channel::kit::broken;
use crate::model::{Form, Page, Size};

/// Characters of a topic, and of a message (<https://zulip.com/api/send-message>: `max_topic_length`, `max_message_length`). Zulip counts code
/// points, and cuts what is longer without refusing it.
pub(super) const MAX_TOPIC: usize = 60;
const MAX_CONTENT: usize = 10_000;

/// The form of a page: to a channel, or as a direct message.
pub(super) fn message(page: &Page, to: &str, direct: bool, topic: Option<&str>) -> Vec<(&'static str, String)> {
    if direct {
        let person = to.parse::<u64>().map_or_else(|_| serde_json::json!([to]), |id| serde_json::json!([id]));
        return vec![("type", "direct".into()), ("to", person.to_string()), ("content", content(page, ""))];
    }
    // `stream` is the word for a channel that every version of Zulip takes.
    let topic = topic.map_or_else(|| self::topic(page), str::to_owned);
    let content = content(page, &topic);
    vec![("type", "stream".into()), ("to", to.to_owned()), ("topic", topic), ("content", content)]
}

/// The topic that the template names, in every form of a message: what an incident's messages say is in one conversation.
fn topic(page: &Page) -> String {
    let topic =
        [page.field("topic"), page.facts.title.as_str(), "alerts"].into_iter().map(str::trim).find(|name| !name.is_empty()).unwrap_or_default();
    if topic.chars().count() <= MAX_TOPIC {
        return topic.to_owned();
    }
    topic.chars().take(MAX_TOPIC - 1).chain(['…']).collect()
}

/// What would begin a mention, a channel link, a link, code, a formula or a time: Zulip reads plain text as markdown, too.
const BREAKS: &[&str] = &["@", "#**", "](", "```", "~~~", "$$", "<time:"];

/// Whom the message pings, and the text. A note's title is not repeated where it is the topic.
fn content(page: &Page, topic: &str) -> String {
    let text = page.field("text").trim_end();
    let rest = text.split_once('\n').filter(|(title, _)| page.facts.form == Form::Note && title.trim() == topic).map(|(_, rest)| rest.trim_start());
    let text = rest.unwrap_or(text);
    let text = if page.plain { broken(text, BREAKS) } else { text.to_owned() };
    let mentions = &page.facts.mentions;
    let all = mentions.all.then(|| "@**all**".to_owned());
    let users = mentions.users.iter().map(|name| user(name));
    let groups = mentions.groups.iter().map(|name| format!("@*{}*", bare(name)));
    let mut pings: Vec<String> = Vec::new();
    for ping in all.into_iter().chain(users).chain(groups) {
        if !pings.contains(&ping) && !text.contains(ping.as_str()) {
            pings.push(ping);
        }
    }
    [pings.join(" "), text].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// `@**Name**`, `@**Name|id**`, or `@**|id**` for a user id alone (<https://zulip.com/api/message-formatting>).
fn user(name: &str) -> String {
    let name = bare(name);
    if name.parse::<u64>().is_ok() { format!("@**|{name}**") } else { format!("@**{name}**") }
}

/// The name without what would end the mention early.
fn bare(name: &str) -> String {
    name.trim().trim_start_matches('@').chars().filter(|c| *c != '*' && !c.is_control()).collect()
}

/// Code points of the content.
pub(super) fn measure(page: &Page) -> Size {
    Size::characters(content(page, "").chars().count(), MAX_CONTENT)
}
