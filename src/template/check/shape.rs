//! What templates can see, as a schema: every field's name, shape and meaning. `check` measures templates by it, and the reference is printed from it.
//!
//! Must agree with `view`: a test walks a view and this schema against each other.

/// The shape of a value.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Not known before rendering: whatever is asked of it is allowed.
    Any,
    /// A text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Flag,
    /// Known fields and no others.
    Object(&'static [Field]),
    /// A list of such values.
    List(&'static Shape),
    /// Whatever names the sender sent, to texts or numbers; a missing name reads as empty.
    Map,
}

impl Shape {
    /// What it is, in words: `a text`.
    pub fn in_words(self) -> &'static str {
        match self {
            Shape::Any => "anything",
            Shape::Text => "a text",
            Shape::Number => "a number",
            Shape::Flag => "true or false",
            Shape::Object(_) => "an object",
            Shape::List(_) => "a list",
            Shape::Map => "a map",
        }
    }
}

/// One field.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its shape.
    pub shape: Shape,
    /// What it means, in one line.
    pub about: &'static str,
}

const fn text(name: &'static str, about: &'static str) -> Field {
    Field { name, shape: Shape::Text, about }
}

const fn number(name: &'static str, about: &'static str) -> Field {
    Field { name, shape: Shape::Number, about }
}

const fn flag(name: &'static str, about: &'static str) -> Field {
    Field { name, shape: Shape::Flag, about }
}

const fn map(name: &'static str, about: &'static str) -> Field {
    Field { name, shape: Shape::Map, about }
}

const fn list(name: &'static str, of: &'static Shape, about: &'static str) -> Field {
    Field { name, shape: Shape::List(of), about }
}

const fn any(name: &'static str, about: &'static str) -> Field {
    Field { name, shape: Shape::Any, about }
}

const fn object(name: &'static str, fields: &'static [Field], about: &'static str) -> Field {
    Field { name, shape: Shape::Object(fields), about }
}

/// What the texts of an input see.
pub const INPUT: Shape = Shape::Object(&[any("body", "the whole body"), any("alert", "one alert of its list; without a list the body")]);

/// The fields at the top of every page.
pub const ROOT: Shape = Shape::Object(ROOT_FIELDS);
const ALERT: Shape = Shape::Object(ALERT_FIELDS);
const BRIEF: Shape = Shape::Object(BRIEF_FIELDS);
const LINK: Shape = Shape::Object(LINK_FIELDS);
const LINE: Shape = Shape::Text;

const ROOT_FIELDS: &[Field] = &[
    text("headline", "the line seen first: emoji, severity (of several alerts how many of which), title"),
    text("preview", "the headline and what a person wrote: for notifications"),
    text(
        "summary",
        "the summary while it fires, folded where `details_url` has the whole; of several alerts what their summaries share, `…` where only the place differs",
    ),
    text("description", "of several alerts what their descriptions share, folded where `details_url` has the whole"),
    text("shared_name", "the alerts' name, when several have the same one"),
    map("shared_labels", "the labels that are listed and that all alerts have"),
    map("shared_annotations", "the annotations that are listed and that several alerts share"),
    text("footer", "`shared_labels` in one line: `team: db · env: prod`"),
    list("rest", &LINE, "the alerts that no page shows, counted by severity and place"),
    text("worst", "of several alerts where the worst fire, and how many more do: `web-01, web-02, web-03 and 9 more`"),
    text("image_url", "a picture of what fires"),
    text("title", "what the message is about, without status and severity"),
    text("topic", "what stays the same in every message of a group: its name, and the values that the sender groups by"),
    text("subject", "a mail's subject, the same in every mail of a group: `topic`; where that has no name of an alert, `Alert · payments`"),
    text("state", "the headline without its title: `🔴 Critical`, `🔴 3 critical, 9 warning`, `✅ Resolved after 1h 17m`"),
    text("message", "the text of a direct send; empty for alerts"),
    text("status", "`firing` while any alert of the message fires, `unreported` while nobody knows of some, else `resolved`"),
    text("status_word", "the status in the message's language; counts when there are several alerts"),
    flag("firing", "whether any alert of the message fires"),
    flag("resolved", "whether all of them are resolved"),
    flag("unreported", "whether none fires, and of some nobody knows: their sender does not report them any more"),
    flag("mixed", "whether some fire and some are resolved"),
    number("firing_count", "firing alerts in the whole message"),
    number("resolved_count", "resolved alerts in the whole message"),
    number("unreported_count", "alerts in the whole message that are not reported any more"),
    number("total", "alerts in the whole message"),
    flag("single", "whether the message is about one alert"),
    text("counts", "how many: `3 critical, 9 warning, 1 resolved`"),
    text("starts_at", "when the first alert that fires began, RFC 3339; empty when none fires, in a digest, and where values are shortened to fit"),
    text("duration", "how long that is ago, `3d 4h`, `12 min`"),
    text("severity", "the most severe: `critical`, `error`, `warning` or `info`"),
    text("severity_word", "the same in the message's language; empty when no alert has a severity"),
    text("emoji", "a disc in the severity's colour, a tick, or a white disc for what is not reported any more"),
    text("color", "the severity's or status' colour, `#rrggbb`"),
    list("alerts", &ALERT, "the alerts of this page: firing first, most severe first"),
    list("briefs", &BRIEF, "alerts of a digest that are named in one line each"),
    number("more", "alerts that no page shows"),
    number("truncated", "alerts that the sender itself left out"),
    number("page", "this page's number, from 1"),
    number("pages", "how many pages the message has"),
    flag("multipage", "whether it has more than one"),
    flag("first_page", "whether this is the first"),
    flag("last_page", "whether this is the last"),
    text("kind", "`single`, `fold` (one group, several notifications) or `digest` (several groups)"),
    flag("digest", "whether it is a digest"),
    text("receiver", "the sender's receiver or contact point"),
    text("source", "who sent it"),
    text("group_key", "the sender's group key"),
    text("reason", "why Alertmanager sent it (0.32 and later)"),
    map("group_labels", "labels the sender grouped by"),
    map("common_labels", "labels all alerts share"),
    map("common_annotations", "annotations all alerts share"),
    map("route_labels", "labels of Alertmanager's route (0.34 and later)"),
    text("external_url", "the sender's address; empty unless http or https"),
    text("details_url", "the page with the whole list; empty when there is none"),
    list(
        "links",
        &LINK,
        "links of the whole message, most useful first: runbook, dashboard or panel, silence, details; of several alerts those that all share",
    ),
    list("notes", &LINE, "what Watchfire has to say: shortened, delayed, rendered by the built-in template"),
    object("incident", INCIDENT_FIELDS, "the incident that the message is about"),
    any("extra", "what the sender says besides, by its own names; of a body that an input read all of it: `{{extra.appVersion}}`"),
    text("language", "`en` or `zh`"),
    text("time_zone", "the IANA zone times are shown in"),
    text("now", "when the page was rendered, RFC 3339"),
];

const ALERT_FIELDS: &[Field] = &[
    number("number", "its place on the page, from 1"),
    text("title", "name and place in one line"),
    text("name", "the alert's name"),
    text("instance", "the `instance` label"),
    text("where", "where it happens, as it is copied: `db-1.example.com:9100 · /var`, `shop/cart-0`"),
    text("place", "the same without port and domain: `db-1 · /var`"),
    text("status", "`firing`, `resolved` or `unreported`"),
    text("status_word", "the same in the message's language"),
    flag("firing", "whether it fires"),
    flag("resolved", "whether it is over"),
    flag("unreported", "whether its sender does not report it any more, without having resolved it: silenced there, or gone"),
    flag("came_and_went", "whether it fired and was resolved while it waited here"),
    text("severity", "`critical`, `error`, `warning` or `info`"),
    text("severity_word", "the same in the message's language; the sender's own word where it is unknown, empty where there is none"),
    text("emoji", "a disc in the severity's colour, or a tick"),
    text("color", "the severity's or status' colour, `#rrggbb`"),
    text("summary", "the `summary` annotation"),
    text("description", "the `description` annotation, its hard-wrapped lines joined; empty when it repeats the summary"),
    text("body", "description and message beside the summary, folded to what a phone shows where `details_url` has the whole"),
    list("unlinked", &LINE, "what was written in place of links and is none: `Runbook: page 42 of the wiki`"),
    text("was", "of what is over: what it was, and from when to when"),
    text("message", "the `message` annotation"),
    text("text", "description, else message, else summary"),
    text("value", "the current value: the `value` annotation, else Grafana's values without the condition's 0 or 1"),
    map("values", "Grafana's values by reference id"),
    text("value_string", "Grafana's own text of all values"),
    map("labels", "all labels"),
    map("extra_labels", "the labels that are listed: what name, severity and place do not say, without the hidden ones"),
    map("extra_annotations", "the annotations that are listed: those that have no place of their own"),
    list("copies", &LINE, "what of its place can be copied and the headline shortens: the full host, the mount point"),
    text("line_value", "its value, where `line_text` does not name it"),
    text("line_place", "its place for a line of its own among several; empty where `line_text` names it"),
    text("line_text", "what it says in a line of its own and the others do not"),
    map("line_labels", "listed labels and annotations in which it differs from the others"),
    text("line_runbook", "its runbook, where the others have another"),
    text("line_body", "what it says beside its line and the others do not, where `details_url` is empty"),
    map("annotations", "all annotations"),
    text("since", "when it began, as short as possible, with the configured zone: `14:03 UTC+8`"),
    text("period", "of what is over: from when to when, `04:32–05:49 UTC`"),
    text("since_full", "when it began, with date, seconds and offset"),
    text("starts_at", "when it began, RFC 3339, for `time` and `ago`"),
    text("ended", "when it ended, short; empty while it fires"),
    text("ended_full", "when it ended, with date, seconds and offset"),
    text("ends_at", "when it ended, RFC 3339"),
    text("duration", "how long it has lasted, `3d 4h`, `12 min`; empty when nobody knows when it began or ended"),
    text("runbook_url", "the `runbook_url` annotation"),
    text("dashboard_url", "the dashboard"),
    text("panel_url", "the panel"),
    text("silence_url", "a page that opens a new silence for it"),
    text("generator_url", "the rule or expression that raised it"),
    text("image_url", "a picture of the panel"),
    list("links", &LINK, "the links above that exist, most useful first, without the picture"),
    text("fingerprint", "its identity"),
    text("rule_uid", "Grafana's rule identity"),
    any("extra", "what its sender says of it besides, by its own names; of one that an input read all of it"),
];

const BRIEF_FIELDS: &[Field] = &[
    text("title", "name and place in one line"),
    text("status", "`firing`, `resolved` or `unreported`"),
    text("status_word", "the same in the message's language"),
    flag("firing", "whether it fires"),
    flag("resolved", "whether it is over"),
    flag("unreported", "whether its sender does not report it any more, without having resolved it: silenced there, or gone"),
    text("severity", "`critical`, `error`, `warning` or `info`"),
    text("severity_word", "the same in the message's language; empty when it has none"),
    text("emoji", "a disc in the severity's colour, or a tick"),
    text("color", "the severity's or status' colour, `#rrggbb`"),
    number("count", "how many alerts the line is for"),
    flag("several", "whether it is for more than one"),
    text("since", "when it began, short"),
    text("starts_at", "when it began, RFC 3339"),
    text("duration", "how long it has lasted, while it fires"),
];

const INCIDENT_FIELDS: &[Field] = &[
    number("number", "its number, 0 without one: `{{#if incident.number}}#{{incident.number}}{{/if}}`"),
    text("first_notified", "of a further message of it, when the first was sent, short; else empty"),
    text("line", "`#1842`, of a further message `#1842, first notified 03:12 UTC`; empty without an incident"),
];

const LINK_FIELDS: &[Field] = &[
    text("kind", "`runbook`, `dashboard`, `panel`, `silence`, `source` or `details`"),
    text("label", "its text, in the message's language"),
    text("url", "where it leads: absolute http(s), safe in every dialect"),
];

/// Every field with its path (`alerts[].name`), shape and meaning: the reference of what templates see.
pub fn reference() -> Vec<(String, &'static str, &'static str)> {
    fn add(prefix: &str, fields: &'static [Field], out: &mut Vec<(String, &'static str, &'static str)>) {
        for field in fields {
            let path = format!("{prefix}{}", field.name);
            out.push((path.clone(), field.shape.in_words(), field.about));
            match field.shape {
                Shape::List(Shape::Object(inner)) => add(&format!("{path}[]."), inner, out),
                Shape::Object(inner) => add(&format!("{path}."), inner, out),
                _ => {}
            }
        }
    }
    let mut out = Vec::new();
    add("", ROOT_FIELDS, &mut out);
    out
}
