//! `InputBlock`: how the configuration says what a body of another sender means.
//!
//! The shape and its own checks; reading bodies by it is the parent's business.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

/// How the bodies of a sender become alerts. Texts are Handlebars over `body`, which is all of it, and `alert`, which is one alert of the list
/// (without a list the same as `body`); a text that comes out empty is left out. Places are JSON pointers (RFC 6901).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InputBlock {
    /// Places that a body has which is this sender's, all of them: then `/webhook` chooses this input. Default: only `/in/<name>` does.
    pub when: Vec<String>,
    /// Places whose text is JSON: it is read before everything else, and its members are reached like any others.
    pub parse: Vec<String>,
    /// The place of the list of alerts. Default: the body is one alert, or each entry is, when it is a list.
    pub alerts: Option<String>,
    /// Labels by name. `alertname` must be among them.
    pub labels: IndexMap<String, String>,
    /// Annotations by name: `summary`, `description`, `runbook_url` and others.
    pub annotations: IndexMap<String, String>,
    /// The sender's word for the severity; it becomes the severity label.
    pub severity: Option<String>,
    /// The sender's words, in any case, and the severity that each means: `{ Disaster: critical }`. Others stay as they are.
    pub severities: IndexMap<String, String>,
    /// The sender's word for whether it fires. Default: it fires.
    pub status: Option<String>,
    /// The words of `status` that mean resolved, in any case; everything else fires. Default: `resolved`, `ok`, `normal`, `recovered`, `closed`.
    pub resolved_values: Vec<String>,
    /// The labels that make two alerts the same; each such alert is a group, and an incident, of its own. All labels count where one of them is missing.
    /// Default: all labels, grouped by `alertname`.
    pub identity: Vec<String>,
    /// When it began: RFC 3339, a date and time (UTC unless an offset is with it), or Unix time.
    pub starts_at: Option<String>,
    /// When it ended; used for what is resolved.
    pub ends_at: Option<String>,
    /// A link to its source.
    pub generator_url: Option<String>,
}

/// One mistake in an input, at a path below it (`labels.alertname`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputProblem {
    /// Path below the input.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl InputBlock {
    /// Its texts, each with its path below the input.
    pub fn texts(&self) -> Vec<(String, &str)> {
        let labels = self.labels.iter().map(|(name, text)| (format!("labels.{name}"), text.as_str()));
        let annotations = self.annotations.iter().map(|(name, text)| (format!("annotations.{name}"), text.as_str()));
        let single = [
            ("severity", &self.severity),
            ("status", &self.status),
            ("starts_at", &self.starts_at),
            ("ends_at", &self.ends_at),
            ("generator_url", &self.generator_url),
        ];
        let single = single.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text.as_deref()?)));
        labels.chain(annotations).chain(single).collect()
    }

    /// Everything wrong with it that can be seen without a body and without reading its texts. `severity_label` is the configured one.
    pub fn check(&self, severity_label: &str) -> Vec<InputProblem> {
        let mut problems = Vec::new();
        let mut problem = |path: String, message: String, help: &str| problems.push(InputProblem { path, message, help: help.to_owned() });
        if !self.labels.contains_key("alertname") {
            let help = "write what names the problem: `alertname: '{{alert.name}}'`, or a fixed text: `alertname: Backup`";
            problem("labels.alertname".into(), "there is no `alertname`, the name of messages".into(), help);
        }
        let lists = [("when", &self.when), ("parse", &self.parse)];
        let lists = lists.into_iter().flat_map(|(key, list)| list.iter().enumerate().map(move |(at, place)| (format!("{key}[{at}]"), place)));
        for (path, place) in lists.chain(self.alerts.iter().map(|place| ("alerts".to_owned(), place))) {
            if let Err(message) = check_pointer(place) {
                problem(path, message.into(), "write a JSON pointer: `/` before each step, as in `/event/0/name`");
            }
        }
        if !self.labels.values().chain(self.annotations.values()).any(|text| varies(text)) {
            let help = "write at least one label or annotation with a value of the body: `'{{alert.name}}'`";
            problem("labels".into(), "nothing of the body is shown: there are only fixed texts".into(), help);
        }
        for (name, at) in self.identity.iter().zip(0..).filter(|(name, _)| !self.labels.contains_key(*name) && *name != severity_label) {
            problem(format!("identity[{at}]"), format!("there is no label `{name}`"), "name labels that are written above, or add it to `labels`");
        }
        for (key, words, needs, empty) in [
            ("severities", "severity", &self.severity, self.severities.is_empty()),
            ("resolved_values", "status", &self.status, self.resolved_values.is_empty()),
        ] {
            if !empty && needs.is_none() {
                problem(key.into(), format!("there is no `{words}` to compare with"), &format!("add `{words}: '{{{{alert.{words}}}}}'`"));
            }
        }
        for (key, text) in [("starts_at", &self.starts_at), ("ends_at", &self.ends_at)] {
            if text.as_ref().is_some_and(|text| !varies(text)) {
                problem(key.into(), "a fixed time is not the time of any alert".into(), "write a value of the body, or leave it out");
            }
        }
        problems
    }
}

/// Whether a text holds a value of the body.
fn varies(text: &str) -> bool {
    text.contains("{{")
}

/// Whether a text may go through the whole body, whatever it becomes.
pub(super) fn walks(text: &str) -> bool {
    text.contains("{{#") || text.contains("json ")
}

/// Steps a pointer may have.
const MAX_STEPS: usize = 32;

fn check_pointer(pointer: &str) -> Result<(), &'static str> {
    let Some(path) = pointer.strip_prefix('/') else { return Err("a JSON pointer begins with `/`") };
    if path.split('/').count() > MAX_STEPS {
        return Err("the pointer has more than 32 steps");
    }
    if path.replace("~0", "").replace("~1", "").contains('~') {
        return Err("in a JSON pointer `~` is written as `~0`, and `/` as `~1`");
    }
    Ok(())
}
