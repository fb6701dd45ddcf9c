//! A direct send that says just a text.

use super::fingerprint;
use crate::delivery::plan::ChannelPlan;
use crate::model::{Alert, Event, Facts, Form, Page, SenderKind, Severity};

/// A page that says just a text, and the event that records it.
pub fn text_page(channel: &ChannelPlan, text: &str) -> (Event, Page) {
    let title: String = text.lines().next().unwrap_or("").chars().take(120).collect();
    let fields = channel.platform.fields.iter().filter(|f| f.required);
    let fields = fields.map(|f| (f.name.to_owned(), if f.single_line { title.clone() } else { text.to_owned() })).collect();
    let facts = Facts { title: title.clone(), severity: Some(Severity::Info), form: Form::Note, ..Facts::default() };
    let page = Page::of_text(fields, facts);
    let mut alert = Alert { fingerprint: fingerprint(text), ..Default::default() };
    alert.labels.insert("alertname".into(), title.clone());
    let event =
        Event { kind: SenderKind::Direct, source: "direct/test".into(), receiver: "test".into(), title, alerts: vec![alert], ..Default::default() };
    (event, page)
}
