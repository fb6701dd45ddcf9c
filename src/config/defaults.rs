//! `defaults:`: what holds for every channel that says nothing else is written into the channels before anything is checked, so that whatever reads a channel
//! finds its effective values. Places of findings are those of the default.

use crate::model::yaml::{Kind, Node};

/// Keys that every platform takes and that mean the same for each.
pub const KEYS: [&str; 7] = ["language", "timeout", "max_age", "max_pages", "digest", "proxy", "actions"];

/// How many channels have a default, for people: `timeout 20s in 2 of 3 channels`, in the order of the file.
pub type Effective = Vec<String>;

/// Writes the defaults into the channels of a configuration.
pub fn apply(root: &mut Node) -> Effective {
    let Some(defaults) = root.get("defaults").and_then(|defaults| defaults.get("channels")).cloned() else { return Vec::new() };
    let Kind::Map(entries) = &mut root.kind else { return Vec::new() };
    let channels = entries.iter_mut().find(|entry| entry.key == "channels").map(|entry| &mut entry.value.kind);
    let Some(Kind::Map(channels)) = channels else { return Vec::new() };
    let mut effective = Vec::new();
    for default in defaults.entries().iter().filter(|default| KEYS.contains(&default.key.as_str()) && !default.value.is_null()) {
        let mut taken = 0;
        for channel in channels.iter_mut() {
            let Kind::Map(own) = &mut channel.value.kind else { continue };
            if !own.iter().any(|entry| entry.key == default.key) {
                own.push(default.clone());
                taken += 1;
            }
        }
        // An address of a proxy may hold a password.
        let value = if default.key == "proxy" { String::new() } else { format!(" {}", short(&default.value)) };
        effective.push(format!("{}{value} in {taken} of {} channels", default.key, channels.len()));
    }
    effective
}

/// A value in one line.
fn short(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar(scalar) => scalar.text.clone(),
        Kind::List(items) => format!("[{}]", items.iter().map(short).collect::<Vec<_>>().join(", ")),
        Kind::Map(entries) => {
            format!("{{ {} }}", entries.iter().map(|entry| format!("{}: {}", entry.key, short(&entry.value))).collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::yaml::{Path, parse};

    #[test]
    fn a_channels_own_word_wins() {
        let text = "defaults: { channels: { timeout: 20s, digest: { after: 5s }, disabled: true, language: } }\n\
                    channels:\n  a: { log: {} }\n  b: { log: {}, timeout: 5s }\n  c: [wrong]\n";
        let mut root = parse(text).root.unwrap();
        assert_eq!(apply(&mut root), ["timeout 20s in 1 of 3 channels", "digest { after: 5s } in 2 of 3 channels"]);
        let at = |path: &str| root.at(&Path::root().dotted(path)).map(short);
        assert_eq!(at("channels.a.timeout").as_deref(), Some("20s"));
        assert_eq!(at("channels.b.timeout").as_deref(), Some("5s"));
        assert_eq!(at("channels.b.digest.after").as_deref(), Some("5s"));
        assert_eq!((at("channels.a.disabled"), at("channels.a.language")), (None, None), "only what every platform shares, and only what is said");
    }
}
