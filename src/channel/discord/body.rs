//! What Discord is sent: one embed with the severity's colour, or plain content. Pure.
//! <https://docs.discord.com/developers/resources/message#embed-object-embed-limits>

use serde::Serialize;

use crate::channel::kit::{colour, cut_units, is_linkable, outside_addresses, units};
use crate::model::{Language, Mentions, Page, Size};

/// Limits of the page above, in characters; counted here in UTF-16 units, which is never less.
const MAX_TITLE: usize = 256;
const MAX_DESCRIPTION: usize = 4096;
/// A footer may have 2,048; a phone shows far less.
const MAX_FOOTER: usize = 500;
/// Plain content: <https://docs.discord.com/developers/resources/webhook#execute-webhook>
const MAX_CONTENT: usize = 2000;
/// Characters of an embed's address: a longer one is refused with the whole message, and so is one whose host has no dot.
const MAX_URL: usize = 2048;
/// Users and roles that may be named as pinged, each once:
/// <https://docs.discord.com/developers/resources/message#allowed-mentions-object>
const MAX_MENTIONS: usize = 100;
/// What pings leave free in the content: a bold headline with a backslash before each character; how many are not pinged; a blank before either.
const ROOM_BESIDE_PINGS: usize = 2 * MAX_TITLE + 4 + 30 + 2;

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

/// What an edit takes: the whole content again, for what is left out stays. `allowed_mentions` is not remembered either
/// (<https://github.com/discord/discord-api-docs/issues/2474>).
#[derive(Debug, Serialize)]
pub(super) struct Edit {
    content: String,
    embeds: Vec<Embed>,
    allowed_mentions: Allowed,
}

/// The message of a page in place of another.
pub(super) fn edit(page: &Page, direct: bool) -> Edit {
    let Message { content, embeds, allowed_mentions, .. } = message(page, None, direct);
    Edit { content, embeds, allowed_mentions }
}

#[derive(Debug, Serialize)]
struct Allowed {
    parse: Vec<&'static str>,
    users: Vec<String>,
    roles: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Embed {
    description: String,
    color: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Image>,
    #[serde(skip_serializing_if = "Option::is_none")]
    footer: Option<Footer>,
}

#[derive(Debug, Serialize)]
struct Image {
    url: String,
}

#[derive(Debug, Serialize)]
struct Footer {
    text: String,
}

/// The message of a page. A direct call's text is markdown already, as its caller wrote it; other plain text is escaped. The headline is in the content,
/// because a notification shows no embed, and so are pings, because embeds ping nobody; only those that are asked for are allowed.
pub(super) fn message(page: &Page, username: Option<&str>, direct: bool) -> Message {
    let facts = &page.facts;
    let mentions = &facts.mentions;
    let Pinged { written: mut content, users, roles, left_out } = Pinged::of(mentions);
    if left_out > 0 {
        content.push_str(&match facts.language {
            Language::Zh => format!(" （另有 {left_out} 人未提醒）"),
            Language::En => format!(" (+{left_out} not pinged)"),
        });
    }
    let mut embeds = Vec::new();
    let text = page.field("text").trim_end();
    if page.plain {
        let text = if direct { text.to_owned() } else { without_markdown(text) };
        content = [content.as_str(), &text].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
    } else {
        let title = if page.field("title").trim().is_empty() { facts.title.trim() } else { page.field("title").trim() };
        let title = cut_units(title, MAX_TITLE);
        let headline = if title.is_empty() { String::new() } else { format!("**{}**", without_markdown(&title)) };
        content = [content, headline].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        let footer = page.field("footer").trim();
        embeds.push(Embed {
            description: text.to_owned(),
            color: colour(facts),
            image: takes(&facts.image).then(|| Image { url: facts.image.clone() }),
            footer: (!footer.is_empty()).then(|| Footer { text: cut_units(footer, MAX_FOOTER) }),
        });
    }
    Message {
        username: username.map(str::to_owned),
        content,
        embeds,
        allowed_mentions: Allowed { parse: if mentions.all { vec!["everyone"] } else { Vec::new() }, users, roles },
    }
}

/// Whom a message pings, as its content says it and by id.
#[derive(Default)]
struct Pinged {
    written: String,
    users: Vec<String>,
    roles: Vec<String>,
    /// Those for whom there is no room.
    left_out: usize,
}

impl Pinged {
    fn of(mentions: &Mentions) -> Self {
        let mut pinged = Self { written: if mentions.all { "@everyone".to_owned() } else { String::new() }, ..Self::default() };
        for id in ids(&mentions.groups) {
            if pinged.write(&format!("<@&{id}>"), pinged.roles.len()) {
                pinged.roles.push(id);
            }
        }
        for id in ids(&mentions.users) {
            if pinged.write(&format!("<@{id}>"), pinged.users.len()) {
                pinged.users.push(id);
            }
        }
        // What is no id would have the whole message refused; it is written as it is, where everybody sees that it pings nobody.
        for name in mentions.users.iter().chain(&mentions.groups).filter(|id| !is_id(id)) {
            pinged.write(&format!("@{}", name.trim_start_matches('@')), 0);
        }
        pinged
    }

    /// Whether there is room for one more, besides so many of its kind.
    fn write(&mut self, ping: &str, known: usize) -> bool {
        let has_room = known < MAX_MENTIONS && units(&self.written) + 1 + units(ping) <= MAX_CONTENT - ROOM_BESIDE_PINGS;
        if !has_room {
            self.left_out += 1;
            return false;
        }
        if !self.written.is_empty() {
            self.written.push(' ');
        }
        self.written.push_str(ping);
        true
    }
}

/// A plain text in which Discord finds no markup, for it has no messages without it: a backslash before what would be some.
fn without_markdown(text: &str) -> String {
    outside_addresses(text, |before, c, after, out| {
        let inside_word = before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric);
        let begins_line = before.is_none_or(|before| before == '\n');
        let is_mark = match c {
            '\\' | '*' | '~' | '`' | '[' | ']' | '<' | '|' => true,
            '_' => !inside_word,
            '#' | '>' => begins_line || before == Some(' '),
            '-' | '+' => begins_line,
            _ => false,
        };
        if is_mark {
            out.push('\\');
        }
        out.push(c);
    })
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 20 && id.bytes().all(|b| b.is_ascii_digit())
}

/// The ids among them, each once.
fn ids(named: &[String]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for id in named.iter().filter(|id| is_id(id)) {
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    ids
}

/// Whether Discord takes this as an embed's picture: "Not a well formed URL" refuses the whole message.
fn takes(url: &str) -> bool {
    is_linkable(url) && units(url) <= MAX_URL
}

/// The embed's description; of a plain page the content. With a footer, which is cut, an embed stays below the 6,000 that all of it may have.
pub(super) fn measure(page: &Page) -> Size {
    let message = message(page, None, false);
    match message.embeds.first() {
        Some(embed) => Size::characters(units(&embed.description), MAX_DESCRIPTION),
        None => Size::characters(units(&message.content), MAX_CONTENT),
    }
}
