//! Rows of both engines: the columns of each row type in one list, and how they are read.
//!
//! What cannot be read becomes an error that names the column, never a value of it and never a panic.

use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::packed::unpack;
use super::{
    AttemptKind, AttemptRow, Cell, CellState, ConfirmedMessage, DeliveryRow, EscalationStep, Fallback, LaneSummary, Mode, PendingDelivery,
    ReceiptRow, ReceiptState, State, StepRow, Summary, Target, WAITS_PREFIX,
};
use crate::model::{AttemptId, DeliveryId, EventId, IncidentId, LaneId, MessageId, MessageKind, Page, PlatformIds, Recipient, UnixMs};

/// How many deliveries back a confirmed message is looked for.
const MAX_PAST: usize = 100;

/// A row of a result, whatever the engine.
pub(super) trait StoredRow {
    /// The engine's error.
    type Error;

    fn int(&self, column: usize) -> Result<i64, Self::Error>;
    fn optional_int(&self, column: usize) -> Result<Option<i64>, Self::Error>;
    fn text(&self, column: usize) -> Result<&str, Self::Error>;
    fn optional_text(&self, column: usize) -> Result<Option<&str>, Self::Error>;
    fn bytes(&self, column: usize) -> Result<&[u8], Self::Error>;
    fn optional_uuid(&self, column: usize) -> Result<Option<Uuid>, Self::Error>;
    fn flag(&self, column: usize) -> Result<bool, Self::Error>;

    /// The error for a value that this version cannot read; `what` says why, without the value.
    fn unreadable(&self, column: usize, what: &str) -> Self::Error;

    fn time(&self, column: usize) -> Result<UnixMs, Self::Error> {
        Ok(UnixMs(self.int(column)?))
    }

    fn optional_time(&self, column: usize) -> Result<Option<UnixMs>, Self::Error> {
        Ok(self.optional_int(column)?.map(UnixMs))
    }

    fn uuid(&self, column: usize) -> Result<Uuid, Self::Error> {
        self.optional_uuid(column)?.ok_or_else(|| self.unreadable(column, "an id is missing"))
    }

    /// A small number that is never negative.
    fn count<T: TryFrom<i64>>(&self, column: usize) -> Result<T, Self::Error> {
        T::try_from(self.int(column)?).map_err(|_| self.unreadable(column, "a count is out of range"))
    }

    fn owned(&self, column: usize) -> Result<String, Self::Error> {
        Ok(self.text(column)?.to_owned())
    }

    fn optional_owned(&self, column: usize) -> Result<Option<String>, Self::Error> {
        Ok(self.optional_text(column)?.map(str::to_owned))
    }

    /// A value stored by name.
    fn named<T>(&self, column: usize, parse: fn(&str) -> Option<T>, what: &str) -> Result<T, Self::Error> {
        parse(self.text(column)?).ok_or_else(|| self.unreadable(column, &format!("a {what} is one that this version does not know")))
    }

    /// A value stored as JSON. The error names the place in the text, not the text: it may hold addresses.
    fn json<T: DeserializeOwned>(&self, column: usize, json: &[u8], what: &str) -> Result<T, Self::Error> {
        serde_json::from_slice(json)
            .map_err(|e| self.unreadable(column, &format!("{what} is not the JSON it should be (line {}, column {})", e.line(), e.column())))
    }

    /// A value stored as JSON, maybe packed.
    fn packed<T: DeserializeOwned>(&self, column: usize, stored: &[u8], what: &str) -> Result<T, Self::Error> {
        let json = unpack(stored).map_err(|why| self.unreadable(column, &format!("{what} {why}")))?;
        self.json(column, &json, what)
    }

    /// How a message came together.
    fn message_kind(&self, column: usize) -> Result<MessageKind, Self::Error> {
        self.named(column, MessageKind::parse, "kind of message")
    }

    /// A message's pages.
    fn pages(&self, column: usize) -> Result<Vec<Page>, Self::Error> {
        self.packed(column, self.bytes(column)?, "a message's pages")
    }

    /// A delivery's state.
    fn state(&self, column: usize) -> Result<State, Self::Error> {
        self.named(column, State::parse, "delivery's state")
    }
}

/// Lists a row type's columns: as SQL selects them, and the place of each.
macro_rules! columns {
    ($(#[$doc:meta])* $list:ident, $at:ident, $prefix:literal: $first:ident $(, $name:ident)* $(,)?) => {
        $(#[$doc])*
        pub(super) const $list: &str = concat!($prefix, stringify!($first) $(, ", ", $prefix, stringify!($name))*);

        #[allow(non_upper_case_globals, dead_code)]
        pub(super) mod $at {
            #[allow(non_camel_case_types)]
            enum Place { $first $(, $name)*, __Count }
            pub const $first: usize = Place::$first as usize;
            $(pub const $name: usize = Place::$name as usize;)*
            /// The column behind them.
            pub const NEXT: usize = Place::__Count as usize;
        }
    };
}
pub(super) use columns;

columns! {
    /// The columns of a delivery `d`, for [`delivery_row`], [`pending_delivery`] and [`target`].
    DELIVERY, delivery, "d.": id, event_id, lane_id, lane_seq, channel, target, mode, state, rank, title, firing, resolved, born_at, due_at, tries,
        message_id, origin_id, hop, done_at, reason, incident
}
columns! {
    /// The columns of a step `d`, for [`step_row`].
    STEP, step_at, "d.": id, incident, escalation, step, began_at, after_ms, channel, state, born_at, due_at, tries
}
columns! {
    /// The columns of a lane, for [`lane_summary`].
    LANE, lane, "": id, channel, key, last_seq, waiting, rank, due_at, since
}
columns! {
    /// The columns of a cell, for [`cell`].
    CELL, cell_at, "": message_id, page, recipient, state, tries, unanswered, due_at, platform_id, code
}
columns! {
    /// The columns of an attempt, for [`attempt`].
    ATTEMPT, attempt_at, "": id, page, begun_at, ended_at, kind, code, answer
}
columns! {
    /// The columns of a message with its only cell and attempt, for [`sole`].
    SOLE, sole_at, "": recipient, tries, due_at, platform_id, attempt_id, begun_at, ended_at, code, answer
}
columns! {
    /// The columns of a receipt, for [`receipt`].
    RECEIPT, receipt_at, "": message_id, page, recipient, channel, platform_id, state, sent_at, due_at, until, asked, heard_at, code, detail
}

/// What the route asked for.
pub(super) fn target<R: StoredRow>(row: &R) -> Result<Target, R::Error> {
    row.json(delivery::target, row.text(delivery::target)?.as_bytes(), "a delivery's target")
}

/// A delivery for a list.
pub(super) fn delivery_row<R: StoredRow>(row: &R) -> Result<DeliveryRow, R::Error> {
    use delivery as at;
    Ok(DeliveryRow {
        id: DeliveryId(row.uuid(at::id)?),
        event: EventId(row.uuid(at::event_id)?),
        channel: row.owned(at::channel)?,
        state: row.state(at::state)?,
        mode: row.named(at::mode, Mode::parse, "delivery's mode")?,
        rank: row.int(at::rank)?,
        title: row.owned(at::title)?,
        firing: row.count(at::firing)?,
        resolved: row.count(at::resolved)?,
        born_at: row.time(at::born_at)?,
        due_at: row.time(at::due_at)?,
        tries: row.count(at::tries)?,
        message: row.optional_uuid(at::message_id)?.map(MessageId),
        fallback_of: row.optional_uuid(at::origin_id)?.map(DeliveryId),
        done_at: row.optional_time(at::done_at)?,
        reason: row.optional_owned(at::reason)?,
        incident: row.optional_int(at::incident)?.map(IncidentId),
    })
}

/// A delivery that waits, without its event.
pub(super) fn pending_delivery<R: StoredRow>(row: &R) -> Result<PendingDelivery, R::Error> {
    use delivery as at;
    Ok(PendingDelivery {
        id: DeliveryId(row.uuid(at::id)?),
        event_id: EventId(row.uuid(at::event_id)?),
        event: None,
        lane: LaneId(row.int(at::lane_id)?),
        lane_seq: row.int(at::lane_seq)?,
        channel: row.owned(at::channel)?,
        target: target(row)?,
        state: row.state(at::state)?,
        rank: row.int(at::rank)?,
        summary: Summary { title: row.owned(at::title)?, firing: row.count(at::firing)?, resolved: row.count(at::resolved)? },
        born_at: row.time(at::born_at)?,
        due_at: row.time(at::due_at)?,
        tries: row.count(at::tries)?,
        fallback: Fallback { of: row.optional_uuid(at::origin_id)?.map(DeliveryId), depth: row.count(at::hop)? },
        incident: row.optional_int(at::incident)?.map(IncidentId),
    })
}

/// Whether a delivery is a direct send.
pub(super) fn is_direct<R: StoredRow>(row: &R) -> Result<bool, R::Error> {
    Ok(row.named(delivery::mode, Mode::parse, "delivery's mode")? == Mode::Direct)
}

/// A step, of the columns of [`STEP`].
pub(super) fn step_row<R: StoredRow>(row: &R) -> Result<StepRow, R::Error> {
    use step_at as at;
    Ok(StepRow {
        id: DeliveryId(row.uuid(at::id)?),
        incident: IncidentId(row.int(at::incident)?),
        step: EscalationStep {
            escalation: row.owned(at::escalation)?,
            number: row.count(at::step)?,
            began_at: row.time(at::began_at)?,
            after: row.int(at::after_ms)?,
        },
        channel: row.owned(at::channel)?,
        state: row.state(at::state)?,
        born_at: row.time(at::born_at)?,
        due_at: row.time(at::due_at)?,
        tries: row.count(at::tries)?,
        in_flight: row.flag(at::NEXT)?,
        undelivered: row.flag(at::NEXT + 1)?,
        awaited: row.flag(at::NEXT + 2)?,
        waits: row.flag(at::NEXT + 3)?,
        stopped: row.flag(at::NEXT + 4)?,
    })
}

/// Whether a step ended because nothing called for it, as SQL: somebody was on what it was for ([`super::ended_by_ack`]), or that was over.
pub(super) const STEP_STOPPED: &str = "state = 'skipped' AND (reason LIKE 'acked by %' OR reason LIKE 'snoozed by %' OR reason LIKE 'over: %')";

/// When a step ended, as SQL; nothing for one that waits.
pub(super) const STEP_ENDED_AT: &str = "CASE WHEN state NOT IN ('waiting', 'deferred') THEN coalesce(done_at, 0) END";

/// Reads the steps of incidents that a condition on `d.incident` names.
pub(super) fn steps_sql(condition: &str) -> String {
    format!(
        "SELECT {STEP}, EXISTS (SELECT 1 FROM message m WHERE m.id = d.message_id AND NOT m.done),
             d.state = 'sent' AND EXISTS (SELECT 1 FROM receipt r WHERE r.message_id = d.message_id AND r.state IN ('undelivered', 'unheard')),
             d.state = 'sent' AND EXISTS (SELECT 1 FROM receipt r WHERE r.message_id = d.message_id AND r.state = 'awaited')
                 AND NOT EXISTS (SELECT 1 FROM receipt r WHERE r.message_id = d.message_id AND r.state = 'delivered'),
             coalesce(d.reason LIKE '{WAITS_PREFIX}%', FALSE), coalesce({STEP_STOPPED}, FALSE)
         FROM delivery d WHERE d.escalation IS NOT NULL AND {condition} ORDER BY d.id"
    )
}

/// A lane with something waiting.
pub(super) fn lane_summary<R: StoredRow>(row: &R) -> Result<LaneSummary, R::Error> {
    use lane as at;
    Ok(LaneSummary {
        id: LaneId(row.int(at::id)?),
        channel: row.owned(at::channel)?,
        key: row.owned(at::key)?,
        last_seq: row.int(at::last_seq)?,
        waiting: row.int(at::waiting)?,
        rank: row.int(at::rank)?,
        due_at: row.time(at::due_at)?,
        since: row.time(at::since)?,
    })
}

/// A message's cell.
pub(super) fn cell<R: StoredRow>(row: &R) -> Result<Cell, R::Error> {
    use cell_at as at;
    Ok(Cell {
        page: row.count(at::page)?,
        recipient: Recipient::new(row.text(at::recipient)?),
        state: row.named(at::state, CellState::parse, "cell's state")?,
        tries: row.count(at::tries)?,
        unanswered: row.count(at::unanswered)?,
        due_at: row.time(at::due_at)?,
        ids: row.optional_text(at::platform_id)?.map(PlatformIds::from_stored).unwrap_or_default(),
        code: row.optional_owned(at::code)?,
    })
}

/// The first pages of the confirmed messages of the lane of a delivery, newest first; `id` is the delivery's parameter. It follows the deliveries that
/// carried a firing alert from the newest back: no index leads to what is final in a lane.
pub(super) fn confirmed_sql(id: &str) -> String {
    format!(
        "WITH RECURSIVE past (message_id, prior_id, depth) AS (
             SELECT d.message_id, d.prior_id, 0 FROM lane l JOIN delivery d ON d.id = l.fired WHERE l.id = (SELECT lane_id FROM delivery WHERE id = {id})
             UNION ALL
             SELECT d.message_id, d.prior_id, p.depth + 1 FROM past p JOIN delivery d ON d.id = p.prior_id WHERE p.depth < {MAX_PAST})
         SELECT m.id, m.formed_at, coalesce(m.recipient, c.recipient), coalesce(m.platform_id, c.platform_id) FROM past p
         JOIN message m ON m.id = p.message_id LEFT JOIN cell c ON c.message_id = m.id AND c.page = 0 AND c.state = 'ok'
         WHERE m.recipient IS NOT NULL OR c.recipient IS NOT NULL ORDER BY p.depth"
    )
}

/// One row of [`confirmed_sql`].
pub(super) fn confirmed<R: StoredRow>(row: &R) -> Result<ConfirmedMessage, R::Error> {
    Ok(ConfirmedMessage {
        message: MessageId(row.uuid(0)?),
        formed_at: row.time(1)?,
        recipient: Recipient::new(row.text(2)?),
        ids: row.optional_text(3)?.map(PlatformIds::from_stored).unwrap_or_default(),
    })
}

/// The first of each recipient.
pub(super) fn newest_of_each(all: Vec<ConfirmedMessage>) -> Vec<ConfirmedMessage> {
    let mut newest: Vec<ConfirmedMessage> = Vec::new();
    for one in all {
        if newest.iter().all(|known| known.recipient != one.recipient) {
            newest.push(one);
        }
    }
    newest
}

/// A message's attempt.
pub(super) fn attempt<R: StoredRow>(row: &R) -> Result<AttemptRow, R::Error> {
    use attempt_at as at;
    Ok(AttemptRow {
        id: AttemptId(row.uuid(at::id)?),
        page: row.count(at::page)?,
        begun_at: row.time(at::begun_at)?,
        ended_at: row.optional_time(at::ended_at)?,
        kind: row.optional_text(at::kind)?.map(AttemptKind::parse),
        code: row.optional_owned(at::code)?,
        answer: row.optional_owned(at::answer)?,
    })
}

/// The cell and the attempt of a message that holds both itself.
pub(super) fn sole<R: StoredRow>(row: &R) -> Result<(Cell, AttemptRow), R::Error> {
    use sole_at as at;
    let code = row.optional_owned(at::code)?;
    let cell = Cell {
        page: 0,
        recipient: Recipient::new(row.text(at::recipient)?),
        state: CellState::Ok,
        tries: row.count(at::tries)?,
        unanswered: 0,
        due_at: row.time(at::due_at)?,
        ids: row.optional_text(at::platform_id)?.map(PlatformIds::from_stored).unwrap_or_default(),
        code: code.clone(),
    };
    let attempt = AttemptRow {
        id: AttemptId(row.uuid(at::attempt_id)?),
        page: 0,
        begun_at: row.time(at::begun_at)?,
        ended_at: row.optional_time(at::ended_at)?,
        kind: Some(AttemptKind::Ok),
        code,
        answer: row.optional_owned(at::answer)?,
    };
    Ok((cell, attempt))
}

/// A receipt.
pub(super) fn receipt<R: StoredRow>(row: &R) -> Result<ReceiptRow, R::Error> {
    use receipt_at as at;
    Ok(ReceiptRow {
        message: MessageId(row.uuid(at::message_id)?),
        page: row.count(at::page)?,
        recipient: Recipient::new(row.text(at::recipient)?),
        channel: row.owned(at::channel)?,
        platform_id: row.owned(at::platform_id)?,
        // A name that only a newer version knows is none to act on.
        state: ReceiptState::parse(row.text(at::state)?).unwrap_or(ReceiptState::Unheard),
        sent_at: row.time(at::sent_at)?,
        due_at: row.optional_time(at::due_at)?,
        until: row.time(at::until)?,
        asked: row.count(at::asked)?,
        heard_at: row.optional_time(at::heard_at)?,
        code: row.optional_owned(at::code)?,
        detail: row.optional_owned(at::detail)?,
    })
}
