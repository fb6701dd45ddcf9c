//! Two Alertmanagers disagree for moments, and somebody is to be called.

use super::sequence;

sequence!(
    twins_that_disagree_for_moments_call_nobody,
    "
        call 10
        report disk@0
            > chat message 1 rings, firing: disk
            > voice message 1 quiet, firing: disk
            > #1 firing
        report -disk@0 &
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
        report disk@0 &20
            > chat edits 1, firing: disk
            > voice deferred: its end was reported moments ago as #1: it comes later if it still fires then
            > #1 firing
        report -disk@0
            > chat edits 1, resolved: disk
            > #1 resolved
        wait 2
    "
);

sequence!(
    what_still_fires_a_minute_after_its_end_calls,
    "
        call 10
        report disk@0
            > chat message 1 rings, firing: disk
            > voice message 1 quiet, firing: disk
            > #1 firing
        report -disk@0 &
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
        report disk@0 &20
            > chat edits 1, firing: disk
            > voice deferred: its end was reported moments ago as #1: it comes later if it still fires then
            > #1 firing
        wait 2
            > chat news 3 in 1 rings, firing: disk
            > chat edits 1, firing: disk
            > voice message 2 quiet, firing: disk | #1, first notified 03:01 UTC
    "
);

sequence!(
    all_that_twins_disagreed_about_rings_at_once,
    "
        room edits-too-fast &
        many 150@0
            > 150 times #N firing
            > 150 times chat message N rings, firing: diskN
        many -150@0 &40
            > 150 times #N resolved
            > 150 times chat over N in N quiet, resolved: diskN
        many 150@0 &18
            > 150 times #N firing
        rest &9
            > 150 times chat news N in N rings, firing: diskN
    "
);

sequence!(
    what_twins_disagree_about_rings_after_a_crash_too,
    "
        report disk@0
            > chat message 1 rings, firing: disk
            > #1 firing
        report -disk@0 &10
            > chat over 2 in 1 quiet, resolved: disk
            > chat edits 1, resolved: disk
            > #1 resolved
        report disk@0 &10
            > chat edits 1, firing: disk
            > #1 firing
        crash
            > chat news 3 in 1 rings, firing: disk
            > chat edits 1, firing: disk
    "
);
