//! `watchfire import`: golden outputs over real-looking Alertmanager files (`UPDATE=1` writes them again), no secret in any output, and the imported
//! tree against Alertmanager's own `amtool config routes test`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use watchfire::config::import::{Endpoint, Imported, alertmanager};
use watchfire::config::{LoadOptions, Loaded, from_text, report};
use watchfire::model::Labels;

pub(crate) const FOLDER: &str = "tests/data/import";
/// Files with golden outputs; `drivers` depends on which platforms the build has.
const GOLDEN: [&str; 6] = ["teams", "intervals", "utf8", "platforms", "webhooks", "labels"];

pub(crate) fn here() -> Endpoint {
    Endpoint::parse("http://127.0.0.1:9091/webhook").unwrap()
}

fn import(name: &str) -> Imported {
    let file = format!("{name}.yml");
    let text = fs::read_to_string(Path::new(FOLDER).join(&file)).unwrap();
    alertmanager(&file, &text, &here()).unwrap_or_else(|findings| panic!("{}", report(&findings)))
}

pub(crate) fn load(imported: &Imported) -> Loaded {
    let loaded = from_text(Path::new("routes.yaml"), &imported.routes, &LoadOptions::without_secrets());
    let loaded = loaded.unwrap_or_else(|findings| panic!("{}\n{}", imported.routes, report(&findings)));
    assert_eq!(report(&loaded.findings), "", "{}", imported.routes);
    loaded
}

pub(crate) fn told(imported: &Imported) -> String {
    let mut out = String::new();
    for variable in &imported.variables {
        out.push_str(&format!("{}: {} ({})\n", variable.name, variable.holds, variable.line));
    }
    for remark in &imported.remarks {
        out.push_str(&format!("{}: {}: {}\n    {}\n", remark.line, remark.what, remark.why, remark.todo));
    }
    out
}

#[test]
fn every_file_becomes_what_is_written_down() {
    let mut wrong = Vec::new();
    for name in GOLDEN {
        let imported = import(name);
        for (kind, text) in [("routes.yaml", &imported.routes), ("remains.yml", &imported.alertmanager), ("told.txt", &told(&imported))] {
            let golden = PathBuf::from(FOLDER).join(format!("{name}.{kind}"));
            if std::env::var_os("UPDATE").is_some() {
                fs::write(&golden, text).unwrap();
            } else if fs::read_to_string(&golden).unwrap_or_default() != *text {
                wrong.push(format!("--- {} is now:\n{text}", golden.display()));
            }
        }
        load(&imported);
    }
    assert!(wrong.is_empty(), "{}\nUPDATE=1 writes these down", wrong.join("\n"));
}

#[test]
fn no_secret_of_the_file_goes_anywhere() {
    for name in GOLDEN.into_iter().chain(["drivers"]) {
        let imported = import(name);
        let all = format!("{}{}{}{imported:?}", imported.routes, imported.alertmanager, told(&imported));
        assert!(!all.contains("hunter2"), "{name}:\n{all}");
        for variable in &imported.variables {
            assert!(imported.routes.contains(&format!("{{ env: {} }}", variable.name)), "{name}: nothing reads {}", variable.name);
        }
    }
}

/// Whatever platforms this build has: every configuration is either a channel of its platform, or printed and told.
#[test]
fn a_platform_without_a_driver_is_printed_and_told() {
    let imported = import("drivers");
    let loaded = load(&imported);
    let kinds = [("hook", "webhook"), ("telegram", "telegram"), ("discord", "discord"), ("teams", "teams"), ("both-telegram", "telegram")];
    for (channel, platform) in kinds {
        let made = loaded.plan.channels[channel].platform.name;
        let is_told = imported.remarks.iter().any(|remark| remark.todo.contains(&format!("the channel {channel} until")));
        match watchfire::channel::platform(platform) {
            Some(_) => assert_eq!((made, is_told), (platform, false), "{}", told(&imported)),
            None => assert_eq!((made, is_told), ("log", true), "{}", told(&imported)),
        }
    }
}

#[test]
fn what_alertmanager_refuses_is_refused_with_its_place() {
    let cases = [
        ("route: {receiver: a}\nreceivers: [{name: b}]\n", 1, "there is no receiver \"a\""),
        ("route: {receiver: a, matchers: [x=1]}\nreceivers: [{name: a}]\n", 1, "the first route"),
        ("route:\n  receiver: a\n  routes:\n  - matchers: ['a=~\"(\"']\nreceivers: [{name: a}]\n", 4, "expression"),
        ("route:\n  receiver: a\n  routes:\n  - mute_time_intervals: [x]\nreceivers: [{name: a}]\n", 4, "no time interval"),
        ("route: {receiver: a}\nreceivers: [{name: a}, {name: a}]\n", 2, "two receivers"),
        ("receivers: [{name: a}]\n", 1, "no `route`"),
        ("route: {receiver: a}\nreceivers: a\n", 2, "not a list"),
        ("route:\n  receiver: a\n  group_wait: soon\nreceivers: [{name: a}]\n", 3, "`group_wait` is no duration"),
        ("route:\n  receiver: a\n  repeat_interval: 0s\nreceivers: [{name: a}]\n", 3, "`repeat_interval` is zero"),
        ("route: {receiver: a}\nreceivers:\n- name: a\n  webhook_configs: [{url: 'hunter2 here'}]\n", 4, "no web address"),
        ("channels: {a: {log: {}}}\nroute: {to: [a]}\n", 1, "Watchfire's own configuration"),
        ("scrape_configs: []\n", 1, "the configuration of Prometheus"),
        ("a: [\n", 1, "never closed"),
        ("", 0, "empty"),
        (
            "global: {smtp_require_tls: maybe}\nroute: {receiver: a}\nreceivers: [{name: a, email_configs: [{to: a@b.c, from: a@b.c, smarthost: 'x:25'}]}]\n",
            1,
            "true nor false",
        ),
    ];
    for (text, line, word) in cases {
        let findings = alertmanager("a.yml", text, &here()).map(|imported| imported.routes).unwrap_err();
        let place = findings[0].place.as_ref().unwrap().span.map_or(0, |span| span.line);
        assert!(findings[0].message.contains(word) && (line == 0 || place == line), "{text}\n{findings:?}");
        assert!(!findings[0].label.is_empty());
        assert!(!report(&findings).contains("hunter2"), "{}", report(&findings));
    }
}

/// Servers that take Slack's messages at addresses of their own: what has a preset goes through it, and the rest is named.
#[test]
fn a_hook_like_slacks_becomes_a_preset_or_is_named() {
    let rows: [(&str, &[&str], &str); 5] = [
        (
            "https://chat.example.org/hooks/hunter2",
            &["name: mattermost", "https://chat.example.org", "hook: { env: "],
            "it is Mattermost's, by its address",
        ),
        (
            "https://rocket.example.org/hooks/hunter2a/hunter2b",
            &["name: rocketchat", "https://rocket.example.org", "hook: { env: ", "token: { env: "],
            "it is Rocket.Chat's, by its address",
        ),
        (
            "https://zulip.example.org/api/v1/external/slack_incoming?api_key=hunter2&stream=ops",
            &["slack:", "webhook: { env: "],
            "its address is not Slack's",
        ),
        ("https://hooks.slack.com/triggers/T0/1/hunter2", &["log: {}"], "its address starts a workflow of Slack"),
        ("https://hooks.slack.com/services/T0/B0/hunter2", &["slack:", "webhook: { env: "], "a webhook posts to the room that it was made for"),
    ];
    for (url, parts, why) in rows {
        let text = format!("route: {{ receiver: a }}\nreceivers: [{{ name: a, slack_configs: [{{ api_url: '{url}', channel: '#ops' }}] }}]\n");
        let imported = alertmanager("a.yml", &text, &here()).unwrap_or_else(|findings| panic!("{}", report(&findings)));
        load(&imported);
        let missing: Vec<_> = parts.iter().filter(|part| !imported.routes.contains(**part)).collect();
        assert!(missing.is_empty(), "{url}: {missing:?} in\n{}", imported.routes);
        assert!(told(&imported).contains(why), "{url}: {}", told(&imported));
        assert!(!format!("{}{}", imported.routes, told(&imported)).contains("hunter2"), "{url}: {}", imported.routes);
    }
}

/// The zone of the machine that Alertmanager runs on is written out, so that it holds wherever Watchfire runs.
#[test]
fn a_zone_of_the_machine_becomes_its_name() {
    let text = "route: { receiver: a, routes: [{ receiver: a, mute_time_intervals: [nights] }] }
receivers: [{ name: a, webhook_configs: [{ url: 'https://h.example.com' }] }]
time_intervals: [{ name: nights, time_intervals: [{ times: [{ start_time: '22:00', end_time: '24:00' }], location: Local }] }]
";
    let imported = alertmanager("a.yml", text, &here()).unwrap_or_else(|findings| panic!("{}", report(&findings)));
    let zone = jiff::tz::TimeZone::system().iana_name().unwrap_or("UTC").to_owned();
    assert!(imported.routes.contains(&format!("location: {zone}")) && !imported.routes.contains("Local"), "{}", imported.routes);
    assert!(told(&imported).contains("`location: Local` of time interval nights"), "{}", told(&imported));
    load(&imported);
}

#[test]
fn an_authority_of_ones_own_goes_on_wherever_it_stands() {
    let text = "global: { http_config: { tls_config: { ca_file: /x.pem } } }
route: { receiver: a }
receivers:
- name: a
  webhook_configs: [{ url: 'https://h.example.com' }]
  pushover_configs: [{ token: hunter2, user_key: hunter2 }]
  telegram_configs: [{ bot_token: '1:hunter2', chat_id: 1 }]
  discord_configs: [{ webhook_url: 'https://discord.com/api/webhooks/123456789012345678/hunter2' }]
";
    let imported = alertmanager("a.yml", text, &here()).unwrap();
    let (carried, told) = (imported.routes.matches("ca_file: /x.pem").count(), told(&imported).matches("tls_config.ca_file").count());
    assert!(carried >= 1 && carried + told == 4, "{}{}", imported.routes, self::told(&imported));
}

/// Own numbers, so that a failing case comes again with its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }
}

const VALUES: [(&str, &[&str]); 8] = [
    ("service", &["foo1", "foo2", "baz", "foo12", "files", "database", ""]),
    ("severity", &["critical", "page", "warning", "info", "criticality"]),
    ("owner", &["team-X", "team-Y", "team-Z"]),
    ("env", &["test", "test-2", "prod"]),
    ("level", &["3", "33"]),
    ("team", &["db", "web", ""]),
    ("a", &["1", "2"]),
    ("to", &["telegram", "discord", "teams", "both"]),
];

#[test]
fn the_tree_routes_as_amtool_says() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0 >> 16);
    println!("SEED={seed}");
    let mut random = Random(seed);
    // `utf8` and `platforms` need a newer amtool than the distribution's.
    for (name, cases) in [("teams", 120), ("intervals", 50), ("drivers", 20)] {
        let imported = import(name);
        let loaded = load(&imported);
        let file = readable_by_old_amtool(name);
        let folder = tempfile::tempdir().unwrap();
        let (routes, remains) = (folder.path().join("routes.yaml"), folder.path().join("alertmanager.yml"));
        fs::write(&routes, &imported.routes).unwrap();
        fs::write(&remains, &imported.alertmanager).unwrap();
        for case in 0..cases {
            let mut labels = Labels::new();
            for (label, values) in VALUES {
                if random.below(2) == 0 {
                    labels.insert(label.into(), values[random.below(values.len())].into());
                }
            }
            let said = amtool(file.path(), &labels);
            let theirs: BTreeSet<&str> = said.iter().flat_map(|receiver| &imported.channels[receiver]).map(String::as_str).collect();
            let mut nodes = Vec::new();
            loaded.plan.tree.select(&labels, &mut nodes);
            let ours: BTreeSet<&str> =
                nodes.iter().flat_map(|node| loaded.plan.tree.nodes()[*node].to.of(&labels)).map(|channel| &**channel).collect();
            assert_eq!(ours, theirs, "SEED={seed} {name} {labels:?}: amtool says {said:?}");
            // The same through the program, and through what remains in Alertmanager, which hands every alert over exactly once.
            if case % 10 == 0 {
                let mut route = Command::new(env!("CARGO_BIN_EXE_watchfire"));
                route.args(["route", "--json", "--config"]).arg(&routes).args(labels.iter().map(|(name, value)| format!("{name}={value}")));
                let output = route.output().unwrap();
                let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
                // amtool does not look at the clock.
                let there = ["channels", "muted"].into_iter().flat_map(|key| shown[key].as_array().unwrap()).map(|name| name.as_str().unwrap());
                assert_eq!(there.collect::<BTreeSet<_>>(), theirs, "SEED={seed} {name} {labels:?}: amtool says {said:?}");
                assert_eq!(amtool(&remains, &labels), ["watchfire"], "SEED={seed} {name} {labels:?}\n{}", imported.alertmanager);
            }
        }
    }
}

/// amtool reads what remains of each file, and finds the one receiver.
#[test]
fn amtool_takes_what_remains() {
    for name in ["teams", "intervals"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alertmanager.yml");
        fs::write(&path, import(name).alertmanager).unwrap();
        let output = Command::new("amtool").arg("check-config").arg(&path).output().expect("amtool of the package prometheus-alertmanager");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 receivers"), "{said}");
    }
}

#[test]
fn from_another_machine_alertmanager_needs_a_token() {
    let text = "route: { receiver: a }\nreceivers: [{ name: a, slack_configs: [{ api_url_file: /x, channel: '#a' }] }]\n";
    let endpoint = Endpoint::parse("http://watchfire.example.org:8080/webhook").unwrap();
    let imported = alertmanager("a.yml", text, &endpoint).unwrap();
    load(&imported);
    assert!(imported.routes.contains("listen: '0.0.0.0:8080'\n  auth: [{ bearer: { env: WATCHFIRE_TOKEN } }]"), "{}", imported.routes);
    assert!(imported.alertmanager.contains("credentials_file: /etc/alertmanager/watchfire-token"), "{}", imported.alertmanager);
    assert_eq!(imported.variables[0].name, "WATCHFIRE_TOKEN");
    for (wrong, word) in [
        ("9091", "is no URL"),
        ("watchfire:9091/webhook", "no web address"),
        ("http://h:9091", "names no path"),
        ("ftp://h/webhook", "no web address"),
    ] {
        let why = Endpoint::parse(wrong).unwrap_err();
        assert!(why.contains(word) && why.contains("http://127.0.0.1:9091/webhook"), "{why}");
    }
}

/// The same file with the keys left out that amtool 0.25 does not know; routes are untouched.
fn readable_by_old_amtool(name: &str) -> tempfile::NamedTempFile {
    let text = fs::read_to_string(Path::new(FOLDER).join(format!("{name}.yml"))).unwrap();
    let text = match text.split_once("\nreceivers:") {
        Some((head, tail)) if name == "drivers" => {
            let names = tail.lines().filter(|line| line.starts_with("  - name:"));
            format!("{head}\nreceivers:\n{}\n", names.collect::<Vec<_>>().join("\n"))
        }
        _ => text,
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

fn amtool(file: &Path, labels: &Labels) -> Vec<String> {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={}", if value.is_empty() { "\"\"" } else { value })).collect();
    let mut command = Command::new("amtool");
    command.args(["config", "routes", "test", "--config.file"]).arg(file).args(&labels);
    let output = command.output().expect("amtool of the package prometheus-alertmanager");
    assert!(output.status.success(), "amtool: {} {labels:?}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().split(',').map(str::to_owned).collect()
}

/// Broken files give findings or a result without secrets, never a panic.
#[test]
fn a_line_more_or_less_breaks_nothing() {
    for name in GOLDEN.into_iter().chain(["drivers"]) {
        let text = fs::read_to_string(Path::new(FOLDER).join(format!("{name}.yml"))).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for gone in 0..lines.len() {
            let without: Vec<&str> = lines.iter().enumerate().filter(|(ix, _)| *ix != gone).map(|(_, line)| *line).collect();
            let mut with = lines.clone();
            let bent = lines[gone].replace([':', '-'], " ");
            with[gone] = &bent;
            for lines in [without, with] {
                let shown = match alertmanager("a.yml", &lines.join("\n"), &here()) {
                    Ok(imported) => format!("{imported:?}"),
                    Err(findings) => {
                        assert!(!findings.is_empty(), "{name} without line {gone}");
                        format!("{findings:?}{}", report(&findings))
                    }
                };
                assert!(!shown.contains("hunter2"), "{name}, line {}: {shown}", gone + 1);
            }
        }
    }
}

#[test]
fn a_login_by_cram_md5_goes_on_as_one() {
    let text = "global: { smtp_smarthost: 'mx.example.com:587', smtp_from: w@example.com, smtp_auth_username: w, smtp_auth_secret: hunter2 }
route: { receiver: a }
receivers: [{ name: a, email_configs: [{ to: ops@example.com }] }]
";
    let imported = alertmanager("a.yml", text, &here()).unwrap();
    assert!(imported.routes.contains("auth: cram-md5") && imported.routes.contains("username: w"), "{}", imported.routes);
    assert!(!imported.routes.contains("hunter2"));
}
