//! Mutes from messages: what the labels of an incident match, for as long as its button says.

use std::collections::BTreeMap;

use crate::delivery::core::Shared;
use crate::delivery::plan::Plan;
use crate::model::{CHANNEL_LABEL, IncidentId, Labels, Language, Verb};
use crate::route::mute::matchers_text;
use crate::route::{Matcher, Op};
use crate::store::{Act, Acted, MAX_MATCHERS, Mute, StoreError};

impl Shared {
    /// Mutes or unmutes. What mutes hold is counted before, so that the end of one can say it.
    pub(in crate::delivery) async fn act_on_mutes(&self, plan: &Plan, mut act: Act) -> Result<Acted, StoreError> {
        if act.verb == Verb::Mute {
            act.mutes = self.mutes_of(plan, &act).await?;
        }
        self.note_held().await;
        let acted = self.store.act(act).await?;
        // What is stored is answered as done.
        if let Err(error) = self.refresh_mutes().await {
            tracing::warn!(%error, "the mutes could not be read again after one was made or ended from a message; they are read again in a moment");
        }
        Ok(acted)
    }

    /// The mutes that somebody asks for, of incidents that have labels for one.
    async fn mutes_of(&self, plan: &Plan, act: &Act) -> Result<BTreeMap<IncidentId, Mute>, StoreError> {
        let (mut mutes, known) = (BTreeMap::new(), self.mutes());
        let Some(until) = act.until else { return Ok(mutes) };
        let ids: Vec<IncidentId> = act.on.iter().map(|on| on.incident).collect();
        for (incident, _) in self.store.incidents(&ids, "").await? {
            let Some(matchers) = self.common_labels(&incident).await?.as_ref().and_then(matchers) else { continue };
            let shown = act.on.iter().filter(|on| on.incident == incident.id).find_map(|on| on.shown.as_ref());
            let channel = shown.map_or("", |shown| shown.channel.as_str());
            let reason = why(plan.language_of(channel), &act.by.name, &act.by.via, channel, incident.id);
            // Who asks for quiet does not shorten what is muted for longer: that stays as it is.
            let same = known.active(act.now).find(|active| active.mute.name.is_none() && active.mute.text == matchers);
            let mute = match same.filter(|active| active.until > until) {
                Some(longer) => Mute { matchers, until: longer.until, reason: longer.mute.reason.clone(), by: longer.mute.owner.clone() },
                None => Mute { matchers, until, reason, by: act.by.name.clone() },
            };
            mutes.insert(incident.id, mute);
        }
        Ok(mutes)
    }
}

/// Who muted what, and where.
fn why(language: Language, name: &str, via: &str, channel: &str, incident: IncidentId) -> String {
    match language {
        Language::Zh => format!("{name} 在 {channel}（{via}）静音了 #{incident}"),
        Language::En => format!("{name} muted #{incident} in {channel} ({via})"),
    }
}

/// The matchers of these labels; `None` where a mute cannot match them: in a mute the label `channel` is the channel.
fn matchers(labels: &Labels) -> Option<String> {
    if labels.contains_key(CHANNEL_LABEL) {
        return None;
    }
    let each = labels.iter().map(|(name, value)| Matcher::new(name.as_str(), Op::Equal, value.as_str())).collect::<Result<Vec<_>, _>>().ok()?;
    Some(matchers_text(&each)).filter(|text| text.len() <= MAX_MATCHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mute_matches_the_labels_of_the_group_and_no_more() {
        let of = |pairs: &[(&str, &str)]| matchers(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
        assert_eq!(of(&[("team", "db"), ("alertname", "Disk \"C\"")]).as_deref(), Some(r#"alertname="Disk \"C\"",team="db""#));
        assert_eq!(of(&[("alertname", "A"), ("channel", "x")]), None, "the alert's own label would be read as the channel");
        let long = "x".repeat(MAX_MATCHERS);
        assert_eq!(of(&[("alertname", long.as_str())]), None, "it is a key of the store");
    }

    #[test]
    fn the_reason_says_who_did_it_and_where() {
        let of = |language| why(language, "Ana", "Slack", "ops-slack", IncidentId(1842));
        assert_eq!(of(Language::En), "Ana muted #1842 in ops-slack (Slack)");
        assert_eq!(of(Language::Zh), "Ana 在 ops-slack（Slack）静音了 #1842");
    }
}
