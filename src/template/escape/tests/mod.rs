//! Hostile values for each dialect, against checkers that know nothing of how the escapes are made.

mod readers;

use proptest::prelude::*;

use super::{BACK_QUOTE, HAIR_SPACE, ZERO_WIDTH, bold, clean, escape, link, prose, quote};
use crate::model::Escape;

pub(super) const DIALECTS: [Escape; 13] = [
    Escape::None,
    Escape::Html,
    Escape::SlackMrkdwn,
    Escape::DingTalkMarkdown,
    Escape::WeComMarkdown,
    Escape::WeComText,
    Escape::LarkMarkdown,
    Escape::TelegramHtml,
    Escape::DiscordMarkdown,
    Escape::ZulipMarkdown,
    Escape::TeamsMarkdown,
    Escape::Markdown,
    Escape::Xml,
];

/// What a reader sees: entities and backslashes as their platform shows them, invisible characters gone.
fn seen(dialect: Escape, text: &str) -> String {
    let mut text = text.replace("<br>", "\n");
    let backslashes = matches!(dialect, Escape::DiscordMarkdown | Escape::TeamsMarkdown | Escape::Markdown);
    if backslashes {
        // An escaped ampersand begins no entity.
        text = text.replace("\\\\", "\u{E001}").replace("\\&", "\u{E000}");
    }
    if readers::has_entities(dialect) {
        text = readers::without_entities(&text);
    }
    if backslashes {
        text = readers::without_backslashes(&text).replace('\u{E000}', "&").replace('\u{E001}', "\\");
    }
    text.replace([ZERO_WIDTH, HAIR_SPACE], "").replace(BACK_QUOTE, "`")
}

/// Two dialects drop blanks at a line's start, where four of them would make code.
fn lines(text: &str) -> String {
    text.lines().map(str::trim_start).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

fn assert_harmless(dialect: Escape, value: &str) {
    let escaped = escape(dialect, value);
    // Wherever a template puts it: alone, after text, between markers of the same kind, beside another value.
    for (before, after) in [("", ""), ("x ", " x"), ("x", "x"), ("\n", "\n"), ("x: ", "(y)"), ("[", "]")] {
        let placed = format!("{before}{escaped}{after}");
        if let Some(found) = readers::markup(dialect, &placed) {
            // A template may write what it likes: only what the value adds counts.
            let own = readers::markup(dialect, &format!("{before}v{after}"));
            assert!(own.is_some(), "{dialect:?} {value:?} in {before:?}..{after:?}: {found} in {placed:?}");
        }
    }
}

/// What a reader copies is what was sent: Grafana's addresses with `$__all`, mail addresses.
#[test]
fn addresses_are_copied_as_they_are() {
    let url = "https://grafana.example.com/d/abc/db?orgId=1&var-instance=$__all&from=_x_&kiosk";
    let text = format!("see {url}, https://c.example.com/arn:aws:sns:eu-west-1:topic, 2001:db8:85a3::8a2e or write to ops.team@mail.example.com");
    for dialect in DIALECTS {
        let escaped = escape(dialect, &text);
        let entities = readers::has_entities(dialect) && !matches!(dialect, Escape::DingTalkMarkdown | Escape::WeComMarkdown | Escape::ZulipMarkdown);
        let shown = if entities { readers::without_entities(&escaped) } else { escaped.clone() };
        assert_eq!(shown, text, "{dialect:?}: {escaped:?}");
    }
    for pings in ["x@all", "x@everyone.x", "https://x@13800138000/", "https://x@all/", "a&lt;b"] {
        let escaped = escape(Escape::DingTalkMarkdown, pings);
        assert!(escaped.contains(ZERO_WIDTH), "{escaped:?}");
    }
}

/// Beside code a blank is a gap, and no list, heading or quote begins.
#[test]
fn a_text_goes_on_behind_code() {
    let text = "Run `df -h` on it: `x` > 0.5, `y` - z and [2001:db8::1]:9100";
    for dialect in DIALECTS {
        let shown = seen(dialect, &prose(dialect, text)).replace(['`', '\u{200B}'], "").replace("<code>", "").replace("</code>", "");
        assert_eq!(shown, text.replace('`', ""), "{dialect:?}");
    }
    assert_eq!(prose(Escape::Markdown, "`df -h` on `sda`: `x` > 1"), "`df -h` on `sda`: `x` > 1");
    assert_eq!(bold(Escape::SlackMrkdwn, "run `df -h` on it, or (`du`)"), "*run* `df -h` *on it, or (*`du`*)*");
    assert_eq!(bold(Escape::TelegramHtml, "`df` is slow"), "<code>df</code> <b>is slow</b>");
    assert_eq!(bold(Escape::DingTalkMarkdown, "run `df` now"), "**run ˋdfˋ now**");
    assert_eq!([bold(Escape::Markdown, "`a` `b`"), bold(Escape::Markdown, "`")], ["`a` `b`", "**\\`**"]);
    assert_eq!(prose(Escape::SlackMrkdwn, "`x` > 1\n> 2"), "`x` &gt; 1\n\u{200B}&gt; 2", "a quote begins at the start of a line only");
    // Only the first bracket of a line could name the target of a link.
    assert_eq!(escape(Escape::DingTalkMarkdown, "at [2001:db8::1]:9100"), "at [2001:db8::1]:9100");
    assert_eq!(escape(Escape::DingTalkMarkdown, "[2001:db8::1]:9100"), "[2001:db8::1]\u{200B}:9100");
}

/// What would be markup or a mention in an address is percent-encoded there: what is copied and what is clicked leads to the same place.
#[test]
fn an_address_with_brackets_and_mentions_can_be_clicked() {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    for url in [
        "https://user@host/",
        "https://ops:x1@10.0.3.17:8443/",
        "https://h.example.com/?q=[a]",
        "https://h.example.com/a_(b)/@team?x=(1)*2&y=**z",
        "https://h.example.com/@13800138000",
        "https://h.example.com/x[a](b)",
        "http://[::1]:9093/#/alerts",
    ] {
        for dialect in DIALECTS {
            let escaped = escape(dialect, &format!("see {url} now"));
            let shown = if readers::has_entities(dialect) { readers::without_entities(&escaped) } else { escaped.clone() };
            assert!(!shown.contains([ZERO_WIDTH, HAIR_SPACE, '\\']), "{dialect:?}: {escaped:?}");
            assert_eq!(decoded(&shown), format!("see {url} now"), "{dialect:?}: {escaped:?}");
        }
    }
    // Text around it is still text.
    let placed = escape(Escape::DiscordMarkdown, "**see** (https://h.example.com/a(b)) [x](https://h.example.com/)");
    assert_eq!(placed, "\\*\\*see\\*\\* (https://h.example.com/a%28b%29) \\[x\\](https://h.example.com/)");
    for hostile in
        ["http://a[b](http://evil.example)", "http://[::1](x)", "http://[a](http://[b](c))", "https://h/](x)", "https://h/@all", "http://[::1]"]
    {
        for dialect in DIALECTS {
            assert_harmless(dialect, hostile);
        }
    }
}

const HOSTILE: &[&str] = &[
    "plain text, 告警 97.5% (db-1:9100)",
    "a | b || c",
    "<b>bold</b> <script>alert(1)</script> <!-- x -->",
    "@all @here @channel @everyone @13800138000 @zhangsan",
    "<!channel> <!here> <!everyone> <!subteam^S1> <@U123> <@&99> <#C1> <@userid> <at id=all></at> <at>Name</at>",
    "`code` ``` fence ``` ~~strike~~ ~strike~ **bold** *b* __u__ _i_ ||spoiler||",
    "**\n*\n`\n~~~\n___\n***\n---\n===",
    "[x](javascript:alert(1)) ![i](https://e/x.png) [a]: https://e [a][b] [c]",
    "[x",
    "](https://evil.example/)",
    "# heading\n## h\n> quote\n- item\n* item\n+ item\n1. one\n2) two\na|b\n---|---\n:--|--:\n    code",
    "<font color=\"warning\">x</font> <a href=\"https://e\">e</a> <img src=x onerror=alert(1)>",
    "&lt;b&gt; &amp; &#60;b&#62; &nbsp; & &",
    "\\*x\\* \\[x\\](y) \\<b\\> C:\\path\\_x \\",
    "{{headline}} {{{x}}} ${x} %s",
    ":fire: :100: 12:30:45 a:b:c",
    "@**all** @_**Anna|10** @*ops* #**general>topic** $$x^2$$ <time:2026-11-28T12:00:00Z> !avatar(a@b.example)",
    "\u{1b}[31mred\u{7}\u{0}\u{202E}evil\u{2028}x",
    "node_cpu_seconds_total{job=~\"a*\"} > 0 and _private or x_",
    "\" onmouseover='x' '\"",
    "*",
    "_",
    "~",
    "`",
    "<",
    "&",
    "@",
    "]",
    "[",
    "#",
    ">",
    "-",
    "|",
    "\\",
    ":",
    "1.",
    "!",
];

#[test]
fn hostile_values_are_harmless_in_every_dialect() {
    for dialect in DIALECTS {
        for value in HOSTILE {
            assert_harmless(dialect, value);
            assert_harmless(dialect, &escape(dialect, value));
        }
    }
}

#[test]
fn hostile_values_still_read_the_same() {
    for dialect in DIALECTS {
        for value in HOSTILE {
            assert_eq!(lines(&seen(dialect, &escape(dialect, value))), lines(&clean(value)), "{dialect:?}");
        }
    }
}

#[test]
fn ordinary_values_are_not_touched() {
    for dialect in DIALECTS {
        for value in
            ["db-1:9100", "CPU is above 90% for 10m (was 42.5)", "告警：磁盘空间不足", "node_cpu_seconds_total", "-5.2", "2026-11-23 14:03", "12m 5s"]
        {
            // Feishu's documents give an entity for every underscore.
            if dialect != Escape::LarkMarkdown || !value.contains('_') {
                assert_eq!(escape(dialect, value), value, "{dialect:?}");
            }
        }
    }
}

#[test]
fn the_checkers_see_what_they_must() {
    for (dialect, bad) in [
        (Escape::Html, "<b>"),
        (Escape::SlackMrkdwn, "<!channel>"),
        (Escape::SlackMrkdwn, "a *b* c"),
        (Escape::SlackMrkdwn, "\n&gt; q"),
        (Escape::DingTalkMarkdown, "**b**"),
        (Escape::DingTalkMarkdown, "x*y*z"),
        (Escape::DingTalkMarkdown, "@138"),
        (Escape::DingTalkMarkdown, "[x](y)"),
        (Escape::DingTalkMarkdown, "a\n# h"),
        (Escape::DingTalkMarkdown, "1. x"),
        (Escape::WeComMarkdown, "<@u>"),
        (Escape::WeComMarkdown, "**b**"),
        (Escape::WeComText, "<a href"),
        (Escape::LarkMarkdown, "<at id=all>"),
        (Escape::LarkMarkdown, "*b*"),
        (Escape::TelegramHtml, "<b>"),
        (Escape::TelegramHtml, "@name"),
        (Escape::DiscordMarkdown, "@everyone"),
        (Escape::DiscordMarkdown, "||s||"),
        (Escape::TeamsMarkdown, "[x](y)"),
        (Escape::Markdown, "@channel"),
        (Escape::Markdown, "`c`"),
        (Escape::Xml, "</Say>"),
    ] {
        assert!(readers::markup(dialect, bad).is_some(), "{dialect:?} {bad}");
    }
}

#[test]
fn markup_of_the_house_works() {
    assert_eq!(bold(Escape::DingTalkMarkdown, "*x*\ny"), "**\u{200B}\u{200A}*\u{200A}x\u{200A}* y**");
    assert_eq!(bold(Escape::DiscordMarkdown, " a "), "**a**");
    assert_eq!(bold(Escape::SlackMrkdwn, " \n "), "");
    assert_eq!(quote(Escape::DingTalkMarkdown, "a\n\n# b"), "> a\n> \u{200B}# b");
    assert_eq!(quote(Escape::None, "a\nb"), "  a\n  b");
    assert_eq!(link(Escape::DingTalkMarkdown, "[a](b", "https://h/"), "[(a)(b](https://h/)");
    assert_eq!(link(Escape::SlackMrkdwn, "a>\nb", "https://h/?a&b"), "<https://h/?a&amp;b|a&gt; b>");
}

fn value() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z]{1,3}",
        "[0-9]{1,2}",
        Just(" ".to_owned()),
        Just("\n".to_owned()),
        Just("告".to_owned()),
        "[*_~`<>&@#|\\\\!\\[\\]():;.\\-+=/'\"]",
        prop_oneof![
            Just("**"),
            Just("~~"),
            Just("](x)"),
            Just("<@u>"),
            Just("@all"),
            Just("&lt;"),
            Just("<b>"),
            Just("1. "),
            Just("- "),
            Just("# "),
            Just("> "),
            Just("||")
        ]
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_value_is_ever_markup(value in value()) {
        for dialect in DIALECTS {
            assert_harmless(dialect, &value);
        }
    }

    #[test]
    fn escaping_twice_is_still_harmless(value in value()) {
        for dialect in DIALECTS {
            assert_harmless(dialect, &escape(dialect, &value));
        }
    }

    #[test]
    fn every_value_reads_the_same(value in value()) {
        for dialect in DIALECTS {
            prop_assert_eq!(lines(&seen(dialect, &escape(dialect, &value))), lines(&clean(&value)), "{:?}", dialect);
        }
    }

    #[test]
    fn any_text_can_be_escaped(value in any::<String>()) {
        for dialect in DIALECTS {
            let text = escape(dialect, &value);
            prop_assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
        }
    }
}
