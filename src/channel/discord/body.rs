//! What Discord is sent: one embed with the severity's colour, or plain content. Pure.
//! <https://docs.discord.com/developers/resources/message#embed-object-embed-limits>

use serde::Serialize;

use crate::channel::kit::{colour, cut_units, units};
use crate::model::{Page, Size};

/// Limits of the page above, in characters; counted here in UTF-16 units, which is never less.
const MAX_TITLE: usize = 256;
const MAX_DESCRIPTION: usize = 4096;
const MAX_FIELD_NAME: usize = 256;
const MAX_FIELD_VALUE: usize = 1024;
const MAX_EMBEDS: usize = 6000;
/// Plain content: <https://docs.discord.com/developers/resources/webhook#execute-webhook>
const MAX_CONTENT: usize = 2000;
/// Of the 25 fields that an embed may have, what is of use on a phone.
const MAX_FIELDS: usize = 8;
/// Characters of an embed's link: a longer one is refused with the whole message, and so is one whose host has no dot.
const MAX_URL: usize = 2048;
/// Users and roles that may be named as pinged, each once:
/// <https://docs.discord.com/developers/resources/message#allowed-mentions-object>
const MAX_MENTIONS: usize = 100;

#[derive(Debug, Serialize)]
pub(super) struct Message {
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    content: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    embeds: Vec<Embed>,
    allowed_mentions: Allowed,
}

#[derive(Debug, Serialize)]
struct Allowed {
    parse: Vec<&'static str>,
    users: Vec<String>,
    roles: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Embed {
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    description: String,
    color: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
    #[serde(skip_serializing_if = "Option::is_none")]
    footer: Option<Footer>,
}

#[derive(Debug, Serialize)]
struct Field {
    name: String,
    value: String,
    inline: bool,
}

#[derive(Debug, Serialize)]
struct Footer {
    text: String,
}

/// The message of a page. Pings are in the content, because embeds ping nobody, and only those that are asked for are allowed.
pub(super) fn message(page: &Page, username: Option<&str>) -> Message {
    let facts = &page.facts;
    let mentions = &facts.mentions;
    let all = mentions.all.then(|| "@everyone".to_owned());
    let (users, roles) = (ids(&mentions.users), ids(&mentions.groups));
    // What is no id would have the whole message refused; it is written as it is, where everybody sees that it pings nobody.
    let others = mentions.users.iter().chain(&mentions.groups).filter(|id| !is_id(id)).map(|id| format!("@{}", id.trim_start_matches('@')));
    let pings = roles.iter().map(|id| format!("<@&{id}>")).chain(users.iter().map(|id| format!("<@{id}>")));
    let mut content = all.into_iter().chain(pings).chain(others).collect::<Vec<_>>().join(" ");
    let mut embeds = Vec::new();
    let text = page.field("text").trim_end();
    if page.plain {
        content = [content.as_str(), text].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
    } else {
        let title = if page.field("title").trim().is_empty() { facts.title.trim() } else { page.field("title").trim() };
        let field = |(name, value): &(String, String)| Field {
            name: cut_units(name, MAX_FIELD_NAME),
            value: cut_units(value, MAX_FIELD_VALUE / 8),
            inline: true,
        };
        embeds.push(Embed {
            title: cut_units(title, MAX_TITLE),
            url: facts.links.iter().map(|link| &link.url).find(|url| takes(url)).cloned(),
            description: text.to_owned(),
            color: colour(facts),
            fields: facts.pairs.iter().take(MAX_FIELDS).map(field).collect(),
            footer: (page.total > 1).then(|| Footer { text: format!("{}/{}", page.number, page.total) }),
        });
    }
    Message {
        username: username.map(str::to_owned),
        content,
        embeds,
        allowed_mentions: Allowed { parse: if mentions.all { vec!["everyone"] } else { Vec::new() }, users, roles },
    }
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 20 && id.bytes().all(|b| b.is_ascii_digit())
}

/// The ids among them, each once.
fn ids(named: &[String]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for id in named.iter().filter(|id| is_id(id)) {
        if ids.len() < MAX_MENTIONS && !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    ids
}

/// Whether Discord takes this as an embed's link ("Not a well formed URL" refuses the whole message): a host with a dot in it, or an IPv4 address.
fn takes(url: &str) -> bool {
    let Ok(parsed) = reqwest::Url::parse(url) else { return false };
    let host = parsed.host_str().unwrap_or_default();
    let sound =
        host.split('.').count() > 1 && host.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    matches!(parsed.scheme(), "http" | "https") && sound && units(url) <= MAX_URL
}

/// The description or all of the embed, whichever is nearer to its limit; of a plain page the content.
pub(super) fn measure(page: &Page) -> Size {
    let message = message(page, None);
    let Some(embed) = message.embeds.first() else {
        return Size::characters(units(&message.content), MAX_CONTENT);
    };
    let fields: usize = embed.fields.iter().map(|field| units(&field.name) + units(&field.value)).sum();
    let footer = embed.footer.as_ref().map_or(0, |footer| units(&footer.text));
    let description = units(&embed.description);
    let all = units(&embed.title) + description + fields + footer;
    if description * MAX_EMBEDS >= all * MAX_DESCRIPTION { Size::characters(description, MAX_DESCRIPTION) } else { Size::characters(all, MAX_EMBEDS) }
}
