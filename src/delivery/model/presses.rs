//! A press on a message of very many incidents.

use std::time::Duration;

use crate::delivery::press::answer;
use crate::model::{DeliveryId, Language, Verb};
use crate::store::contract::fixtures::{S, delivery, event, fence, message, report};
use crate::store::{ActOn, DeliveryIncident, NewDelivery, NewEvent, ShownIn};

use super::scene::Scene;

#[test]
fn a_press_on_more_incidents_than_one_act_changes_says_so_and_the_next_one_takes_the_rest() {
    Scene::new().live(async |process| {
        let store: S = process.store.clone();
        let keys: Vec<String> = (0..510).map(|n| format!("group {n}")).collect();
        let of = |(place, key): (usize, &String)| NewDelivery { incident: DeliveryIncident::Reported(place), ..delivery("ops", key) };
        // The whole of each group: so many alerts, of which the first was reported before.
        let accept = async |alerts: u64| {
            let alerts_of = |group: u64| (0..alerts).map(|n| (group + 1000 * n, true)).collect::<Vec<_>>();
            let incidents = keys.iter().zip(1..).map(|(key, group)| report(key, &alerts_of(group))).collect();
            let new = NewEvent { received_at: process.now(), incidents, ..event(keys.iter().enumerate().map(of).collect()) };
            store.accept(new).await.expect("it is accepted")
        };
        let accepted = accept(1).await;
        let digest = message(&accepted.deliveries.iter().map(|one| one.id).collect::<Vec<DeliveryId>>());
        let id = digest.id;
        store.store_message(fence(&store).await, digest).await.expect("it is stored");
        let stored = store.get_message(id).await.expect("the store").expect("it is there");
        let on = process.engine.shown_in(&stored, 0).await.expect("the store");
        assert_eq!(on.len(), 510);
        let mut firsts = std::collections::BTreeMap::new();
        for one in store.incidents(&on.iter().map(|on| on.incident).collect::<Vec<_>>(), "").await.expect("the store") {
            firsts.insert(one.0.id, one.0.alerts[0].fingerprint);
        }
        let whole = |_: &ActOn| None;
        let part = |on: &ActOn| Some(ShownIn { begun: vec![firsts[&on.incident]], formed_at: process.now(), ..on.shown.clone()? });
        let press = async |verb: Verb, minutes: u64, shown: &dyn Fn(&ActOn) -> Option<ShownIn>| {
            let all = on.iter().map(|on| ActOn { incident: on.incident, shown: shown(on) }).collect();
            let acted = process.engine.act(process.deed(verb, Duration::from_secs(60 * minutes)), all).await.expect("it is stored");
            let text = answer(&acted, Language::En, &process.engine.plan(), process.now()).text;
            (acted.results.len(), acted.left, text)
        };
        let (done, left, text) = press(Verb::Ack, 0, &whole).await;
        assert_eq!((done, left), (500, 10));
        assert!(text.starts_with("500 of 510 incidents, press again for the rest: #"), "{text}");
        let (done, left, text) = press(Verb::Ack, 0, &whole).await;
        assert_eq!((done, left), (10, 0));
        assert!(text.starts_with('#'), "{text}");
        // What has joined since is nobody's, though who presses is on the rest.
        accept(2).await;
        for expected in [(500, 10), (10, 0)] {
            let (done, left, text) = press(Verb::Ack, 0, &whole).await;
            assert_eq!((done, left), expected, "{text}");
        }
        // A shorter snooze is no longer one; an end of the part that was shown is an ack of it.
        for (verb, minutes, shown) in [
            (Verb::Snooze, 5, &whole as &dyn Fn(&ActOn) -> Option<ShownIn>),
            (Verb::Snooze, 50, &whole),
            (Verb::Unack, 0, &whole),
            (Verb::Close, 0, &part),
        ] {
            for expected in [(500, 10), (10, 0)] {
                let (done, left, text) = press(verb, minutes, shown).await;
                assert_eq!((done, left), expected, "{verb:?} {minutes}: {text}");
            }
        }
    });
}
