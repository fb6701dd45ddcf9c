//! Groups, names and receivers that change.

use super::sequence;

sequence!(
    another_group_key_is_the_same_incident,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk group=other
            > chat edits 1, firing: disk
        report -disk group=other
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
    "
);

sequence!(
    a_group_that_comes_apart_makes_incidents_of_its_own,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        report disk group=a
            > chat message 2 rings, firing: disk
            > #2 firing
        report web group=b
            > chat message 3 rings, firing: web
            > chat edits 1, unreported: disk web | ⚪ 2 no longer reported · disk +1 | #1 · goes on as #2, #3
            > #1 superseded
            > #3 firing
    "
);

sequence!(
    a_group_that_came_apart_is_one_again,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        report disk group=a
            > chat message 2 rings, firing: disk
            > #2 firing
        report web group=b
            > chat message 3 rings, firing: web
            > chat edits 1, unreported: disk web | ⚪ 2 no longer reported · disk +1 | #1 · goes on as #2, #3
            > #1 superseded
            > #3 firing
        report disk web
            > chat edits 1, firing: disk web
            > chat edits 2, unreported: disk | #2 · goes on as #1
            > chat edits 3, unreported: web | #3 · goes on as #1
            > #1 firing
            > #2 superseded
            > #3 superseded
    "
);

sequence!(
    acks_go_on_where_a_group_comes_apart,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        ack
            > ack for #1: acked 2
            > chat edits 1, firing: disk web | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        report disk group=a
            > chat message 2 rings, firing: disk
            > #2 firing
        report web group=b
            > chat message 3 rings, firing: web
            > chat edits 1, unreported: disk web | ⚪ 2 no longer reported · disk +1 | #1 · goes on as #2, #3
            > chat edits 2, firing: disk | #2 · acked by ann (API), 03:01 UTC
            > chat edits 3, firing: web | #3 · acked by ann (API), 03:01 UTC
            > #1 superseded, ann on it
            > #2 acked, ann on it
            > #3 acked, ann on it
    "
);

sequence!(
    groups_that_become_one_are_one_incident,
    "
        newest-edits
        report disk group=a
            > chat message 1 rings, firing: disk
            > #1 firing
        report web group=b
            > chat message 2 rings, firing: web
            > #2 firing
        report disk web
            > chat news 3 in 1 rings, firing: web
            > chat edits 1, firing: disk web
            > chat edits 2, unreported: web | #2 · goes on as #1
            > #2 superseded
        report -disk -web
            > chat over 4 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk web
            > #1 resolved
    "
);

sequence!(
    another_receiver_is_another_incident,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk to=dba
            > chat message 2 rings, firing: disk
            > #2 firing
    "
);

sequence!(
    another_sender_is_another_incident,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk from=eu
            > chat message 2 rings, firing: disk
            > #2 firing
    "
);

sequence!(
    a_renamed_channel_keeps_its_message,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        rename
        report -disk
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
    "
);

sequence!(
    a_removed_channel_is_lost,
    "
        report disk>free
            > free message 1 rings, firing: disk
            > #1 firing
        remove
        report disk>chat
            > chat message 1 rings, firing: disk
            > #1 lost on free
    "
);

sequence!(
    a_channel_that_comes_back_shows_the_end,
    "
        report disk>free
            > free message 1 rings, firing: disk
            > #1 firing
        remove
        report -disk>chat
            > chat message 1 quiet, resolved: disk
            > #1 resolved
            > #1 lost on free
        restore
            > free edits 1, resolved: disk
    "
);

sequence!(
    a_new_channel_gets_its_message_with_the_next_report,
    "
        report disk>chat
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk>chat web>free
            > chat edits 1, firing: disk
            > free message 1 rings, firing: web
    "
);

sequence!(
    an_alert_that_is_routed_elsewhere_is_followed,
    "
        report disk>chat
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk>free
            > chat edits 1, firing: disk
            > free message 1 rings, firing: disk
        report -disk>free
            > chat edits 1, resolved: disk
            > free over 2 in 1 quiet, resolved: disk
            > free edits 1, resolved: disk
            > #1 resolved
    "
);

sequence!(
    a_test_of_a_contact_point_is_no_incident,
    "
        report TestAlert kind=grafana
            > chat message 1 rings, firing: TestAlert
    "
);

sequence!(
    a_text_that_somebody_sends_is_no_incident,
    "
        report disk kind=direct
            > chat message 1 rings, firing: disk
    "
);

sequence!(
    messages_that_no_longer_live_end_as_messages,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        mode new
        report disk db:critical
            > chat message 2 rings, firing: disk db | #1, first notified 03:00 UTC
            > chat edits 1, firing: disk db
        report -disk -db
            > chat message 3 quiet, resolved: disk db | #1, first notified 03:00 UTC
            > chat edits 1, resolved: disk db
            > #1 resolved
    "
);

sequence!(
    a_card_is_edited_until_the_end_though_nothing_lives_any_more,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        mode off
        report disk db:critical
            > chat message 2 rings, firing: disk db
            > chat edits 1, firing: disk
        report -disk -db
            > chat message 3 quiet, resolved: disk db
            > chat edits 1, resolved: disk
            > #1 resolved
    "
);

sequence!(
    a_card_that_is_gone_where_nothing_lives_any_more_is_not_posted_again,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        mode new
        delete
        report -disk web
        report -web
            > chat message 2 quiet, resolved: web | #1, first notified 03:00 UTC
            > #1 resolved
    "
);

sequence!(
    messages_that_begin_to_live_are_edited_from_then_on,
    "
        mode new
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        mode edit
        report disk db:critical
            > chat message 2 rings, firing: disk db
        report -disk -db
            > chat over 3 in 2 quiet, resolved: disk
            > chat edits 2, resolved: disk db
            > #1 resolved
    "
);
