//! Which labels and annotations messages show, and which come first: `labels:` and `annotations:` in routes.yaml.

/// Names that are hidden, names that are shown anyway, and names that come first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameRules {
    /// Hidden.
    pub hide: Vec<String>,
    /// Shown, though the default or `hide` hides them, or the message says them elsewhere.
    pub show: Vec<String>,
    /// Shown before the others, in this order.
    pub first: Vec<String>,
}

/// Labels that say how an alert was measured, not what happened. Besides them, labels that begin with `__` are hidden.
pub const HIDDEN_LABELS: [&str; 9] =
    ["prometheus", "prometheus_replica", "endpoint", "uid", "fstype", "datasource_uid", "ref_id", "grafana_folder", "alertname"];
/// Labels that come first.
pub const FIRST_LABELS: [&str; 3] = ["team", "env", "cluster"];
/// Annotations that a message shows in a place of their own. Besides them, annotations that begin with `__` are hidden.
pub const HIDDEN_ANNOTATIONS: [&str; 11] =
    ["summary", "description", "message", "value", "current_value", "runbook", "runbook_url", "dashboard", "dashboard_url", "panel_url", "image_url"];

impl NameRules {
    /// Whether a name is hidden for what it is.
    pub fn hides(&self, name: &str) -> bool {
        !self.shows(name) && (name.starts_with("__") || self.hide.iter().any(|hidden| hidden == name))
    }

    /// Whether a name is asked for, wherever else the message says it.
    pub fn shows(&self, name: &str) -> bool {
        self.show.iter().any(|shown| shown == name)
    }

    /// A name's place among those that are shown.
    pub fn rank(&self, name: &str) -> usize {
        self.first.iter().position(|first| first == name).unwrap_or(self.first.len())
    }
}

/// The rules for both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Labels.
    pub labels: NameRules,
    /// Annotations.
    pub annotations: NameRules,
}

impl Default for Shown {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            labels: NameRules { hide: names(&HIDDEN_LABELS), show: Vec::new(), first: names(&FIRST_LABELS) },
            annotations: NameRules { hide: names(&HIDDEN_ANNOTATIONS), ..NameRules::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_shown_and_the_first_lead() {
        let mut rules = Shown::default().labels;
        assert!(rules.hides("uid") && rules.hides("__name__") && !rules.hides("team"));
        rules.show = vec!["uid".into(), "__name__".into()];
        assert!(!rules.hides("uid") && !rules.hides("__name__"));
        assert_eq!(["cluster", "x", "team"].map(|name| rules.rank(name)), [2, 3, 0]);
    }
}
