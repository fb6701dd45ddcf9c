//! Handoffs: who takes over is notified 15 minutes before and at the change, with the incidents that are open.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::{Rota, Shift, ShiftKind};
use crate::channel::{Address, Platform, Reach};
use crate::delivery::announcement;
use crate::delivery::engine::Engine;
use crate::delivery::people::{People, PersonName};
use crate::delivery::plan::Plan;
use crate::model::{Language, Mentions, Severity, Status, UnixMs};
use crate::store::{Incident, IncidentFilter, IncidentState, Override, RotaRow, StoreError};

/// How long before a handoff it is noticed first.
const BEFORE: Duration = Duration::from_secs(15 * 60);
/// A notice that is later than this is not sent any more.
const LATEST: Duration = Duration::from_secs(3600);
/// Incidents that a notice names.
const MAX_INCIDENTS: usize = 10;
/// Who makes overrides that no person made.
const BY: &str = "Watchfire";

/// A notice of a handoff.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Notice {
    /// When it is due.
    due: UnixMs,
    /// Who is on call until then; `None` for nobody.
    from: Option<PersonName>,
    /// The shift that begins.
    to: Shift,
}

impl Rota {
    /// The newest notice that has become due since `noticed`.
    fn notice(&self, overrides: &[Override], noticed: UnixMs, now: UnixMs) -> Option<Notice> {
        let shifts = self.between(noticed, now + BEFORE + 1, overrides);
        let before = std::iter::once(None).chain(shifts.iter().map(Some));
        let changes = before.zip(&shifts).filter_map(|(before, shift)| {
            let before = before.filter(|before| before.until == shift.from);
            (before.is_none_or(|before| before.person != shift.person)).then_some((before.map(|before| before.person.clone()), shift))
        });
        let notices = changes.flat_map(|(from, to)| [to.from - BEFORE, to.from].map(|due| Notice { due, from: from.clone(), to: to.clone() }));
        notices.filter(|notice| noticed < notice.due && notice.due <= now).max_by_key(|notice| notice.due)
    }
}

/// Notifies of handoffs that are due, and keeps current shifts when the people of a rota changed.
pub async fn tick(engine: &Engine) -> Result<(), StoreError> {
    let shared = &engine.shared;
    let plan = shared.plan.load_full();
    if plan.people.rotas.is_empty() || !shared.is_leader() {
        return Ok(());
    }
    let now = shared.clock.wall();
    let rows = shared.store.update_rotas(Vec::new()).await?;
    let mut changes = Vec::new();
    for rota in plan.people.rotas.values() {
        let known = rows.iter().find(|row| row.rota == *rota.name);
        let turn = rota.turn_at(now);
        if let (Some(known), Some(turn)) = (known, &turn) {
            keep_shift(engine, &plan, rota, known, turn, now).await?;
        }
        let overrides = plan.people.active_overrides(&shared.overrides());
        let noticed = known.map_or(now, |known| known.noticed);
        let notice = rota.notice(&overrides, noticed, now);
        if let Some(notice) = &notice {
            notify(engine, &plan, rota, notice, now).await?;
        }
        let (person, from) = turn.map_or_else(|| (String::new(), UnixMs::EPOCH), |turn| (turn.person.to_string(), turn.from));
        let row = RotaRow { rota: rota.name.to_string(), person, from, noticed: notice.map_or(noticed, |notice| notice.due) };
        if known != Some(&row) {
            changes.push(row);
        }
    }
    if !changes.is_empty() {
        shared.store.update_rotas(changes).await?;
    }
    Ok(())
}

/// A change of the people of a rota changes nobody's current shift: the person who had it keeps it by an override.
async fn keep_shift(engine: &Engine, plan: &Plan, rota: &Rota, known: &RotaRow, turn: &Shift, now: UnixMs) -> Result<(), StoreError> {
    if known.from != turn.from || known.person == *turn.person || plan.people.people.get(&known.person).is_none() {
        return Ok(());
    }
    // What people arranged by hand counts, for its own time.
    let overrides = plan.people.active_overrides(&engine.shared.overrides());
    let left = rota.between(now, turn.until, &overrides).into_iter().filter(|shift| shift.kind == ShiftKind::Turn);
    for part in left {
        // From its beginning on: who had it did not take over just now, and nobody is notified of that.
        let (from, until) = (part.from, part.until);
        tracing::warn!(rota = %rota.name, person = known.person, %from, %until, "the people of a rota changed: the current shift is finished by who had it");
        let new = Override {
            id: 0,
            rota: rota.name.to_string(),
            person: known.person.clone(),
            from,
            until,
            reason: "the people of the rota changed during the shift".into(),
            by: BY.into(),
        };
        engine.add_override(new).await?;
    }
    Ok(())
}

/// Sends a notice to the rota's channel.
async fn notify(engine: &Engine, plan: &Plan, rota: &Rota, notice: &Notice, now: UnixMs) -> Result<(), StoreError> {
    let (from, to) = (notice.from.as_deref().unwrap_or("nobody"), &*notice.to.person);
    tracing::info!(rota = %rota.name, from, to, at = %notice.to.from, "a handoff");
    let Some(channel) = rota.tell.as_ref().and_then(|name| plan.channel(name)) else { return Ok(()) };
    if now.since(notice.due) > LATEST {
        tracing::warn!(rota = %rota.name, from, to, at = %notice.to.from, "the notice of a handoff is too late to be sent");
        return Ok(());
    }
    let open = IncidentState::ALL.into_iter().filter(|state| state.is_open()).collect();
    let filter = IncidentFilter { states: open, limit: MAX_INCIDENTS + 1, ..IncidentFilter::default() };
    let incidents = engine.shared.store.list_incidents(&filter).await?;
    let (title, text) = wording(rota, notice, &plan.people.people, &incidents, channel.content.language);
    let mentions = mentioned(notice, &plan.people.people, channel.platform, channel.content.looks_up);
    let to = [channel.name.to_string()];
    // A repeat of it after a crash is the same event.
    let event = announcement::event(format!("rota {}", rota.name), Status::Firing, notice.due, title, text);
    engine.accept_mentioning(event, Some(&to), Some(mentions)).await.map(|_| ())
}

/// Whom a notice mentions: who goes and who comes, by their names, so that ids are looked up when it is sent. A platform that writes to people would reach them
/// in place of the channel's own recipients.
fn mentioned(notice: &Notice, people: &People, platform: &Platform, looks_up: &[Address]) -> Mentions {
    if !matches!(platform.pings.person, Reach::Mention(_)) {
        return Mentions::default();
    }
    let both = notice.from.iter().chain([&notice.to.person]).filter_map(|name| people.get(name));
    let reached = both.filter(|person| person.is_reached(platform, looks_up)).map(|person| person.name.to_string());
    Mentions { people: reached.collect(), ..Mentions::default() }
}

fn local(at: UnixMs, zone: &TimeZone) -> String {
    let zoned = zone.to_datetime(at.timestamp());
    format!("{} ({})", zoned.strftime("%Y-%m-%d %H:%M"), zone.iana_name().unwrap_or("UTC"))
}

/// Title and text of a notice.
fn wording(rota: &Rota, notice: &Notice, people: &People, incidents: &[Incident], language: Language) -> (String, String) {
    let Notice { due, from, to } = notice;
    let (name, person, zone) = (&rota.name, people.shown(&to.person), &rota.zone);
    let from = from.as_deref().map(|from| people.shown(from));
    let (begin, end) = (local(to.from, zone), local(to.until, zone));
    let zh = language == Language::Zh;
    let title = match (zh, *due < to.from, from) {
        (true, true, Some(from)) => format!("值班 {name}：{begin} 起由 {person} 接替 {from}"),
        (true, true, None) => format!("值班 {name}：{begin} 起由 {person} 值班"),
        (true, false, _) => format!("值班 {name}：现在由 {person} 值班，至 {end}"),
        (false, true, Some(from)) => format!("On call {name}: {person} takes over from {from} at {begin}"),
        (false, true, None) => format!("On call {name}: {person} takes over at {begin}"),
        (false, false, _) => format!("On call {name}: {person} is on call now, until {end}"),
    };
    let line = |incident: &Incident| {
        let severity = Severity::from_rank(i64::from(incident.rank));
        format!("#{} {} ({}, {})", incident.id, incident.title, severity.as_str(), incident.state.as_str())
    };
    let mut lines: Vec<String> = incidents.iter().take(MAX_INCIDENTS).map(line).collect();
    if lines.is_empty() {
        lines.push(if zh { "没有未结束的事件。".into() } else { "No incident is open.".into() });
    } else {
        lines.insert(0, if zh { "未结束的事件：".into() } else { "Open incidents:".into() });
    }
    if incidents.len() > MAX_INCIDENTS {
        lines.push(if zh { "还有更多：watchfire incidents ls".into() } else { "and more: watchfire incidents ls".into() });
    }
    (title, lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;
    use crate::delivery::people::Person;
    use crate::delivery::rota::Rotation;

    fn rota() -> Rota {
        let people = ["ann", "bob"].map(PersonName::from).to_vec();
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        Rota { name: "db".into(), zone, rotation: Rotation::Daily, first: date(2026, 11, 2), handoff: time(10, 0, 0, 0), people, tell: None }
    }

    const MINUTE: i64 = 60_000;

    #[test]
    fn a_handoff_is_noticed_before_and_at_the_change_and_once_each() {
        let rota = rota();
        let at = UnixMs::from("2026-11-10T02:00:00Z".parse::<jiff::Timestamp>().unwrap());
        let mut noticed = at - 120 * MINUTE;
        let mut seen = Vec::new();
        for minute in -60..60 {
            let now = at + minute * MINUTE;
            if let Some(notice) = rota.notice(&[], noticed, now) {
                noticed = notice.due;
                seen.push((minute, notice.from.as_deref().unwrap_or_default().to_owned(), notice.to.person.to_string()));
            }
        }
        assert_eq!(seen, [(-15, "bob".into(), "ann".into()), (0, "bob".into(), "ann".into())]);
        let late = rota.notice(&[], at - 120 * MINUTE, at + 30 * MINUTE).unwrap();
        assert_eq!(late.due, at, "of two that are late only the newer one");
        // An override to who is on call anyway is no handoff; one to somebody else is two.
        let over = |person: &str| {
            [Override {
                id: 1,
                rota: "db".into(),
                person: person.into(),
                from: at + 60 * MINUTE,
                until: at + 120 * MINUTE,
                reason: String::new(),
                by: String::new(),
            }]
        };
        assert_eq!(rota.notice(&over("ann"), at, at + 300 * MINUTE), None);
        assert_eq!(
            rota.notice(&over("bob"), at, at + 61 * MINUTE).map(|notice| (notice.due, notice.to.until)),
            Some((at + 60 * MINUTE, at + 120 * MINUTE))
        );
        assert_eq!(rota.notice(&over("bob"), at, at + 121 * MINUTE).map(|notice| notice.to.person), Some("ann".into()));
        let first = rota.between(UnixMs::EPOCH, at, &[])[0].from;
        let notice = rota.notice(&[], first - 60 * MINUTE, first).unwrap();
        assert_eq!((notice.from, notice.due), (None, first), "the first one takes over from nobody");
    }

    #[test]
    fn a_notice_mentions_whom_the_platform_can_find() {
        let at = UnixMs::from("2026-11-10T02:00:00Z".parse::<jiff::Timestamp>().unwrap());
        let notice = rota().notice(&[], at - 60 * MINUTE, at).unwrap();
        let person = |name: &str, email: Option<&str>, slack: Option<&str>| Person {
            name: name.into(),
            full_name: None,
            language: None,
            email: email.map(str::to_owned),
            mobile: None,
            ids: slack.map(|id| ("slack", id.to_owned())).into_iter().collect(),
            quiet: None,
        };
        let people = |bob: Option<&str>| -> People { [person("ann", Some("ann@example.com"), None), person("bob", None, bob)].into_iter().collect() };
        let of = |bob: Option<&str>, platform: &str, looks_up: &[Address]| {
            mentioned(&notice, &people(bob), crate::channel::platform(platform).unwrap(), looks_up).people.join(",")
        };
        assert_eq!(of(Some("U2"), "slack", &[Address::Email]), "bob,ann", "ann by her address");
        assert_eq!(of(Some("U2"), "slack", &[]), "bob");
        assert_eq!(of(None, "slack", &[Address::Email]), "ann");
        assert_eq!(of(Some("U2"), "email", &[]), "", "a mail goes to the channel's own recipients");
    }

    #[test]
    fn a_notice_says_who_until_when_and_what_is_open() {
        let rota = rota();
        let at = UnixMs::from("2026-11-10T02:00:00Z".parse::<jiff::Timestamp>().unwrap());
        let soon = rota.notice(&[], at - 60 * MINUTE, at - 15 * MINUTE).unwrap();
        let ann = Person {
            name: "ann".into(),
            full_name: Some("Ann Lee".into()),
            language: None,
            email: None,
            mobile: None,
            ids: Default::default(),
            quiet: None,
        };
        let people: People = [ann].into_iter().collect();
        let (title, text) = wording(&rota, &soon, &people, &[], Language::En);
        assert_eq!(title, "On call db: Ann Lee takes over from bob at 2026-11-10 10:00 (Asia/Shanghai)");
        assert_eq!(text, "No incident is open.");
        let now = rota.notice(&[], at - 60 * MINUTE, at).unwrap();
        assert_eq!(wording(&rota, &now, &people, &[], Language::Zh).0, "值班 db：现在由 Ann Lee 值班，至 2026-11-11 10:00 (Asia/Shanghai)");
    }
}
