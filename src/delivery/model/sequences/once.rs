//! A message that can be edited once is edited for who is on it, or for its end.

use super::sequence;

sequence!(
    the_only_edit_is_kept_for_the_end,
    "
        once
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk web
            > chat news 2 rings, firing: web | 2 warning firing #1, first notified 03:01 UTC
        report -disk web
        why
            > chat skipped: nothing new: notified as #1
        report -web
            > chat edits 1, resolved: disk web
            > #1 resolved
    "
);

sequence!(
    what_is_less_severe_is_a_quiet_message_where_an_edit_would_be_the_only_one,
    "
        once
        report db:critical
            > chat message 1 rings, firing: db
            > #1 firing
        report db:critical disk
            > chat news 2 quiet, firing: disk | 1 critical, 1 warning firing #1, first notified 03:01 UTC
    "
);

sequence!(
    an_ack_uses_the_only_edit_up_and_the_end_is_a_message,
    "
        once
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:02 UTC
            > #1 acked, ann on it
        report -disk
            > chat over 2 quiet, resolved: disk | ✅ Resolved: disk #1, first notified 03:01 UTC · acked by ann (API), 03:02 UTC
            > #1 resolved, ann on it
    "
);

sequence!(
    what_is_news_after_the_only_edit_is_a_new_message_with_an_edit_of_its_own,
    "
        once
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:02 UTC
            > #1 acked, ann on it
        report disk db:critical
            > chat message 2 rings, firing: disk db | #1 · was acked at warning, now it is more severe
            > #1 firing
        report -disk -db
            > chat edits 2, resolved: disk db
            > #1 resolved
    "
);

sequence!(
    an_end_that_the_only_edit_cannot_show_is_a_message,
    "
        once
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        delete
        report -disk
            > chat message 2 quiet, resolved: disk
            > #1 resolved
    "
);

sequence!(
    an_ack_that_the_only_edit_cannot_show_is_no_message,
    "
        once
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        delete
        ack
            > ack for #1: acked 1
            > #1 acked, ann on it
        report -disk
            > chat over 2 quiet, resolved: disk | ✅ Resolved: disk #1, first notified 03:01 UTC · acked by ann (API), 03:03 UTC
            > #1 resolved, ann on it
    "
);

sequence!(
    a_crash_between_the_end_and_the_only_edit_is_made_up_for,
    "
        once
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        room edits-too-fast
        report -disk
            > #1 resolved
        crash
        room works minutes=9
            > chat edits 1, resolved: disk
    "
);
