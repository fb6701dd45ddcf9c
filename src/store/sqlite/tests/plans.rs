//! How SQLite goes about the statements that must stay fast with a million deliveries and a hundred thousand lanes.

use rusqlite::Connection;

use super::super::open::MIGRATIONS;
use super::super::{history, incidents, lease, outcome, read, receipts};

fn plan(sql: &str, parameters: usize) -> Vec<String> {
    let db = Connection::open_in_memory().unwrap();
    MIGRATIONS.iter().for_each(|script| db.execute_batch(script).unwrap());
    let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let values: Vec<i64> = vec![1; parameters];
    let steps = explain.query_map(rusqlite::params_from_iter(values), |row| row.get(3)).unwrap();
    steps.collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn ready_lanes_come_in_order_from_their_index() {
    // No sorting step. The table itself is not visited: only the row's number is asked for, and the index's own condition covers the others.
    assert_eq!(plan(read::READY, 1), ["SEARCH lane USING INDEX lane_ready (outlet=?)"]);
}

#[test]
fn counters_are_computed_without_touching_a_delivery() {
    let steps = plan(outcome::RECOUNT, 1);
    assert_eq!(steps.iter().filter(|s| s.contains("delivery USING COVERING INDEX delivery_open")).count(), 2, "{steps:#?}");
    assert!(steps.iter().all(|s| !s.starts_with("SCAN delivery")), "{steps:#?}");
}

#[test]
fn the_last_confirmed_ones_are_read_from_the_end_of_their_index() {
    let steps = plan(history::LAST_SENT, 1);
    assert!(steps.iter().any(|s| s.contains("delivery USING INDEX delivery_done")), "{steps:#?}");
    // What is sorted is the channels, of the few rows that were read.
    assert_eq!(steps.iter().filter(|s| s.contains("TEMP B-TREE FOR ORDER BY")).count(), 0, "{steps:#?}");
}

#[test]
fn sends_are_counted_from_their_indexes() {
    let steps = plan(lease::SENDS, 2);
    for index in
        ["attempt USING INDEX attempt_outlet (outlet=? AND begun_at>?)", "message USING COVERING INDEX message_counted (outlet=? AND counted_at>?)"]
    {
        assert!(steps.iter().any(|s| s.contains(index)), "{steps:#?}");
    }
}

#[test]
fn what_was_sent_to_a_number_is_counted_from_indexes() {
    let steps = plan(receipts::SENT_TO, 5);
    for index in ["receipt USING INDEX receipt_to (recipient=?)", "a USING INDEX attempt_outlet (outlet=? AND begun_at>?)"] {
        assert!(steps.iter().any(|s| s.contains(index)), "{steps:#?}");
    }
    assert!(steps.iter().all(|s| !s.starts_with("SCAN c") && !s.starts_with("SCAN m")), "{steps:#?}");
}

/// What an open console asks once a second, of however many incidents.
#[test]
fn open_incidents_are_found_by_their_index() {
    let sql = "SELECT i.alerts FROM incident i INDEXED BY incident_open WHERE i.ended_at IS NULL AND i.state IN ('firing', 'acked') ORDER BY i.id DESC LIMIT 500";
    assert_eq!(plan(sql, 0)[0], "SCAN i USING INDEX incident_open");
    let sql = "SELECT i.alerts FROM incident i INDEXED BY incident_ended WHERE i.ended_at IS NOT NULL AND i.ended_at >= ?1 ORDER BY i.ended_at DESC, i.id DESC LIMIT 20";
    assert_eq!(plan(sql, 1), ["SEARCH i USING INDEX incident_ended (ended_at>?)"], "nothing is sorted");
}

/// What the first page asks, of however many incidents.
#[test]
fn urgent_incidents_are_read_and_counted_from_their_index() {
    assert_eq!(plan(incidents::URGENT, 2), ["SEARCH incident USING INDEX incident_urgent (state=?)"], "nothing is sorted");
    let steps = plan(incidents::COUNTS, 0);
    assert!(steps.len() == 1 && steps[0].starts_with("SCAN incident USING ") && steps[0].ends_with("INDEX incident_urgent"), "{steps:?}");
}

/// The statements of an event that enters a lane, and of an outcome, beside those that insert.
#[test]
fn the_hot_path_finds_every_row_by_a_key() {
    for (sql, parameters, step) in [
        ("SELECT id FROM lane WHERE channel = ?1 AND key = ?2", 2, "SEARCH lane USING COVERING INDEX sqlite_autoindex_lane_1 (channel=? AND key=?)"),
        ("SELECT lane_id FROM delivery WHERE id = ?1 AND state IN ('waiting', 'deferred')", 1, "SEARCH delivery USING PRIMARY KEY (id=?)"),
        ("UPDATE delivery SET state = 'sent' WHERE id = ?1", 1, "SEARCH delivery USING PRIMARY KEY (id=?)"),
        ("UPDATE lane SET message_id = NULL WHERE message_id = ?1", 1, "SEARCH lane USING INDEX lane_message (message_id=?)"),
        (incidents::NEWEST, 1, "SEARCH incident USING COVERING INDEX incident_key (key=?)"),
        ("UPDATE anchor SET dirty = 1 WHERE incident = ?1 AND edited = 1 AND dirty = 0", 1, "SEARCH anchor USING PRIMARY KEY (incident=?)"),
        ("SELECT epoch FROM outlet WHERE key = ?1", 1, "SEARCH outlet USING PRIMARY KEY (key=?)"),
        ("SELECT recipient FROM message WHERE id = ?1 AND recipient IS NOT NULL", 1, "SEARCH message USING INDEX sqlite_autoindex_message_1 (id=?)"),
    ] {
        assert_eq!(plan(sql, parameters), [step], "{sql}");
    }
}

#[test]
fn every_table_is_strict() {
    let db = Connection::open_in_memory().unwrap();
    MIGRATIONS.iter().for_each(|script| db.execute_batch(script).unwrap());
    let lax: i64 = db
        .query_row("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite%' AND strict = 0", [], |row| row.get(0))
        .unwrap();
    assert_eq!(lax, 0);
}
