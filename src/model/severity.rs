//! Severity: one scale for colour, priority and order.

use serde::{Deserialize, Serialize};

use super::alert::Alert;

/// A severity's place on Watchfire's scale; smaller is more severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Somebody must act now. Colour red.
    Critical,
    /// Something is broken. Colour orange.
    Error,
    /// Something will break. Colour yellow. Unknown and absent severities rank here.
    #[default]
    Warning,
    /// For information. Colour blue.
    Info,
}

impl Severity {
    /// The four severities, most severe first.
    pub const ALL: [Severity; 4] = [Severity::Critical, Severity::Error, Severity::Warning, Severity::Info];

    /// 0 for critical to 3 for info: the store's `rank` before ageing.
    pub fn rank(self) -> i64 {
        self as i64
    }

    /// The severity of a rank; ranks out of range are clamped.
    pub fn from_rank(rank: i64) -> Self {
        Self::ALL[rank.clamp(0, 3) as usize]
    }

    /// The English name.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// How a label becomes a [`Severity`]: `severity: { label, order, aliases }` in routes.yaml.
#[derive(Debug, Clone, PartialEq)]
pub struct SeverityScale {
    /// The label that holds it.
    pub label: String,
    /// Lower-cased value to severity.
    pub values: std::collections::BTreeMap<String, Severity>,
}

/// Words that senders use for a severity, lower-cased; a scale's own order and aliases win over them. `none` is what the Watchdog alert of
/// kube-prometheus says; `disaster`, `high` and `average` are Zabbix's (<https://www.zabbix.com/documentation/current/en/manual/config/triggers/severity>).
const WORDS: [(Severity, &[&str]); 4] = [
    (
        Severity::Critical,
        &[
            "critical",
            "crit",
            "page",
            "p0",
            "p1",
            "sev0",
            "sev1",
            "emergency",
            "emerg",
            "alert",
            "fatal",
            "disaster",
            "blocker",
            "urgent",
            "紧急",
            "严重",
            "致命",
            "灾难",
        ],
    ),
    (Severity::Error, &["error", "err", "high", "major", "p2", "sev2", "错误", "重要"]),
    (Severity::Warning, &["warning", "warn", "average", "medium", "minor", "p3", "sev3", "警告", "次要"]),
    (Severity::Info, &["info", "information", "informational", "notice", "none", "low", "ok", "debug", "p4", "p5", "sev4", "提示", "信息", "通知"]),
];

impl Default for SeverityScale {
    fn default() -> Self {
        let order = Severity::ALL.iter().map(|s| s.as_str().to_owned()).collect::<Vec<_>>();
        Self::new("severity", &order, &[])
    }
}

impl SeverityScale {
    /// A scale over `label`. `order` lists values from most to least severe and is spread over the four severities: the
    /// first is critical, the last is info, those between take the severity nearest to their place. `aliases` map further values to one in `order`.
    pub fn new(label: &str, order: &[String], aliases: &[(String, String)]) -> Self {
        let words = WORDS.iter().flat_map(|(severity, words)| words.iter().map(|word| ((*word).to_owned(), *severity)));
        let mut values: std::collections::BTreeMap<String, Severity> = words.collect();
        let last = order.len().saturating_sub(1).max(1);
        for (i, value) in order.iter().enumerate() {
            let rank = (i * 3 + last / 2) / last;
            values.insert(value.to_lowercase(), Severity::from_rank(rank as i64));
        }
        for (alias, target) in aliases {
            if let Some(severity) = values.get(&target.to_lowercase()).copied() {
                values.insert(alias.to_lowercase(), severity);
            }
        }
        Self { label: label.to_owned(), values }
    }

    /// The severity of an alert; unknown and absent values rank as warning.
    pub fn of(&self, alert: &Alert) -> Severity {
        self.known(alert).unwrap_or_default()
    }

    /// The severity that an alert itself claims; `None` when its value is unknown or absent.
    pub fn known(&self, alert: &Alert) -> Option<Severity> {
        let value = alert.label(&self.label).trim();
        self.values.get(value).or_else(|| self.values.get(&value.to_lowercase())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_case_and_unknown_values() {
        let order: Vec<String> = ["critical", "error", "warning", "info"].map(str::to_owned).to_vec();
        let scale = SeverityScale::new("severity", &order, &[("page".into(), "critical".into()), ("P1".into(), "critical".into())]);
        let of = |value: &str| {
            let mut alert = Alert::default();
            alert.labels.insert("severity".into(), value.into());
            scale.of(&alert)
        };
        assert_eq!(of("critical"), Severity::Critical);
        assert_eq!(of("Error"), Severity::Error);
        assert_eq!(of("p1"), Severity::Critical);
        assert_eq!(of(" Critical\n"), Severity::Critical);
        assert_eq!(of("page"), Severity::Critical);
        assert_eq!(of("nonsense"), Severity::Warning);
        assert_eq!(scale.of(&Alert::default()), Severity::Warning);
        assert_eq!(scale.known(&Alert::default()), None);
    }

    #[test]
    fn words_of_other_scales_are_known_and_the_own_order_wins() {
        let of = |scale: &SeverityScale, value: &str| {
            let labels = [("severity".to_owned(), value.to_owned())].into();
            scale.known(&Alert { labels, ..Alert::default() })
        };
        let scale = SeverityScale::default();
        for value in ["page", "P1", "Sev0", "emergency", "alert", "Fatal", "disaster", "灾难", "严重"] {
            assert_eq!(of(&scale, value), Some(Severity::Critical), "{value}");
        }
        assert_eq!(of(&scale, "high"), Some(Severity::Error));
        assert_eq!(of(&scale, "major"), Some(Severity::Error));
        assert_eq!(of(&scale, "none"), Some(Severity::Info), "Watchdog");
        let order: Vec<String> = ["high", "low"].map(str::to_owned).to_vec();
        let own = SeverityScale::new("severity", &order, &[("none".into(), "high".into())]);
        assert_eq!(
            (of(&own, "high"), of(&own, "none"), of(&own, "page")),
            (Some(Severity::Critical), Some(Severity::Critical), Some(Severity::Critical))
        );
    }

    #[test]
    fn other_orders_are_spread_over_the_scale() {
        let order: Vec<String> = ["p1", "p2"].map(str::to_owned).to_vec();
        let scale = SeverityScale::new("prio", &order, &[]);
        assert_eq!(scale.values["p1"], Severity::Critical);
        assert_eq!(scale.values["p2"], Severity::Info);
    }
}
