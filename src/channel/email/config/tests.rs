//! Every mistake in an `email:` block is found, with its path.

use super::*;
use crate::channel::email::tests::{Plain, config};

const GOOD: &str = "server: smtp.example.com:587\nfrom: Watchfire <w@example.com>\nto: [ops@example.com]\n";

fn problems(yaml: &str) -> Vec<(String, String)> {
    config(yaml).check().into_iter().map(|p| (p.path, format!("{}; {}", p.message, p.help))).collect()
}

/// The problems of the good block with one line replaced or added.
fn with(line: &str) -> Vec<(String, String)> {
    let key = line.split(':').next().unwrap_or_default();
    let kept: String = GOOD.lines().filter(|l| !l.starts_with(&format!("{key}:"))).map(|l| format!("{l}\n")).collect();
    problems(&format!("{kept}{line}\n"))
}

#[test]
fn a_good_block_and_the_defaults() {
    assert_eq!(problems(GOOD), []);
    let full = "server: '[2001:db8::1]:465'\ntls: implicit\nca_file: ca.pem\nusername: w\npassword: { env: SMTP_PASSWORD }\nauth: login\n\
                from: w@example.com\nreply_to: Help <h@example.com>\nto: [a@x.org]\ncc: [b@x.org]\nhello: '[192.0.2.1]'\nconnections: 2\nthread: day\n\
                dkim: { selector: s1, domain: example.com, key: { file: dkim.pem } }\n";
    assert_eq!(problems(full), []);
    let config = config(GOOD);
    assert_eq!((config.mode(465), config.mode(587), config.mode(25)), (TlsMode::Implicit, TlsMode::Starttls, TlsMode::Starttls));
    assert!(serde_yaml::from_str::<Config>(&format!("{GOOD}smtp_port: 1\n")).unwrap_err().to_string().contains("smtp_port"));
}

#[test]
fn each_mistake_has_a_path_and_a_remedy() {
    for (line, path, words) in [
        ("server: smtp.example.com", "email.server", "did you mean `smtp.example.com:587`?"),
        ("server: '::1'", "email.server", "did you mean `[::1]:587`?"),
        ("server: smtps://smtp.example.com:465/", "email.server", "write `smtp.example.com:465` with `tls: implicit`"),
        ("server: 'smtp.example.com:https'", "email.server", "not a port"),
        ("server: 'smtp.example.com:0'", "email.server", "not a port"),
        ("server: 'smtp_example:25'", "email.server", "not a valid name"),
        ("server: '[::g]:25'", "email.server", "IPv6"),
        ("server: ''", "email.server", "empty"),
        ("server: 'mx.example.com:465'\ntls: starttls", "email.tls", "tls: implicit"),
        ("server: 'mx.example.com:587'\ntls: implicit", "email.tls", "tls: starttls"),
        ("tls: none\nca_file: ca.pem", "email.ca_file", "no effect"),
        ("username: w", "email.username", "no `password`"),
        ("password: x", "email.password", "no `username`"),
        ("auth: xoauth2", "email.auth", "no `username`"),
        ("username: w\npassword: ''", "email.password", "empty"),
        ("username: w\npassword: 1.5", "email.password", "quote it"),
        ("from: example.com", "email.from", "@ is missing"),
        ("reply_to: 'a@'", "email.reply_to", "after the @"),
        ("to: []", "email.to", "nobody"),
        ("to: [a@x.org, 'b@x.org,c@x.org']", "email.to[1]", "list item"),
        ("cc: [ops]", "email.cc[0]", "@ is missing"),
        ("hello: my_host", "email.hello", "host name"),
        ("connections: 0", "email.connections", "1 to 50"),
        ("dkim: { selector: 'a b', domain: x.org, key: k }", "email.dkim.selector", "DNS name"),
        ("dkim: { selector: a, domain: '', key: k }", "email.dkim.domain", "domain"),
    ] {
        let found = with(line);
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert!(found[0].0 == path && found[0].1.contains(words), "{line}: {found:?}");
    }
}

#[test]
fn all_mistakes_at_once() {
    let found = problems("{ server: x, from: y, to: [z], cc: ['@'], username: u, connections: 99 }");
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["email.server", "email.username", "email.from", "email.to[0]", "email.cc[0]", "email.connections"]);
}

#[test]
fn building_reports_secrets_files_and_proxies() {
    let build = |more: &str, proxy: bool| match config(&format!("{GOOD}{more}")).driver(&Plain, proxy) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|p| (p.path, p.message)).collect::<Vec<_>>(),
    };
    assert_eq!(build("", false), []);
    let found =
        build("username: w\npassword: { env: NOPE }\nca_file: /nonexistent/ca.pem\ndkim: { selector: s, domain: x.org, key: garbage }\n", true);
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["proxy", "email.password", "email.ca_file", "email.dkim.key"]);
    assert!(!format!("{found:?}").contains("garbage"));
}

#[test]
fn placeholders_are_not_judged() {
    struct Placeholders;
    impl SecretReader for Placeholders {
        fn read(&self, _: &SecretSource) -> Result<Secret, String> {
            Ok(Secret::new("placeholder"))
        }
        fn real(&self) -> bool {
            false
        }
    }
    let yaml = format!("{GOOD}ca_file: ca.pem\ndkim: {{ selector: s, domain: x.org, key: {{ env: K }} }}\n");
    assert!(config(&yaml).driver(&Placeholders, false).is_ok());
}

#[test]
fn the_outlet_is_server_and_account() {
    let outlet = |more: &str| config(&format!("{GOOD}{more}")).driver(&Plain, false).map_err(|p| format!("{p:?}")).unwrap().1;
    let login = |user: &str| outlet(&format!("username: {user}\npassword: secret\n"));
    assert_eq!(login("a"), login("a"));
    assert_ne!(login("a"), login("b"));
    assert_ne!(login("a"), outlet(""));
    assert_eq!(outlet(""), outlet("cc: [x@x.org]\n"));
    assert!(outlet("").as_str().starts_with("email:"));
}

#[test]
fn debug_shows_no_password() {
    let config = config(&format!("{GOOD}username: w\npassword: hunter22\n"));
    assert!(!format!("{config:?}").contains("hunter22"));
}
