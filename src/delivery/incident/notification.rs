//! What a message says of incidents: what is stored with its outcome.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::model::{Form, IncidentId, PlatformIds, Recipient, Severity, UnixMs};
use crate::store::{
    Ack, AlertState, Anchor, AnchorUpdate, Cell, CellState, Incident, IncidentAlert, IncidentState, NotifiedAlert, SilenceState, Silenced,
    UnackReason, Unacked, incident_numbers,
};
use crate::template::{AnswerView, IncidentView, MuteView, SilenceView, SilenceViewState};

use super::decide::{How, Known, Said};

/// What a message says of incidents.
#[derive(Debug, Clone)]
pub struct Notification {
    /// How it reports it; a digest is a card.
    pub form: Form,
    /// Whether it mentions people.
    pub mentions: bool,
    /// Whether its channel keeps the card up to date by edits.
    pub edited: bool,
    /// Whether it is such an edit: one page, which takes the first one's place.
    pub is_edit: bool,
    /// Whether it is about several lanes: it is never edited, and nothing answers it.
    pub digest: bool,
    /// Whether something of it fires that is not among what is shown.
    pub goes_on: bool,
    /// The incidents.
    pub incidents: Vec<NotifiedIncident>,
    /// Alerts that are new to its channel, by eight bytes of their fingerprints: a line names only those, and of owners theirs are mentioned. Empty where it
    /// is for all that fires.
    pub news: HashSet<u64>,
    /// Alerts that are over, whatever the body that named them last says, by eight bytes of their fingerprints.
    pub resolved: HashSet<u64>,
    /// Alerts that are not reported any more, by eight bytes of their fingerprints.
    pub unreported: HashSet<u64>,
    /// Those who are reminded that they are on it, by the ids of their acks: of an old ack, or because it fires again soon after its end.
    pub reminds: Vec<String>,
    /// Who received it as a line, before what it answered turned out to be gone: that is not the card.
    pub lines_of: Vec<Recipient>,
    /// The messages that it answers, by whom they went to; empty when it is a message of its own.
    pub answers: Vec<(Recipient, PlatformIds)>,
}

impl Default for Notification {
    fn default() -> Self {
        Self {
            form: Form::Card,
            mentions: true,
            edited: false,
            is_edit: false,
            incidents: Vec::new(),
            news: HashSet::new(),
            resolved: HashSet::new(),
            unreported: HashSet::new(),
            reminds: Vec::new(),
            digest: false,
            goes_on: false,
            lines_of: Vec::new(),
            answers: Vec::new(),
        }
    }
}

/// What a message says of one incident.
#[derive(Debug, Clone)]
pub struct NotifiedIncident {
    /// The incident.
    pub id: IncidentId,
    /// The version that it is notified as of.
    pub version: i64,
    /// Whether all of that version is in the message, so that a card shows it.
    pub complete: bool,
    /// The newest state of each alert in it.
    pub notified: Vec<NotifiedAlert>,
    /// Those of them that fire, that its readers have seen before and that somebody is on, by eight bytes of their fingerprints.
    pub acked: Vec<u64>,
    /// Its state.
    pub state: IncidentState,
    /// The state of what the message shows of it: it is acked when somebody is on all of that, and over when all of that is.
    pub shown_state: IncidentState,
    /// Whether its sender leaves out alerts that nobody has seen.
    pub left_out: bool,
    /// Who is on it.
    pub answer: Option<AnswerView>,
    /// Its silence.
    pub silence: Option<SilenceView>,
    /// Its mute.
    pub mute: Option<MuteView>,
    /// When its channel was notified of it first; `None` when it is notified now.
    pub first_notified: Option<UnixMs>,
    /// When the first of those that fire was reported; `None` when none does.
    pub fired_at: Option<UnixMs>,
}

impl NotifiedIncident {
    /// Of an incident, of which this is said.
    pub fn of(incident: &Incident, said: &Said, anchors: &[Anchor], complete: bool) -> Self {
        let version = incident.version;
        let now_of: HashMap<u64, &IncidentAlert> = incident.alerts.iter().map(|alert| (alert.fingerprint, alert)).collect();
        let rank_of = |fingerprint: &u64| now_of.get(fingerprint).map_or(3, |alert| alert.rank);
        let one = |fingerprint: u64, rank: u8, over: bool| NotifiedAlert { fingerprint, rank, version, over };
        let fires = said.fires.iter().map(|(fingerprint, rank)| one(*fingerprint, *rank, false));
        let ends = said.ends.iter().map(|fingerprint| one(*fingerprint, rank_of(fingerprint), true));
        let known = anchors.iter().flat_map(|anchor| &anchor.notified).map(|one| one.fingerprint);
        let shown: HashSet<u64> = known.chain(said.fires.iter().map(|(fingerprint, _)| *fingerprint)).chain(said.ends.iter().copied()).collect();
        Self {
            id: incident.id,
            version,
            complete,
            state: incident.state,
            shown_state: shown_state(incident, &shown),
            left_out: incident.acks.left_out,
            answer: answer(incident, &shown),
            silence: silence(incident),
            mute: mute(incident),
            notified: fires.chain(ends).collect(),
            acked: said.fires.iter().map(|(fingerprint, _)| *fingerprint).filter(|one| seen(anchors, *one) && incident.is_acked(*one)).collect(),
            first_notified: anchors.iter().map(|anchor| anchor.notified_at).min(),
            fired_at: said.fires.iter().filter_map(|(fingerprint, _)| now_of.get(fingerprint)).map(|alert| alert.changed_at).min(),
        }
    }

    /// All that its channel was notified of is over, also what the body that says so leaves out.
    pub fn end(&mut self, known: &Known) {
        let named: HashSet<u64> = self.notified.iter().map(|one| one.fingerprint).collect();
        let left_out = known.alerts.iter().filter(|one| !named.contains(&one.fingerprint));
        let version = self.version;
        self.notified.extend(left_out.map(|one| NotifiedAlert { version, over: true, ..*one }));
    }

    /// How severe what fires in it is, and how long ago the first of it was reported; `None` unless its channel is notified of the incident for the first
    /// time.
    pub fn first_after(&self, now: UnixMs) -> Option<(Severity, Duration)> {
        if self.first_notified.is_some() {
            return None;
        }
        let rank = self.notified.iter().filter(|one| !one.over).map(|one| one.rank).min()?;
        Some((Severity::from_rank(rank.into()), now.since(self.fired_at?)))
    }
}

/// Whether all who have messages of an incident were notified that this alert fires.
fn seen(anchors: &[Anchor], fingerprint: u64) -> bool {
    let by = |anchor: &Anchor| anchor.notified.iter().any(|one| one.fingerprint == fingerprint && !one.over);
    !anchors.is_empty() && anchors.iter().all(by)
}

/// The state of these alerts of an incident: others of it may be shown elsewhere, and be others' business.
pub fn shown_state(incident: &Incident, shown: &HashSet<u64>) -> IncidentState {
    let known: Vec<&IncidentAlert> = incident.alerts.iter().filter(|alert| shown.contains(&alert.fingerprint)).collect();
    // Of very many not all are remembered.
    if !incident.state.is_open() || incident.truncated || known.is_empty() {
        return incident.state;
    }
    let fires = known.iter().any(|alert| alert.state == AlertState::Firing);
    let calls = |alert: &&&IncidentAlert| if fires { alert.state == AlertState::Firing } else { alert.state != AlertState::Resolved };
    let acks: Vec<Option<&Ack>> = known.iter().filter(calls).map(|alert| incident.acks.of(alert.fingerprint)).collect();
    match acks.iter().copied().collect::<Option<Vec<&Ack>>>() {
        Some(all) if all.is_empty() => IncidentState::Resolved,
        Some(all) if all.iter().all(|ack| ack.until.is_some()) => IncidentState::Snoozed,
        Some(_) => IncidentState::Acked,
        None => IncidentState::Firing,
    }
}

/// Who is on these alerts of an incident, or why nobody is any more.
pub fn answer(incident: &Incident, shown: &HashSet<u64>) -> Option<AnswerView> {
    if incident.acks.closed_at.is_some() {
        return Some(AnswerView::Closed);
    }
    if incident.state == IncidentState::Superseded {
        return Some(AnswerView::Superseded { by: incident_numbers(&incident.acks.superseded_by) });
    }
    // Who took most of it last speaks for it. The snooze of a silence is shown as the silence.
    let began = |ack: &Ack| incident.acks.silence.as_ref().is_some_and(|silence| silence.began(ack));
    let is_over = |alert: &&IncidentAlert| incident.state.is_open() && alert.state == AlertState::Resolved;
    let over: HashSet<u64> = incident.alerts.iter().filter(is_over).map(|alert| alert.fingerprint).collect();
    let part = |ack: &Ack| ack.alerts.iter().filter(|one| shown.contains(*one) && !over.contains(*one)).count();
    let most = incident.attending().filter(|ack| !began(ack) && part(ack) > 0).max_by_key(|ack| (part(ack), ack.at));
    if let Some(ack) = most {
        let firing = incident.alerts.iter().filter(|alert| alert.state == AlertState::Firing && shown.contains(&alert.fingerprint));
        return Some(AnswerView::Acked {
            name: ack.by.name.clone(),
            via: ack.by.via.clone(),
            at: ack.at.timestamp(),
            until: ack.until.map(UnixMs::timestamp),
            left: firing.filter(|alert| !incident.is_acked(alert.fingerprint)).count(),
        });
    }
    // An ack since then, of what other messages show, is shown there.
    let is_newest = |unacked: &&Unacked| incident.state.is_open() && incident.attending().all(|ack| began(ack) || ack.at < unacked.at);
    let unacked = incident.acks.unacked.as_ref().filter(is_newest)?;
    Some(match &unacked.why {
        UnackReason::Worse { was, .. } => AnswerView::Worse { was: Severity::from_rank((*was).into()) },
        UnackReason::SnoozeEnded { name } => AnswerView::SnoozeEnded { name: name.clone() },
        UnackReason::Expired { name, .. } => AnswerView::Expired { name: name.clone() },
        UnackReason::By { name } => AnswerView::Unacked { name: name.clone() },
        UnackReason::SilenceEnded { name } => AnswerView::SilenceEnded { name: name.clone() },
        UnackReason::NotSilenced { name, reason } => AnswerView::NotSilenced { name: name.clone(), reason: reason.clone() },
    })
}

/// The silence of an incident.
pub fn silence(incident: &Incident) -> Option<SilenceView> {
    let Silenced { by, until, state, reason } = incident.acks.silence.as_ref()?;
    let state = match state {
        SilenceState::Asked => SilenceViewState::Asked(reason.clone()),
        SilenceState::Active => SilenceViewState::Confirmed,
        SilenceState::Ending => SilenceViewState::Ending,
        SilenceState::Ended | SilenceState::Failed => return None,
    };
    Some(SilenceView { name: by.name.clone(), via: by.via.clone(), until: until.timestamp(), state })
}

/// The mute that somebody made from a message of an incident.
pub fn mute(incident: &Incident) -> Option<MuteView> {
    let muted = incident.acks.mute.as_ref().filter(|_| incident.state.is_open())?;
    Some(MuteView { name: muted.by.clone(), until: muted.until.timestamp() })
}

impl Notification {
    /// How a message of one incident reports it.
    pub fn set(&mut self, how: How, anchors: &[Anchor]) {
        match how {
            How::Card { mentions, reply } => {
                (self.form, self.mentions) = (Form::Card, mentions);
                if reply {
                    self.answer(anchors);
                }
            }
            How::Line { form, reply, mentions } => {
                (self.form, self.mentions) = (form, mentions);
                if reply {
                    self.answer(anchors);
                }
            }
            How::Silent => {}
        }
    }

    fn answer(&mut self, anchors: &[Anchor]) {
        let found = anchors.iter().filter(|anchor| !anchor.ids.is_empty());
        self.answers = found.map(|anchor| (anchor.recipient.clone(), anchor.ids.clone())).collect();
    }

    /// The alerts that its readers have seen and somebody is on, in every incident that they belong to.
    pub fn acked(&self) -> HashSet<u64> {
        let mut acked: HashSet<u64> = self.incidents.iter().flat_map(|incident| &incident.acked).copied().collect();
        for incident in &self.incidents {
            for one in incident.notified.iter().filter(|one| !one.over && !incident.acked.contains(&one.fingerprint)) {
                acked.remove(&one.fingerprint);
            }
        }
        acked
    }

    /// The only incident of a message that is no digest.
    pub fn single(&self) -> Option<&NotifiedIncident> {
        if let ([only], false) = (self.incidents.as_slice(), self.digest) { Some(only) } else { None }
    }

    /// The incident as readers see it. A further message about it, beside a first one that is neither edited nor answered, says when that one came.
    pub fn view(&self) -> Option<IncidentView> {
        let only = self.single()?;
        let further = if self.form == Form::Card { !self.edited } else { self.answers.is_empty() };
        let first_notified = only.first_notified.filter(|_| further).map(UnixMs::timestamp);
        let (answer, silence, mute) = (only.answer.clone(), only.silence.clone(), only.mute.clone());
        Some(IncidentView { number: only.id.0, first_notified, answer, silence, mute, acts: false })
    }

    /// The message that the one to this recipient answers.
    pub fn answered(&self, recipient: &Recipient) -> Option<&PlatformIds> {
        self.answers.iter().find(|(to, _)| to == recipient).map(|(_, ids)| ids)
    }

    /// What is stored of it for each recipient that has all of the message's pages.
    pub fn anchors(&self, message: crate::model::MessageId, channel: &str, cells: &[Cell]) -> Vec<AnchorUpdate> {
        let mut updates = Vec::new();
        let mut recipients: Vec<&Cell> = cells.iter().filter(|cell| cell.page == 0).collect();
        recipients.retain(|first| cells.iter().filter(|cell| cell.recipient == first.recipient).all(|cell| cell.state == CellState::Ok));
        for first in recipients {
            for incident in &self.incidents {
                // What answers a card leaves it the first message of its thread; who had none has one now.
                let is_first = self.answered(&first.recipient).is_none() && !self.lines_of.contains(&first.recipient);
                let is_card = self.form == Form::Card && self.single().is_some() && is_first;
                let ids = (is_card && !first.ids.is_empty()).then(|| first.ids.clone());
                updates.push(AnchorUpdate {
                    incident: incident.id,
                    channel: channel.to_owned(),
                    recipient: first.recipient.clone(),
                    message,
                    notified: incident.notified.clone(),
                    shown: ids.is_some().then_some(if incident.complete { incident.version } else { 0 }),
                    edited: self.edited && ids.is_some(),
                    ids,
                    rang: self.mentions.then_some(incident.version),
                });
            }
        }
        updates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventId;
    use crate::store::{Actor, IncidentReport, ReportedAlert};

    const T0: UnixMs = UnixMs(1_764_000_000_000);

    /// One group that is routed to two rooms: an ack in one of them is none of the other.
    #[test]
    fn what_others_read_of_an_incident_is_not_in_the_state_of_a_message() {
        let report = |third: bool| {
            let alerts = [(1, true), (2, true), (3, third)];
            let said = alerts.map(|(fingerprint, fires)| ReportedAlert { fingerprint, start: Some(T0), fires, rank: 2, index: 0 });
            IncidentReport::of_group("g", said.to_vec())
        };
        let mut one = Incident::open(&report(true), EventId::new(), T0).unwrap();
        let (by, alerts) = (Actor { id: "person:ann".into(), name: "ann".into(), via: "Slack".into() }, vec![1, 3]);
        one.acks.list = vec![Ack { by, at: T0, until: None, remind_at: None, reminded_in: 0, expires_at: None, rank: 2, alerts, pressed: None }];
        one.apply(&report(false), EventId::new(), T0 + 1);
        for (shown, state, left) in [
            (vec![1], IncidentState::Acked, Some(0)),
            (vec![2], IncidentState::Firing, None),
            (vec![1, 2], IncidentState::Firing, Some(1)),
            (vec![3], IncidentState::Resolved, None),
            (vec![2, 3], IncidentState::Firing, None),
            (vec![1, 3], IncidentState::Acked, Some(0)),
            (vec![9], IncidentState::Firing, None),
        ] {
            let shown: HashSet<u64> = shown.into_iter().collect();
            let read = if let Some(AnswerView::Acked { left, .. }) = answer(&one, &shown) { Some(left) } else { None };
            assert_eq!((shown_state(&one, &shown), read), (state, left), "{shown:?}");
        }
        let ended = |at: UnixMs| Some(Unacked::new(at, 1, UnackReason::By { name: "bob".into() }));
        for (unacked, read) in [(ended(T0), false), (ended(T0 + 1), true)] {
            one.acks.unacked = unacked;
            assert_eq!(answer(&one, &HashSet::from([2])).is_some(), read, "an ack that began again is news where it is shown");
        }
        one.end(IncidentState::Closed, T0 + 2);
        assert_eq!(shown_state(&one, &HashSet::from([1])), IncidentState::Closed);
    }

    /// Of a channel that answers the first message of each recipient, one was added later.
    #[test]
    fn the_first_message_of_a_recipient_is_the_one_that_others_answer() {
        let report = IncidentReport::of_group("g", vec![ReportedAlert { fingerprint: 1, start: None, fires: true, rank: 0, index: 0 }]);
        let one = Incident::open(&report, EventId::new(), T0).unwrap();
        let notice = NotifiedIncident::of(&one, &Said { fires: vec![(1, 0)], ..Said::default() }, &[], true);
        let (old, new) = (Recipient::new("a"), Recipient::new("b"));
        let answers = vec![(old.clone(), PlatformIds::one("id", "1".to_owned()))];
        let reply = Notification { incidents: vec![notice], answers, ..Notification::default() };
        let cells = [(old, "2"), (new.clone(), "3")].map(|(recipient, id)| Cell {
            page: 0,
            recipient,
            state: CellState::Ok,
            tries: 1,
            unanswered: 0,
            due_at: UnixMs::EPOCH,
            ids: PlatformIds::one("id", id.to_owned()),
            code: None,
        });
        let anchors = reply.anchors(crate::model::MessageId::new(), "mail", &cells);
        let first: Vec<&Recipient> = anchors.iter().filter(|anchor| anchor.ids.is_some()).map(|anchor| &anchor.recipient).collect();
        assert_eq!(first, [&new]);
    }
}
