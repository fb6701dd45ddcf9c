//! What is read of long messages, of mails and through the shipped presets: short enough to be reviewed.

use jiff::tz::TimeZone;
use serde_json::Value;
use watchfire::channel::{PLATFORMS, Platform, preset};
use watchfire::model::{Escape, Language, SeverityScale};
use watchfire::template::{EntryStatus, FittedPage, Part, TemplateRegistry, plain};

use super::cases::{Case, alert, cases, fields, forms, labels, node};
use super::golden::{golden, pages};
use crate::support::wire::Wire;

const LANGUAGES: [(Language, &str); 2] = [(Language::En, "en"), (Language::Zh, "zh")];
/// Lines that are kept of a long text: its beginning, and its end.
const KEPT: (usize, usize) = (12, 10);

fn compiled() -> TemplateRegistry {
    let (registry, _) = TemplateRegistry::compile(&fields(|_| true), Vec::new());
    registry
}

fn attribute(tag: &str, name: &str) -> String {
    let value = tag.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split_once('"'));
    value.map(|(value, _)| value.to_owned()).unwrap_or_default()
}

/// What is read of an HTML page, its links and pictures with their addresses; the first line is the preheader.
fn visible(html: &str) -> String {
    let body = html.split_once("<body").and_then(|(_, rest)| rest.split_once('>')).map_or(html, |(_, body)| body);
    let (mut out, mut rest, mut link) = (String::new(), body, String::new());
    while let Some((text, after)) = rest.split_once('<') {
        out.push_str(text);
        let (tag, next) = after.split_once('>').unwrap_or((after, ""));
        match tag.split_whitespace().next().unwrap_or_default() {
            "a" => {
                link = attribute(tag, "href");
                out.push('[');
            }
            "/a" => out.push_str(&format!("]({link}) ")),
            "img" => out.push_str(&format!("⟨picture {}⟩", attribute(tag, "src"))),
            "/td" => out.push(' '),
            "/div" | "/tr" | "br" => out.push('\n'),
            _ => {}
        }
        rest = next;
    }
    out.push_str(rest);
    for (entity, sign) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#39;", "'"), ("&#x3D;", "="), ("&amp;", "&")] {
        out = out.replace(entity, sign);
    }
    out.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// A text without its middle, where it is long.
fn abridged(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= KEPT.0 + KEPT.1 + 4 {
        return text.to_owned();
    }
    let left_out = format!("⟨{} lines⟩", lines.len() - KEPT.0 - KEPT.1);
    [&lines[..KEPT.0], &[left_out.as_str()], &lines[lines.len() - KEPT.1..]].concat().join("\n")
}

/// Every page as it is read.
fn read(pages: &[FittedPage], platform: &Platform, wanted: impl Fn(Escape) -> bool) -> String {
    let mut out = String::new();
    for page in pages {
        for field in platform.fields.iter().filter(|field| wanted(field.escape)) {
            let text = page.page.field(field.name);
            let text = if field.escape == Escape::Html { visible(text) } else { text.to_owned() };
            let (number, total) = (page.page.number, page.page.total);
            out.push_str(&format!("--- {} {number}/{total}, {:?} and {} more\n{}\n", field.name, page.range, page.more, abridged(&text)));
        }
    }
    out
}

fn case(name: &str) -> Case {
    cases().into_iter().chain(forms()).find(|case| case.name == name).unwrap()
}

#[test]
fn a_hundred_alerts_as_they_are_read() {
    let (registry, case) = (compiled(), case("hundred"));
    for platform in PLATFORMS {
        let mut out = String::new();
        for (language, name) in LANGUAGES {
            out.push_str(&format!("=== {name}\n{}", read(&pages(&registry, platform, &case, language), platform, |_| true)));
        }
        golden(&format!("{}_hundred", platform.name), &out);
    }
}

#[test]
fn mails_as_they_are_read() {
    let registry = compiled();
    let platform = PLATFORMS.iter().find(|platform| platform.name == "email").unwrap();
    let mut out = String::new();
    for case in forms() {
        for (language, name) in LANGUAGES {
            let pages = pages(&registry, platform, &case, language);
            out.push_str(&format!("=== {} {name}\n{}", case.name, read(&pages, platform, |escape| escape == Escape::Html)));
        }
    }
    for part in [
        "](https://watchfire.example.com/m/7Kq2xV9bTz3mAc)",
        "Pod is crash looping.",
        "Payments by card fail.",
        "⟨picture https://grafana.example.com/render/x.png⟩",
        "The node exporter has not answered for 5 minutes.",
        "[处理手册](https://wiki.example.com/node-down)",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(!out.contains("</") && !out.contains("style="), "markup is left: {out}");
    golden("email_read", &out);
}

/// However short a value is, and however little room the title has.
#[test]
fn what_alerts_are_grouped_by_is_said() {
    let (registry, service) = (compiled(), "s".repeat(80));
    let platform = PLATFORMS.iter().find(|platform| platform.name == "dingtalk").unwrap();
    let by = [("alertname", "HTTP5xxRatioHigh"), ("service", service.as_str()), ("shard", "5"), ("zone", "a")];
    let one = |instance: &str| {
        let mut one = alert(&by, &[("summary", "too many errors")]);
        one.labels.insert("instance".into(), instance.into());
        one
    };
    let mut case = Case::new("grouped", vec![one("web-1"), one("web-2")], vec![EntryStatus::Firing; 2]);
    let text = |case: &Case| pages(&registry, platform, case, Language::En)[0].page.field("text").to_owned();
    case.event.group_labels = labels(&by);
    let cut = text(&case);
    assert!(cut.contains("shard: 5 · zone: a"), "the title has no room for them: {cut}");
    case.event.group_labels.remove("service");
    let whole = text(&case);
    assert!(whole.contains("HTTP5xxRatioHigh · 5 · a") && !whole.contains("shard: 5"), "{whole}");
}

#[test]
fn an_end_that_nobody_knows_the_beginning_of_has_no_duration() {
    let (registry, mut mixed) = (compiled(), case("mixed"));
    mixed.event.alerts[2].starts_at = None;
    for platform in PLATFORMS.iter().filter(|platform| platform.resolved_by_default) {
        let pages = pages(&registry, platform, &mixed, Language::En);
        let text: String = pages.into_iter().flat_map(|page| page.page.fields.into_values()).collect();
        assert!(!text.contains("Resolved after"), "{}: {text}", platform.name);
    }
}

/// Its value is that of the alarm.
#[test]
fn plain_text_says_no_value_of_an_end_whose_time_nobody_knows() {
    let (zone, scale, mut over) = (TimeZone::UTC, SeverityScale::default(), case("resolved"));
    over.event.alerts[0].ends_at = None;
    let entries = over.entries();
    let part = Part { range: 0..1, page: 1, pages: 1, more: 0, max_value: usize::MAX, plain: true };
    let text = plain(&over.input(&entries, &part, Language::En, &zone, &scale));
    assert!(text.starts_with("✅ Resolved · HighCPU · db-1\n") && !text.contains("97.5%"), "{text}");
}

/// Some senders write all they have into the summary.
#[test]
fn long_texts_are_folded_where_a_page_shows_them_and_a_summary_is_whole_in_a_mail() {
    let (registry, whole) = (compiled(), "word ".repeat(300));
    let whole = whole.as_str();
    let sns = alert(&[("alertname", "Sns")], &[("summary", whole)]);
    let mut case = Case::new("summary", vec![sns], vec![EntryStatus::Firing]);
    // The link to a new silence holds every label.
    case.event.external_url.clear();
    let words = |case: &Case, platform: &str, field: &str| {
        let platform = PLATFORMS.iter().find(|one| one.name == platform).unwrap();
        pages(&registry, platform, case, Language::En)[0].page.field(field).matches("word").count()
    };
    assert_eq!([words(&case, "slack", "title"), words(&case, "dingtalk", "text")], [300; 2], "nothing else has it");
    case.details_url = "https://watchfire.example.com/m/7Kq2xV9bTz3mAc";
    assert_eq!([words(&case, "slack", "title"), words(&case, "dingtalk", "text")], [80; 2]);
    assert!(words(&case, "email", "html") >= 380, "the beginning, and below it the whole");
    // So are labels and other annotations, and of several alerts each has its line.
    let long = |instance: &str| {
        let mut query = alert(&[("alertname", "Slow"), ("instance", instance), ("sql", whole)], &[("query", whole)]);
        query.annotations.insert("impact".into(), format!("{instance}\n{whole}"));
        query
    };
    case.event.alerts = vec![long("db-1")];
    assert_eq!(words(&case, "dingtalk", "text"), 80 + 80 + 79);
    case.event.alerts.push(long("db-2"));
    case.statuses.push(EntryStatus::Firing);
    let lines = words(&case, "dingtalk", "text");
    assert!((2 * 80..2 * 80 + 2 * 24).contains(&lines), "{lines}: what both share once, and a line each");
}

/// A client that keeps mails together by their subject finds the same one on each.
#[test]
fn the_pages_of_a_mail_are_numbered_in_the_senders_name() {
    let (registry, case) = (compiled(), case("hundred"));
    let (zone, scale, entries) = (TimeZone::UTC, SeverityScale::default(), case.entries());
    for page in [1, 2] {
        let part = Part { range: 0..1, page, pages: 2, more: 0, max_value: usize::MAX, plain: false };
        let fields = registry.render("email", "default", &case.input(&entries, &part, Language::En, &zone, &scale)).unwrap();
        let status = format!("🔴 100 critical ({page}/2)");
        assert_eq!((fields["subject"].as_str(), fields["status"].as_str()), ("HighCPU", status.as_str()));
    }
}

/// Three are critical; the page behind the message has the whole.
#[test]
fn a_hundred_alerts_with_a_page_are_a_few_lines_and_a_count() {
    let registry = compiled();
    let mut case = Case::new("nodes", (0..100).map(node).collect(), vec![EntryStatus::Firing; 100]);
    case.details_url = "https://watchfire.example.com/m/7Kq2xV9bTz3mAc";
    for name in ["slack", "dingtalk", "wecom_robot", "feishu", "teams", "discord", "telegram", "zulip"] {
        let platform = PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
        let pages = pages(&registry, platform, &case, Language::En);
        let text = pages[0].page.field("text");
        assert_eq!((pages.len(), pages[0].range.end), (1, 8), "{name}");
        assert!(text.contains("+92 warning") && text.lines().count() <= 40, "{name}: {text}");
    }
}

/// Each is named, and takes no more than its line.
#[test]
fn a_hundred_critical_alerts_with_a_page_are_a_line_each() {
    let registry = compiled();
    let paged = Case { name: "critical", details_url: "https://watchfire.example.com/m/7Kq2xV9bTz3mAc", ..case("hundred") };
    for name in ["slack", "dingtalk", "feishu"] {
        let platform = PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
        let pages = pages(&registry, platform, &paged, Language::En);
        let text = pages[0].page.field("text");
        assert_eq!((pages.len(), pages[0].range.end), (1, 100), "{name}");
        assert!(text.contains("db-99") && text.lines().count() <= 115, "{name}: {text}");
    }
}

/// The labels of a card's buttons, in their order.
fn buttons(body: &Value) -> Vec<&str> {
    if body["type"] == "Action.OpenUrl" {
        return body["title"].as_str().into_iter().collect();
    }
    if body["type"] == "button" || body["tag"] == "button" {
        return ["text", "content"].iter().find_map(|key| body["text"][*key].as_str()).into_iter().collect();
    }
    match body {
        Value::Array(items) => items.iter().flat_map(buttons).collect(),
        Value::Object(fields) => fields.values().flat_map(buttons).collect(),
        _ => Vec::new(),
    }
}

/// What templates leave to the drivers.
#[tokio::test]
async fn cards_have_their_colour_buttons_picture_and_small_print() {
    const PICTURE: &str = "https://grafana.example.com/render/x.png";
    let registry = compiled();
    let yellow = ["#E0A100", "yellow", "Warning", "14721280"];
    let red = ["#D92D20", "red", "Attention", "14232864"];
    let green = ["#1F9D55", "green", "Good", "2071893"];
    let cases = [
        ("kubernetes", yellow, ["Silence, Details", "静默, 查看详情"], "reason: CrashLoopBackOff"),
        ("grafana", yellow, ["Panel, Silence, Details", "面板, 静默, 查看详情"], ""),
        ("twelve", red, ["Runbook, Silence, Details", "处理手册, 静默, 查看详情"], "team: infra · env: prod"),
        ("resolved", green, ["", ""], ""),
    ];
    let channels = [
        ("slack", "token: xoxb-1234567890, channel: C1", "/attachments/0/color"),
        ("feishu", "token: 0a1b2c3d-1111-2222-3333-444455556666", "/card/header/template"),
        (
            "teams",
            "webhook: 'https://prod-1.westeurope.logic.azure.com/workflows/a/triggers/manual/paths/invoke?api-version=2016-06-01&sp=x&sv=1.0&sig=a'",
            "/attachments/0/content/body/0/color",
        ),
        ("discord", "webhook: 'https://discord.com/api/webhooks/123456789012345678/abcdefghijklmnopqrstuvwxyz'", "/embeds/0/color"),
    ];
    for (at, (name, block, colour)) in channels.into_iter().enumerate() {
        let platform = PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
        let wire = Wire::new(name, &format!("{name}: {{ {block} }}"));
        for (which, colours, labels, footer) in cases {
            for ((language, _), labels) in LANGUAGES.into_iter().zip(labels) {
                let mut pages = pages(&registry, platform, &case(which), language);
                assert_eq!(pages.len(), 1, "{name} {which}");
                let page = pages.remove(0).page;
                let body = wire.driver().body(&page);
                let about = format!("{name} {which}: {body:#}");
                let shown = body.pointer(colour).map(Value::to_string).unwrap_or_default();
                assert_eq!(shown.trim_matches('"'), colours[at], "{about}");
                // An embed has no buttons: its links are the end of its text.
                let linked = page.field("text").split("](").filter_map(|part| part.rsplit_once('[')).map(|(_, label)| label);
                let found: Vec<&str> = if name == "discord" { linked.collect() } else { buttons(&body) };
                assert_eq!(found.join(", "), labels, "{about}");
                let text = body.to_string();
                // Feishu shows only what was uploaded to it.
                assert_eq!(text.contains(PICTURE), which == "grafana" && name != "feishu", "{about}");
                assert!(text.contains(footer), "{about}");
            }
        }
    }
}

#[test]
fn what_has_only_a_message_says_it_and_an_address_is_said_without_its_scheme() {
    let registry = compiled();
    let said = |name: &str, labels: &[(&str, &str)], annotations: &[(&str, &str)]| {
        let platform = PLATFORMS.iter().find(|platform| platform.name == name).unwrap();
        let case = Case::new("own", vec![alert(labels, annotations)], vec![EntryStatus::Firing]);
        pages(&registry, platform, &case, Language::En).remove(0).page.fields
    };
    let down = [("alertname", "Down"), ("severity", "critical"), ("instance", "db-1")];
    for name in ["twilio_voice", "aliyun_sms", "slack", "telegram", "dingtalk"] {
        let fields = said(name, &down, &[("message", "The replica is behind")]);
        assert!(fields.values().any(|text| text.contains("The replica is behind")), "{name}: {fields:?}");
    }
    let probe = [("alertname", "Down"), ("severity", "critical"), ("instance", "https://shop.example.com/cart")];
    for name in ["twilio_voice", "aliyun_sms", "aliyun_voice", "tencent_sms"] {
        let text = said(name, &probe, &[("summary", "It is down")])["text"].clone();
        assert!(text.contains("shop.example.com") && text.contains("It is down") && !text.contains("://"), "{name}: {text}");
    }
}

/// Orange is for what needs somebody.
#[test]
fn what_only_informs_is_grey_on_wecom() {
    let registry = compiled();
    let platform = PLATFORMS.iter().find(|platform| platform.name == "wecom_robot").unwrap();
    for (severity, colour) in [("info", "comment"), ("critical", "warning")] {
        let one = alert(&[("alertname", "Down"), ("severity", severity)], &[]);
        let case = Case::new("grey", vec![one], vec![EntryStatus::Firing]);
        let text = pages(&registry, platform, &case, Language::Zh)[0].page.field("text").to_owned();
        assert!(text.starts_with(&format!("**<font color=\"{colour}\">")), "{text}");
    }
}

/// The request of every shipped preset, for what fires, what tries everything, and what is over.
#[tokio::test]
async fn shipped_presets_as_they_are_posted() {
    let registry = compiled();
    for (name, platform) in preset::shipped() {
        let given = match name.as_str() {
            "ntfy" => "topic: alerts",
            "gotify" | "pushplus" => "token: t",
            "bark" => "device_key: k",
            "serverchan" => "send_key: SCT-1",
            "pushover" => "token: t, user: u",
            "mattermost" => "hook: h",
            "mattermost_bot" => "token: t, channel_id: c",
            "rocketchat" => "hook: h, token: t",
            "googlechat" => "space: AAAA, webhook_key: k, token: t",
            other => panic!("the preset `{other}` has no golden: write its params here"),
        };
        let wire = Wire::new(&name, &format!("preset: {{ name: {name}, params: {{ url: \"http://127.0.0.1:9\", {given} }} }}"));
        let mut out = String::new();
        for case in ["firing", "hostile", "resolved"].map(case) {
            for (language, word) in LANGUAGES {
                let page = &pages(&registry, platform, &case, language)[0].page;
                let body = wire.driver().body(page);
                let text = body.to_string();
                assert!(text.contains(if case.name == "hostile" { "Evil" } else { "HighC" }), "{name}: {text}");
                out.push_str(&format!("=== {} {word}\n{}\n", case.name, serde_json::to_string_pretty(&body).unwrap()));
            }
        }
        golden(&format!("preset_of_{name}"), &out);
        // Of the others, what is said first arrives.
        for (which, said) in [
            ("mixed", "db-3"),
            ("twelve", "web-12"),
            ("hundred", "db-1"),
            ("bare", ""),
            ("chinese", "数据库磁盘使用率超过 95%"),
            ("kubernetes", "Pod is crash looping."),
            ("grafana", "p99 of checkout-api is 2.41 s (limit 1 s)"),
            ("long", "Ledger and statement differ"),
        ] {
            for (language, word) in LANGUAGES {
                let pages = pages(&registry, platform, &case(which), language);
                let bodies: String = pages.iter().map(|page| wire.driver().body(&page.page).to_string()).collect();
                let title = pages[0].page.facts.title.as_str();
                assert!(!title.is_empty() && bodies.contains(title) && bodies.contains(said), "{name} {which} {word}: {bodies}");
            }
        }
    }
}
