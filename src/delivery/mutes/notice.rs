//! Notices of mutes: the channels that one concerns read that it has begun, that it ends soon, and what it held. One that comes again says only what it
//! held. A notice is a direct send: no mute holds it back, it is no incident, and it is sent at most once.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::Mutes;
use super::active::{ActiveMute, prefix};
use crate::channel::OnAmbiguous;
use crate::delivery::core::Shared;
use crate::delivery::direct::text_page;
use crate::delivery::engine::Engine;
use crate::delivery::plan::{ChannelPlan, Plan};
use crate::model::{CHANNEL_LABEL, Labels, Language, Severity, UnixMs};
use crate::route::{Mute, Op};
use crate::store::{HeldRow, MuteRow, MuteStage, StoreError};

/// How long before its end a mute is noticed.
const BEFORE: Duration = Duration::from_secs(15 * 60);
/// The end of one that is shorter is not noticed before.
const SHORT: Duration = Duration::from_secs(30 * 60);
/// A notice that is later than this is not sent any more.
const LATEST: Duration = Duration::from_secs(3600);
/// What mutes hold is counted so often, and at every tick so long before an end.
const COUNT_INTERVAL: Duration = Duration::from_secs(30);
const NEAR_END: Duration = Duration::from_secs(12);
/// Channels that are notified of one mute.
const MAX_CHANNELS: usize = 5;

/// What the ticks remember.
#[derive(Debug, Default)]
pub struct Notices {
    /// When what mutes hold was counted last.
    counted: UnixMs,
    /// Whether nothing is known of any mute.
    empty: bool,
}

/// A mute that mutes now, as its notices see it.
#[derive(Debug, Clone)]
struct Running {
    key: String,
    until: UnixMs,
    recurring: bool,
    channels: Vec<String>,
}

/// What a tick changes, and what people are notified of.
#[derive(Debug, Default, PartialEq, Eq)]
struct Step {
    rows: Vec<MuteRow>,
    gone: Vec<String>,
    notices: Vec<MuteRow>,
}

/// What a mute is remembered by: its name between back quotes, or its matchers.
pub fn mute_key(mute: &Mute) -> String {
    mute.name.as_ref().map_or_else(|| mute.text.clone(), |name| format!("`{name}`"))
}

/// What these deliveries are of those that a mute holds, by severity.
fn held_by(mute: &Mute, counted: &[HeldRow]) -> [u32; 4] {
    let (prefix, channel) = (prefix(mute), mute.channel());
    let mut held = [0u32; 4];
    for row in counted.iter().filter(|row| row.reason.starts_with(&prefix) && channel.is_none_or(|channel| channel == row.channel)) {
        let place = usize::try_from(row.rank).unwrap_or_default().min(3);
        held[place] = held[place].saturating_add(row.count);
    }
    held
}

impl Shared {
    /// Counts what mutes hold now: before one is ended or changed, so that its end can say it. A mute is changed without it, too.
    pub(in crate::delivery) async fn note_held(&self) {
        let now = self.clock.wall();
        if self.mutes().active(now).next().is_none() {
            return;
        }
        let noted = match self.store.count_held().await {
            Ok(counted) => self.store.note_held(self.held(&counted, now), now).await,
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            tracing::warn!(%error, "what the mutes hold could not be counted; the notice of an end says the last count");
        }
    }

    /// What each mute that mutes at `now` holds, by key and severity, the most severe first.
    fn held(&self, counted: &[HeldRow], now: UnixMs) -> Vec<(String, [u32; 4])> {
        self.mutes().active(now).map(|active| (mute_key(active.mute), held_by(active.mute, counted))).collect()
    }
}

impl Engine {
    /// What is remembered of mutes, by key.
    pub async fn mute_rows(&self) -> Result<Vec<MuteRow>, StoreError> {
        self.shared.store.update_mute_rows(Vec::new(), Vec::new()).await
    }

    /// What each mute that mutes at `now` holds, by key and severity, the most severe first; where it cannot be counted, nothing. It is counted, so that a
    /// new mute is not said to match nothing before the next tick.
    pub async fn count_held(&self, now: UnixMs) -> Vec<(String, [u32; 4])> {
        if self.shared.mutes().active(now).next().is_none() {
            return Vec::new();
        }
        match self.shared.recent_held().await {
            Ok(counted) => self.shared.held(&counted, now),
            Err(error) => {
                tracing::warn!(%error, "what the mutes hold could not be counted; their list shows the last count");
                Vec::new()
            }
        }
    }
}

/// Notifies of mutes that began, end soon or ended.
pub async fn tick(engine: &Arc<Engine>, notices: &mut Notices) -> Result<(), StoreError> {
    let shared = &engine.shared;
    let mutes = shared.mutes();
    if !shared.is_leader() || (notices.empty && mutes.all().next().is_none()) {
        return Ok(());
    }
    let (plan, now) = (shared.plan.load_full(), shared.clock.wall());
    let near = mutes.active(now).any(|active| active.until.since(now) <= NEAR_END);
    if near || now.since(notices.counted) >= COUNT_INTERVAL || now < notices.counted {
        shared.note_held().await;
        notices.counted = now;
    }
    let known = engine.mute_rows().await?;
    let running: Vec<Running> = mutes.active(now).map(|active| running(&plan, &active, now)).collect();
    let listed: Vec<String> = mutes.all().filter(|mute| mute.name.is_some() || mute.time.end(now).is_some()).map(mute_key).collect();
    let Step { rows, gone, notices: due } = step(&known, &running, &listed, now);
    notices.empty = known.is_empty() && rows.is_empty();
    if rows.is_empty() && gone.is_empty() {
        return Ok(());
    }
    shared.store.update_mute_rows(rows, gone).await?;
    for row in due {
        notify(engine, &plan, &mutes, row, now);
    }
    Ok(())
}

fn running(plan: &Plan, active: &ActiveMute<'_>, now: UnixMs) -> Running {
    let mute = active.mute;
    Running { key: mute_key(mute), until: active.until, recurring: mute.time.is_recurring(), channels: notified_channels(plan, mute, now) }
}

/// The channels that are notified of a mute: those that it names, else those to which the routes send an alert with the labels that it names. Nobody is
/// called or sent a text message, and no program, for it.
fn notified_channels(plan: &Plan, mute: &Mute, now: UnixMs) -> Vec<String> {
    let names: Vec<String> = if mute.matchers.iter().any(|matcher| matcher.name() == CHANNEL_LABEL) {
        plan.channels.keys().filter(|name| mute.may_concern(name)).cloned().collect()
    } else {
        let equal = mute.matchers.iter().filter(|matcher| matcher.op() == Op::Equal);
        let labels: Labels = equal.map(|matcher| (matcher.name().to_owned(), matcher.value().to_owned())).collect();
        plan.tree.route(&labels, now.timestamp()).targets.into_iter().map(|target| target.channel.to_string()).collect()
    };
    let reads = |channel: &ChannelPlan| {
        let machine = channel.driver.keeps_incidents() || channel.driver.wants_raw_payload();
        !channel.disabled && !machine && channel.platform.on_ambiguous != OnAmbiguous::Never
    };
    names.into_iter().filter(|name| plan.channel(name).is_some_and(|channel| reads(channel))).take(MAX_CHANNELS).collect()
}

/// What is new of mutes: `running` mute now, `listed` are those that there are, `known` is what was remembered.
fn step(known: &[MuteRow], running: &[Running], listed: &[String], now: UnixMs) -> Step {
    let mut step = Step::default();
    for mute in running {
        let row = known.iter().find(|row| row.key == mute.key);
        let Some(row) = row.filter(|row| row.stage != MuteStage::Ended) else {
            let new = MuteRow {
                key: mute.key.clone(),
                channels: mute.channels.clone(),
                began: now,
                until: mute.until,
                stage: MuteStage::Begun,
                held: [0; 4],
                held_at: row.and_then(|row| row.held_at),
            };
            step.notices.extend((!mute.recurring).then(|| new.clone()));
            step.rows.push(new);
            continue;
        };
        let mut next = MuteRow { until: mute.until, ..row.clone() };
        let soon = mute.until.since(now) <= BEFORE;
        if !soon {
            // It was made longer.
            next.stage = MuteStage::Begun;
        } else if next.stage == MuteStage::Begun && !mute.recurring && mute.until.since(row.began) > SHORT {
            next.stage = MuteStage::Ending;
            step.notices.push(next.clone());
        }
        if next != *row {
            step.rows.push(next);
        }
    }
    for row in known.iter().filter(|row| !running.iter().any(|mute| mute.key == row.key)) {
        let is_listed = listed.contains(&row.key);
        if !is_listed {
            step.gone.push(row.key.clone());
        }
        if row.stage == MuteStage::Ended {
            continue;
        }
        let ended = MuteRow { stage: MuteStage::Ended, until: row.until.min(now), ..row.clone() };
        step.notices.push(ended.clone());
        if is_listed {
            step.rows.push(ended);
        }
    }
    step
}

/// Sends a notice to the channels of a mute, without waiting for them.
fn notify(engine: &Arc<Engine>, plan: &Plan, mutes: &Mutes, row: MuteRow, now: UnixMs) {
    let mute = mutes.all().find(|mute| mute_key(mute) == row.key);
    let held: u32 = row.held.iter().sum();
    tracing::info!(mute = row.key, stage = ?row.stage, until = %row.until, held, "a mute began, ends soon or has ended");
    let quiet = mute.is_some_and(|mute| mute.time.is_recurring()) && held == 0;
    if row.stage == MuteStage::Ended && (quiet || now.since(row.until) > LATEST) {
        return;
    }
    for channel in row.channels.iter().filter_map(|name| plan.channel(name)).cloned() {
        let text = wording(&row, mute, &plan.messages.time_zone, channel.content.language);
        let (engine, tracker) = (engine.clone(), engine.shared.tracker.clone());
        tracker.spawn(async move {
            let (mut event, page) = text_page(&channel, &text);
            (event.source, event.receiver) = ("watchfire".into(), "mutes".into());
            let failed = match engine.send_direct(&channel, event, page, channel.recipients.clone()).await {
                Ok(outcome) if outcome.expired => Some("no slot of the rate limit came free in time".to_owned()),
                Ok(outcome) => outcome.results.into_iter().find_map(|(_, result)| result.err().map(|error| error.to_string())),
                Err(error) => Some(error.to_string()),
            };
            if let Some(error) = failed {
                tracing::warn!(channel = %channel.name, error, text, "the notice of a mute was not delivered; it is not sent again");
            }
        });
    }
}

/// What a mute holds, in words: `3 (1 critical, 2 warning)`.
pub fn held_text(held: &[u32; 4], language: Language) -> String {
    let zh = language == Language::Zh;
    let total: u32 = held.iter().sum();
    let word = |severity: Severity| match severity {
        _ if !zh => severity.as_str(),
        Severity::Critical => "严重",
        Severity::Error => "错误",
        Severity::Warning => "警告",
        Severity::Info => "提示",
    };
    let parts: Vec<String> =
        held.iter().zip(Severity::ALL).filter(|(count, _)| **count > 0).map(|(count, severity)| format!("{count} {}", word(severity))).collect();
    if zh { format!("{total} 条（{}）", parts.join("，")) } else { format!("{total} ({})", parts.join(", ")) }
}

/// One line that says what happened to a mute.
fn wording(row: &MuteRow, mute: Option<&Mute>, zone: &TimeZone, language: Language) -> String {
    let zoned = zone.to_datetime(row.until.timestamp());
    let time = format!("{} ({})", zoned.strftime("%Y-%m-%d %H:%M"), zone.iana_name().unwrap_or("UTC"));
    let (zh, holds) = (language == Language::Zh, row.held.iter().any(|count| *count > 0));
    let called = row.key.trim_matches('`');
    let why = mute.map(|mute| format!(": {}", mute.why(language))).unwrap_or_default();
    let held = held_text(&row.held, language);
    match (row.stage, zh) {
        (MuteStage::Begun, false) if row.until == UnixMs::MAX => format!("Muted, {called}{why}"),
        (MuteStage::Begun, true) if row.until == UnixMs::MAX => format!("已静音，{called}{why}"),
        (MuteStage::Begun, false) => format!("Muted until {time}, {called}{why}"),
        (MuteStage::Begun, true) => format!("静音至 {time}，{called}{why}"),
        (MuteStage::Ending, false) if holds => format!("The mute {called} ends at {time}. It holds {held}."),
        (MuteStage::Ending, true) if holds => format!("静音 {called} 将于 {time} 结束。已推迟 {held}。"),
        (MuteStage::Ending, false) => format!("The mute {called} ends at {time}. It holds nothing."),
        (MuteStage::Ending, true) => format!("静音 {called} 将于 {time} 结束。没有推迟的通知。"),
        (MuteStage::Ended, false) if holds => format!("The mute {called} has ended. It held {held}; what still fires is sent now."),
        (MuteStage::Ended, true) if holds => format!("静音 {called} 已结束。曾推迟 {held}；仍在触发的现在发送。"),
        (MuteStage::Ended, false) if mute.is_some_and(|mute| mute.drop) => {
            format!("The mute {called} has ended. What it dropped: watchfire queue ls --state skipped")
        }
        (MuteStage::Ended, true) if mute.is_some_and(|mute| mute.drop) => {
            format!("静音 {called} 已结束。被丢弃的：watchfire queue ls --state skipped")
        }
        (MuteStage::Ended, false) => format!("The mute {called} has ended. It held nothing."),
        (MuteStage::Ended, true) => format!("静音 {called} 已结束。没有推迟的通知。"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::mute::matchers_text;
    use crate::route::{MuteTime, matcher};

    /// 2026-11-24 03:00 UTC.
    const NOW: UnixMs = UnixMs(1_795_489_200_000);
    const MINUTE: i64 = 60_000;

    fn mute(until: i64, recurring: bool) -> Running {
        Running { key: "`db`".into(), until: NOW + until * MINUTE, recurring, channels: vec!["ops".into()] }
    }

    /// What a mute that begins at once and ends after so many minutes has noticed, minute by minute; it holds something from the tenth on.
    fn noticed(end: i64, recurring: bool, holds: bool) -> Vec<(i64, MuteStage)> {
        let mut known: Vec<MuteRow> = Vec::new();
        let mut seen = Vec::new();
        for minute in 0..end + 20 {
            let running: Vec<Running> = Some(mute(end, recurring)).filter(|_| minute < end).into_iter().collect();
            if let Some(row) = known.first_mut().filter(|_| holds && minute == 10) {
                row.held[1] = 2;
            }
            let Step { rows, gone, notices } = step(&known, &running, &["`db`".into()], NOW + minute * MINUTE);
            assert!(gone.is_empty(), "it is listed");
            if let Some(row) = rows.into_iter().next() {
                known = vec![row];
            }
            seen.extend(notices.into_iter().map(|row| (minute, row.stage)));
        }
        seen
    }

    #[test]
    fn a_mute_is_noticed_when_it_begins_before_it_ends_and_when_it_has_ended() {
        use MuteStage::{Begun, Ended, Ending};
        assert_eq!(noticed(120, false, true), [(0, Begun), (105, Ending), (120, Ended)]);
        assert_eq!(noticed(30, false, false), [(0, Begun), (30, Ended)], "a short one needs no notice before its end");
        assert_eq!(noticed(480, true, true), [(480, Ended)], "one that comes again says only what it held");
    }

    #[test]
    fn a_mute_that_is_made_longer_is_noticed_before_its_new_end() {
        let row = MuteRow {
            key: "`db`".into(),
            channels: vec!["ops".into()],
            began: NOW - 60 * MINUTE,
            until: NOW + 10 * MINUTE,
            stage: MuteStage::Ending,
            held: [1, 0, 0, 0],
            held_at: Some(NOW),
        };
        let longer = step(std::slice::from_ref(&row), &[mute(60, false)], &["`db`".into()], NOW);
        assert_eq!((longer.rows[0].stage, longer.rows[0].until, longer.notices.len()), (MuteStage::Begun, NOW + 60 * MINUTE, 0));
        let again = step(&longer.rows, &[mute(60, false)], &["`db`".into()], NOW + 46 * MINUTE);
        assert_eq!(again.notices[0].stage, MuteStage::Ending);
        // What was removed is noticed once more, with what it held, and forgotten.
        let removed = step(std::slice::from_ref(&row), &[], &[], NOW);
        assert_eq!(
            (removed.gone, removed.rows, removed.notices),
            (vec!["`db`".to_owned()], vec![], vec![MuteRow { stage: MuteStage::Ended, until: NOW, ..row }])
        );
    }

    #[test]
    fn a_notice_says_who_why_and_what_is_held() {
        let matchers = matcher::parse(r#"team="db""#).unwrap();
        let mute = Mute {
            name: Some("db".into()),
            text: matchers_text(&matchers),
            matchers,
            time: MuteTime::Until(NOW),
            drop: false,
            reason: "upgrade".into(),
            owner: "ann".into(),
            ticket: "OPS-1".into(),
        };
        let row = |stage, held| MuteRow { key: "`db`".into(), channels: Vec::new(), began: NOW, until: NOW, stage, held, held_at: None };
        let said = |stage, held, language| wording(&row(stage, held), Some(&mute), &TimeZone::UTC, language);
        assert_eq!(said(MuteStage::Begun, [0; 4], Language::En), "Muted until 2026-11-24 03:00 (UTC), db: upgrade (owner ann, ticket OPS-1)");
        assert_eq!(said(MuteStage::Ending, [0, 0, 0, 2], Language::En), "The mute db ends at 2026-11-24 03:00 (UTC). It holds 2 (2 info).");
        let ended = said(MuteStage::Ended, [1, 0, 2, 0], Language::En);
        assert_eq!(ended, "The mute db has ended. It held 3 (1 critical, 2 warning); what still fires is sent now.");
        assert_eq!(said(MuteStage::Ended, [0; 4], Language::Zh), "静音 db 已结束。没有推迟的通知。");
        let held = |channel: &str, reason: &str, rank| HeldRow { channel: channel.into(), reason: reason.into(), rank, count: 1 };
        let counted = [
            held("ops", "muted by `db` (team=\"db\"): upgrade", 0),
            held("dba", "muted by `db` (team=\"db\"): before", 7),
            held("dba", "muted by `db` (team=\"web\"): upgrade", 1),
        ];
        assert_eq!(held_by(&mute, &counted), [1, 0, 0, 1], "what other matchers held is not its own");
    }
}
