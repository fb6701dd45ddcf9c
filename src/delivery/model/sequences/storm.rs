//! What waits for a platform that is slow: edits come after it, and a digest says what fires.

use super::sequence;

sequence!(
    nothing_is_edited_while_messages_wait_for_the_rate_limit,
    "
        slow
        report disk web group=a &
            > chat message 1 rings, firing: disk web
            > #1 firing
        report db:critical group=b &
            > #2 firing
        report -disk web group=a
        wait 2
            > chat message 2 rings, firing: db
            > chat edits 1, firing: disk web
    "
);

sequence!(
    what_was_in_a_digest_only_gets_its_message_with_the_next_news,
    "
        slow
        report disk group=a &
            > chat message 1 rings, firing: disk
            > #1 firing
        report web:critical group=b &
            > #2 firing
        report db:critical group=c
            > #3 firing
        wait 2
            > chat message 2 rings, firing: web db
        report web:critical ram:critical group=b
        wait 1
            > chat message 3 rings, firing: web ram
        report -db group=c
            > #3 resolved
        wait 1
            > chat over 4 quiet, resolved: db | ✅ Resolved: db #3, first notified 03:03 UTC
        report -web ram:critical group=b
        wait 1
            > chat edits 3, firing: web ram
    "
);

sequence!(
    an_unack_rings_in_a_digest,
    "
        slow
        report disk group=a &
            > chat message 1 rings, firing: disk
            > #1 firing
        ack
            > ack for #1: acked 1
            > chat edits 1, firing: disk | #1 · acked by ann (API), 03:01 UTC
            > #1 acked, ann on it
        report web:critical group=b &
            > #2 firing
        unack
            > unack for #1: unacked
            > #1 firing
        wait 1
            > chat message 2 rings, firing: disk web
            > chat edits 1, firing: disk | #1 · unacked by ann
    "
);
