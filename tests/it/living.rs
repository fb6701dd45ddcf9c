//! Messages that live on, driver by driver against faithful fakes: what people read after an edit, what made a sound, and when a message is gone.

use std::time::Duration;

use watchfire::model::{ErrorKind, PlatformIds, SendError, Severity};

use crate::support::fakes::slack::Room;
use crate::support::fakes::{Chat, Discord, Fake, Fault, Feishu, Mattermost, Pace, Platform, Preset, Slack, Telegram};
use crate::support::wire::Wire;

fn is_gone(result: Result<watchfire::model::Receipt, SendError>) -> bool {
    result.is_err_and(|error| error.gone && error.kind == ErrorKind::Rejected)
}

fn is_limited(result: Result<watchfire::model::Receipt, SendError>) -> bool {
    result.is_err_and(|error| matches!(error.kind, ErrorKind::RateLimited { .. }) && !error.gone)
}

/// What people read.
fn texts(fake: &Fake<impl Platform>) -> Vec<String> {
    fake.with(|platform| platform.transcript().unwrap().texts())
}

/// What made a sound.
fn rang(fake: &Fake<impl Platform>) -> Vec<String> {
    fake.with(|platform| platform.transcript().unwrap().rang())
}

fn has(texts: &[String], parts: &[&str]) -> bool {
    texts.len() == parts.len() && texts.iter().zip(parts).all(|(text, part)| text.contains(part))
}

async fn slack() -> (Fake<Slack>, Wire, PlatformIds) {
    let fake = Fake::start(Slack::new("xoxb-1")).await;
    let wire = Wire::new("slack", &format!("slack: {{ token: xoxb-1, channel: \"#ops\", api_base: \"{}\" }}", fake.url()));
    let ids = wire.send(&wire.page("db-1 burns")).await.unwrap().ids;
    (fake, wire, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_is_one_message_that_changes_and_rings_for_news_only() {
    let (fake, wire, ids) = slack().await;
    assert_eq!(ids.get("channel"), Some("C0123"), "the id, though the configuration has a name");
    wire.update(&ids, &wire.page("db-1 and db-2 burn")).await.unwrap();
    let mut news = wire.page("db-2 as well");
    news.facts.severity = Some(Severity::Critical);
    wire.reply(&ids, &news).await.unwrap();
    wire.reply(&ids, &wire.resolved("over")).await.unwrap();
    wire.update(&ids, &wire.resolved("it was db-1 and db-2")).await.unwrap();
    assert!(has(&texts(&fake), &["it was db-1 and db-2", "db-2 as well", "over"]), "{:?}", texts(&fake));
    assert!(has(&rang(&fake), &["db-1 burns", "db-2 as well"]), "{:?}", rang(&fake));
    let in_thread = fake.with(|slack| slack.transcript.all().filter(|(_, post)| post.parent.as_deref() == ids.get("ts")).count());
    assert_eq!(in_thread, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_slack_lets_nobody_edit_is_gone_and_a_limit_of_edits_holds_no_message_up() {
    let (fake, wire, ids) = slack().await;
    fake.with(|slack| slack.edit_window_closed = true);
    assert!(is_gone(wire.update(&ids, &wire.page("x")).await));
    fake.with(|slack| slack.edit_window_closed = false);
    // Installed again: the bot has another token, and the message is not its own.
    fake.with(|slack| slack.tokens.insert("xoxb-2".into(), None));
    let other = Wire::new("slack", &format!("slack: {{ token: xoxb-2, channel: \"#ops\", api_base: \"{}\" }}", fake.url()));
    assert!(is_gone(other.update(&ids, &wire.page("x")).await));
    // One of the fifty a minute is spent.
    for n in 0..49 {
        wire.update(&ids, &wire.page(&format!("state {n}"))).await.unwrap();
    }
    assert!(is_limited(wire.update(&ids, &wire.page("too fast")).await));
    assert!(wire.send(&wire.page("db-9 burns")).await.is_ok(), "edits are counted apart");
    fake.with(|slack| slack.channels.values_mut().for_each(|(_, room)| *room = Room::Archived));
    assert!(is_gone(wire.update(&ids, &wire.page("x")).await));
    assert!(wire.send(&wire.page("x")).await.is_err_and(|error| error.kind == ErrorKind::Misconfigured), "a new message says what is wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_to_what_was_deleted_in_slack_leaves_nothing_behind() {
    let (fake, wire, ids) = slack().await;
    fake.with(|slack| slack.transcript.delete_all());
    assert!(is_gone(wire.update(&ids, &wire.page("x")).await));
    assert!(is_gone(wire.reply(&ids, &wire.page("db-2 as well")).await));
    assert!(texts(&fake).is_empty(), "{:?}", texts(&fake));
    // Where it cannot be deleted again, the error says so.
    fake.faults.push_on("chat.delete", Fault::Status(503, None));
    let error = wire.reply(&ids, &wire.page("db-3 as well")).await.unwrap_err();
    assert!(error.gone && error.summary.contains("could not be deleted"), "{error}");
    assert!(has(&texts(&fake), &["db-3 as well"]));
}

async fn telegram() -> (Fake<Telegram>, Wire, PlatformIds) {
    let fake = Fake::start(Telegram::new("1:token", &["-1001"])).await;
    let wire = Wire::new("telegram", &format!("telegram: {{ token: \"1:token\", chat: -1001, api_base: \"{}\" }}", fake.url()));
    let ids = wire.send(&wire.page("db-1 burns")).await.unwrap().ids;
    (fake, wire, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn telegram_edits_quietly_and_an_end_makes_no_sound() {
    let (fake, wire, ids) = telegram().await;
    fake.unpaced();
    wire.update(&ids, &wire.page("db-1 and db-2 burn")).await.unwrap();
    wire.update(&ids, &wire.page("db-1 and db-2 burn")).await.expect("nothing changed");
    wire.reply(&ids, &wire.page("db-2 as well")).await.unwrap();
    wire.reply(&ids, &wire.resolved("over")).await.unwrap();
    assert!(has(&texts(&fake), &["db-1 and db-2 burn", "db-2 as well", "over"]), "{:?}", texts(&fake));
    assert!(has(&rang(&fake), &["db-1 burns", "db-2 as well"]), "{:?}", rang(&fake));
    fake.with(|telegram| telegram.transcript.delete_all());
    assert!(is_gone(wire.update(&ids, &wire.page("x")).await) && is_gone(wire.reply(&ids, &wire.page("x")).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn telegrams_edits_share_the_pace_of_messages_and_a_group_that_moved_takes_no_edit() {
    let (fake, wire, ids) = telegram().await;
    fake.with(|telegram| telegram.per_chat.set(Pace::Off));
    for n in 0..19 {
        wire.update(&ids, &wire.page(&format!("state {n}"))).await.unwrap();
    }
    assert!(is_limited(wire.update(&ids, &wire.page("too fast")).await));
    assert!(is_limited(wire.send(&wire.page("db-9 burns")).await));
    fake.unpaced();
    fake.with(|telegram| {
        telegram.chats.insert("-1001".into(), Chat::Migrated(-1009));
        telegram.chats.insert("-1009".into(), Chat::Open);
    });
    assert!(is_gone(wire.update(&ids, &wire.page("x")).await));
    let moved = wire.send(&wire.page("db-1 burns")).await.unwrap();
    assert_eq!(moved.ids.get("chat_id"), Some("-1009"));
}

async fn feishu() -> (Fake<Feishu>, Wire, PlatformIds) {
    let fake = Fake::start(Feishu::new("hook", None, "cli_1", "secret")).await;
    let wire = Wire::new("feishu", &format!("feishu: {{ app_id: cli_1, app_secret: secret, to: [oc_1], api_base: \"{}\" }}", fake.url()));
    let ids = wire.send(&wire.page("db-1 burns")).await.unwrap().ids;
    (fake, wire, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn feishus_cards_are_edited_for_fourteen_days() {
    let (fake, wire, ids) = feishu().await;
    wire.update(&ids, &wire.page("db-1 and db-2 burn")).await.unwrap();
    wire.reply(&ids, &wire.page("db-2 as well")).await.unwrap();
    assert!(has(&texts(&fake), &["db-1 and db-2 burn", "db-2 as well"]), "{:?}", texts(&fake));
    assert!(has(&rang(&fake), &["db-1 burns"]), "a reply in the topic that mentions nobody: {:?}", rang(&fake));
    // Five edits of one message, in a second that a slow machine cannot miss.
    fake.with(|feishu| feishu.message_second.set(Pace::per(5, Duration::from_secs(60))));
    let mut last = Ok(Default::default());
    for n in 0..6 {
        last = wire.update(&ids, &wire.page(&format!("state {n}"))).await;
    }
    assert!(is_limited(last));
    fake.clock.advance(Duration::from_secs(14 * 86_400 + 1));
    assert!(is_gone(wire.update(&ids, &wire.page("x")).await), "older than 14 days");
    let young = wire.send(&wire.page("db-3 burns")).await.unwrap().ids;
    fake.with(|feishu| feishu.transcript.delete(young.get("message_id").unwrap()));
    assert!(is_gone(wire.update(&young, &wire.page("x")).await) && is_gone(wire.reply(&young, &wire.page("x")).await), "recalled");
    let unknown = PlatformIds::one("message_id", "om_elsewhere".to_owned());
    assert!(is_gone(wire.update(&unknown, &wire.page("x")).await), "of another application");
}

#[tokio::test(flavor = "multi_thread")]
async fn discord_edits_in_the_thread_and_an_old_message_waits() {
    let fake = Fake::start(Discord::new("1", "token")).await;
    fake.unpaced();
    let yaml = |thread: &str| format!("discord: {{ webhook: \"{}/api/webhooks/1/token\", thread_id: \"{thread}\" }}", fake.url());
    let wire = Wire::new("discord", &yaml("55"));
    let ids = wire.send(&wire.page("db-1 burns")).await.unwrap().ids;
    // The configuration names another thread by now; the message is where it is.
    let wire = Wire::new("discord", &yaml("66"));
    wire.update(&ids, &wire.page("db-1 and db-2 burn")).await.unwrap();
    assert!(has(&texts(&fake), &["db-1 and db-2 burn"]) && has(&rang(&fake), &["db-1 burns"]));
    fake.clock.advance(Duration::from_secs(3601));
    wire.update(&ids, &wire.page("state 2")).await.unwrap();
    wire.update(&ids, &wire.page("state 3")).await.unwrap();
    assert!(is_limited(wire.update(&ids, &wire.page("state 4")).await), "30046");
    assert!(wire.send(&wire.page("db-9 burns")).await.is_ok());
    fake.with(|discord| discord.transcript.delete_all());
    assert!(is_gone(wire.update(&ids, &wire.page("x")).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn ntfy_replaces_its_notification_quietly_and_a_lost_answer_makes_no_second_one() {
    let fake = Fake::start(Preset::new("ntfy", "tk_1")).await;
    let wire = Wire::new("ntfy", &format!("preset: {{ name: ntfy, params: {{ url: \"{}\", topic: ops, token: tk_1 }} }}", fake.url()));
    fake.faults.push(Fault::CloseAfter);
    assert!(wire.send_as("k1", &wire.page("db-1 burns")).await.is_err_and(|error| error.kind == ErrorKind::Ambiguous));
    let ids = wire.send_as("k1", &wire.page("db-1 burns")).await.unwrap().ids;
    assert_eq!(ids.get("key"), Some("k1"));
    wire.update(&ids, &wire.page("db-1 and db-2 burn")).await.unwrap();
    assert!(has(&texts(&fake), &["db-1 and db-2 burn"]), "{:?}", texts(&fake));
    assert!(has(&rang(&fake), &["db-1 burns", "db-1 burns"]), "the repeat sounds, the edit does not: {:?}", rang(&fake));
    // A server from before sequences shows a second notification, and answers success.
    fake.with(|ntfy| ntfy.replaces = false);
    wire.update(&ids, &wire.page("db-3 burns")).await.unwrap();
    assert_eq!(texts(&fake).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn google_chat_answers_in_the_thread_of_our_key() {
    let fake = Fake::start(Preset::new("googlechat", "k/t")).await;
    fake.unpaced();
    let wire =
        Wire::new("chat", &format!("preset: {{ name: googlechat, params: {{ url: \"{}\", space: AAAA, webhook_key: k, token: t }} }}", fake.url()));
    let ids = wire.send_as("k1", &wire.page("db-1 burns")).await.unwrap().ids;
    wire.reply(&ids, &wire.page("db-2 as well")).await.unwrap();
    wire.send_as("k2", &wire.page("web-1 burns")).await.unwrap();
    let parents: Vec<_> = fake.with(|chat| chat.transcript.all().map(|(_, post)| post.parent.clone()).collect());
    assert_eq!(parents, [None, Some("threads/k1".to_owned()), None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mattermosts_bot_edits_and_answers_until_the_server_closes_the_post() {
    let fake = Fake::start(Mattermost::new("bot-token", "c1")).await;
    let wire = Wire::new(
        "mattermost",
        &format!("preset: {{ name: mattermost_bot, params: {{ url: \"{}\", token: bot-token, channel_id: c1 }} }}", fake.url()),
    );
    // The answer is lost, and the repeat gets the post that is there.
    fake.faults.push(Fault::CloseAfter);
    assert!(wire.send_as("k1", &wire.page("db-1 burns")).await.is_err_and(|error| error.kind == ErrorKind::Ambiguous));
    let ids = wire.send_as("k1", &wire.page("db-1 burns")).await.unwrap().ids;
    wire.update(&ids, &wire.page("db-1 and db-2 burn")).await.unwrap();
    wire.reply(&ids, &wire.page("db-2 as well")).await.unwrap();
    assert!(has(&texts(&fake), &["db-1 and db-2 burn", "db-2 as well"]) && has(&rang(&fake), &["db-1 burns"]), "{:?}", rang(&fake));
    fake.with(|server| server.edit_limit_s = 300);
    fake.clock.advance(Duration::from_secs(302));
    assert!(is_gone(wire.update(&ids, &wire.page("x")).await), "PostEditTimeLimit");
    fake.with(|server| server.transcript.delete_all());
    assert!(is_gone(wire.update(&ids, &wire.page("x")).await) && is_gone(wire.reply(&ids, &wire.page("x")).await));
    // Out of the channel: the edit is refused as if the post were gone, and the new message says what is wrong.
    fake.with(|server| server.channels.clear());
    assert!(wire.send(&wire.page("x")).await.is_err_and(|error| error.kind == ErrorKind::Misconfigured && !error.gone));
}
