//! Links of a message and of its alerts, most useful first. Only absolute http(s) addresses become links.

use std::cell::OnceCell;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::{Alert, Event, Labels, Language, Link, LinkKind, SenderKind};

use super::super::escape::clean_url;
use super::super::words;
use super::{Entry, shorten};

/// The web address in an annotation or field; empty when it is none.
pub(super) fn web(text: &str) -> String {
    if text.is_empty() { String::new() } else { clean_url(text).unwrap_or_default() }
}

/// The web address that somebody wrote into an annotation: whole, in `<>`, without its scheme where it is clear that it is one
/// (`wiki.example.com/x`, `10.0.0.1:3000/d`), or, on Grafana's own server, a path. Empty when it is none. Without a scheme it is `http`: a server that
/// wants `https` sends a browser there, one that has none cannot send it back.
fn written(text: &str, event: &Event) -> String {
    let text = text.trim();
    let text = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')).unwrap_or(text).trim_matches('"');
    if text.is_empty() {
        return String::new();
    }
    if let Some(url) = clean_url(text) {
        return url;
    }
    if let Some(path) = text.strip_prefix('/') {
        if let Some(host) = path.strip_prefix('/') {
            return if is_host(host) { web(&format!("http://{host}")) } else { String::new() };
        }
        let grafana = matches!(event.kind, SenderKind::Grafana | SenderKind::GrafanaLegacy) && !event.external_url.contains(['?', '#']);
        return if grafana { web(&format!("{}/{path}", event.external_url.trim_end_matches('/'))) } else { String::new() };
    }
    if is_host(text) { web(&format!("http://{text}")) } else { String::new() }
}

/// Whether a text begins with the name of a server: labels with dots between them, the last of letters, or an IPv4 address; and a path or a port, or
/// `www.`, for a bare `notes.md` is a file.
fn is_host(text: &str) -> bool {
    let end = text.find(['/', ':', '?', '#']).unwrap_or(text.len());
    let (host, rest) = text.split_at(end);
    let port = rest.strip_prefix(':').map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let labels: Vec<&str> = host.split('.').collect();
    let sound = |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-') && !label.starts_with('-');
    let top = labels.last().is_some_and(|top| top.chars().count() >= 2 && top.chars().all(char::is_alphabetic));
    labels.len() >= 2
        && labels.iter().all(sound)
        && (top || host.parse::<std::net::Ipv4Addr>().is_ok())
        && (rest.starts_with('/') || port.is_some() || host.starts_with("www."))
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// What was written where a link belongs and is none: it is shown as text. Nothing that a program would run.
fn unlinked(text: &str) -> &str {
    let text = text.trim();
    let runs =
        ["javascript:", "data:", "vbscript:"].iter().any(|scheme| text.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)));
    if runs { "" } else { text }
}

/// The links of one alert, cleaned; an empty text where there is none. Each is read when it is first asked for: a silence alone takes longer than all others.
#[derive(Debug)]
pub struct Addresses<'a> {
    alert: &'a Alert,
    event: &'a Event,
    max_value: usize,
    runbook: OnceCell<String>,
    dashboard: OnceCell<String>,
    panel: OnceCell<String>,
    silence: OnceCell<String>,
    source: OnceCell<String>,
    image: OnceCell<String>,
}

impl<'a> Addresses<'a> {
    /// The links of an alert. A link longer than twice `max_value` characters is left out, never cut.
    pub fn of(entry: &Entry<'a>, max_value: usize) -> Self {
        let none = OnceCell::new;
        let Entry { alert, event, .. } = *entry;
        Self { alert, event, max_value, runbook: none(), dashboard: none(), panel: none(), silence: none(), source: none(), image: none() }
    }

    fn kept(&self, url: String) -> String {
        if url.len() > self.max_value.saturating_mul(2) { String::new() } else { url }
    }

    fn annotated(&self, names: &[&str]) -> String {
        names.iter().map(|name| written(self.alert.annotation(name), self.event)).find(|url| !url.is_empty()).unwrap_or_default()
    }

    fn own_or(&self, own: &str, names: &[&str]) -> String {
        let url = written(own, self.event);
        self.kept(if url.is_empty() { self.annotated(names) } else { url })
    }

    /// What to do about it.
    pub fn runbook(&self) -> &str {
        self.runbook.get_or_init(|| self.kept(self.annotated(&RUNBOOK)))
    }

    /// The dashboard.
    pub fn dashboard(&self) -> &str {
        self.dashboard.get_or_init(|| self.own_or(&self.alert.dashboard_url, &DASHBOARD))
    }

    /// The panel of a dashboard.
    pub fn panel(&self) -> &str {
        self.panel.get_or_init(|| self.own_or(&self.alert.panel_url, &PANEL))
    }

    /// The sender's page for a silence of it.
    pub fn silence(&self) -> &str {
        self.silence.get_or_init(|| {
            let url = web(&self.alert.silence_url);
            self.kept(if url.is_empty() { new_silence(self.event, &self.alert.labels) } else { url })
        })
    }

    /// The rule's expression at the sender.
    pub fn source(&self) -> &str {
        self.source.get_or_init(|| self.kept(web(&self.alert.generator_url)))
    }

    /// The picture.
    pub fn image(&self) -> &str {
        self.image.get_or_init(|| self.own_or(&self.alert.image_url, &["image_url"]))
    }

    /// What was written in place of links, a line each: `Runbook: page 42 of the wiki`.
    pub fn lines(&self, language: Language) -> Vec<String> {
        let mut lines = Vec::new();
        let mut check = |key: &'static str, url: &str, names: &[&str]| {
            let own = names.iter().map(|name| unlinked(self.alert.annotation(name))).find(|text| !text.is_empty());
            // A link that was left out because it is too long is none of these.
            if let Some(text) = own.filter(|text| url.is_empty() && written(text, self.event).is_empty()) {
                lines.push(format!("{}{}{}", words::own(language, key), words::own(language, "colon"), shorten(text, self.max_value)));
            }
        };
        check("runbook", self.runbook(), &RUNBOOK);
        check("dashboard", self.dashboard(), &DASHBOARD);
        check("panel", self.panel(), &PANEL);
        lines
    }

    /// The links in the order they are shown. The picture is not among them: templates place it. What is over needs no silence.
    pub fn links(&self, language: Language, firing: bool) -> Vec<Link> {
        let all = [
            (LinkKind::Runbook, "runbook", self.runbook()),
            (LinkKind::Dashboard, "dashboard", self.dashboard()),
            (LinkKind::Panel, "panel", self.panel()),
            (LinkKind::Silence, "silence", if firing { self.silence() } else { "" }),
            (LinkKind::Source, "source", self.source()),
        ];
        all.into_iter()
            .filter(|(_, _, url)| !url.is_empty())
            .map(|(kind, key, url)| Link { kind, label: words::own(language, key).to_owned(), url: url.to_owned() })
            .collect()
    }
}

/// Annotations that hold a runbook's address.
const RUNBOOK: [&str; 2] = ["runbook_url", "runbook"];
/// Those of a dashboard's.
const DASHBOARD: [&str; 2] = ["dashboard_url", "dashboard"];
/// Those of a panel's.
const PANEL: [&str; 1] = ["panel_url"];

/// The name a link's kind has in templates.
pub(super) fn kind_name(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Runbook => "runbook",
        LinkKind::Dashboard => "dashboard",
        LinkKind::Panel => "panel",
        LinkKind::Silence => "silence",
        LinkKind::Source => "source",
        LinkKind::Details => "details",
    }
}

/// Alertmanager's page for a new silence, filled with matchers for these labels; empty unless the event came from an Alertmanager that told
/// its address. Form: `<external url>/#/silences/new?filter={a="b",c="d"}`
/// as Alertmanager's own page reads it (<https://github.com/prometheus/alertmanager>, `ui/app`).
pub(super) fn new_silence(event: &Event, labels: &Labels) -> String {
    let base = if event.kind == SenderKind::Alertmanager && !labels.is_empty() { web(&event.external_url) } else { String::new() };
    if base.is_empty() || base.contains(['#', '?']) {
        return String::new();
    }
    let matchers: Vec<String> = labels.iter().map(|(name, value)| format!("{}={}", matcher_name(name), quoted(value))).collect();
    let filter = format!("{{{}}}", matchers.join(","));
    format!("{}/#/silences/new?filter={}", base.trim_end_matches('/'), utf8_percent_encode(&filter, NON_ALPHANUMERIC))
}

/// A classic name is bare; any other is quoted (UTF-8 matchers).
fn matcher_name(name: &str) -> String {
    let classic = !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    if classic && !name.is_empty() { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::super::EntryStatus;
    use super::*;

    fn alertmanager(url: &str) -> Event {
        Event { kind: SenderKind::Alertmanager, external_url: url.into(), ..Event::default() }
    }

    #[test]
    fn a_silence_is_prepared_from_all_labels() {
        let labels: Labels = [("alertname", "A"), ("path", "C:\\x \"y\""), ("my label", "z")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let url = new_silence(&alertmanager("https://am.example.com/base/"), &labels);
        let (base, filter) = url.split_once("?filter=").unwrap();
        assert_eq!(base, "https://am.example.com/base/#/silences/new");
        let filter = percent_encoding::percent_decode_str(filter).decode_utf8().unwrap();
        assert_eq!(filter, r#"{alertname="A","my label"="z",path="C:\\x \"y\""}"#);
        assert_eq!(clean_url(&url), Some(url.clone()), "it is unchanged in every dialect");
    }

    #[test]
    fn no_silence_without_an_address_or_from_another_sender() {
        let labels: Labels = [("a".to_owned(), "b".to_owned())].into();
        assert_eq!(new_silence(&alertmanager(""), &labels), "");
        assert_eq!(new_silence(&alertmanager("alertmanager:9093"), &labels), "");
        assert_eq!(new_silence(&alertmanager("javascript:x"), &labels), "");
        let grafana = Event { kind: SenderKind::Grafana, ..alertmanager("https://g.example.com") };
        assert_eq!(new_silence(&grafana, &labels), "");
    }

    #[test]
    fn what_is_clearly_an_address_is_a_link_and_the_rest_is_text() {
        let read = |runbook: &str, kind: SenderKind| {
            let mut alert = Alert::default();
            alert.annotations.insert("runbook_url".into(), runbook.into());
            let event = Event { kind, external_url: "https://g.example.com/grafana/".into(), ..Event::default() };
            let entry = Entry { alert: &alert, event: &event, status: EntryStatus::Firing };
            let addresses = Addresses::of(&entry, usize::MAX);
            (addresses.runbook().to_owned(), addresses.lines(Language::En).join("|"))
        };
        for (written, url) in [
            ("wiki.corp.example/rb/x", "http://wiki.corp.example/rb/x"),
            (" <https://wiki/x y> ", "https://wiki/x%20y"),
            ("www.example.com", "http://www.example.com"),
            ("wiki.example.com:8080", "http://wiki.example.com:8080"),
            ("10.0.0.1:3000/d/abc?x=1", "http://10.0.0.1:3000/d/abc?x=1"),
            ("//wiki.example.com/x", "http://wiki.example.com/x"),
            ("文档.例子.中国/页", "http://文档.例子.中国/%E9%A1%B5"),
        ] {
            assert_eq!(read(written, SenderKind::Alertmanager), (url.to_owned(), String::new()), "{written}");
        }
        for text in [
            "/rb/x",
            "notes.md",
            "page 42 of the wiki",
            "docs/disk.md",
            "ask the DBA: Li",
            "file://share/x",
            "wiki.example.com:http/x",
            "a..b/c",
            "-x.com/y",
        ] {
            assert_eq!(read(text, SenderKind::Alertmanager), (String::new(), format!("Runbook: {text}")), "{text}");
        }
        assert_eq!(read("/d/abc", SenderKind::Grafana), ("https://g.example.com/grafana/d/abc".into(), String::new()));
        for gone in ["", "  ", "javascript:alert(1)", "DATA:text/html,x"] {
            assert_eq!(read(gone, SenderKind::Alertmanager), (String::new(), String::new()), "{gone}");
        }
    }

    #[test]
    fn the_senders_own_silence_wins_and_bad_links_vanish() {
        let mut alert = Alert { silence_url: "https://g/silence".into(), generator_url: "javascript:alert(1)".into(), ..Alert::default() };
        alert.annotations.insert("runbook_url".into(), "https://wiki/x y".into());
        alert.labels.insert("a".into(), "b".into());
        let event = alertmanager("https://am");
        let entry = Entry { alert: &alert, event: &event, status: EntryStatus::Firing };
        let links = Addresses::of(&entry, usize::MAX).links(Language::Zh, true);
        let shown: Vec<_> = links.iter().map(|link| (link.label.as_str(), link.url.as_str())).collect();
        assert_eq!(shown, [("处理手册", "https://wiki/x%20y"), ("静默", "https://g/silence")]);
        assert_eq!(Addresses::of(&entry, 5).links(Language::En, true), []);
        assert_eq!(Addresses::of(&entry, usize::MAX).links(Language::En, false).len(), 1, "what is over needs no silence");
    }
}
