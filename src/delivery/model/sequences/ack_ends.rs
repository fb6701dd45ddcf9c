//! How an ack ends, and what outlives it.

use super::sequence;

sequence!(
    an_unack_rings,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        unack
            > unack for #1: unacked
            > chat again 2 in 1 rings, firing: disk | 🟡 Still firing, 2 min: disk · warning #1 · unacked by ann
            > chat edits 1, firing: disk | #1 · unacked by ann
            > #1 firing
    "
);

sequence!(
    acks_and_unacks_by_turns_ring_once_in_a_while,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        unack
            > unack for #1: unacked
            > chat again 2 in 1 rings, firing: disk | 🟡 Still firing, 2 min: disk · warning #1 · unacked by ann
            > chat edits 1, firing: disk | #1 · unacked by ann
            > #1 firing
        ack by=bob
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by bob (API), 03:03 UTC
            > #1 acked, bob on it
        unack by=bob
            > unack for #1: unacked, it rings later
            > chat edits 1, firing: disk | #1 · unacked by bob
            > #1 firing
        wait 3
            > chat again 3 in 1 rings, firing: disk | 🟡 Still firing, 7 min: disk · warning #1 · unacked by bob
            > chat edits 1, firing: disk | #1 · unacked by bob
    "
);

sequence!(
    an_unack_that_is_held_rings_for_nothing_once_somebody_is_on_it,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        unack
            > unack for #1: unacked
            > chat again 2 in 1 rings, firing: disk | 🟡 Still firing, 2 min: disk · warning #1 · unacked by ann
            > chat edits 1, firing: disk | #1 · unacked by ann
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:03 UTC
            > #1 acked, ann on it
        unack
            > unack for #1: unacked, it rings later
            > chat edits 1, firing: disk | #1 · unacked by ann
            > #1 firing
        ack by=bob
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by bob (API), 03:05 UTC
            > #1 acked, bob on it
        wait 3
        unack by=bob
            > unack for #1: unacked
            > chat again 3 in 1 rings, firing: disk | 🟡 Still firing, 9 min: disk · warning #1 · unacked by bob
            > chat edits 1, firing: disk | #1 · unacked by bob
            > #1 firing
    "
);

sequence!(
    an_unack_that_is_held_rings_after_a_crash,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        unack
            > unack for #1: unacked
            > chat again 2 in 1 rings, firing: disk | 🟡 Still firing, 2 min: disk · warning #1 · unacked by ann
            > chat edits 1, firing: disk | #1 · unacked by ann
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:03 UTC
            > #1 acked, ann on it
        unack
            > unack for #1: unacked, it rings later
            > chat edits 1, firing: disk | #1 · unacked by ann
            > #1 firing
        crash
        wait 3
            > chat again 3 in 1 rings, firing: disk | 🟡 Still firing, 7m 1s: disk · warning #1 · unacked by ann
            > chat edits 1, firing: disk | #1 · unacked by ann
    "
);

sequence!(
    an_unack_of_what_nobody_is_on_changes_nothing,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        unack
            > unack for #1: nobody is on it
    "
);

sequence!(
    the_end_of_a_snooze_rings,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        snooze
            > snooze for #1: snoozed 1
            > chat edits 1, firing: disk | #1 · snoozed by ann (API) until 03:06 UTC
            > #1 snoozed, ann on it
        wait 5
            > chat again 2 in 1 rings, firing: disk
            > chat edits 1, firing: disk
            > #1 firing
    "
);

sequence!(
    the_end_of_a_snooze_after_the_end_is_silent,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        snooze
            > snooze for #1: snoozed 1
            > chat edits 1, firing: disk | #1 · snoozed by ann (API) until 03:06 UTC
            > #1 snoozed, ann on it
        report -disk
            > chat over 2 in 1 quiet, resolved: disk | ✅ Resolved: disk #1 · snoozed by ann (API) until 03:06 UTC
            > chat edits 1, resolved: disk | #1 · snoozed by ann (API) until 03:06 UTC
            > #1 resolved, ann on it
        wait 5
    "
);

sequence!(
    a_forgotten_ack_is_reminded_of_and_ends,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        wait 9
            > chat again 2 in 1 rings, firing: disk | 🟡 Still firing, 10 min: disk · warning #1 · acked by ann (API), 03:01 UTC
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
        wait 4
            > chat again 3 in 1 rings, firing: disk
            > chat edits 1, firing: disk
            > #1 firing
    "
);

sequence!(
    a_closed_incident_stays_closed_while_nothing_new_fires,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        close
            > close for #1: closed
            > chat edits 1, unreported: disk
            > #1 closed
        report disk
            > chat edits 1, unreported: disk
    "
);

sequence!(
    a_new_alert_opens_a_closed_incident,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        close
            > close for #1: closed
            > chat edits 1, unreported: disk
            > #1 closed
        report disk web
            > chat news 2 in 1 rings, firing: web
            > chat edits 1, firing: disk web
            > #1 firing
    "
);

sequence!(
    an_ack_lasts_through_a_short_end,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        report -disk
            > chat over 2 in 1 quiet, resolved: disk | ✅ Resolved: disk #1 · acked by ann (API), 03:01 UTC
            > chat edits 1, resolved: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 resolved, ann on it
        wait 2
        report disk
            > chat news 3 in 1 rings, firing: disk | 🟡 Warning · disk #1 · acked by ann (API), 03:01 UTC
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
    "
);

sequence!(
    an_ack_ends_with_its_outage,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        report -disk
            > chat over 2 in 1 quiet, resolved: disk | ✅ Resolved: disk #1 · acked by ann (API), 03:01 UTC
            > chat edits 1, resolved: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 resolved, ann on it
        wait 6
        report disk
            > chat message 3 rings, firing: disk
            > #2 firing
    "
);

sequence!(
    a_press_after_the_end_says_so,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report -disk
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
        ack
            > ack for #1: it is over
    "
);

sequence!(
    an_ack_outlives_the_process,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        crash
        wait 5
        report disk
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
    "
);

sequence!(
    a_snooze_that_ended_while_nothing_ran_rings,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        snooze
            > snooze for #1: snoozed 1
            > chat edits 1, firing: disk | #1 · snoozed by ann (API) until 03:06 UTC
            > #1 snoozed, ann on it
        crash
        wait 5
            > chat again 2 in 1 rings, firing: disk
            > chat edits 1, firing: disk
            > #1 firing
    "
);
