//! Messages that are gone, late or refused never cost an alert.

use super::sequence;

sequence!(
    a_deleted_message_is_posted_again,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        delete
        report -disk web
            > chat message 2 quiet, firing: disk web
    "
);

sequence!(
    news_after_a_deletion_rings_in_a_new_message,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        delete
        report disk db:critical
            > chat message 2 rings, firing: disk db
        report -disk -db
            > chat over 3 in 2 quiet, resolved: disk
            > chat edits 2, resolved: disk db
            > #1 resolved
    "
);

sequence!(
    a_message_that_is_deleted_again_and_again_waits_for_news,
    "
        report alpha beta gamma delta omega
            > chat message 1 rings, firing: alpha beta gamma delta omega
            > #1 firing
        delete &
        report -alpha beta gamma delta omega
            > chat message 2 quiet, firing: alpha beta gamma delta omega
        delete &
        report -beta gamma delta omega
            > chat message 3 quiet, firing: alpha beta gamma delta omega
        delete &
        report -gamma delta omega
            > chat message 4 quiet, firing: alpha beta gamma delta omega
        delete &
        report -delta omega
        report omega db:critical
            > chat message 5 rings, firing: omega db
    "
);

sequence!(
    the_end_of_a_deleted_message_is_told,
    "
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
    of_very_many_that_are_over_one_message_says_so_before_they_are_edited,
    "
        many 201
            > 201 times #N firing
            > 201 times chat message N rings, firing: diskN
        room edits-too-fast
        many -201
            > 201 times #N resolved
            > 201 times chat over N in N quiet, resolved: diskN
        wait 2
            > chat message 403 quiet, resolved:
        room works minutes=9
            > 201 times chat edits N, resolved: diskN
    "
);

sequence!(
    of_a_month_that_is_nearly_used_up_nothing_is_spent_on_edits,
    "
        month 5
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk db:critical
            > chat news 2 in 1 rings, firing: db
            > chat edits 1, firing: disk db
        report -disk db:critical
            > chat edits 1, firing: disk db
        report -db
            > chat message 3 quiet, resolved: db | #1, first notified 03:01 UTC
            > #1 resolved
        month 500
            > chat edits 1, resolved: disk db
    "
);

sequence!(
    why_nothing_rings_is_not_an_edit_that_is_not_made,
    "
        month 5
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk db:critical
            > chat news 2 in 1 rings, firing: db
            > chat edits 1, firing: disk db
        report -disk db:critical
            > chat edits 1, firing: disk db
        why
            > chat skipped: state only: shown by editing #1
        report db:critical
        why
            > chat skipped: state only: #1 is not edited while what is left of the month's messages is kept for what rings
    "
);

sequence!(
    what_is_posted_again_is_posted_once_however_long_the_store_takes,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        delete &
        busy record_edit &
        report -disk web
            > chat message 2 quiet, firing: disk web
    "
);

sequence!(
    a_clock_that_is_set_back_puts_no_edit_off,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report disk db:critical &3
            > chat news 2 in 1 rings, firing: db
            > chat edits 1, firing: disk db
        clock -60 &
        report -disk db:critical
            > chat edits 1, firing: disk db
    "
);

sequence!(
    edits_that_are_too_fast_hold_no_news_up,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        room edits-too-fast
        report disk db:critical
            > chat news 2 in 1 rings, firing: db
        room works minutes=10
            > chat edits 1, firing: disk db
    "
);

sequence!(
    a_refused_edit_is_given_up_and_news_still_rings,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        room edits-refused
        report -disk web
        wait 10
        report web db:critical
            > chat message 2 rings, firing: web db
        room works
    "
);

sequence!(
    an_end_that_no_edit_may_show_is_posted,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        room edits-refused
        report -disk
            > chat over 2 in 1 quiet, resolved: disk
            > chat message 3 quiet, resolved: disk
            > #1 resolved
        wait 10
        room works
    "
);

sequence!(
    an_end_that_was_posted_is_posted_no_more_while_something_else_goes_on,
    "
        report disk>chat web>free
            > chat message 1 rings, firing: disk
            > free message 1 rings, firing: web
            > #1 firing
        room edits-refused
        report -disk>chat web>free
            > chat over 2 in 1 quiet, resolved: disk
            > chat message 3 quiet, resolved: disk
        ack
            > ack for #1: acked 1
            > #1 acked, ann on it
        wait 5
        room works
    "
);

sequence!(
    a_lost_answer_is_repeated_and_the_newer_message_lives,
    "
        room loses-answer
        report disk
            > chat message 1 rings, firing: disk
            > chat message 2 rings, firing: disk
            > #1 firing
        report -disk
            > chat over 3 in 2 quiet, resolved: disk
            > chat edits 2, resolved: disk
            > #1 resolved
    "
);

sequence!(
    a_press_on_a_message_whose_answer_was_lost_adopts_it,
    "
        buttons
        room loses-answer
        report disk
            > chat message 1 rings, firing: disk
            > chat message 2 rings, firing: disk
            > #1 firing
        press 1
            > a press in message 1 for #1 is acked.
            > chat edits 2, firing: disk | #1 · acked by ann (Room), 03:03 UTC
            > chat edits 1, firing: disk | #1 · acked by ann (Room), 03:03 UTC
            > #1 acked, ann on it
        report -disk
            > chat over 3 in 2 quiet, resolved: disk | ✅ Resolved: disk #1 · acked by ann (Room), 03:03 UTC
            > chat edits 2, resolved: disk | #1 · acked by ann (Room), 03:03 UTC
            > chat edits 1, resolved: disk | #1 · acked by ann (Room), 03:03 UTC
            > #1 resolved, ann on it
    "
);

sequence!(
    a_press_on_a_message_whose_answer_a_crash_cut_off_adopts_it,
    "
        buttons
        room never-answers
        report disk &2
            > chat message 1 rings, firing: disk
            > #1 firing
        crash
            > chat message 2 rings, firing: disk
        press 1
            > a press in message 1 for #1 is acked.
            > chat edits 2, firing: disk | #1 · acked by ann (Room), 03:03 UTC
            > chat edits 1, firing: disk | #1 · acked by ann (Room), 03:03 UTC
            > #1 acked, ann on it
        report -disk
            > chat over 3 in 2 quiet, resolved: disk | ✅ Resolved: disk #1 · acked by ann (Room), 03:03 UTC
            > chat edits 2, resolved: disk | #1 · acked by ann (Room), 03:03 UTC
            > chat edits 1, resolved: disk | #1 · acked by ann (Room), 03:03 UTC
            > #1 resolved, ann on it
    "
);

sequence!(
    a_copy_that_is_deleted_keeps_nothing_from_being_edited,
    "
        buttons
        room loses-answer
        report disk
            > chat message 1 rings, firing: disk
            > chat message 2 rings, firing: disk
            > #1 firing
        press 1
            > a press in message 1 for #1 is acked.
            > chat edits 2, firing: disk | #1 · acked by ann (Room), 03:03 UTC
            > chat edits 1, firing: disk | #1 · acked by ann (Room), 03:03 UTC
            > #1 acked, ann on it
        delete 1 &
        report -disk
            > chat over 3 in 2 quiet, resolved: disk | ✅ Resolved: disk #1 · acked by ann (Room), 03:03 UTC
            > chat edits 2, resolved: disk | #1 · acked by ann (Room), 03:03 UTC
            > #1 resolved, ann on it
    "
);

sequence!(
    a_press_counts_although_its_message_cannot_be_kept,
    "
        buttons
        room loses-answer
        report disk
            > chat message 1 rings, firing: disk
            > chat message 2 rings, firing: disk
            > #1 firing
        busy keep_copy after=0 &
        press 1
            > a press in message 1 for #1 is acked.
            > chat edits 2, firing: disk | #1 · acked by ann (Room), 03:03 UTC
            > #1 acked, ann on it
        report -disk
            > chat over 3 in 2 quiet, resolved: disk | ✅ Resolved: disk #1 · acked by ann (Room), 03:03 UTC
            > chat edits 2, resolved: disk | #1 · acked by ann (Room), 03:03 UTC
            > #1 resolved, ann on it
    "
);

sequence!(
    a_crash_before_the_edit_is_made_up_for,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        room edits-too-fast
        report -disk web
        crash
        room works minutes=9
            > chat edits 1, firing: disk web
    "
);

sequence!(
    a_room_that_is_down_at_the_end_turns_green_later,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        room down
        report -disk
            > #1 resolved
        room works minutes=10
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
    "
);
