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
    fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
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
    assert!(matches!(&credentials[1].kind, CredentialKind::Basic { password: Password::Plain(secret), .. } if secret.expose() == "hunter2"));
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
    fs::write(folder.path().join("secret"), "hunter3\n").unwrap();
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
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
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
                "*" if place[0] == "heartbeats" => format!("[{inner}]"),
                "*" => format!("{{ some: {inner} }}"),
                key => format!("{{ {key}: {inner} }}"),
            });
            load(&written(&text).path().join("routes.yaml"), &options()).err().unwrap_or_default()
        };
        let unknown = |key: &str| findings(key).into_iter().find(|finding| finding.message == format!("unknown key `{key}`"));
        let told = unknown(old).unwrap_or_else(|| panic!("{place:?}: `{old}` is known"));
        assert_eq!(told.label, format!("`{old}` is called `{new}`"), "{place:?}");
        let missing = format!("`{new}` is missing");
        assert!(!findings(old).iter().any(|finding| finding.message.starts_with(&missing)), "{place:?}: `{old}` is reported twice");
        assert!(unknown(new).is_none(), "{place:?}: `{new}` is not known");
    }
}
