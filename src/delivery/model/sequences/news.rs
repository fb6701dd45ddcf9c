//! What is news rings; what goes on is edited.

use super::sequence;

sequence!(
    one_alert_fires_and_ends,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report -disk
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
    "
);

sequence!(
    a_more_severe_alert_joins_and_rings,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk db:critical
            > chat news 2 in 1 rings, firing: db
            > chat edits 1, firing: disk db
        report -disk db:critical
            > chat edits 1, firing: disk db
        report -db
            > chat over 3 in 1 quiet, resolved: db
            > chat edits 1, resolved: disk db
            > #1 resolved
    "
);

sequence!(
    a_less_severe_alert_joins_without_a_sound,
    "
        report db:critical
            > chat message 1 rings, firing: db
            > #1 firing
        report db:critical disk
            > chat news 2 in 1 quiet, firing: disk
            > chat edits 1, firing: db disk
    "
);

sequence!(
    an_alert_as_severe_as_the_worst_rings,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk web
            > chat news 2 in 1 rings, firing: web
            > chat edits 1, firing: disk web
    "
);

sequence!(
    a_less_severe_alert_rings_once_the_worst_is_over,
    "
        report db:critical
            > chat message 1 rings, firing: db
            > #1 firing
        report -db disk
            > chat news 2 in 1 rings, firing: disk
            > chat edits 1, firing: db disk
    "
);

sequence!(
    a_less_severe_alert_rings_after_an_interval_without_a_sound,
    "
        report db:critical
            > chat message 1 rings, firing: db
            > #1 firing
        wait 5
        report db:critical disk
            > chat news 2 in 1 rings, firing: disk
            > chat edits 1, firing: db disk
    "
);

sequence!(
    a_repeat_within_the_interval_says_nothing,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        wait 2
        report disk
            > chat edits 1, firing: disk
    "
);

sequence!(
    a_repeat_after_the_interval_rings,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        wait 5
        report disk
            > chat again 2 in 1 rings, firing: disk
            > chat edits 1, firing: disk
    "
);

sequence!(
    repeats_ring_once_in_the_interval,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        wait 1
        report disk
            > chat edits 1, firing: disk
        wait 1
        report disk
            > chat edits 1, firing: disk
        wait 1
        report disk
            > chat again 2 in 1 rings, firing: disk
            > chat edits 1, firing: disk
        wait 1
        report disk
            > chat edits 1, firing: disk
    "
);

sequence!(
    a_copy_by_a_twin_says_nothing,
    "
        report disk &
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk
            > chat edits 1, firing: disk
    "
);

sequence!(
    one_of_two_is_over,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        report -disk web
            > chat edits 1, firing: disk web
    "
);

sequence!(
    an_alert_fires_again_while_another_goes_on,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        report -disk web
            > chat edits 1, firing: disk web
        wait 2
        report disk web
            > chat news 2 in 1 rings, firing: disk
            > chat edits 1, firing: disk web
    "
);

sequence!(
    an_alert_that_fires_again_under_another_start_is_news,
    "
        report disk@0
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk@1
            > chat news 2 in 1 rings, firing: disk
            > chat edits 1, firing: disk
    "
);

sequence!(
    twins_that_disagree_for_moments_ring_nobody,
    "
        report disk@0
            > chat message 1 rings, firing: disk
            > #1 firing
        report -disk@0 &
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
        report disk@0 &
            > #1 firing
        report -disk@0
            > chat edits 1, resolved: disk
            > #1 resolved
        wait 2
    "
);

sequence!(
    what_still_fires_a_minute_after_its_end_rings,
    "
        report disk@0
            > chat message 1 rings, firing: disk
            > #1 firing
        report -disk@0 &
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
        report disk@0 &
            > #1 firing
        wait 2
            > chat news 3 in 1 rings, firing: disk
            > chat edits 1, firing: disk
        report -disk@0
            > chat over 4 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
    "
);

sequence!(
    what_joins_while_twins_disagree_rings_at_once_with_all_that_fires,
    "
        report disk@0
            > chat message 1 rings, firing: disk
            > #1 firing
        report -disk@0 &
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
        report disk@0 &
            > #1 firing
        report disk@0 db:critical &
            > chat news 3 in 1 rings, firing: disk db
        wait 2
            > chat edits 1, firing: disk db
    "
);

sequence!(
    what_twins_disagree_about_rings_also_over_a_crash,
    "
        report disk@0
            > chat message 1 rings, firing: disk
            > #1 firing
        report -disk@0 &
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
        report disk@0 &
            > #1 firing
        crash
            > chat edits 1, firing: disk
        wait 1
            > chat news 3 in 1 rings, firing: disk
            > chat edits 1, firing: disk
    "
);

sequence!(
    without_edits_too_twins_that_disagree_ring_nobody,
    "
        mode new
        report disk@1
            > chat message 1 rings, firing: disk
            > #1 firing
        report -disk@1 &
            > chat message 2 quiet, resolved: disk | #1, first notified 03:01 UTC
            > #1 resolved
        report disk@1 &
            > #1 firing
        report -disk@1
            > #1 resolved
        wait 2
    "
);

sequence!(
    what_fires_again_soon_goes_on_under_its_number,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report -disk
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
        wait 2
        report disk
            > chat news 3 in 1 rings, firing: disk
            > chat edits 1, firing: disk
            > #1 firing
    "
);

sequence!(
    what_fires_again_later_is_another_incident,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report -disk
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
        wait 6
        report disk
            > chat message 3 rings, firing: disk
            > #2 firing
    "
);

sequence!(
    what_joined_while_the_room_was_down_is_one_message,
    "
        room down
        report disk
            > #1 firing
        report disk web
        report disk web db:critical
        room works minutes=9
            > chat message 1 rings, firing: disk web db
    "
);

sequence!(
    what_came_and_went_while_the_room_was_down_is_told,
    "
        room down
        report disk
            > #1 firing
        report -disk
            > #1 resolved
        room works minutes=9
            > chat message 1 quiet, resolved: disk
    "
);

sequence!(
    without_edits_news_and_the_end_are_messages,
    "
        mode new
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk db:critical
            > chat message 2 rings, firing: disk db | #1, first notified 03:01 UTC
        report disk -db
        report disk
        report -disk
            > chat message 3 quiet, resolved: disk | #1, first notified 03:01 UTC
            > #1 resolved
    "
);

sequence!(
    in_a_thread_news_and_the_end_are_answers,
    "
        mode reply
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk db:critical
            > chat message 2 in 1 rings, firing: disk db | #1, first notified 03:01 UTC
        report disk -db
        report disk
        report -disk
            > chat message 3 in 1 quiet, resolved: disk | #1, first notified 03:01 UTC
            > #1 resolved
    "
);

sequence!(
    where_nothing_lives_every_notification_is_a_message,
    "
        mode off
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk db:critical
            > chat message 2 rings, firing: disk db
        report disk -db
            > chat message 3 rings, firing: disk db
        report disk
            > chat message 4 rings, firing: disk
        report -disk
            > chat message 5 quiet, resolved: disk
            > #1 resolved
    "
);
