//! Texts from outside: escaped, and never obeyed.

use jiff::Timestamp;
use maud::{Markup, html};

use super::{say, time};
use crate::config::codes::{Code, explain};
use crate::http::console::manner::Manner;
use crate::http::page::build::turns;
use crate::model::{Language, MessageKind, UnixMs};
use crate::template::reason;

/// A text from outside. Controls that turn the direction of text are shown, not obeyed.
pub(in super::super) fn shown(text: &str) -> Markup {
    if !text.contains(turns) {
        return html! { (text) };
    }
    let mut rest = text;
    html! {
        @while let Some(at) = rest.find(turns) {
            @let control = rest[at..].chars().next().unwrap_or_default();
            (&rest[..at]) span.bidi title="a control of the direction of text, shown instead of obeyed" { (format!("U+{:04X}", u32::from(control))) }
            @let () = rest = &rest[at + control.len_utf8()..];
        }
        (rest)
    }
}

/// The same for an attribute.
pub(in super::super) fn plain(text: &str) -> String {
    text.chars().map(|c| if turns(c) { format!("[U+{:04X}]", u32::from(c)) } else { c.to_string() }).collect()
}

/// A sentence of the program, such as the reason of a delivery: in the reader's language as far as the table of reasons has it, its times by the
/// reader's clock. What a platform or a person wrote stays as it is.
pub(in super::super) fn worded(manner: &Manner, text: &str) -> Markup {
    shown(&local_times(manner, &reason(manner.language, text)))
}

/// The same in the language in which it was written.
pub(in super::super) fn timed(manner: &Manner, text: &str) -> Markup {
    shown(&local_times(manner, text))
}

/// The text with its times of RFC 3339 as the reader's clock has them.
fn local_times(manner: &Manner, text: &str) -> String {
    let of_time = |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | 'T' | 'Z');
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let run = rest[at..].split(|c: char| !of_time(c)).next().unwrap_or_default().trim_end_matches(['.', ':', '-']);
        out.push_str(&rest[..at]);
        match run.parse::<Timestamp>() {
            Ok(moment) => out.push_str(&time::whole(manner, UnixMs::from(moment))),
            Err(_) => out.push_str(run),
        }
        rest = &rest[at + run.len()..];
    }
    out + rest
}

/// How a message came together.
pub(in super::super) fn kind(language: Language, kind: MessageKind) -> &'static str {
    let zh = match kind {
        MessageKind::Single => "单条",
        MessageKind::Fold => "合并",
        MessageKind::Digest => "汇总",
    };
    say(language, kind.as_str(), zh)
}

/// What sizes are counted in.
pub(in super::super) fn unit(language: Language, unit: &'static str) -> &'static str {
    match unit {
        "bytes" => say(language, unit, "字节"),
        "characters" => say(language, unit, "字符"),
        _ => unit,
    }
}

/// What a finding is and what to do about it, in Chinese for who reads that: its message, as `check` prints it, is English.
pub(in super::super) fn meaning(language: Language, code: &str) -> Option<&'static Code> {
    explain(code).filter(|_| language == Language::Zh)
}

/// A label.
pub(in super::super) fn label(name: &str, value: &str) -> Markup {
    html! { span.lab { (shown(name)) "=" b { (shown(value)) } } }
}

/// A link to an address from outside, where it is one of http or https; else nothing.
pub(in super::super) fn link(address: &str, body: Markup) -> Option<Markup> {
    let lower = address.to_ascii_lowercase();
    let sound = (lower.starts_with("https://") || lower.starts_with("http://"))
        && !address.contains(|c: char| c.is_control() || c.is_whitespace() || turns(c));
    sound.then(|| html! { a.b href=(address) rel="noopener noreferrer nofollow" target="_blank" { (body) } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_its_direction_is_not_turned() {
        assert_eq!(shown("<b>a</b> & \"c\"").into_string(), "&lt;b&gt;a&lt;/b&gt; &amp; &quot;c&quot;");
        let turned = shown("x\u{202E}gnp.exe\u{2066}").into_string();
        assert!(turned.contains("U+202E</span>gnp.exe<span") && turned.ends_with("U+2066</span>") && !turned.contains('\u{202E}'), "{turned}");
        assert_eq!(plain("a\u{200F}b"), "a[U+200F]b");
    }

    #[test]
    fn a_reason_is_in_the_readers_language_and_by_the_readers_clock() {
        let manner = |language| Manner {
            language,
            theme: None,
            fragment: false,
            here: "/ui".into(),
            now: "2026-11-29T21:00:00Z".parse().unwrap(),
            zone: jiff::tz::TimeZone::get("Asia/Shanghai").unwrap(),
        };
        let (en, zh) = (manner(Language::En), manner(Language::Zh));
        let muted = "muted until 2026-11-29T23:41:53.698Z; then it is sent if it still fires";
        assert_eq!(worded(&en, muted).into_string(), "muted until 2026-11-30 07:41:53 UTC+8; then it is sent if it still fires");
        assert_eq!(worded(&zh, muted).into_string(), "静音至 2026-11-30 07:41:53 UTC+8；届时仍触发则发送");
        assert_eq!(worded(&zh, "<b> 12:30, 2026-11-30, 1.5.").into_string(), "&lt;b&gt; 12:30, 2026-11-30, 1.5.", "no times");
    }

    #[test]
    fn what_is_counted_in_is_said_in_the_readers_language() {
        assert_eq!((unit(Language::Zh, "bytes"), unit(Language::Zh, "characters"), unit(Language::En, "bytes")), ("字节", "字符", "bytes"));
        assert_eq!((kind(Language::Zh, MessageKind::Digest), kind(Language::En, MessageKind::Digest)), ("汇总", "digest"));
    }

    #[test]
    fn a_finding_is_explained_to_who_reads_chinese() {
        let found = meaning(Language::Zh, "E014").map(|code| (code.title_zh, code.help_zh.contains("`channels:`")));
        assert_eq!(found, Some(("通道不存在", true)));
        assert!(meaning(Language::En, "E014").is_none() && meaning(Language::Zh, "E999").is_none());
    }

    #[test]
    fn links_lead_to_http_only() {
        let to = |address: &str| link(address, html! { "x" }).map(Markup::into_string);
        assert!(to("https://a.example/?b=\"").is_some_and(|html| html.contains("href=\"https://a.example/?b=&quot;\"") && html.contains("nofollow")));
        assert!(to("HTTP://a").is_some());
        for bad in ["javascript:alert(1)", "//a", "data:text/html,x", "https://a b", "https://a\u{202E}", ""] {
            assert_eq!(to(bad), None, "{bad}");
        }
    }
}
