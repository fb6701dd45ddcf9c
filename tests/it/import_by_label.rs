//! `watchfire import` of receivers whose rooms or addresses are made of a label.

use std::fs;
use std::path::Path;

use watchfire::config::import::{Imported, alertmanager};
use watchfire::config::{LoadOptions, from_text, report};
use watchfire::model::Labels;

use crate::import::{FOLDER, here, load, told};

/// The channels to which an imported tree sends an alert.
fn sent_to(imported: &Imported, labels: &[(&str, &str)]) -> Vec<String> {
    let loaded = from_text(Path::new("routes.yaml"), &imported.routes, &LoadOptions::without_secrets());
    let plan = loaded.unwrap_or_else(|findings| panic!("{}\n{}", imported.routes, report(&findings))).plan;
    let labels: Labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut nodes = Vec::new();
    plan.tree.select(&labels, &mut nodes);
    nodes.iter().flat_map(|node| plan.tree.nodes()[*node].to.of(&labels)).map(ToString::to_string).collect()
}

#[test]
fn every_receiver_whose_address_is_made_of_a_label_is_used_by_routes() {
    let text = r##"
global: { slack_app_token: xoxb-hunter2-slack, smtp_smarthost: 'localhost:25', smtp_from: a@example.org }
route:
  receiver: ops
  routes:
    - { receiver: rooms, matchers: ['severity="page"'], continue: true }
    - receiver: mails
      matchers: ['team=~"db|web"']
      mute_time_intervals: [night]
      routes:
        - { receiver: ops, matchers: ['env="test"'] }
        - { matchers: ['env="lab"'] }
    - { receiver: mails, matchers: ['team="infra"'] }
time_intervals:
  - { name: night, time_intervals: [{ times: [{ start_time: '00:00', end_time: '06:00' }] }] }
receivers:
  - name: ops
    slack_configs: [{ channel: '#ops' }]
  - name: rooms
    slack_configs: [{ channel: '#alerts-{{ .CommonLabels.team }}' }]
  - name: mails
    email_configs: [{ to: '{{ .CommonLabels.team }}@example.org' }]
"##;
    let imported = alertmanager("am.yml", text, &here()).unwrap_or_else(|findings| panic!("{}", report(&findings)));
    load(&imported);
    for (labels, wanted) in [
        (&[("team", "db")][..], &["mails-db"][..]),
        (&[("team", "web"), ("severity", "page")][..], &["rooms-web", "mails-web"][..]),
        (&[("team", "db"), ("env", "test")][..], &["ops"][..]),
        (&[("team", "db"), ("env", "lab")][..], &["mails-db"][..]),
        (&[("team", "infra")][..], &["mails-infra"][..]),
        (&[("team", "other"), ("severity", "page")][..], &["ops"][..]),
    ] {
        assert_eq!(sent_to(&imported, labels), wanted, "{labels:?}\n{}", imported.routes);
    }
    assert!(imported.silent.is_empty() && !imported.routes.contains("log:"), "{:?}\n{}", imported.silent, imported.routes);
    // Intervals are not inherited: both of them and the route above have it.
    assert_eq!(imported.routes.matches("mute_time_intervals").count(), 3, "{}", imported.routes);
}

#[test]
fn a_webhook_whose_address_is_made_of_a_label_is_a_channel_for_each_of_its_values() {
    let text = r##"
global: { slack_app_token: xoxb-hunter2-slack }
route:
  receiver: ops
  routes: [{ receiver: hooks, matchers: ['team=~"db|web"'] }]
receivers:
  - name: ops
    slack_configs: [{ channel: '#ops' }]
  - name: hooks
    webhook_configs: [{ url: 'http://{{ .CommonLabels.team }}.svc/alerts' }]
"##;
    let imported = alertmanager("am.yml", text, &here()).unwrap_or_else(|findings| panic!("{}", report(&findings)));
    load(&imported);
    for (labels, wanted) in [(&[("team", "db")][..], "hooks-db"), (&[("team", "web")][..], "hooks-web"), (&[][..], "ops")] {
        assert_eq!(sent_to(&imported, labels), [wanted], "{labels:?}\n{}", imported.routes);
    }
    assert!(imported.silent.is_empty() && !imported.routes.contains("log:"), "{:?}\n{}", imported.silent, imported.routes);
    // Addresses are in variables; the hosts of internal ones are named.
    for host in ["db.svc", "web.svc"] {
        assert!(imported.routes.contains(&format!("allow_networks: [{host}]")), "{}", imported.routes);
    }
}

/// The receiver of the nearest route above that notifies somebody, whatever is between them; without one the alerts are printed.
#[test]
fn a_value_without_a_channel_goes_to_the_nearest_receiver_that_notifies_somebody() {
    let text = fs::read_to_string(Path::new(FOLDER).join("nested.yml")).unwrap();
    let of = |text: &str| alertmanager("am.yml", text, &here()).unwrap_or_else(|findings| panic!("{}", report(&findings)));
    let imported = of(&text);
    load(&imported);
    for (labels, wanted) in [
        (&[("env", "flat"), ("team", "db")][..], "rooms-db"),
        (&[("env", "flat"), ("team", "web")][..], "ops"),
        (&[("env", "flat")][..], "ops"),
        (&[("team", "sql")][..], "dba"),
        (&[("team", "sql"), ("severity", "page")][..], "mails-sql"),
        (&[("team", "db"), ("severity", "page"), ("env", "deep")][..], "rooms-db"),
    ] {
        assert_eq!(sent_to(&imported, labels), [wanted], "{labels:?}\n{}", imported.routes);
    }
    assert!(told(&imported).contains("all others go where the route above sends"), "{}", told(&imported));
    // Nothing above it notifies anybody.
    let imported = of(&text.replace("receiver: ops", "receiver: rooms"));
    assert_eq!(sent_to(&imported, &[("env", "flat"), ("team", "web")]), ["rooms"], "{}", imported.routes);
    assert_eq!(sent_to(&imported, &[("team", "db"), ("severity", "page"), ("env", "lab")]), ["mails-db"], "{}", imported.routes);
    assert!(imported.routes.contains("to: [dba]") && !imported.routes.contains("to: [mails]"), "{}", imported.routes);
    assert_eq!(imported.silent, ["rooms", "mails"]);
}

/// Only what the label made goes to the receiver above: what is not carried for another reason stays, with its remark.
#[test]
fn a_pager_beside_the_rooms_of_a_label_is_not_dropped_with_them() {
    let text = r##"
global: { slack_app_token: xoxb-hunter2-slack }
route:
  receiver: ops
  routes:
    - receiver: rooms
      matchers: ['severity="page"']
      routes: [{ matchers: ['team="db"'] }]
receivers:
  - name: ops
    slack_configs: [{ channel: '#ops' }]
  - name: rooms
    slack_configs: [{ channel: '#a-{{ .CommonLabels.team }}' }]
    opsgenie_configs: [{ api_key: x }]
"##;
    let imported = alertmanager("am.yml", text, &here()).unwrap_or_else(|findings| panic!("{}", report(&findings)));
    load(&imported);
    assert_eq!(imported.channels["rooms"], ["rooms-opsgenie"], "{}", imported.routes);
    assert_eq!(imported.silent, ["rooms-opsgenie", "rooms-db-opsgenie"], "{}", imported.routes);
    assert_eq!(sent_to(&imported, &[("severity", "page"), ("team", "web")]), ["rooms-opsgenie", "ops"], "{}", imported.routes);
    assert_eq!(sent_to(&imported, &[("severity", "page"), ("team", "db")]), ["rooms-db-slack", "rooms-db-opsgenie"], "{}", imported.routes);
    assert!(told(&imported).contains("its alerts are printed by the channel rooms-opsgenie until then"), "{}", told(&imported));
    assert!(!told(&imported).contains("rooms-slack"), "{}", told(&imported));
}
