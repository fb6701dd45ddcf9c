//! Loading as a whole: what comes out of a sound file, and what a reload would see.

use std::fs;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::model::Finding;

const MAIL: &str = "channels:\n  ops-mail:\n    email: { server: 'smtp.example.com:587', username: w, password: { file: secret }, from: w@example.com, to: [ops@example.com] }\n";
const ROUTE: &str = "route:\n  to: [ops-mail]\n";

fn options() -> LoadOptions {
    LoadOptions { env: Arc::new(|name| (name == "TOKEN").then(|| "a-token-that-is-long-enough".into())), ..LoadOptions::default() }
}

fn written(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("routes.yaml"), text).unwrap();
    fs::write(folder.path().join("secret"), "hunter2-hunter2\n").unwrap();
    folder
}

fn loaded(folder: &FilePath) -> Loaded {
    load(&folder.join("routes.yaml"), &options()).unwrap_or_else(|findings| panic!("{}", render::report(&findings)))
}

fn told(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_sound_file_becomes_a_plan() {
    let text = format!(
        "{MAIL}    timeout: 20s\n    digest: off\n    rate_limit: {{ per_minute: 12 }}\n    previous_names: [old]\n  spare: {{ log: {{}}, rate_limit: off, send_resolved: false }}\n{ROUTE}\
         server:\n  listen: 0.0.0.0:80\n  external_url: https://w.example.com/\n  max_body: 1MiB\n  auth:\n    - bearer: {{ env: TOKEN }}\n    \
         - basic: {{ username: grafana, password: {{ file: secret }} }}\n      scopes: [webhook]\n    - hmac: {{ secrets: [{{ env: TOKEN }}] }}\n      channels: [spare]\n\
         dedup: {{ window: 0 }}\nretention: {{ sent: 2w, max_size: 1GiB }}\nself_monitoring: {{ to: spare, backlog: 1h }}\nincidents: {{ repeat: 2h }}\nlanguage: zh\ntime_zone: Asia/Shanghai\nstore: sqlite:data/w.db\n"
    );
    let folder = written(&text);
    let loaded = loaded(folder.path());
    assert_eq!(told(&loaded.findings), Vec::<&str>::new());
    let plan = &loaded.plan;
    assert_eq!(plan.external_url, "https://w.example.com");
    assert_eq!(plan.senders.dedup_window, Duration::ZERO);
    assert_eq!((plan.retention.sent, plan.retention.max_bytes), (Duration::from_secs(14 * 86_400), 1 << 30));
    assert_eq!((plan.self_monitoring.to.as_slice(), plan.self_monitoring.backlog), (["spare".to_owned()].as_slice(), Duration::from_secs(3600)));
    let incidents = crate::delivery::IncidentsPlan { repeat: Duration::from_secs(7200), ..Default::default() };
    assert_eq!(plan.incidents, incidents);
    assert!(plan.link_key.is_empty(), "the store's own is used");
    let mail = plan.channel("ops-mail").unwrap();
    assert_eq!((mail.timeout, mail.digest, mail.content.max_pages), (Duration::from_secs(20), None, 3));
    assert_eq!(mail.rate_limit.as_ref().unwrap().iter().map(|limit| limit.count).collect::<Vec<_>>(), [12, 12]);
    assert_eq!((mail.previous_names.as_slice(), mail.recipients.len()), (["old".to_owned()].as_slice(), 1));
    assert_eq!(mail.content.language, crate::model::Language::Zh);
    let spare = plan.channel("spare").unwrap();
    assert!(spare.rate_limit.is_none() && !spare.content.send_resolved);
    assert_eq!(spare.timeout, Duration::from_secs(30), "platforms have confirmed after 12 s: what is given up too soon comes twice");
    assert!(matches!(&loaded.store, StoreSettings::Sqlite(path) if *path == folder.path().join("data/w.db")));
    let server = &loaded.server;
    assert_eq!((server.listen.to_string().as_str(), server.max_body), ("0.0.0.0:80", 1 << 20));
    let Admission::Credentials(credentials) = &server.auth else { panic!("open") };
    assert_eq!(credentials.iter().map(|c| &*c.name).collect::<Vec<_>>(), ["bearer-1", "grafana", "hmac-3"]);
    assert!(matches!(&credentials[1].kind, CredentialKind::Basic { password: Password::Plain(secret), .. } if secret.expose() == "hunter2-hunter2"));
    assert_eq!(credentials[1].scopes.len(), 1);
    assert!(
        matches!(&credentials[2].kind, CredentialKind::Hmac { secrets, header, .. } if secrets.len() == 1 && header == "X-Grafana-Alerting-Signature")
    );
    assert_eq!(credentials[2].channels.as_ref().map(|channels| channels.contains("spare")), Some(true));
    assert!(!format!("{loaded:?}{server:?}").contains("hunter2"));
}

#[test]
fn whatever_it_was_made_from_is_watched() {
    let text = format!("templates: my\nserver: {{ trusted_proxies: [10.0.0.0/8] }}\n{MAIL}{ROUTE}");
    let folder = written(&text);
    fs::create_dir_all(folder.path().join("my/email")).unwrap();
    fs::write(folder.path().join("my/email/default.subject.hbs"), "alert\n").unwrap();
    let first = loaded(folder.path());
    for file in ["routes.yaml", "secret", "my"] {
        assert!(first.files.contains(&folder.path().join(file)), "{file} in {:?}", first.files);
    }
    let before = watch::fingerprint(&first.files);
    fs::write(folder.path().join("secret"), "hunter3-hunter3\n").unwrap();
    assert_ne!(before, watch::fingerprint(&first.files), "a new secret asks for a reload");
    assert_eq!(first.plan.hash, loaded(folder.path()).plan.hash, "but decides nothing about what is sent where");
    fs::write(folder.path().join("my/email/default.subject.hbs"), "alert!\n").unwrap();
    assert_ne!(first.plan.hash, loaded(folder.path()).plan.hash);
}

#[test]
fn the_command_line_wins_over_the_file_and_is_judged_too() {
    let folder = written(&format!("{MAIL}{ROUTE}"));
    let path = folder.path().join("routes.yaml");
    let at = |address: &str| load(&path, &LoadOptions { listen: Some(address.into()), ..options() });
    assert_eq!(at("127.0.0.1:0").unwrap().server.listen.port(), 0);
    assert_eq!(told(&at("0.0.0.0:80").unwrap_err()), [codes::OPEN_LISTENER]);
    assert_eq!(told(&at("here").unwrap_err()), [codes::BAD_ADDRESS]);
}

#[test]
fn a_server_is_found_below_a_misspelt_key() {
    let folder = written("servre: { listen: '127.0.0.1:80' }\n");
    let found = server(&folder.path().join("routes.yaml"), &options()).unwrap();
    assert_eq!(found.listen.port(), 80);
}

#[tokio::test]
async fn without_secrets_everything_is_judged_and_nothing_can_be_sent() {
    let folder = written(&format!("{MAIL}{ROUTE}"));
    fs::remove_file(folder.path().join("secret")).unwrap();
    let path = folder.path().join("routes.yaml");
    assert_eq!(told(&load(&path, &options()).unwrap_err()), [codes::MISSING_SECRET]);
    let loaded = load(&path, &LoadOptions::without_secrets()).unwrap();
    let mail = loaded.plan.channel("ops-mail").unwrap();
    let context = crate::channel::SendContext {
        now: jiff::Timestamp::UNIX_EPOCH,
        deadline: tokio::time::Instant::now() + Duration::from_secs(1),
        message: crate::model::MessageId::new(),
        attempt: 1,
        unanswered: false,
        idempotency_key: String::new(),
        traceparent: String::new(),
        direct: false,
        callback: String::new(),
        press: String::new(),
        reply_to: None,
        own: Default::default(),
    };
    let results = mail.driver.send(&crate::model::Page::default(), &mail.recipients, &context).await;
    assert_eq!(results[0].1.as_ref().unwrap_err().kind, crate::model::ErrorKind::Misconfigured);
}

#[test]
fn an_unreadable_file_is_one_finding() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| told(&load(&folder.path().join(name), &options()).unwrap_err()).join(",");
    assert_eq!(at("none.yaml"), codes::UNREADABLE);
    assert_eq!(at("."), codes::UNREADABLE);
    fs::write(folder.path().join("large.yaml"), "#".repeat(2 << 20)).unwrap();
    assert_eq!(at("large.yaml"), codes::TOO_LARGE);
}

#[test]
fn tls_files_must_belong_together() {
    let folder = written(&format!("{MAIL}{ROUTE}server: {{ tls: {{ cert: cert.pem, key: key.pem }} }}\n"));
    let (one, two) =
        (rcgen::generate_simple_self_signed(["localhost".into()]).unwrap(), rcgen::generate_simple_self_signed(["localhost".into()]).unwrap());
    fs::write(folder.path().join("cert.pem"), one.cert.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), one.signing_key.serialize_pem()).unwrap();
    let sound = loaded(folder.path());
    assert_eq!(sound.server.tls.as_ref().map(|tls| tls.cert.clone()), Some(folder.path().join("cert.pem")));
    assert!(sound.files.contains(&folder.path().join("key.pem")));
    fs::write(folder.path().join("key.pem"), two.signing_key.serialize_pem()).unwrap();
    let findings = load(&folder.path().join("routes.yaml"), &options()).unwrap_err();
    assert_eq!(told(&findings), [codes::BAD_TLS]);
}

#[test]
fn the_schema_describes_every_key() {
    let schema = schema();
    let mut open = vec![(String::new(), &schema)];
    let mut keys = 0;
    while let Some((path, node)) = open.pop() {
        for (key, value) in node.get("properties").and_then(|p| p.as_object()).into_iter().flatten() {
            let told = value.get("description").or_else(|| value.pointer("/$ref")).is_some();
            assert!(told, "{path}.{key} has no description");
            keys += 1;
            open.push((format!("{path}.{key}"), value));
        }
        for (name, value) in node.get("$defs").and_then(|d| d.as_object()).into_iter().flatten() {
            open.push((name.clone(), value));
        }
    }
    assert!(keys > 100, "{keys}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]
    #[test]
    fn no_file_panics(edits in proptest::collection::vec((0usize..3000, "[ -~\n]{0,3}"), 1..6)) {
        // The shipped file with a few characters changed reaches deeper than noise.
        let mut text: Vec<char> = include_str!("../../routes.yaml").replace("\n# ", "\n").replace("  # ", "  ").chars().collect();
        for (at, new) in edits {
            let at = at.min(text.len() - 1);
            text.splice(at..(at + 1), new.chars());
        }
        let text: String = text.into_iter().collect();
        let _ = from_text(FilePath::new("routes.yaml"), &text, &LoadOptions::without_secrets());
    }
}

#[test]
fn a_key_by_its_former_name_is_answered_with_its_new_one() {
    for (place, old, new) in super::schema_check::renamed::RENAMED {
        let findings = |key: &str| {
            let innermost = format!("{{ {key}: {{}} }}");
            let text = place.iter().rev().fold(innermost, |inner, step| match *step {
                "**" => format!("{{ routes: [{{ routes: [{inner}] }}] }}"),
                "*" if matches!(place[0], "heartbeats" | "mutes") => format!("[{inner}]"),
                "*" => format!("{{ some: {inner} }}"),
                key => format!("{{ {key}: {inner} }}"),
            });
            load(&written(&text).path().join("routes.yaml"), &options()).err().unwrap_or_default()
        };
        let unknown = |key: &str, findings: &[Finding]| findings.iter().find(|one| one.message == format!("unknown key `{key}`")).cloned();
        let answer = findings(old);
        let told = unknown(old, &answer).unwrap_or_else(|| panic!("{place:?}: `{old}` is known"));
        assert!(told.label.starts_with(&format!("`{old}` is called `{new}`")), "{place:?}: {}", told.label);
        let missing = format!("`{new}` is missing");
        assert!(!answer.iter().any(|finding| finding.message.starts_with(&missing)), "{place:?}: `{old}` is reported twice");
        assert!(unknown(new, &findings(new)).is_none(), "{place:?}: `{new}` is not known");
    }
}

#[test]
fn a_key_of_alertmanager_is_answered_with_what_to_do_here() {
    let label = |text: &str, key: &str| {
        let findings = load(&written(text).path().join("routes.yaml"), &options()).err().unwrap_or_default();
        let found = findings.into_iter().find(|finding| finding.message == format!("unknown key `{key}`"));
        found.unwrap_or_else(|| panic!("`{key}` is known in {text}")).label
    };
    for (place, key, advice) in super::schema_check::alertmanager::ALERTMANAGER {
        let text = match *place {
            [] => format!("channels: {{}}\n{key}: {{}}\n"),
            ["route", "**"] => format!("route: {{ routes: [{{ {key}: {{}} }}] }}\n"),
            ["channels", "*"] => format!("channels: {{ ops: {{ {key}: {{}} }} }}\n"),
            place => panic!("{place:?} has no file here"),
        };
        assert_eq!(label(&text, key), *advice, "{place:?}");
    }
    let route = |key: &str, value: &str| label(&format!("route: {{ routes: [{{ {key}: {value} }}] }}\n"), key);
    assert_eq!(route("receiver", "ops"), "`receiver` is called `to`");
    assert_eq!(route("match", r#"{ team: 'a"b' }"#), r#"`match` is called `matchers`: write `matchers: ['team="a\"b"']`"#);
    let regex = r#"`match_re` is called `matchers`: write `matchers: ['team=~"db|infra"', 'host=~"it''s\\\\.a"']`"#;
    assert_eq!(route("match_re", r#"{ team: db|infra, host: "it's\\\\.a" }"#), regex);
    assert!(!label("heartbeats: [{ group_wait: 1s }]\n", "group_wait").contains("alertmanager.yml"), "it is no route");
}

const TEAMS: &str = "include: [{ files: 'teams/*.yaml', matchers: 'team=\"{name}\"' }]\nchannels: { ops: { log: {} } }\n";

/// routes.yaml with the files of teams.
fn teams(main: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = written(main);
    fs::create_dir_all(folder.path().join("teams/db")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn way(loaded: &Loaded, labels: &[(&str, &str)]) -> Vec<String> {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    loaded.plan.tree.route(&labels, jiff::Timestamp::UNIX_EPOCH).targets.iter().map(|target| target.channel.to_string()).collect()
}

#[test]
fn a_file_of_a_team_sees_its_own_alerts_only() {
    let db = "channels: { db: { log: {} } }\nroute:\n  to: db\n  routes:\n    - { matchers: 'team=~\".*\"', to: [db, ops] }\n";
    // What tries to take everything, and what is about another team.
    let web = "channels: { web: { log: {} } }\nroute:\n  to: web\n  routes:\n    - { matchers: 'team!=\"db\"', to: web, continue: true }\n    - { matchers: 'severity=~\".*\"', to: web }\n";
    let folder = teams(
        &format!("{TEAMS}route:\n  to: ops\n  routes: [{{ matchers: 'alertname=\"Watchdog\"', to: ops }}]\n"),
        &[("teams/web.yaml", web), ("teams/db.yaml", db)],
    );
    let loaded = loaded(folder.path());
    assert_eq!(loaded.plan.channels.keys().map(|name| &**name).collect::<Vec<_>>(), ["ops", "db", "web"]);
    for team in ["", "db", "web", "wx", "db2", "DB"] {
        let wanted: &[&str] = match team {
            "db" => &["db", "ops"],
            "web" => &["web"],
            _ => &["ops"],
        };
        assert_eq!(way(&loaded, &[("team", team)]), wanted, "{team}");
        assert_eq!(way(&loaded, &[("team", team), ("severity", "critical")]), wanted, "{team}");
        assert_eq!(way(&loaded, &[("team", team), ("alertname", "Watchdog")]), ["ops"], "the routes of routes.yaml come first");
    }
    let names: Vec<&str> = loaded.plan.tree.nodes().iter().map(|node| node.name.as_str()).collect();
    let wanted = ["route", "route.routes[0]", "teams/db.yaml:route", "teams/db.yaml:route.routes[0]", "teams/web.yaml:route"];
    assert_eq!(names.iter().copied().take(5).collect::<Vec<_>>(), wanted);
    let header = format!("# ---- {}", folder.path().join("teams/db.yaml").display());
    assert!(loaded.lines.contains(&header) && loaded.lines.iter().any(|line| line == "channels: { web: { log: {} } }"), "{:?}", loaded.lines);
}

#[test]
fn a_label_leads_to_the_channels_of_a_team_of_an_included_file() {
    let db = "channels: { db: { log: {} }, night: { log: {} } }\npeople: { ann: { mobile: '+8613800000000' } }\n\
              teams: { db: { to: db, people: ann }, db-night: { to: night } }\n";
    let folder = teams(&format!("{TEAMS}route: {{ to: {{ label: owner, default: ops }} }}\n"), &[("teams/db.yaml", db)]);
    let loaded = loaded(folder.path());
    for (owner, channel) in [("db", "db"), ("db-night", "night"), ("web", "ops")] {
        assert_eq!(way(&loaded, &[("owner", owner)]), [channel]);
    }
    assert_eq!(&*loaded.plan.people.teams["db"].people[0], "ann");
}

#[test]
fn a_mistake_in_an_included_file_has_its_place_and_shows_no_secret() {
    let db = "# comment\nchannels:\n  db: { slack: { token: hunter2, channel: C1 }, timeuot: 5s }\nroute: { to: dbb }\nserver: { auth: [{ bearer: hunter3 }] }\n";
    let folder = teams(
        &format!("{TEAMS}route: {{ to: ops }}\n"),
        &[("teams/db.yaml", db), ("teams/web.yaml", "channels: { a: { slack: { token: hunter4\n\tx: 1\n")],
    );
    let path = folder.path().join("routes.yaml");
    let findings = load(&path, &options()).unwrap_err();
    let at = |code: &str| {
        let place = findings.iter().find(|finding| finding.code == code).unwrap().place.clone().unwrap();
        (place.file.rsplit('/').next().unwrap().to_owned(), place.span.unwrap().line)
    };
    assert_eq!(at(codes::UNKNOWN_KEY), ("db.yaml".into(), 3));
    assert_eq!(at(codes::UNKNOWN_CHANNEL), ("db.yaml".into(), 4));
    assert_eq!(at(codes::BAD_INCLUDE), ("db.yaml".into(), 5));
    assert_eq!(at(codes::SYNTAX).0, "web.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let all = render::report(&findings) + &shown_lines(&path, &text).join("\n");
    assert!(!all.contains("hunter"), "{all}");
    assert!(all.contains("timeuot: 5s"), "{all}");
}

#[test]
fn what_a_file_includes_is_watched_and_decides_the_hash() {
    let folder = teams(&format!("{TEAMS}route: {{ to: ops }}\n"), &[("teams/db.yaml", "route: { to: ops }\n")]);
    let first = loaded(folder.path());
    let seen = fingerprint(&first.files);
    fs::write(folder.path().join("teams/db.yaml"), "route: { to: [ops] }\n").unwrap();
    assert_ne!(fingerprint(&first.files), seen);
    assert_ne!(loaded(folder.path()).plan.hash, first.plan.hash);
    let seen = fingerprint(&first.files);
    fs::write(folder.path().join("teams/web.yaml"), "route: { to: ops }\n").unwrap();
    assert_ne!(fingerprint(&first.files), seen, "a file that comes is found");
}

#[test]
fn variables_decide_the_hash_and_are_read_without_secrets() {
    let folder = written("time_zone: { env: ZONE, default: UTC }\nchannels: { ops: { log: {} } }\nroute: { to: { env: TO, default: ops } }\n");
    let zone =
        |zone: &'static str| LoadOptions { env: Arc::new(move |name| (name == "ZONE").then(|| zone.into())), ..LoadOptions::without_secrets() };
    let load = |options: &LoadOptions| load(&folder.path().join("routes.yaml"), options).unwrap().plan;
    let shanghai = load(&zone("Asia/Shanghai"));
    assert_eq!(shanghai.messages.time_zone.iana_name(), Some("Asia/Shanghai"));
    assert_eq!(load(&zone("")).messages.time_zone, jiff::tz::TimeZone::UTC, "an empty one is not set");
    assert_ne!(load(&zone("Europe/Berlin")).hash, shanghai.hash);
    assert_eq!(load(&zone("Asia/Shanghai")).hash, shanghai.hash);
}

#[test]
fn a_file_of_a_team_reaches_nothing_of_others() {
    let main = "include: [{ files: 'teams/*.yaml', matchers: 'team=\"{name}\"' }]\nchannels: { ops: { log: {} } }\nteams: { web: { to: [web] } }\nroute: { to: ops }\n";
    let db = "channels:\n  db: { log: {}, language: { env: TOKEN } }\n  ca: { webhook: { url: 'https://example.com/', ca_file: { env: DB_CA, default: secret } } }\n\
         route: { to: { label: owner, default: db }, escalation: page }\n\
         tests: [{ body: ../secret, expect: db }, { body: db/none.json, expect: db }]\n";
    let web = "channels: { web: { log: {} } }\nescalations: { page: [{ after: 5m, to: web }] }\nroute: { to: web, escalation: page }\n";
    let folder = teams(main, &[("teams/db.yaml", db), ("teams/web.yaml", web)]);
    let findings = load(&folder.path().join("routes.yaml"), &options()).unwrap_err();
    let said: String = findings.iter().map(|finding| format!("{} | {}\n", finding.message, finding.label)).collect();
    for part in [
        "names the environment variable TOKEN",
        "teams/db.yaml names the file secret",
        "teams/db.yaml names the file teams/../secret",
        "teams/db/none.json cannot be read",
        "a route sends to a channel of another file | `web`",
        "a route names an escalation of another file | `page`",
    ] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    assert!(!said.contains("a-token") && !said.contains("hunter2"), "{said}");
}

#[test]
fn what_is_included_is_named_in_the_file_itself() {
    for (key, block) in [
        ("files", "{ files: { env: TOKEN }, matchers: 'team=\"db\"' }"),
        ("matchers", "{ files: teams/db.yaml, matchers: [{ env: TOKEN }] }"),
        ("secrets", "{ files: teams/db.yaml, matchers: 'team=\"db\"', secrets: [{ env: TOKEN }] }"),
    ] {
        let folder = teams(&format!("include: [{block}]\nchannels: {{ ops: {{ log: {{}} }} }}\nroute: {{ to: ops }}\n"), &[]);
        let findings = load(&folder.path().join("routes.yaml"), &options()).unwrap_err();
        let message = format!("`{key}` of `include` cannot be a variable");
        assert!(findings.iter().any(|finding| finding.message == message), "{key}: {}", render::report(&findings));
    }
}

#[cfg(unix)]
#[test]
fn a_body_without_an_end_is_not_read() {
    let folder = written("channels: { ops: { log: {} } }\nroute: { to: ops }\ntests: [{ body: /dev/zero, expect: ops }]\n");
    let findings = load(&folder.path().join("routes.yaml"), &options()).unwrap_err();
    assert!(findings.iter().any(|finding| finding.label.contains("name a regular file")), "{}", render::report(&findings));
}

#[test]
fn a_mute_ends_at_the_time_of_the_files_zone_and_is_named_by_its_matchers() {
    let mute = "mutes: [{ matchers: 'team=\"web\", env!=\"test\"', until: 2099-12-01 06:00, reason: upgrade }]\n";
    let folder = written(&format!("time_zone: Asia/Shanghai\nchannels: {{ ops: {{ log: {{}} }} }}\nroute: {{ to: ops }}\n{mute}"));
    let plan = loaded(folder.path()).plan;
    let mute = &plan.tree.mutes()[0];
    assert_eq!(mute.name.as_deref(), Some("team-web-env-not-test"));
    assert!(matches!(mute.time, crate::route::MuteTime::Until(until) if until.to_string() == "2099-11-30T22:00:00Z"), "{:?}", mute.time);
}
