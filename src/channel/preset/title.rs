//! The title beside a preset's text: cut to what the service takes, and said whole where it is cut. Pure.

use super::file::Limits;
use crate::model::Page;

/// At most so many characters, with an ellipsis where it was cut.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// A text without the title that it begins with: every request has that above it.
pub(super) fn below_title<'p>(text: &'p str, title: &str) -> &'p str {
    match text.split_once('\n') {
        Some((line, rest)) if line.trim() == title.trim() && !rest.trim().is_empty() => rest.trim_start(),
        _ => text,
    }
}

/// The headline that belongs above a text, as markdown: where the title is cut, for its end is the host, and the request, which mentions these `fields`,
/// has it nowhere else. Else empty. Plain text begins with it already, unless it is a note's or a line's.
pub(super) fn headline<'p>(limits: &Limits, fields: &[&str], page: &'p Page) -> &'p str {
    let title = page.field("title");
    let is_cut = limits.title.is_some_and(|most| title.chars().count() > most);
    let heading = if page.field("heading").is_empty() { title } else { page.field("heading") };
    let begins = |field: &str| page.field(field).starts_with(title.trim_end_matches('…'));
    let has_it = fields.contains(&"heading") || (page.plain && ["text", "markdown"].into_iter().any(begins));
    if is_cut && !has_it { heading.trim_end() } else { "" }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::{FRAME_LENGTH, shipped};
    use crate::channel::kit::test_server::{build, page};
    use crate::channel::preset::Config;
    use crate::model::{Page, Size};

    #[test]
    fn a_card_says_whole_what_its_title_cuts() {
        let body = |name: &str, title: &str| -> Value {
            let heading = title.replace('_', "\\_");
            let page = page(&[("title", title), ("heading", &heading), ("text", "is full"), ("markdown", "**is full**")]);
            build::<Config>(name, "http://127.0.0.1:9").unwrap().channel.body(&page)
        };
        let long = "🔴 Critical · KubePodCrashLooping · payments/api_1";
        let (chan, bark) = ("{ name: serverchan, params: { url: BASE, send_key: k } }", "{ name: bark, params: { url: BASE, device_key: k } }");
        let cut = body(chan, long);
        assert_eq!(cut["title"], "🔴 Critical · KubePodCrashLoopin…");
        assert_eq!(cut["desp"], "🔴 Critical · KubePodCrashLooping · payments/api\\_1\n\n**is full**");
        assert_eq!(body(bark, long)["body"], "is full", "its title has room for all");
        let longer = format!("{} · {long}", "x".repeat(100));
        assert_eq!(body(bark, &longer)["body"], format!("{longer}\n\nis full"), "plain where the text is");
        // A note's text is without its title.
        let mut note = page(&[("title", long), ("heading", long), ("text", "by hand"), ("markdown", "by hand")]);
        note.plain = true;
        let sent = |page: &Page| build::<Config>(chan, "http://127.0.0.1:9").unwrap().channel.body(page)["desp"].clone();
        assert_eq!(sent(&note), format!("{long}\n\nby hand"));
        note.fields.insert("markdown".into(), format!("{long}\nby hand"));
        assert_eq!(sent(&note), format!("{long}\nby hand"), "it is said once");
        let fits = page(&[("title", "Disk"), ("heading", "Disk"), ("markdown", "full")]);
        let cut = page(&[("title", long), ("heading", long), ("markdown", "full")]);
        let measure = shipped().into_iter().find(|(name, _)| name == "serverchan").unwrap().1.measure;
        assert_eq!([measure(&fits), measure(&cut)], [4, 4 + long.len()].map(|used| Size::bytes(used + FRAME_LENGTH, 32_768)));
    }
}
