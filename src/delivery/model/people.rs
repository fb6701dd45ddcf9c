//! What people do meanwhile: they mute channels, and retry, move or drop what waits.

use std::time::Duration;

use crate::model::UnixMs;
use crate::store::{DeliveryFilter, MoveTo, Mute, OperatorStore, QueryStore, State, channel_matchers};

use super::Dice;
use super::life::{Life, Node};

/// What a mute by labels matches.
pub(super) const BY_LABEL: &str = "quiet=\"yes\"";

impl Life<'_> {
    fn names(&self) -> Vec<String> {
        self.nodes[0].engine.shared.plan.load().channels.keys().cloned().collect()
    }

    /// Mutes a channel or some alerts of all channels, for longer or for shorter, or ends the mute.
    pub(super) async fn mute(&self, dice: &mut Dice) {
        let names = self.names();
        let channel = names[dice.below(names.len() as u64) as usize].clone();
        let now = self.clock.wall();
        let until = if dice.permille(400) { UnixMs::EPOCH } else { now + Duration::from_secs(1 + dice.below(1800)) };
        let matchers = if dice.permille(250) { BY_LABEL.to_owned() } else { channel_matchers(&channel) };
        tracing::info!(wall = %now, matchers, %until, "a mute");
        let mute = Mute { matchers, until, reason: "at random".into(), by: "model".into() };
        self.store.set_mute(mute, now).await.expect("a mute");
        self.engine(dice).refresh_mutes().await.expect("mutes");
    }

    /// Retries, moves or drops something that waits.
    pub(super) async fn by_hand(&self, dice: &mut Dice) {
        let engine = self.engine(dice);
        let filter = DeliveryFilter { states: vec![State::Waiting, State::Deferred, State::Dead], limit: 50, ..DeliveryFilter::default() };
        let rows = self.store.list_deliveries(&filter).await.expect("a page");
        if rows.is_empty() {
            return;
        }
        let row = &rows[dice.below(rows.len() as u64) as usize];
        let now = self.clock.wall();
        let kind = dice.below(3);
        tracing::info!(wall = %now, kind, delivery = %row.id, channel = row.channel, state = row.state.as_str(), "something is done by hand");
        if kind == 0 {
            if row.channel != "voice" && self.store.drop_deliveries(&[row.id], "at random", now).await.expect("a drop") > 0 {
                self.world.ledger.lock().unwrap().remove(&row.id);
            }
        } else {
            let plan = engine.shared.plan.load_full();
            let to = (kind == 1 && row.channel != "voice").then(|| plan.channel("mail")).flatten();
            let to = to.map(|mail| MoveTo { channel: mail.name.to_string(), outlet: mail.outlet.clone(), fallback: Vec::new() });
            // What is on its way is refused.
            let moves = to.is_some() || row.state.is_final();
            if let Ok(made) = self.store.requeue(&[row.id], to, now).await {
                if moves {
                    self.world.moved(row.id);
                }
                engine.shared.notify_new(&made);
            }
        }
        for node in &self.nodes {
            node.engine.evict_all();
        }
    }

    /// Everybody lives, and nothing is muted any more.
    pub(super) async fn calm_down(&mut self) {
        if self.nodes.len() > 1 {
            self.nodes.iter_mut().filter(|node| node.alive.is_none()).for_each(Node::turn);
            self.gates.disturb(self.clock.instant());
        }
        for matchers in self.names().iter().map(|name| channel_matchers(name)).chain([BY_LABEL.to_owned()]) {
            let mute = Mute { matchers, until: UnixMs::EPOCH, reason: String::new(), by: "model".into() };
            self.store.set_mute(mute, self.clock.wall()).await.expect("no mute");
        }
        for node in &self.nodes {
            node.engine.refresh_mutes().await.expect("mutes");
        }
    }
}
