//! Severity: one scale for colour, priority and order.

use serde::{Deserialize, Serialize};

use super::alert::Alert;

/// A severity's place on Watchfire's scale; smaller is more severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
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
        let mut values = std::collections::BTreeMap::new();
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
        let value = alert.label(&self.label);
        if let Some(severity) = self.values.get(value) {
            return *severity;
        }
        self.values.get(&value.to_lowercase()).copied().unwrap_or_default()
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
        assert_eq!(of("page"), Severity::Critical);
        assert_eq!(of("nonsense"), Severity::Warning);
        assert_eq!(scale.of(&Alert::default()), Severity::Warning);
    }

    #[test]
    fn other_orders_are_spread_over_the_scale() {
        let order: Vec<String> = ["p1", "p2"].map(str::to_owned).to_vec();
        let scale = SeverityScale::new("prio", &order, &[]);
        assert_eq!(scale.values["p1"], Severity::Critical);
        assert_eq!(scale.values["p2"], Severity::Info);
    }
}
