//! What `render` shows: the very body that the driver posts, on every platform; and golden files of what bodies render to.

use std::path::Path;
use std::process::Command;

use jiff::tz::TimeZone;
use serde_json::Value;
use watchfire::http::api::preview;
use watchfire::ingest::{self, Inputs, Sender};
use watchfire::lookalike::{self, Reader};
use watchfire::model::{Facts, MessageStatus, Page};
use watchfire::store::State;

use crate::support::app::{TestApp, alert};
use crate::support::every_platform::All;
use crate::support::fakes::call::{Call, form_pairs};

/// Every value of a body by its path. What differs from attempt to attempt is empty in a body that is only looked at.
fn values(body: &Value, path: &str, out: &mut Vec<(String, String)>) {
    match body {
        Value::Object(fields) => fields.iter().for_each(|(name, field)| values(field, &format!("{path}/{name}"), out)),
        Value::Array(items) => items.iter().enumerate().for_each(|(place, item)| values(item, &format!("{path}/{place}"), out)),
        Value::String(text) => out.push((path.to_owned(), text.clone())),
        other => out.push((path.to_owned(), other.to_string())),
    }
}

/// What was posted: JSON, or a form or a query as an object.
fn posted(call: &Call) -> Value {
    let form = |pairs: Vec<(String, String)>| pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    match serde_json::from_slice(&call.body) {
        Ok(json) => json,
        Err(_) if call.body.is_empty() => form(call.query.clone()),
        Err(_) => form(form_pairs(&String::from_utf8_lossy(&call.body))),
    }
}

/// A text without its incident's number, which nothing has that is only shown.
fn without_number(text: &str) -> &str {
    let (before, last) = text.rsplit_once('\n').unwrap_or(("", text));
    if last.trim().starts_with('#') { before.trim_end() } else { text }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_is_what_the_driver_posts() {
    let all = All::start().await;
    // What is shown has no number, because nothing was stored.
    let app = TestApp::start(&all.routes().replace("rate_limit: off,", "rate_limit: off, living: off,")).await;
    let body = alert("db", "DiskFull", "firing");
    app.post("/webhook", &body).await;
    let rows = app.settled().await;
    assert!(rows.len() == all.members.len() && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    let plan = app.app.engine.plan();
    let now = app.app.engine.clock().wall().timestamp();
    let event = ingest::parse(&Sender::Auto, body.to_string().as_bytes(), &Inputs::default(), now).unwrap().event;
    let reader = Reader { now, zone: TimeZone::UTC };
    let mut green = 0;
    for member in &all.members {
        let channel = plan.channel(member.channel).unwrap();
        let page = preview(&plan, channel, &event, now).pages.remove(0);
        // The colour of a card is the driver's.
        let is_green = |status: MessageStatus| {
            let facts = Facts { status, ..page.facts.clone() };
            let body = channel.driver.body(&Page { facts, ..page.clone() }).to_string();
            ["\"green\"", "\"Good\"", "#1F9D55", "2071893", "white_check_mark"].iter().any(|sign| body.contains(sign))
        };
        assert!(!is_green(MessageStatus::Unreported) && !is_green(MessageStatus::Firing), "{}", member.channel);
        green += usize::from(is_green(MessageStatus::Resolved));
        let shown = channel.driver.body(&page);
        let call = member.rec.all().into_iter().map(|record| record.call).rfind(|call| call.path.contains(member.path)).unwrap();
        let (mut was, mut is) = (Vec::new(), Vec::new());
        values(&posted(&call), "", &mut was);
        values(&shown, "", &mut is);
        for (path, value) in is.into_iter().filter(|(_, value)| !value.is_empty() && value != "…" && value != "null") {
            // A time of its own, and a key of who sent it: the server.
            if path != "/payload/timestamp" && path != "/dedup_key" {
                let same = |(at, posted): &(String, String)| *at == path && (*posted == value || without_number(posted) == value);
                assert!(was.iter().any(same), "{}: {path} = {value}\nis not in {was:#?}", member.channel);
            }
        }
        for secret in member.secrets.iter().filter(|secret| secret.len() > 3) {
            assert!(!shown.to_string().contains(secret), "{}: {shown}", member.channel);
        }
        let text = lookalike::terminal(channel.platform.name, &shown, &reader);
        let html = lookalike::html(channel.platform.name, &shown, &reader);
        // A vendor's template is filled with what `params` of the channel says.
        if !member.channel.starts_with("aliyun") && !member.channel.starts_with("tencent") {
            // A name is spoken in words.
            let named = |shown: &str| shown.contains("DiskFull") || shown.contains("Disk Full");
            assert!(named(&text) && named(&html), "{}: {text}\n{html}", member.channel);
        }
    }
    assert!(green >= 4, "Slack, Feishu, Teams and Discord have colours");
}

const ROUTES: &str = r#"
channels:
  slack: { slack: { webhook: { env: NOBODY_SETS_THIS } } }
  ding: { dingtalk: { access_token: { env: NOBODY_SETS_THIS } }, language: zh, mentions: { mobiles: ["13800000000"] } }
  mail: { email: { server: "127.0.0.1:9", tls: none, from: a@example.com, to: [b@example.com] } }
time_zone: Asia/Shanghai
route: { to: [slack, ding, mail] }
"#;

fn run(folder: &Path, arguments: &[&str]) -> (bool, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_watchfire")).args(arguments).current_dir(folder).output().unwrap();
    (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned(), String::from_utf8_lossy(&out.stderr).into_owned())
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.yaml"), ROUTES).unwrap();
    std::fs::create_dir(folder.path().join("bodies")).unwrap();
    std::fs::write(folder.path().join("bodies/disk.json"), alert("db", "DiskFull", "firing").to_string()).unwrap();
    folder
}

#[test]
fn render_shows_a_message_as_the_client_does() {
    let folder = folder();
    let render = |channel: &str, more: &[&str]| {
        let arguments = [&["render", "-c", channel, "-p", "bodies/disk.json", "--at", "2026-11-24T03:00:00Z"], more].concat();
        let (ok, out, err) = run(folder.path(), &arguments);
        assert!(ok, "{out}{err}");
        out
    };
    // Without the sizes, which every change of a template moves.
    let shown = |channel: &str| -> String {
        let all = render(channel, &[]);
        all.lines()
            .map(|line| if line.starts_with("──") { line.split(" · ").next().unwrap().to_owned() + "\n" } else { format!("{line}\n") })
            .collect()
    };
    insta::with_settings!({ snapshot_path => "templates/snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("terminal", format!("{}\n{}\n{}", shown("slack"), shown("ding"), shown("mail")));
    });
    let json: Value = serde_json::from_str(&render("ding", &["--json"])).unwrap();
    assert_eq!(json["pages"][0]["body"]["msgtype"], "markdown", "{json}");
    assert!(render("ding", &["--html", "ding.html"]).starts_with("ding.html: page 1/1"));
    let html = std::fs::read_to_string(folder.path().join("ding.html")).unwrap();
    assert!(html.contains("<div class=\"lookalike dingtalk\">") && html.contains("<span class=\"mention\">@13800000000</span>"), "{html}");
    assert!(!html.contains("<script") && !html.contains("src=") && html.contains("default-src 'none'"), "{html}");
    let (ok, _, err) = run(folder.path(), &["render", "-c", "ding", "-p", "bodies/disk.json", "--html", "none/x.html"]);
    assert!(!ok && err.contains("none/x.html cannot be written"), "{err}");
}

/// Many terminals show colours and no links: an address is there to be read and copied.
#[test]
fn in_colour_an_address_is_whole_too() {
    let folder = folder();
    let arguments = ["render", "-c", "slack", "-p", "bodies/disk.json", "--at", "2026-11-24T03:00:00Z"];
    let (ok, plain, err) = run(folder.path(), &arguments);
    assert!(ok && plain.contains("/#/silences/new?filter="), "{plain}{err}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    let out = command.args(arguments).current_dir(folder.path()).env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1").output().unwrap();
    let coloured = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
}

#[test]
fn golden_files_are_written_compared_and_out_of_use() {
    let folder = folder();
    let check = |more: &[&str]| {
        let arguments = [&["check", "--without-secrets", "--payloads", "bodies", "--golden", "golden"], more].concat();
        run(folder.path(), &arguments)
    };
    let (ok, out, err) = check(&[]);
    assert!(!ok && out.contains("golden/disk/ding.txt: error[E063]: there is no such file") && err.contains("`--update` makes it"), "{out}{err}");
    let (ok, out, err) = check(&["--update"]);
    assert!(ok && out.contains("golden/disk/slack.txt written") && out.contains("\n3 of 3 golden files written\n"), "{out}{err}");
    std::fs::write(folder.path().join("golden/README.txt"), "What these are.").unwrap();
    let (ok, out, err) = check(&[]);
    assert!(ok && out.contains("3 of 3 golden files are as before") && err.is_empty(), "{out}{err}");

    let file = folder.path().join("golden/disk/slack.txt");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("── page 1/1 ──\n") && text.contains("DiskFull is wrong") && !text.contains('\u{1b}'), "{text}");
    std::fs::write(&file, text.replace("DiskFull is wrong", "DiskFull is not right")).unwrap();
    std::fs::write(folder.path().join("golden/disk/old.txt"), "x").unwrap();
    let (ok, out, _) = check(&[]);
    assert!(!ok && out.contains("golden/disk/slack.txt: error[E063]: this is not what is rendered now"), "{out}");
    assert!(out.contains("\n- DiskFull is not right\n+ DiskFull is wrong\n"), "{out}");
    assert!(out.contains("golden/disk/old.txt: error[E063]: no body renders this any more"), "{out}");
    let (ok, out, err) = check(&["--json"]);
    let findings: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    assert!(!ok && err.is_empty() && findings.to_string().contains("E063"), "{findings}{err}");
    let (ok, _, err) = run(folder.path(), &["check", "--golden", "golden"]);
    assert!(!ok && err.contains("--payloads"), "{err}");
}

/// Whatever the day, the machine and its secrets are.
#[test]
fn golden_files_hold_no_secret_and_are_always_the_same() {
    let folder = folder();
    let routes = r##"
server: { external_url: "https://watchfire.example.com", link_key: { env: KEY } }
channels:
  a.b: { log: {} }
  b: { log: {} }
  room: { preset: { name: mattermost, params: { url: "https://chat.example.com", hook: { env: HOOK }, channel: { env: ROOM } } } }
  slack: { slack: { token: { env: HOOK }, channel: "#ops" } }
  ding: { dingtalk: { access_token: { env: HOOK } } }
  telegram: { telegram: { token: { env: TELEGRAM }, chat: -100123 } }
  pager: { pagerduty: { routing_key: { env: HOOK } } }
  own: { webhook: { url: { env: OWN } } }
  mail: { email: { server: "127.0.0.1:9", tls: none, from: a@example.com, to: [b@example.com] } }
route: { to: [a.b, b, room, slack, ding, telegram, pager, own, mail] }
"##;
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let bodies = folder.path().join("bodies");
    std::fs::rename(bodies.join("disk.json"), bodies.join("x.json")).unwrap();
    std::fs::write(bodies.join("x.a.json"), alert("web", "HostDown", "firing").to_string()).unwrap();
    // Hidden, as those that an archiver leaves.
    std::fs::write(bodies.join("._x.json"), "?").unwrap();
    let check = |secrets: Option<&str>, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command.args(["check", "--payloads", "bodies", "--golden", "golden"]).args(more).current_dir(folder.path());
        let value = secrets.unwrap_or_default();
        for (name, value) in [
            ("HOOK", format!("0123456789abcdef0123456789{value}")),
            ("KEY", format!("a-long-key-of-the-links-{value}-{value}")),
            ("ROOM", format!("room-{value}")),
            ("TELEGRAM", format!("110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PAL{value}")),
            ("OWN", format!("https://own.example.com/{value}")),
        ] {
            if secrets.is_some() {
                command.env(name, value);
            }
        }
        let out = command.output().unwrap();
        (out.status.success(), format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)))
    };
    let (ok, told) = check(Some("s3cret"), &["--update"]);
    assert!(ok && told.contains("18 of 18 golden files written"), "{told}");
    for (secrets, more) in [(Some("s3cret"), &[][..]), (Some("0ther1"), &[][..]), (None, &["--without-secrets"][..])] {
        let (ok, told) = check(secrets, more);
        assert!(ok && told.contains("18 of 18 golden files are as before"), "{secrets:?}: {told}");
    }
    let text = |file: &str| std::fs::read_to_string(folder.path().join("golden").join(file)).unwrap();
    assert!(text("x/a.b.txt").contains("DiskFull is wrong") && text("x.a/b.txt").contains("HostDown is wrong"));
    for channel in ["a.b", "b", "room", "slack", "ding", "telegram", "pager", "own", "mail"] {
        assert!(!text(&format!("x/{channel}.txt")).contains("s3cret"), "{channel}");
    }
    assert!(text("x/slack.txt").contains("https://watchfire.example.com/m/"), "{}", text("x/slack.txt"));
}

/// Every platform that posts an alert's picture.
#[test]
fn a_picture_that_is_posted_is_shown() {
    let folder = folder();
    let channels = [
        ("slack", "slack: { webhook: { env: NOBODY_SETS_THIS } }"),
        ("telegram", "telegram: { token: { env: NOBODY_SETS_THIS }, chat: -100123 }"),
        ("discord", "discord: { webhook: { env: NOBODY_SETS_THIS } }"),
        ("teams", "teams: { webhook: { env: NOBODY_SETS_THIS } }"),
        ("pagerduty", "pagerduty: { routing_key: { env: NOBODY_SETS_THIS } }"),
    ];
    let listed: String = channels.iter().map(|(name, block)| format!("  {name}: {{ {block} }}\n")).collect();
    std::fs::write(folder.path().join("routes.yaml"), format!("channels:\n{listed}route: {{ to: [slack] }}\n")).unwrap();
    let mut body = alert("db", "DiskFull", "firing");
    body["alerts"][0]["annotations"]["image_url"] = "https://grafana.example.com/render/x.png".into();
    std::fs::write(folder.path().join("bodies/disk.json"), body.to_string()).unwrap();
    for (name, _) in channels {
        let render = |more: &[&str]| run(folder.path(), &[&["render", "-c", name, "-p", "bodies/disk.json"], more].concat());
        let (_, json, err) = render(&["--json"]);
        assert!(json.contains("https://grafana.example.com/render/x.png"), "{name}: {json}{err}");
        let (ok, shown, err) = render(&[]);
        assert!(ok && shown.contains("https://grafana.example.com/render/x.png"), "{name}: {shown}{err}");
    }
}

#[test]
fn render_shows_the_short_texts_about_an_incident() {
    let folder = folder();
    let render = |channel: &str, form: &str| {
        let arguments = ["render", "-c", channel, "-p", "bodies/disk.json", "--at", "2026-11-24T03:00:00Z", "--form", form, "--json"];
        let (ok, out, err) = run(folder.path(), &arguments);
        assert!(ok, "{out}{err}");
        serde_json::from_str::<Value>(&out).unwrap()["pages"][0].take()
    };
    for (form, slack, ding) in
        [("news", "Critical · DiskFull", "严重 · DiskFull"), ("again", "Still firing", "未恢复：DiskFull"), ("over", "Resolved after", "已恢复")]
    {
        let page = render("slack", form);
        let text = page["body"]["text"].as_str().unwrap().to_owned();
        assert!(text.contains(slack) && text.ends_with("#1842") && page["body"]["attachments"].as_array().is_none_or(Vec::is_empty), "{page}");
        let page = render("ding", form);
        assert!(page["body"]["msgtype"] == "text" && page["body"]["text"]["content"].as_str().unwrap().contains(ding), "{page}");
        assert_eq!(page["page"]["facts"]["form"], form, "{page}");
    }
}

/// What uses no template is not counted among those that do.
#[test]
fn plain_text_is_no_template_set_more() {
    let folder = folder();
    let routes = "channels:\n  terminal: { log: {} }\n  plain: { format: text, slack: { webhook: { env: NOBODY_SETS_THIS } } }\n\
        route:\n  to: [terminal]\n  routes:\n    - { matchers: 'team=\"nobody\"', to: [plain], template: default }\n";
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let (ok, out, err) = run(folder.path(), &["check", "--without-secrets", "--payloads", "bodies"]);
    assert!(ok && out.contains("disk.json: 1 alert, 1 page to terminal\n"), "{out}{err}");
    assert!(out.contains("warning[W104]") && out.contains("`template` does nothing here") && err.is_empty(), "{out}{err}");
}

/// Every platform that has text beside its markdown or card.
#[test]
fn format_text_has_no_markup() {
    let folder = folder();
    let (mut routes, mut names) = (String::from("channels:\n"), Vec::new());
    for (name, block) in [
        ("slack", "slack: { webhook: { env: NOBODY_SETS_THIS } }"),
        ("dingtalk", "dingtalk: { access_token: { env: NOBODY_SETS_THIS }, card: true }, mentions: { mobiles: [\"13800000000\"] }"),
        ("wecom", "wecom: { corp_id: ww0123, agent_id: 1000002, secret: { env: NOBODY_SETS_THIS }, to_user: \"@all\", card: true }"),
        ("wecom_robot", "wecom_robot: { key: { env: NOBODY_SETS_THIS } }, mentions: { mobiles: [\"13800000000\"] }"),
        ("feishu", "feishu: { token: { env: NOBODY_SETS_THIS } }"),
        ("telegram", "telegram: { token: { env: NOBODY_SETS_THIS }, chat: -100123 }"),
        ("discord", "discord: { webhook: { env: NOBODY_SETS_THIS } }"),
        ("email", "email: { server: \"127.0.0.1:9\", tls: none, from: a@example.com, to: [b@example.com] }"),
    ] {
        routes.push_str(&format!("  {name}: {{ format: text, language: zh, {block} }}\n"));
        names.push(name);
    }
    routes.push_str(&format!("time_zone: Asia/Shanghai\nroute: {{ to: [{}] }}\n", names.join(", ")));
    std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
    let mut shown = String::new();
    for name in names {
        let arguments = ["render", "-c", name, "-p", "bodies/disk.json", "--at", "2026-11-24T03:00:00Z", "--json"];
        let (ok, out, err) = run(folder.path(), &arguments);
        assert!(ok, "{out}{err}");
        let json: Value = serde_json::from_str(&out).unwrap();
        shown.push_str(&format!("=== {name}\n{:#}\n", json["pages"][0]["body"]));
        assert_eq!((json["pages"].as_array().unwrap().len(), &json["pages"][0]["page"]["plain"]), (1, &Value::Bool(true)), "{out}");
    }
    insta::with_settings!({ snapshot_path => "templates/snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("format_text", shown);
    });
}

#[test]
fn render_lists_what_the_file_asks_for_in_its_order() {
    let folder = folder();
    let names = "labels: { hide: [rack], show: [uid], first: [zone] }\nannotations: { hide: [author], show: [__note__], first: [impact] }\n";
    std::fs::write(folder.path().join("routes.yaml"), format!("{names}{ROUTES}")).unwrap();
    let mut body = alert("db", "DiskFull", "firing");
    for (name, value) in [("rack", "rackvalue"), ("uid", "uidvalue"), ("zone", "zonevalue"), ("area", "areavalue")] {
        body["alerts"][0]["labels"][name] = value.into();
    }
    for (name, value) in [("author", "authorvalue"), ("__note__", "notevalue"), ("impact", "impactvalue"), ("cause", "causevalue")] {
        body["alerts"][0]["annotations"][name] = value.into();
    }
    std::fs::write(folder.path().join("bodies/disk.json"), body.to_string()).unwrap();
    let (ok, out, err) = run(folder.path(), &["render", "-c", "ding", "-p", "bodies/disk.json", "--json"]);
    assert!(ok, "{out}{err}");
    let json: Value = serde_json::from_str(&out).unwrap();
    // The link to a new silence has every label.
    let body = json["pages"][0]["body"]["markdown"]["text"].as_str().unwrap();
    let text: String = body.lines().filter(|line| !line.contains("/silences/")).map(|line| format!("{line}\n")).collect();
    let place = |value: &str| text.find(value).unwrap_or_else(|| panic!("{value}: {text}"));
    assert!(place("zonevalue") < place("areavalue") && place("areavalue") < place("uidvalue"), "{text}");
    assert!(place("impactvalue") < place("notevalue") && place("impactvalue") < place("causevalue"), "{text}");
    assert!(!text.contains("rackvalue") && !text.contains("authorvalue"), "{text}");
}
