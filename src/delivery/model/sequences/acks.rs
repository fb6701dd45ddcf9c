//! Who is on it.

use super::sequence;

sequence!(
    an_ack_quietens_repeats,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        wait 5
        report disk
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
    "
);

sequence!(
    an_ack_is_shown_at_once,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack &2
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
    "
);

sequence!(
    an_ack_is_shown_until_the_end,
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
    "
);

sequence!(
    another_alert_rings_though_the_others_are_acked,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        report disk web
            > chat news 2 in 1 rings, firing: web | 2 warning firing #1 · acked by ann (API), 03:01 UTC; 1 not acked
            > chat edits 1, firing: disk web | #1 · acked by ann (API), 03:01 UTC; 1 not acked
            > #1 firing, ann on it
    "
);

sequence!(
    a_more_severe_alert_ends_the_ack,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        report disk db:critical
            > chat news 2 in 1 rings, firing: db | 1 critical, 1 warning firing #1 · was acked at warning, now it is more severe
            > chat edits 1, firing: disk db | #1 · was acked at warning, now it is more severe
            > #1 firing
    "
);

sequence!(
    a_less_severe_alert_keeps_the_ack,
    "
        report db:critical
            > chat message 1 rings, firing: db
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: db | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        report db:critical disk
            > chat news 2 in 1 quiet, firing: disk | 1 critical, 1 warning firing #1 · acked by ann (API), 03:01 UTC; 1 not acked
            > chat edits 1, firing: db disk | #1 · acked by ann (API), 03:01 UTC; 1 not acked
            > #1 firing, ann on it
    "
);

sequence!(
    another_person_takes_it_over,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        ack by=bob
            > ack for #1: acked 1, taken from ann
            > chat edits 1, firing: disk | #1 · acked by bob (API), 03:02 UTC
            > #1 acked, bob on it
    "
);

sequence!(
    the_same_person_has_it_already,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        ack
            > ack for #1: already
    "
);

sequence!(
    an_ack_is_of_what_its_message_shows,
    "
        report disk>chat web>free
            > chat message 1 rings, firing: disk
            > free message 1 rings, firing: web
            > #1 firing
        ack seen=chat
            > ack for #1: acked 1, 1 left
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > free edits 1, firing: web
            > #1 firing, ann on it
        ack seen=free by=bob
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > free edits 1, firing: web | #1 · acked by bob (API), 03:02 UTC
            > #1 acked, ann and bob on it
    "
);

sequence!(
    what_is_over_in_one_room_goes_on_in_another,
    "
        report disk>chat web>free
            > chat message 1 rings, firing: disk
            > free message 1 rings, firing: web
            > #1 firing
        report -disk>chat web>free
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > free edits 1, firing: web
        ack seen=free by=bob
            > ack for #1: acked 1
            > chat edits 1, resolved: disk
            > free edits 1, firing: web | #1 · acked by bob (API), 03:02 UTC
            > #1 acked, bob on it
    "
);

sequence!(
    the_same_alert_in_another_incident_is_acked_with_it,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk to=dba
            > chat message 2 rings, firing: disk
            > #2 firing
        ack
            > ack for #1: acked 1
            > ack for #2: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:02 UTC
            > chat edits 2, firing: disk | #2 · acked by ann (API), 03:02 UTC
            > #1 acked, ann on it
            > #2 acked, ann on it
    "
);

sequence!(
    an_ack_while_the_room_is_down_is_shown_later,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        room down
        ack
            > ack for #1: acked 1
            > #1 acked, ann on it
        room works
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:02 UTC
    "
);

sequence!(
    an_ack_without_edits_quietens_repeats,
    "
        mode new
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > #1 acked, ann on it
        wait 5
        report disk
        report -disk
            > chat message 2 quiet, resolved: disk | #1, first notified 03:01 UTC · acked by ann (API), 03:02 UTC
            > #1 resolved, ann on it
    "
);
