//! What changed between two looks at the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::due::{self, Due, LATE_MS};
use super::looks::{MAX_ROWS, Update};
use crate::http::App;
use crate::http::console::failure::Failure;
use crate::http::console::headline::Headline;
use crate::http::console::incident::{by_number, read};
use crate::model::{IncidentId, UnixMs, hash_hex};
use crate::store::{IncidentState, OpenIncident};

/// The versions of open incidents.
type Versions = BTreeMap<IncidentId, i64>;

/// What is open, as the last look found it.
#[derive(Default)]
pub(super) struct Seen {
    versions: Versions,
    due: Due,
    /// As [`mutes`] returns it.
    mutes: String,
}

/// What only the mutes have that are active at a time and that rows show.
pub(super) fn mutes(app: &App, at: UnixMs) -> String {
    let mutes = app.engine.mutes();
    let shown = mutes.active(at).filter(|active| active.mute.is_of_every_channel());
    let mut texts: Vec<String> = shown.map(|active| format!("{} {}", active.until.0, active.mute.text)).collect();
    texts.sort_unstable();
    hash_hex(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Those on which nobody is, the most urgent first.
fn firing(open: &[OpenIncident]) -> Vec<IncidentId> {
    let mut firing: Vec<&OpenIncident> = open.iter().filter(|one| one.state == IncidentState::Firing).collect();
    firing.sort_by_key(|one| (one.rank, one.opened_at));
    firing.into_iter().map(|one| one.id).collect()
}

/// Which incidents changed, ended or are open again, at most `most`, and what is known when these were shown: what is left out is found by the next look.
/// What is open only now and has a number above `newest` is on no page: it is counted as new.
fn differences(before: &Versions, now: &Versions, newest: i64, most: usize) -> (Vec<IncidentId>, Versions) {
    let ended = before.keys().filter(|id| !now.contains_key(id));
    let is_changed = |id: &IncidentId, version: i64| before.get(id).map_or(id.0 <= newest, |known| *known != version);
    let changed = now.iter().filter(|(id, version)| is_changed(id, **version)).map(|(id, _)| id);
    let mut ids: Vec<IncidentId> = ended.chain(changed).copied().collect();
    let later = ids.split_off(ids.len().min(most));
    let mut shown = now.clone();
    for id in later {
        match before.get(&id) {
            Some(version) => shown.insert(id, *version),
            None => shown.remove(&id),
        };
    }
    (ids, shown)
}

/// What changed since the last look; `None`: nothing.
pub(super) async fn changes(app: &App, at: UnixMs, seen: &mut Option<Seen>) -> Result<Option<Update>, Failure> {
    let open = app.engine.query().open_incidents().await?;
    let now: Versions = open.iter().map(|one| (one.id, one.version)).collect();
    let mutes = mutes(app, at);
    let before = seen.as_ref();
    let is_remuted = before.is_some_and(|before| before.mutes != mutes);
    let is_same = !is_remuted && before.is_some_and(|before| before.versions == now);
    // What changed between the page and the first look is in no row, but in the head.
    let newest = app.live.newest.load(Ordering::Acquire);
    let (ids, shown) = before.map_or_else(|| (Vec::new(), now.clone()), |before| differences(&before.versions, &now, newest, MAX_ROWS));
    // Nothing of these changed, and yet their rows show something else. A mute may be of any of them.
    let mut beside: Vec<IncidentId> = match before {
        // What a page that opened just before shows as due may have come since.
        None => due::last(app, &firing(&open), at).await?.into_iter().filter(|(_, due)| at - *due <= LATE_MS).map(|(id, _)| id).collect(),
        Some(_) if is_remuted => firing(&open),
        Some(before) => before.due.passed(at).into_iter().filter(|id| now.contains_key(id)).collect(),
    };
    beside.retain(|id| !ids.contains(id));
    beside.truncate(MAX_ROWS - ids.len());
    if is_same && beside.is_empty() {
        return Ok(None);
    }
    let is_new = |id: &IncidentId| before.is_none_or(|before| !before.versions.contains_key(id));
    let new: Vec<IncidentId> = firing(&open).into_iter().filter(is_new).collect();
    let due = Due::of(app, &new).await?;
    let mut changed = read(app, by_number(app, ids.into_iter().chain(beside.iter().copied()).collect()).await?).await?;
    let seen = seen.get_or_insert_default();
    (seen.versions, seen.mutes) = (shown, mutes);
    seen.due.add(due);
    changed.retain(|known| {
        let id = known.incident.id;
        seen.due.read(id, known.next.as_ref().map(|next| next.at), at) || is_remuted || !beside.contains(&id)
    });
    if is_same && changed.is_empty() {
        return Ok(None);
    }
    let changed = changed.into_iter().map(Arc::new).collect();
    Ok(Some(Update { at, changed, open: Arc::new(open.iter().map(|one| one.id.0).collect()), head: Headline::of(&open) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(pairs: &[(i64, i64)]) -> Versions {
        pairs.iter().map(|(id, version)| (IncidentId(*id), *version)).collect()
    }

    #[test]
    fn what_did_not_fit_into_an_update_is_in_the_next() {
        let (before, now) = (versions(&[(1, 1), (2, 1), (3, 1), (4, 1)]), versions(&[(2, 2), (3, 1), (4, 7), (5, 1)]));
        let (first, shown) = differences(&before, &now, 4, 2);
        assert_eq!(first, [IncidentId(1), IncidentId(2)], "what is new is counted, not shown");
        let (second, shown) = differences(&shown, &now, 4, 2);
        assert_eq!((second, shown), (vec![IncidentId(4)], now));
    }

    #[test]
    fn what_fires_again_is_shown_where_its_row_says_that_it_is_over() {
        let (before, now) = (versions(&[(3, 1)]), versions(&[(1, 4), (2, 6), (3, 1), (4, 1)]));
        let (first, shown) = differences(&before, &now, 3, 1);
        assert_eq!((first, shown.contains_key(&IncidentId(2))), (vec![IncidentId(1)], false));
        let (second, shown) = differences(&shown, &now, 3, 1);
        assert_eq!((second, shown), (vec![IncidentId(2)], now));
    }
}
