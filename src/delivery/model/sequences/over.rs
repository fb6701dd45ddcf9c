//! Over is what every alert proves.

use super::sequence;

sequence!(
    what_is_left_out_is_no_longer_reported,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        report disk
            > chat edits 1, firing: disk web | 🟡 1 warning, 1 no longer reported · disk +1
    "
);

sequence!(
    what_is_left_out_at_the_end_is_never_green,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        report disk
            > chat edits 1, firing: disk web | 🟡 1 warning, 1 no longer reported · disk +1
        report -disk
            > chat edits 1, unreported: disk web | ⚪ 1 no longer reported, 1 resolved · web +1
    "
);

sequence!(
    what_was_left_out_and_comes_back_is_news,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        report disk
            > chat edits 1, firing: disk web | 🟡 1 warning, 1 no longer reported · disk +1
        wait 1
        report disk web
            > chat news 2 in 1 rings, firing: web
            > chat edits 1, firing: disk web
    "
);

sequence!(
    what_was_left_out_and_ends_is_over,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        report disk
            > chat edits 1, firing: disk web | 🟡 1 warning, 1 no longer reported · disk +1
        report -disk -web
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk web
            > #1 resolved
    "
);

sequence!(
    a_body_that_leaves_alerts_out_proves_nothing,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        report disk left-out=1
            > chat edits 1, firing: disk web
        report -disk left-out=1
            > chat edits 1, firing: disk web
    "
);

sequence!(
    a_reason_proves_the_end_of_what_a_body_leaves_out,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        report -disk left-out=1 reason=all_alerts_resolved
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk web | ✅ 2 resolved, 1 not listed · web +1
            > #1 resolved
    "
);

sequence!(
    an_end_of_what_a_body_leaves_out_is_told_once,
    "
        report disk web
            > chat message 1 rings, firing: disk web
            > #1 firing
        report -disk left-out=1 reason=all_alerts_resolved
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk web | ✅ 2 resolved, 1 not listed · web +1
            > #1 resolved
        report -disk left-out=1 reason=all_alerts_resolved
    "
);

sequence!(
    without_a_group_the_alerts_of_a_name_add_up,
    "
        report disk group=none
            > chat message 1 rings, firing: disk
            > #1 firing
        report -disk group=none
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
    "
);

sequence!(
    without_a_group_another_name_is_another_incident,
    "
        report disk group=none
            > chat message 1 rings, firing: disk
            > #1 firing
        report web group=none
            > chat message 2 rings, firing: web
            > #2 firing
        report -disk group=none
            > chat over 3 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
    "
);

sequence!(
    an_end_under_another_start_counts,
    "
        report disk@0
            > chat message 1 rings, firing: disk
            > #1 firing
        report -disk@1
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
    "
);

sequence!(
    an_end_that_is_reported_twice_is_told_once,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        report -disk
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
        report -disk
    "
);

sequence!(
    an_end_of_what_never_fired_opens_nothing,
    "
        report -disk
            > chat message 1 quiet, resolved: disk
    "
);

sequence!(
    of_what_nothing_is_reported_for_long_nobody_knows,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        wait 17
            > chat edits 1, unreported: disk
            > #1 stale
    "
);

sequence!(
    what_was_stale_goes_on_when_it_fires,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        wait 17
            > chat edits 1, unreported: disk
            > #1 stale
        report disk
            > chat again 2 in 1 rings, firing: disk
            > chat edits 1, firing: disk
            > #1 firing
    "
);

sequence!(
    what_was_stale_ends_when_its_end_is_reported,
    "
        report disk
            > chat message 1 rings, firing: disk
            > #1 firing
        wait 17
            > chat edits 1, unreported: disk
            > #1 stale
        report -disk
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
    "
);
