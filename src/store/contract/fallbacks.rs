//! Contract of `copy_to_fallback`, `fallback_targets` and `delivered_elsewhere`.

use super::fixtures::*;
use crate::model::{DeliveryId, Mentions, OutletKey, Recipient, UnixMs};
use crate::store::*;

/// The step of what has this channel and these in its chain.
fn to(channel: &str, fallback: &[&str]) -> FallbackStep {
    past(&[], channel, fallback)
}

/// The step to a channel, past those before it in the chain.
fn past(before: &[&str], channel: &str, fallback: &[&str]) -> FallbackStep {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    let to = MoveTo { channel: channel.into(), outlet: OutletKey::from_stored("sms:1"), fallback: names(fallback) };
    FallbackStep { chain: names(&[before, &[channel], fallback].concat()), to }
}

/// A delivery of `ops` that may fall back to these.
fn with_chain(lane: &str, chain: &[&str]) -> NewDelivery {
    let mut new = delivery("ops", lane);
    new.target.fallback = chain.iter().map(|s| (*s).to_owned()).collect();
    new
}

pub async fn what_waits_too_long_is_copied_once(store: S) {
    let mut new = NewDelivery { rank: 0, ..with_chain("a", &["sms", "voice"]) };
    new.target.recipients = vec![Recipient::new("x@example.com")];
    new.target.mentions = Some(Mentions { all: true, ..Mentions::default() });
    let old = put_one(&store, new).await;
    let young = put_one(&store, NewDelivery { born_at: T0 + 1, ..with_chain("a", &["sms"]) }).await;
    let copies = store.copy_to_fallback("ops", T0 + 1, to("sms", &["voice"]), "waits too long", 10, T0 + MIN).await.unwrap();
    assert_eq!(copies.iter().map(|c| (c.channel.as_str(), c.outlet.as_str(), c.lane_seq)).collect::<Vec<_>>(), [("sms", "sms:1", 1)]);
    let copy = store.get_delivery(copies[0].id).await.unwrap().unwrap();
    assert_eq!((copy.row.fallback_of, copy.row.event, copy.row.rank), (Some(old.id), row(&store, old.id).await.event, 0));
    assert_eq!((copy.row.born_at, copy.row.due_at, copy.row.reason.as_deref()), (T0, T0 + MIN, Some("waits too long")));
    assert_eq!(copy.target.fallback, ["voice"]);
    assert_eq!(copy.target.alerts, [0]);
    assert!(
        copy.target.recipients.is_empty() && copy.target.mentions.is_none() && copy.target.template.is_empty(),
        "those are the other channel's own"
    );
    assert_eq!(store.pending(copies[0].lane, 0, 1, 0, UnixMs::MAX).await.unwrap()[0].fallback.depth, 1);
    assert_eq!(row(&store, old.id).await.state, State::Waiting, "the original goes on");
    assert!(store.copy_to_fallback("ops", T0 + 1, to("sms", &["voice"]), "again", 10, T0 + MIN).await.unwrap().is_empty());
    let further = past(&["sms"], "voice", &[]);
    assert!(store.copy_to_fallback("ops", T0 + 1, further, "again", 10, T0 + MIN).await.unwrap().is_empty(), "its copy goes on to it");
    assert_eq!(store.fallback_chains("ops", T0 + 2).await.unwrap(), [["sms"]], "of the young one");
    let second = store.copy_to_fallback("ops", T0 + 2, to("sms", &[]), "r", 10, T0 + MIN).await.unwrap();
    assert_eq!(store.get_delivery(second[0].id).await.unwrap().unwrap().row.fallback_of, Some(young.id));
    assert_eq!((second[0].lane, second[0].lane_seq), (copies[0].lane, 2), "in the order of their lane");
}

pub async fn what_another_channel_delivered_is_known(store: S) {
    let fence = fence(&store).await;
    let old = put_one(&store, with_chain("a", &["sms"])).await;
    let to = MoveTo { channel: "sms".into(), outlet: outlet(), fallback: Vec::new() };
    let step = FallbackStep { chain: vec!["sms".into()], to };
    let copies = store.copy_to_fallback("ops", T0 + MIN, step, "late", 10, T0 + MIN).await.unwrap();
    assert!(store.delivered_elsewhere(&[old.id]).await.unwrap().is_empty(), "not yet");
    deliver(&store, &fence, &[&copies[0]], T0 + MIN).await;
    assert_eq!(store.delivered_elsewhere(&[old.id, copies[0].id, DeliveryId::new()]).await.unwrap(), [old.id].into());
}

pub async fn what_came_of_a_fallback_or_a_replay_is_followed(store: S) {
    let fence = fence(&store).await;
    let old = put_one(&store, with_chain("a", &["sms", "mail"])).await;
    let copy = store.copy_to_fallback("ops", T0 + MIN, to("sms", &["mail"]), "late", 10, T0 + MIN).await.unwrap().remove(0);
    let last = store.copy_to_fallback("sms", T0 + MIN, to("mail", &[]), "late", 10, T0 + MIN).await.unwrap().remove(0);
    for dead in [&old, &copy, &last] {
        kill(&store, &fence, dead, T0 + MIN).await;
    }
    let dead = async || store.stats().await.unwrap().dead.iter().map(|(channel, n)| (channel.clone(), *n)).collect::<Vec<_>>();
    let all = [old.id, copy.id, last.id];
    assert_eq!(dead().await.iter().map(|(_, n)| n).sum::<u64>(), 3);
    assert!(store.delivered_elsewhere(&all).await.unwrap().is_empty(), "nobody has it");
    let again = store.requeue(&[last.id], None, T0 + 2 * MIN).await.unwrap().remove(0);
    assert_eq!(replayed_as(&row(&store, last.id).await.reason.unwrap()), Some(again.id));
    assert_eq!(dead().await.iter().map(|(_, n)| n).sum::<u64>(), 2, "somebody took care of one");
    assert!(store.delivered_elsewhere(&all).await.unwrap().is_empty(), "not yet");
    deliver(&store, &fence, &[&again], T0 + 2 * MIN).await;
    assert_eq!(store.delivered_elsewhere(&all).await.unwrap(), all.into(), "the last of the chain has it");
}

pub async fn a_chain_never_turns_back(store: S) {
    put_one(&store, with_chain("a", &["sms"])).await;
    let copies = store.copy_to_fallback("ops", T0 + 1, to("sms", &[]), "r", 10, T0).await.unwrap();
    assert_eq!(copies.len(), 1);
    let back = to("ops", &["sms"]);
    assert!(store.copy_to_fallback("sms", T0 + 1, back, "r", 10, T0).await.unwrap().is_empty(), "the copy has its origin's list, which is used up");
    assert!(store.fallback_chains("sms", T0 + 1).await.unwrap().is_empty());
}

/// Two channels may share a fallback and go on from there in another order: each delivery follows its own.
pub async fn each_chain_goes_its_own_way(store: S) {
    for (lane, chain) in [("a", &["mail", "voice"][..]), ("b", &["voice", "mail"]), ("c", &["voice"]), ("d", &["mail", "voice"]), ("e", &[])] {
        put_one(&store, with_chain(lane, chain)).await;
    }
    let mut chains = store.fallback_chains("ops", T0 + 1).await.unwrap();
    chains.sort_unstable();
    assert_eq!(chains, [vec!["mail", "voice"], vec!["voice"], vec!["voice", "mail"]]);
    assert!(store.fallback_chains("ops", T0).await.unwrap().is_empty(), "young");
    assert!(store.fallback_chains("dba", T0 + 1).await.unwrap().is_empty(), "of another channel");
    // One by a former name, which the configuration does not have any more.
    let renamed = FallbackStep { chain: vec!["voice".into()], to: MoveTo { channel: "calls".into(), outlet: outlet(), fallback: Vec::new() } };
    let mut copied = Vec::new();
    for step in [to("mail", &["voice"]), to("voice", &["mail"]), renamed] {
        let left = step.to.fallback.clone();
        for copy in store.copy_to_fallback("ops", T0 + 1, step, "r", 10, T0).await.unwrap() {
            assert_eq!(store.get_delivery(copy.id).await.unwrap().unwrap().target.fallback, left);
            copied.push(copy.channel);
        }
    }
    assert_eq!(copied, ["mail", "mail", "voice", "calls"]);
    assert!(store.fallback_chains("ops", T0 + 1).await.unwrap().is_empty(), "all have their copies");
}

pub async fn only_what_waits_in_the_queue_is_copied(store: S) {
    let fence = fence(&store).await;
    let muted = NewDelivery { state: State::Deferred, ..with_chain("m", &["sms"]) };
    let direct = NewDelivery { mode: Mode::Direct, ..with_chain("s", &["sms"]) };
    let elsewhere = NewDelivery { channel: "dba".into(), ..with_chain("e", &["sms"]) };
    let unlisted = with_chain("u", &["voice"]);
    for new in [muted, direct, elsewhere, unlisted] {
        put_one(&store, new).await;
    }
    let sent = put_one(&store, with_chain("d", &["sms"])).await;
    deliver(&store, &fence, &[&sent], T0).await;
    assert!(store.copy_to_fallback("ops", T0 + 1, to("sms", &[]), "r", 10, T0).await.unwrap().is_empty());
    for _ in 0..5 {
        put_one(&store, with_chain("l", &["sms"])).await;
    }
    let mut steps = Vec::new();
    for _ in 0..3 {
        steps.push(store.copy_to_fallback("ops", T0 + 1, to("sms", &[]), "r", 3, T0).await.unwrap().len());
    }
    assert_eq!(steps, [3, 2, 0]);
}

pub async fn what_is_resolved_finds_where_its_firing_went(store: S) {
    let first = put_one(&store, with_chain("a", &["sms", "voice"])).await;
    let lane = first.lane;
    let event = row(&store, first.id).await.event;
    let fence = fence(&store).await;
    let child = |channel: &str| {
        let delivery = NewDelivery { fallback: Fallback { of: Some(first.id), depth: 0 }, ..delivery(channel, "fallback") };
        FallbackChild { event, delivery }
    };
    let dead = DeliveryUpdate { reason: Some("r".into()), ..change(&first, State::Dead) };
    let children = vec![child("voice"), child("sms")];
    store.record_outcome(OutcomeBatch { deliveries: vec![dead], children, ..settlement(&fence) }).await.unwrap();
    let resolved = put_one(&store, NewDelivery { summary: over(), ..delivery("ops", "a") }).await;
    assert_eq!(store.fallback_targets(lane, resolved.lane_seq).await.unwrap(), ["sms", "voice"]);
    assert!(store.fallback_targets(lane, first.lane_seq).await.unwrap().is_empty(), "nothing is before the first");
    let firing = put(&store, "a").await;
    let last = put_one(&store, NewDelivery { summary: over(), ..delivery("ops", "a") }).await;
    assert_eq!(store.fallback_targets(lane, firing.lane_seq).await.unwrap(), ["sms", "voice"], "past what was resolved, to what fired");
    assert!(store.fallback_targets(lane, last.lane_seq).await.unwrap().is_empty(), "the newest firing went nowhere else");
}
