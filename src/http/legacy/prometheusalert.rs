//! What a query of PrometheusAlert means: the templates that come with it, and the levels of its labels.
//! <https://github.com/feiyu563/PrometheusAlert/blob/master/db/prometheus-alert-template.json>

use crate::ingest::Sender;
use crate::model::{Event, SeverityScale};

/// The senders that its own templates are named after (`grafana-dd`), each with the kinds of message that it has one for.
const TEMPLATES: &[(&str, &[&str])] = &[
    ("prometheus", &["dd", "wx", "fs", "fsv2", "dx", "dh", "email", "wechatapp", "ruliu", "webhook", "voice", "feishu-app"]),
    ("grafana", MESSAGES),
    ("graylog2", MESSAGES),
    ("graylog3", MESSAGES),
    ("zabbix", MESSAGES),
    ("sonar", &["dd-example"]),
    ("jenkins", &["dd-example"]),
];

/// The kinds of message that most of them have a template for.
const MESSAGES: &[&str] = &["dd", "wx", "fs", "dx", "dh", "email"];

/// The input of what its zabbixclient posts.
pub(super) const ZABBIX_CLIENT: &str = "zabbixclient";

/// The one that is named after nothing else.
const ALIYUN: &str = "aliyun";

/// Whether a template comes with PrometheusAlert: it shows what ours do. `zabbix-` is how its users name theirs for Zabbix.
pub(super) fn is_known(tpl: &str) -> bool {
    let named = |(sender, kinds): &(&str, &[&str])| tpl.split_once('-').is_some_and(|(of, kind)| of == *sender && kinds.contains(&kind));
    tpl.is_empty() || tpl == ALIYUN || TEMPLATES.iter().any(named)
}

/// Whose body it is: `from=aliyun` says so, or what its template is named after; else the body does.
pub(super) fn sender(tpl: &str, from: &str) -> Sender {
    match tpl.split('-').next() {
        of if from == ALIYUN || of == Some(ALIYUN) => Sender::Input(ALIYUN.to_owned()),
        Some("zabbix") => Sender::Input("zabbix".to_owned()),
        Some("grafana") => Sender::Grafana,
        _ => Sender::Auto,
    }
}

/// Its levels, the label or annotation `level` from 0 to 4, as severities of alerts that have none.
pub(super) fn levels(event: &mut Event, scale: &SeverityScale) {
    for alert in event.alerts.iter_mut().filter(|alert| !alert.labels.contains_key(&scale.label)) {
        let level = [alert.label("level"), alert.annotation("level")].into_iter().find(|level| !level.is_empty()).unwrap_or_default();
        let severity = match level {
            "0" => "info",
            "1" => "warning",
            "2" => "error",
            "3" | "4" => "critical",
            _ => continue,
        };
        alert.labels.insert(scale.label.clone(), severity.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Alert;

    #[test]
    fn its_own_templates_are_known_and_name_their_sender() {
        for tpl in ["", "prometheus-dd", "prometheus-fsv2", "prometheus-feishu-app", "grafana-email", "graylog3-dh", "sonar-dd-example", "aliyun"] {
            assert!(is_known(tpl), "{tpl}");
        }
        for tpl in ["dba", "prometheus", "prometheus-night", "prometheus-dd-2", "-dd", "grafana-voice"] {
            assert!(!is_known(tpl), "{tpl}");
        }
        let input = |name: &str| Sender::Input(name.to_owned());
        for (tpl, from, wanted) in [
            ("prometheus-dd", "", Sender::Auto),
            ("", "", Sender::Auto),
            ("grafana-wx", "", Sender::Grafana),
            ("zabbix-dd", "", input("zabbix")),
            ("aliyun", "", input("aliyun")),
            ("mine", "aliyun", input("aliyun")),
        ] {
            assert_eq!(sender(tpl, from), wanted, "{tpl} {from}");
        }
    }

    #[test]
    fn levels_become_severities() {
        let scale = SeverityScale::new("severity", &["critical".into(), "info".into()], &[]);
        let alert =
            |labels: &[(&str, &str)]| Alert { labels: labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(), ..Alert::default() };
        // Rules from before its templates have it as an annotation.
        let annotated = Alert { annotations: [("level".to_owned(), "2".to_owned())].into_iter().collect(), ..Alert::default() };
        let mut event = Event {
            alerts: vec![alert(&[("level", "4")]), alert(&[("level", "4"), ("severity", "info")]), alert(&[("level", "x")]), annotated],
            ..Event::default()
        };
        levels(&mut event, &scale);
        let severities: Vec<&str> = event.alerts.iter().map(|alert| alert.label("severity")).collect();
        assert_eq!(severities, ["critical", "info", "", "error"]);
    }
}
