//! Whom a preset's messages ping: those whom a route mentions, where its `request` has a place for them.

use super::file::Preset;
use super::living;
use crate::channel::descriptor::{Ping, Pings, Reach};
use crate::model::Page;

/// Users and groups by their names on the service, and everybody; without `{{mentions}}` nobody.
pub(super) fn pings(preset: &Preset) -> Pings {
    if !living::mentions(&preset.request, "mentions") {
        return Pings::NAMED;
    }
    let by_name = Pings::of(Ping::Inside, Ping::Named, Ping::Inside, Ping::Inside);
    // Descriptors live as long as the process.
    preset.people.clone().map_or(by_name, |key| by_name.reaching(Reach::Mention(key.leak())))
}

/// Those whom a page pings, on a line of their own; empty where it pings nobody.
pub(super) fn line(page: &Page) -> String {
    let mentions = &page.facts.mentions;
    let bare = |name: &String| name.trim_start_matches('@').chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>();
    let named = mentions.users.iter().chain(&mentions.groups).map(bare).filter(|name| !name.is_empty());
    let mut pings: Vec<String> = Vec::new();
    for name in mentions.all.then(|| "all".to_owned()).into_iter().chain(named) {
        let ping = format!("@{name}");
        if !pings.contains(&ping) {
            pings.push(ping);
        }
    }
    if pings.is_empty() { String::new() } else { format!("{}\n", pings.join(" ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Config, registry, shipped};
    use super::*;
    use crate::channel::SendContext;
    use crate::channel::kit::test_server::{Answer, ScriptedServer, build, context, page};
    use crate::model::{Mentions, PlatformIds, Recipient};

    fn mentioning(mentions: Mentions) -> Page {
        let mut page = page(&[("heading", "Disk"), ("markdown", "full")]);
        page.facts.mentions = mentions;
        page
    }

    #[test]
    fn everybody_users_and_groups_are_pinged_once_by_their_names() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mentions =
            Mentions { all: true, users: names(&["anna.m", "@bob", "an\nna", "bob", "@"]), groups: names(&["dba"]), ..Mentions::default() };
        assert_eq!(line(&mentioning(mentions)), "@all @anna.m @bob @anna @dba\n");
        assert_eq!(line(&mentioning(Mentions { mobiles: names(&["13800000000"]), ..Mentions::default() })), "");
    }

    #[tokio::test]
    async fn mattermosts_messages_and_replies_ping_and_edits_do_not() {
        let post = r#"{"id":"p1","channel_id":"c1","message":"x"}"#;
        let server = ScriptedServer::start([Answer::new(201, post), Answer::new(201, post), Answer::from(post)]).await;
        let built = build::<Config>("{ name: mattermost_bot, params: { url: BASE, token: t, channel_id: c1 } }", &server.base).unwrap();
        let (to, ids) = ([Recipient::new("@preset")], PlatformIds::one("id", "p1".to_owned()));
        let page = mentioning(Mentions { users: vec!["anna".into()], ..Mentions::default() });
        built.channel.send(&page, &to, &context()).await;
        built.channel.send(&page, &to, &SendContext { reply_to: Some(ids.clone()), ..context() }).await;
        built.channel.update(&ids, &page, &to[0], &context()).await.unwrap();
        let sent: Vec<Value> = server.seen().iter().map(|seen| seen.json()["message"].clone()).collect();
        assert_eq!(sent, [json!("@anna\n#### Disk\nfull"), json!("@anna\n#### Disk\nfull"), json!("#### Disk\nfull")]);
        let descriptor = built.descriptor.unwrap();
        assert_eq!((descriptor.measure)(&page).used - (descriptor.measure)(&mentioning(Mentions::default())).used, "@anna\n".len());
        assert_eq!((descriptor.pings.users, descriptor.pings.person), (Ping::Inside, Reach::Mention("mattermost")));
    }

    #[test]
    fn a_preset_without_a_place_for_mentions_names_people() {
        let pings = |name: &str| shipped().into_iter().find(|(known, _)| known == name).unwrap().1.pings;
        assert_eq!((pings("ntfy"), pings("rocketchat")), (Pings::NAMED, Pings::NAMED));
        let text = include_str!("../../../templates/presets/mattermost.yaml");
        let faults = |from: &str, to: &str| registry::read(&text.replace(from, to)).unwrap_err().join("\n");
        assert!(faults("people: mattermost", "people: matermost").contains("`people: matermost` is no key of a person"));
        assert!(faults("{{mentions}}", "").contains("`people` names whom `{{mentions}}` pings"));
    }
}
