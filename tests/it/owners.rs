//! Alerts and their owners: teams and people by labels, in rooms, in mails and as mentions; ids that are looked up, and what is said when there is none.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use watchfire::api::DeliveryResponse;
use watchfire::store::{DeliveryRow, State};

use crate::support::app::{TestApp, alert};
use crate::support::fakes::dingtalk_card::DingtalkCard;
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::fakes::wecom::Wecom;
use crate::support::fakes::{Feishu, Room, Security, Slack, Smtp, SmtpOptions};

const TOKEN: &str = "xoxb-test-token";

async fn slack() -> Fake<Slack> {
    Fake::start(Slack::new(TOKEN).channel("C1", "#db", Room::Open).channel("C2", "#web", Room::Open).unpaced()).await
}

fn room(slack: &Fake<Slack>, name: &str, id: &str) -> String {
    format!("  {name}: {{ slack: {{ token: {TOKEN}, channel: {id}, api_base: \"{}\" }} }}\n", slack.url())
}

fn routes(channels: &str, rest: &str) -> String {
    format!("server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\nchannels:\n{channels}{rest}")
}

/// A body of one group, with one firing alert for each of these sets of labels.
fn body(group: &str, labels: &[&[(&str, &str)]]) -> Value {
    let mut body = alert(group, "DiskFull", "firing");
    let alerts = labels.iter().enumerate().map(|(place, labels)| {
        let mut one = body["alerts"][0].clone();
        one["labels"]["instance"] = format!("{group}-{place}").into();
        one["fingerprint"] = watchfire::model::hash_hex(&[group, &place.to_string()]).into();
        labels.iter().for_each(|(name, value)| one["labels"][*name] = (*value).into());
        one
    });
    body["alerts"] = alerts.collect::<Vec<_>>().into();
    body
}

/// What was posted to a room: the text, and who was pinged.
fn posts(slack: &Fake<Slack>) -> Vec<(String, Vec<String>)> {
    let posted = slack.rec.accepted().into_iter().filter(|one| one.call.path.ends_with("chat.postMessage"));
    posted.map(|one| (one.to[0].clone(), one.to[1..].to_vec())).collect()
}

/// Who was pinged by each message to a room, each of them once: a line has its mentions in its text and in its block.
fn pinged(slack: &Fake<Slack>) -> Vec<Vec<String>> {
    let once = |all: Vec<String>| {
        let mut seen = HashSet::new();
        all.into_iter().filter(|one| seen.insert(one.clone())).collect::<Vec<_>>()
    };
    posts(slack).into_iter().map(|(_, all)| once(all)).collect()
}

async fn pages(app: &TestApp, row: &DeliveryRow) -> DeliveryResponse {
    app.delivery(row.id).await
}

/// Owners who share a room share the message of their incident, with its number and its button. It mentions each of them, and news mention whose they are.
#[tokio::test(flavor = "multi_thread")]
async fn owners_who_share_a_room_share_its_message_and_each_is_mentioned_for_what_is_theirs() {
    let slack = slack().await;
    let rest = r#"
people: { ann: { slack: U1 }, bob: { slack: U2 }, cid: { slack: U3 }, dan: { slack: U4 } }
teams: { web: { people: [bob, cid] } }
rotas: { night: { zone: UTC, rotation: daily, handoff: "00:00", start: 2020-01-01, people: [dan] } }
route: { to: ops, mentions: { label: owner, oncall: night } }
"#;
    let app = TestApp::start(&routes(&room(&slack, "ops", "C0123"), rest)).await;
    let (ann, web, nobody) = ([("owner", "ann")], [("owner", "web"), ("severity", "warning")], [("owner", "nobody"), ("severity", "warning")]);
    let users = |ids: &[&str]| ids.iter().map(|id| format!("<@{id}>")).collect::<Vec<_>>();

    app.post("/webhook", &body("db", &[&ann])).await;
    app.settled().await;
    assert_eq!(pinged(&slack), [users(&["U1"])], "who is on call is mentioned only where the label names nobody");

    // Less severe than what fires, and of others.
    app.post("/webhook", &body("db", &[&ann, &web])).await;
    app.settled().await;
    assert_eq!(pinged(&slack)[1..], [users(&["U2", "U3"])], "the owners of what is new");

    app.post("/webhook", &body("db", &[&ann, &web, &nobody])).await;
    app.settled().await;
    assert_eq!(pinged(&slack)[2..], [users(&["U4"])], "who is on call, where the label names nobody");

    // Less severe than what fires, and of one who was mentioned for that.
    app.post("/webhook", &body("db", &[&ann, &web, &nobody, &[("owner", "ann"), ("severity", "warning")]])).await;
    app.settled().await;
    assert_eq!(pinged(&slack)[3..], [users(&[])], "ann is told, and not mentioned once more");

    let rows = app.settled().await;
    assert!(rows.len() == 4 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    assert!(rows[0].incident.is_some() && rows.iter().all(|row| row.incident == rows[0].incident), "they are of one incident: {rows:#?}");
    let cards = slack.rec.accepted().into_iter().filter(|one| one.call.path.ends_with("chat.postMessage") && one.json()["thread_ts"].is_null());
    assert_eq!(cards.count(), 1, "and have one message");
}

#[tokio::test(flavor = "multi_thread")]
async fn news_mention_whose_they_are_also_where_no_message_is_edited() {
    for living in ["reply", "new"] {
        let slack = slack().await;
        let channel = format!("  ops: {{ slack: {{ token: {TOKEN}, channel: C0123, api_base: \"{}\" }}, living: {living} }}\n", slack.url());
        let rest = "people: { ann: { slack: U1 }, bob: { slack: U2 } }\nroute: { to: ops, mentions: { label: owner } }\n";
        let app = TestApp::start(&routes(&channel, rest)).await;
        let (ann, bob) = ([("owner", "ann")], [("owner", "bob"), ("severity", "warning")]);
        app.post("/webhook", &body("db", &[&ann])).await;
        app.settled().await;
        app.post("/webhook", &body("db", &[&ann, &bob])).await;
        let rows = app.settled().await;
        assert!(rows.len() == 2 && rows.iter().all(|row| row.state == State::Sent), "{living}: {rows:#?}");
        assert_eq!(pinged(&slack), [["<@U1>"], ["<@U2>"]], "{living}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_to_a_room_mentions_all_who_own_what_it_is_about() {
    let slack = slack().await;
    let rest = r#"
people: { ann: { slack: U1 }, bob: { slack: U2 }, cid: { slack: U3 }, lead: { slack: U5 } }
teams: { web: { people: [bob, cid] } }
rotas: { night: { zone: UTC, rotation: daily, handoff: "00:00", start: 2020-01-01, people: [cid] } }
route: { to: ops, mentions: { label: owner, people: [lead], oncall: night } }
"#;
    let app = TestApp::start(&routes(&room(&slack, "ops", "C0123"), rest)).await;
    let owners: &[&[(&str, &str)]] = &[&[("owner", "ann")], &[("owner", "web")], &[("owner", " Ann ")], &[("owner", "nobody")], &[("owner", " ")]];
    app.post("/webhook", &body("db", owners)).await;
    let rows = app.settled().await;
    assert!(rows.len() == 1 && rows[0].state == State::Sent && rows[0].firing == 5, "{rows:#?}");
    assert!(rows[0].incident.is_some(), "{rows:#?}");
    let (_, mut pinged) = posts(&slack).remove(0);
    pinged.sort();
    assert_eq!(pinged, ["<@U1>", "<@U2>", "<@U3>", "<@U5>"], "who is named anyway, the owners, the team, and who is on call where there is no owner");
    let told = pages(&app, &rows[0]).await;
    let trace = told.routes.unwrap().alerts[0].routes.clone();
    assert!(trace.contains("ops mentions lead, ann (the label owner)"), "{trace}");

    // The preview says the same, and why.
    let (_, told) = app.post("/api/v1/explain", &body("web", &[&[("owner", "nobody")], &[]])).await;
    let trace = |place: usize| told["alerts"][place]["routes"].as_str().unwrap().to_owned();
    assert!(trace(0).contains("ops mentions lead, who is on call in night: nobody and no team is called \"nobody\" (the label owner)"), "{told}");
    assert!(trace(1).contains("ops mentions lead, who is on call in night: there is no label owner"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_chooses_among_the_channels_of_teams_and_nothing_else() {
    let slack = slack().await;
    let channels = [room(&slack, "ops", "C0123"), room(&slack, "db", "C1"), room(&slack, "web", "C2")].concat();
    let rest = r#"
teams: { db: { to: [db] }, web: { to: [web] }, ops-only: { people: [ann] } }
people: { ann: { slack: U1 } }
route: { to: { label: team, default: ops } }
tests:
  - { labels: { team: db }, expect: [db] }
  - { labels: { team: "C1" }, expect: [ops] }
  - { labels: { team: "Db " }, expect: [db] }
  - { labels: {}, expect: [ops] }
"#;
    let app = TestApp::start(&routes(&channels, rest)).await;
    let teams: &[&[(&str, &str)]] = &[&[("team", "db")], &[("team", "web")], &[("team", "C1")], &[("team", "ops-only")], &[], &[("team", " DB")]];
    app.post("/webhook", &body("all", teams)).await;
    let rows = app.settled().await;
    let mut sent: Vec<(String, u64)> = rows.iter().map(|row| (row.channel.clone(), u64::from(row.firing))).collect();
    sent.sort();
    assert_eq!(sent, [("db".to_owned(), 2), ("ops".to_owned(), 3), ("web".to_owned(), 1)], "{rows:#?}");
    let (_, told) = app.post("/api/v1/explain", &body("x", &[&[("team", "C1")], &[("team", "db")]])).await;
    let trace = |place: usize| told["alerts"][place]["routes"].as_str().unwrap().to_owned();
    assert!(trace(0).contains("channels of route by the label team: the default: no team \"C1\" has channels"), "{told}");
    assert!(trace(1).contains("channels of route by the label team: those of the team db"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_go_to_the_owner_and_to_the_channels_own_where_there_is_none() {
    let smtp = Smtp::start(SmtpOptions::default().security(Security::Plain)).await;
    let channel =
        format!("  mail: {{ email: {{ server: \"127.0.0.1:{}\", tls: none, from: w@example.com, to: [ops@example.com] }} }}\n", smtp.addr().port());
    let rest = r#"
people: { ann: { email: ann@example.com }, bob: { email: bob@example.com } }
teams: { web: { people: [ann, bob] } }
route: { to: mail, mentions: { label: owner } }
"#;
    let app = TestApp::start(&routes(&channel, rest)).await;
    app.post("/webhook", &body("db", &[&[("owner", "ann")], &[("owner", "web")], &[("owner", "nobody")]])).await;
    let rows = app.settled().await;
    assert!(rows.len() == 3 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    let mut to: Vec<Vec<String>> = smtp.rec.accepted().into_iter().map(|mail| mail.to).collect();
    to.sort();
    let names = |list: &[&str]| list.iter().map(|name| format!("{name}@example.com")).collect::<Vec<_>>();
    let mut all: Vec<String> = to.concat();
    all.sort();
    assert_eq!(all, names(&["ann", "ann", "bob", "ops"]), "{to:?}");
    // The end goes where the firing went.
    let mut over = body("db", &[&[("owner", "ann")]]);
    over["status"] = "resolved".into();
    over["alerts"][0]["status"] = "resolved".into();
    over["alerts"][0]["endsAt"] = "2026-11-24T03:00:00Z".into();
    app.post("/webhook", &over).await;
    app.settled().await;
    let last: Vec<String> = smtp.rec.accepted().into_iter().flat_map(|mail| mail.to).skip(4).collect();
    assert_eq!(last, names(&["ann"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_is_asked_once_for_whom_the_configuration_has_no_id() {
    let slack = slack().await;
    slack.with(|slack| slack.people.add("ann@example.com", "U7"));
    let rest = r#"
people: { ann: { email: ann@example.com }, gone: { email: gone@example.com } }
route: { to: ops, mentions: { label: owner } }
"#;
    let app = TestApp::start(&routes(&room(&slack, "ops", "C0123"), rest)).await;
    app.post("/webhook", &body("db", &[&[("owner", "ann")]])).await;
    app.post("/webhook", &body("web", &[&[("owner", "ann")], &[("owner", "gone")]])).await;
    let rows = app.settled().await;
    assert!(rows.len() == 2 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    assert_eq!(posts(&slack).iter().filter(|(_, pinged)| *pinged == ["<@U7>"]).count(), 2, "{:?}", posts(&slack));
    let mut asked = slack.with(|slack| slack.people.asked.clone());
    asked.sort();
    assert_eq!(asked, ["ann@example.com", "gone@example.com"], "each of them once");
    // Whom Slack does not know: the message came, says so, and so does `explain`.
    let mut missed = Vec::new();
    for row in &rows {
        missed.extend(pages(&app, row).await.message.unwrap().pages.into_iter().flat_map(|page| page.missed));
    }
    assert_eq!(missed, ["the id of `gone` is not found: slack knows nobody under this `email`"]);
    let texts: Vec<String> = slack.rec.accepted().into_iter().map(|one| one.text).collect();
    assert!(texts.iter().any(|text| text.contains("Not everybody is reached: the id of")), "{texts:#?}");
    let (_, metrics) = app.get("/metrics").await;
    let line = "watchfire_failed_look_ups_total{platform=\"slack\",result=\"unknown\"} 1";
    assert!(metrics.as_str().unwrap().contains(line), "{metrics}");
    // Its end mentions nobody and asks nobody.
    app.post("/webhook", &alert("other", "Down", "resolved")).await;
    app.settled().await;
    assert_eq!(slack.with(|slack| slack.people.asked.len()), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_that_hangs_delays_no_message_beyond_a_second() {
    let slack = slack().await;
    slack.with(|slack| slack.people.add("ann@example.com", "U7"));
    slack.faults.push_on("users.lookupByEmail", Fault::Hang);
    let rest = "people: { ann: { email: ann@example.com } }\nroute: { to: ops, mentions: { people: [ann] } }\n";
    let app = TestApp::start(&routes(&room(&slack, "ops", "C0123"), rest)).await;
    let begun = std::time::Instant::now();
    for group in ["db", "web", "app"] {
        app.post("/webhook", &alert(group, "Down", "firing")).await;
    }
    let rows = app.settled().await;
    assert!(rows.len() == 3 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(posts(&slack).iter().all(|(_, pinged)| pinged.is_empty()), "{:?}", posts(&slack));
    assert_eq!(slack.with(|slack| slack.people.asked.len()), 0, "after the first failure nobody is asked for a while");
    let missed = pages(&app, &rows[0]).await.message.unwrap().pages[0].missed.clone();
    assert!(missed[0].contains("slack could not be asked"), "{missed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_missing_is_reported_once_with_what_to_do() {
    let slack = slack().await;
    slack.with(|slack| slack.people.forbidden = true);
    let rest = r#"
  terminal: { log: {} }
people: { ann: { email: ann@example.com }, bob: { email: bob@example.com } }
route: { to: ops, mentions: { label: owner } }
self_monitoring: { to: terminal }
"#;
    let app = TestApp::start(&routes(&room(&slack, "ops", "C0123"), rest)).await;
    for (group, owner) in [("a", "ann"), ("b", "bob"), ("c", "ann")] {
        app.post("/webhook", &body(group, &[&[("owner", owner)]])).await;
    }
    app.until("channel=ops", |rows| rows.len() == 3 && rows.iter().all(|row| row.state == State::Sent)).await;
    let alarms = app.until("channel=terminal", |rows| !rows.is_empty() && rows.iter().all(|row| row.state == State::Sent)).await;
    assert_eq!((alarms.len(), alarms[0].title.as_str()), (1, "WatchfireLookUpFailed"), "{alarms:#?}");
    let told = pages(&app, &alarms[0]).await;
    let text = format!("{:?}", told.message.unwrap().pages[0].fields);
    assert!(text.contains("users:read.email") && text.contains("cannot look people up"), "{text}");
    assert_eq!(slack.with(|slack| slack.people.asked.len()), 1, "one refusal is enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn feishu_dingtalk_and_wecom_find_people_by_their_mobiles() {
    let feishu = Fake::start(Feishu::new("hook", None, "cli_1", "app-secret")).await;
    feishu.unpaced();
    let ding = Fake::start(DingtalkCard::new(("key", "ding-secret"), "bot", &["cidOPS=="], &[])).await;
    let wecom = Fake::start(Wecom::new("ww1", 1_000_002, "wecom-secret").with_members(&["duty", "ann.wx"]).unpaced()).await;
    feishu.with(|one| one.people.add("13800000000", "ou_ann"));
    ding.with(|one| one.people.add("13800000000", "ann.ding"));
    wecom.with(|one| one.people.add("13800000000", "ann.wx"));
    let channels = format!(
        "  feishu: {{ feishu: {{ app_id: cli_1, app_secret: app-secret, to: [oc_1], api_base: \"{}\" }} }}\n  \
         ding: {{ dingtalk_card: {{ app_key: key, app_secret: ding-secret, robot_code: bot, to: [\"cidOPS==\"], api_base: \"{}\" }} }}\n  \
         wecom: {{ wecom: {{ corp_id: ww1, agent_id: 1000002, secret: wecom-secret, to_user: duty, api_base: \"{}\" }} }}\n",
        feishu.url(),
        ding.url(),
        wecom.url()
    );
    let rest = "people: { ann: { mobile: \"+8613800000000\" } }\nroute: { to: [feishu, ding, wecom], mentions: { people: [ann] } }\n";
    let app = TestApp::start(&routes(&channels, rest)).await;
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    let rows = app.settled().await;
    assert!(rows.len() == 3 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    assert!(feishu.rec.accepted().pop().unwrap().text.contains("<at id=ou_ann>"));
    assert_eq!(ding.with(|ding| ding.cards.values().next().unwrap().pinged.clone()), ["ann.ding"]);
    assert_eq!(wecom.rec.accepted().pop().unwrap().to, ["ann.wx"], "in place of the channel's own");
    // WeCom refuses who has left: the id is forgotten, and not asked for again soon.
    wecom.with(|one| one.members = Some(["duty".to_owned()].into()));
    for group in ["web", "app"] {
        app.post("/webhook", &alert(group, "DiskFull", "firing")).await;
        app.settled().await;
    }
    let (_, metrics) = app.get("/metrics").await;
    assert!(metrics.as_str().unwrap().contains("watchfire_failed_look_ups_total{platform=\"wecom\",result=\"refused\"} 1"), "{metrics}");
    assert_eq!(wecom.with(|one| one.people.asked.len()), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_refused_as_a_mention_is_forgotten_and_nobody_else_is_kept_from_the_message() {
    let feishu = Fake::start(Feishu::new("hook", None, "cli_1", "app-secret")).await;
    feishu.unpaced();
    feishu.with(|one| one.people.add("ann@example.com", "ou_old"));
    let channel = format!("  feishu: {{ feishu: {{ app_id: cli_1, app_secret: app-secret, to: [oc_1], api_base: \"{}\" }} }}\n", feishu.url());
    let rest = "people: { ann: { email: ann@example.com } }\nroute: { to: feishu, mentions: { people: [ann] } }\n";
    let app = TestApp::start(&routes(&channel, rest)).await;
    let gone = r#"{"code":230099,"msg":"Failed to create card content, ext=ErrCode: 100290; ErrMsg: there is an invalid user resource (at/person) in your card"}"#;
    feishu.faults.push_on("/im/v1/messages", Fault::Reply(400, "application/json".into(), gone.into()));
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    app.settled().await;
    app.post("/webhook", &alert("web", "DiskFull", "firing")).await;
    let rows = app.settled().await;
    assert!(rows.len() == 2 && rows.iter().all(|row| row.state == State::Sent), "{rows:#?}");
    assert!(feishu.rec.accepted().iter().all(|one| !one.text.contains("<at")), "the refused id is not used again");
    let missed = pages(&app, &rows[0]).await.message.unwrap().pages[0].missed.clone();
    assert_eq!(missed, ["the id of `ann` is not found: feishu refused the id that it had named for this `email`"]);
    let (_, metrics) = app.get("/metrics").await;
    assert!(metrics.as_str().unwrap().contains("watchfire_failed_look_ups_total{platform=\"feishu\",result=\"refused\"} 1"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_reaches_whom_the_platform_must_be_asked_for() {
    let slack = slack().await;
    slack.with(|slack| slack.people.add("ann@example.com", "U7"));
    let rest = r#"
people: { ann: { email: ann@example.com } }
escalations: { db: [{ after: 1s, to: [ops], people: [ann] }] }
route: { to: ops, escalation: db }
"#;
    let app = TestApp::start(&routes(&room(&slack, "ops", "C0123"), rest)).await;
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    let rows = app.until("", |rows| rows.len() == 2 && rows.iter().all(|row| row.state == State::Sent)).await;
    assert_eq!(rows.len(), 2);
    // A line has the mention in its text and in its block.
    let pinged: Vec<Vec<String>> = posts(&slack).into_iter().map(|(_, pinged)| pinged).collect();
    assert_eq!(pinged, [Vec::<String>::new(), vec!["<@U7>".to_owned(), "<@U7>".to_owned()]]);
}

/// Nothing comes after it. The step before it leaves its place to the next one.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_step_goes_to_its_room_without_a_mention_that_is_not_found() {
    let slack = slack().await;
    let rest = r#"
people: { gone: { email: gone@example.com } }
escalations: { db: [{ after: 1s, to: [ops], people: [gone] }, { after: 60s, to: [ops], people: [gone] }] }
route: { to: ops, escalation: db }
"#;
    let app = TestApp::start(&routes(&room(&slack, "ops", "C0123"), rest)).await;
    app.post("/webhook", &alert("db", "DiskFull", "firing")).await;
    let rows = app.until("", |rows| rows.len() == 3 && rows.iter().all(|row| row.state.is_final())).await;
    let ended = |state: State| rows.iter().filter(|row| row.state == state).count();
    assert_eq!((ended(State::Sent), ended(State::Dead)), (2, 1), "{rows:#?}");
    assert!(posts(&slack).len() == 2 && posts(&slack).iter().all(|(_, pinged)| pinged.is_empty()), "{:?}", posts(&slack));
    let texts: Vec<String> = slack.rec.accepted().into_iter().map(|one| one.text).collect();
    assert!(texts.iter().any(|text| text.contains("Not everybody is reached: the id of")), "{texts:#?}");
}

/// One calendar's address is ended by itself: those of the others stay.
#[tokio::test(flavor = "multi_thread")]
async fn another_number_makes_another_address_of_one_calendar() {
    let addresses = async |number: &str| {
        let rest = format!(
            "people: {{ ann: {{ mobile: \"+8613800000000\"{number} }}, bob: {{ mobile: \"+8613800000001\" }} }}\n\
             rotas: {{ night: {{ handoff: \"monday 00:00\", start: 2020-01-06, people: [ann, bob]{number}, tell: ops }} }}\nroute: {{ to: ops }}\n"
        );
        let server = "server: { link_key: 0123456789abcdef0123456789abcdef0123456789abcdef,";
        let app = TestApp::start(&routes("  ops: { log: {} }\n", &rest).replace("server: {", server)).await;
        let (status, found) = app.get("/api/v1/oncall/calendars").await;
        assert_eq!(status, 200);
        let url = |place: usize| found["calendars"][place]["url"].as_str().unwrap().to_owned();
        [url(0), url(1), url(2)]
    };
    let [night, ann, bob] = addresses("").await;
    assert!(ann.contains("/people/ann/calendar.ics?k=") && bob.contains("/people/bob/") && night.contains("/rotas/night/"), "{night} {ann} {bob}");
    let [other_night, other_ann, same] = addresses(", calendar: 2").await;
    assert!(night != other_night && ann != other_ann && bob == same, "{other_night} {other_ann} {same}");
    assert_eq!(addresses(", calendar: 1").await, [night, ann, bob]);
}
