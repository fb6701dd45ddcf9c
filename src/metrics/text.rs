//! Which of Prometheus' two formats a caller wants, and the older one made of the newer.

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>): what everything reads.
    Text,
    /// OpenMetrics 1.0 (<https://prometheus.io/docs/specs/om/open_metrics_spec/>): for those that ask for it.
    OpenMetrics,
}

impl Format {
    /// What `Accept` asks for: OpenMetrics when it is named and not liked less than plain text.
    pub fn wanted(accept: &str) -> Self {
        let (mut open, mut text) = (0.0_f32, 0.0_f32);
        for entry in accept.split(',') {
            let mut parts = entry.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let mut weight = 1.0;
            let mut known = true;
            for part in parts {
                match part.split_once('=').map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))) {
                    Some(("q" | "Q", value)) => weight = value.parse().ok().filter(|q: &f32| q.is_finite()).unwrap_or(0.0),
                    Some(("version", version)) => known = matches!((kind, version), (_, "1.0.0") | (_, "0.0.1") | (_, "0.0.4")),
                    _ => {}
                }
            }
            if kind.eq_ignore_ascii_case("application/openmetrics-text") && known {
                open = open.max(weight);
            } else if kind.eq_ignore_ascii_case("text/plain") {
                text = text.max(weight);
            }
        }
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }

    /// Its `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The text format says of each sample's name what it is, OpenMetrics of the family's; units and the end are not told.
pub(super) fn from_open_metrics(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut help = None;
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), Some(about)) => help = Some((name, about.replace("\\\"", "\""))),
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (end, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "unknown" => ("", "untyped"),
                    kind => ("", kind),
                };
                if let Some((_, about)) = help.take().filter(|(helped, _)| *helped == name) {
                    out.push_str(&format!("# HELP {name}{end} {about}\n"));
                }
                out.push_str(&format!("# TYPE {name}{end} {kind}\n"));
            }
            (Some("#"), ..) => {}
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_gets_open_metrics_and_everybody_else_the_text_format() {
        // What Prometheus 2.45, 2.53 and 3.4 send, a browser, curl, and Grafana Agent's `text/plain` first.
        for (accept, wanted) in [
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Text),
            ("*/*", Format::Text),
            ("", Format::Text),
            ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.5", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text; version=2.0.0", Format::Text),
            ("application/openmetrics-text;q=nonsense, text/plain;q=0.1", Format::Text),
        ] {
            assert_eq!(Format::wanted(accept), wanted, "{accept}");
        }
    }

    #[test]
    fn the_older_format_names_samples_and_knows_no_units() {
        let open = "# HELP w_received Bodies \\\"in\\\".\n# TYPE w_received counter\nw_received_total{sender=\"a\"} 1\n\
            # HELP w_age_seconds Age.\n# TYPE w_age_seconds gauge\n# UNIT w_age_seconds seconds\nw_age_seconds 2.0\n\
            # HELP w_odd \\\\ and so on.\n# TYPE w_odd unknown\nw_odd 1\n# EOF\n";
        let text = "# HELP w_received_total Bodies \"in\".\n# TYPE w_received_total counter\nw_received_total{sender=\"a\"} 1\n\
            # HELP w_age_seconds Age.\n# TYPE w_age_seconds gauge\nw_age_seconds 2.0\n\
            # HELP w_odd \\\\ and so on.\n# TYPE w_odd untyped\nw_odd 1\n";
        assert_eq!(from_open_metrics(open), text);
    }
}
