//! The contract test: what every engine must do, word for word, in one suite generic over `Arc<dyn Store>`.
//!
//! An engine's own tests call [`store_contract!`](crate::store::contract::store_contract) with a function that returns a fresh store and all that
//! must be kept alive for it (a folder, a database), or `None` where the engine cannot be tested; the macro makes one test of each function here.
//! Knows no engine.

pub mod acts;
pub mod admin;
pub mod anchors;
pub mod audits;
pub mod calls;
pub mod escalations;
pub mod fallbacks;
pub mod fixtures;
pub mod history;
pub mod incident_model;
pub mod incidents;
pub mod intake;
pub mod lanes;
pub mod messages;
pub mod model;
pub mod mutes;
pub mod oncall;
pub mod outcomes;
pub mod owners;
pub mod purging;
pub mod random;
pub mod receipts;
pub mod silences;
pub mod steps;

/// Makes the contract's tests for one engine: `store_contract!(open)`, where `open` is the full path (`crate::..`) of a
/// `async fn() -> Option<(Arc<dyn Store>, impl Sized)>`.
macro_rules! store_contract {
    ($open:path) => {
        crate::store::contract::store_contract!(@modules $open;
            intake {
                places_in_a_lane_are_contiguous, what_goes_in_comes_out, a_skipped_delivery_takes_a_place_but_does_not_wait,
                a_repeat_within_the_window_gives_the_first_ids, only_the_newest_event_of_a_lane_is_repeated,
                lanes_are_judged_one_by_one, what_enters_a_lane_without_a_key_is_newer_than_what_had_one, an_event_that_enters_no_lane_repeats_nothing,
                repeats_sent_at_once_make_one_event, a_clock_set_back_swallows_nothing,
                a_delivery_keeps_whom_it_reaches_and_shares_its_lane_with_nobody_else,
                a_refused_event_leaves_nothing_behind, one_bad_request_does_not_fail_its_neighbours, concurrent_events_share_a_lane_without_gaps,
                only_open_or_skipped_deliveries_are_born, unknown_events_are_left_out, bodies_are_read_up_to_so_many_bytes,
            }
            lanes {
                ready_lanes_come_by_rank_and_age, an_open_message_hides_its_lane, a_lane_is_due_when_its_head_or_a_deferred_one_is,
                waiting_goes_on_after_a_place, several_lanes_are_read_at_once, a_lane_that_emptied_starts_afresh, what_is_begun_and_not_ended_is_counted,
                a_lane_knows_what_was_not_reported_over,
                the_past_of_a_delivery_is_what_fired_before_it,
                what_waits_for_later_stands_in_nobodys_way,
            }
            owners {
                every_claim_raises_the_epoch, a_live_lease_keeps_others_out, an_old_epoch_changes_nothing,
                an_owner_learns_what_it_must_know, an_attempt_that_never_ended_is_unknown, pause_and_hold_stay,
            }
            messages {
                a_message_is_stored_before_it_is_sent, a_lane_has_one_open_message, members_are_a_prefix_of_their_lane,
                a_message_formed_again_is_replaced, what_is_begun_is_not_rendered_anew, an_ok_cell_is_never_begun_again, final_deliveries_join_nothing,
            }
            outcomes {
                a_single_is_written_at_settle, a_message_holds_its_only_attempt, a_postponed_delivery_moves_its_lane, a_detached_delivery_frees_its_lane,
                a_death_and_its_child_come_together, a_child_is_made_once, a_dropped_origin_has_no_child, a_dropped_one_that_left_is_sent,
                every_end_names_a_message_or_a_reason, a_final_state_is_final, the_first_and_last_attempts_are_kept, an_answer_is_capped,
                months_are_counted, a_settlement_of_nothing_known_is_refused, an_ok_cell_stays_ok, decisions_need_no_message,
            }
            incidents {
                an_event_opens_an_incident_and_the_next_goes_on_with_it, what_ended_goes_on_for_a_while_and_is_then_followed_by_another,
                a_repeat_changes_no_incident, a_refused_event_changes_no_incident, an_event_may_report_several_incidents,
                events_at_once_share_an_incident, of_events_at_once_each_sees_what_the_one_before_left,
                what_is_grouped_in_another_way_goes_on_under_its_number, what_comes_from_a_delivery_belongs_to_its_incident,
                what_is_silent_for_long_is_stale, what_watchfire_knows_to_go_on_is_not_stale, incidents_are_listed_and_counted,
                open_ones_are_known_without_their_alerts_and_read_by_number, what_an_open_incident_needs_is_not_purged,
                numbers_are_never_given_out_again, an_incident_is_read_with_the_anchors_of_a_channel,
            }
            anchors {
                what_was_notified_commits_with_the_outcome, every_edited_anchor_is_dirty_or_shows_its_incident,
                the_most_severe_is_edited_first_and_what_may_not_be_edited_yet_comes_last, an_edit_is_recorded_by_the_owner_of_the_outlet,
                one_message_to_several_is_edited_for_all_of_them, a_copy_of_a_message_is_kept_with_its_anchor,
                of_very_many_edits_the_timeline_has_one_line,
                edits_of_what_ended_long_ago_are_given_up, of_an_edit_that_nothing_makes_the_timeline_says_so_once,
                an_edit_counts_in_the_month_of_its_outlet,
                anchors_follow_a_renamed_channel,
            }
            acts {
                a_press_counts_once_and_is_seen_by_every_message, what_belongs_to_an_incident_is_found_by_group_label_and_by_who_acked_it,
                a_press_counts_once_while_it_is_kept, what_a_message_showed_is_acked_and_no_more, every_unack_rings, a_ring_carries_what_it_is_about,
                something_more_severe_ends_an_ack, what_is_over_takes_no_ack_and_keeps_its_own, what_is_closed_stays_closed_until_something_new_fires,
                the_same_alerts_in_another_incident_are_acked_with_it, what_comes_apart_ends_and_hands_its_acks_on,
                open_ones_come_in_the_order_in_which_somebody_is_needed, of_thousands_of_open_incidents_those_that_go_on_as_others_end,
                what_is_not_known_whole_or_is_of_another_receiver_does_not_go_on_as_others,
            }
            steps {
                an_escalation_begins_with_its_incident_and_ends_with_it, an_ack_ends_what_waits_and_its_end_begins_again,
                what_is_more_severe_than_the_ack_begins_again, no_step_begins_after_an_ack, of_late_steps_only_the_latest_begins,
                a_later_step_that_reaches_nobody_now_takes_no_other_ones_place,
                a_step_that_was_not_confirmed_makes_the_next_one_due, steps_follow_the_mute_of_the_first_message,
                the_steps_of_several_incidents_are_read_at_once, a_step_that_something_keeps_is_known_by_its_reason,
                an_incident_whose_step_is_only_evaluated_again_goes_on_as_others,
                a_step_is_confirmed_by_its_platform, the_end_of_a_silence_begins_it_again,
                what_runs_for_the_rest_goes_on_when_an_ack_of_a_part_ends,
            }
            escalations {
                what_joined_an_ack_is_escalated_once_all_that_was_acked_is_over,
                who_is_on_what_is_routed_elsewhere_is_on_nothing_of_an_escalation,
                a_press_that_finds_no_step_waiting_changes_nothing,
            }
            calls {
                no_call_begins_after_an_ack, a_call_that_is_called_for_again_does_not_end,
            }
            fallbacks {
                what_waits_too_long_is_copied_once, what_another_channel_delivered_is_known, what_came_of_a_fallback_or_a_replay_is_followed, a_chain_never_turns_back, each_chain_goes_its_own_way, only_what_waits_in_the_queue_is_copied,
                what_is_resolved_finds_where_its_firing_went,
            }
            receipts {
                receipts_are_due_in_their_order_and_heard_once, what_arrived_or_may_arrive_is_listed_by_its_number_and_channels,
                what_nobody_knows_the_outcome_of_counts_as_sent_once,
                an_undelivered_one_makes_its_fallback_once, what_is_over_is_known_by_its_first_lane,
                receipts_follow_their_channel_and_leave_with_their_message,
            }
            admin {
                the_dead_live_again, what_waits_is_moved, nonsense_is_not_requeued, dropping_ends_what_is_not_on_its_way,
                a_renamed_channel_takes_its_lanes_along, lanes_with_one_key_become_one_in_the_order_of_acceptance,
                what_lanes_sent_before_they_became_one_is_known_afterwards, a_large_backlog_moves_to_its_new_name, what_waits_behind_a_message_in_flight_stays_behind_it,
                what_is_renamed_goes_behind_what_is_in_flight_under_the_new_name,
                lanes_of_which_each_has_a_message_in_flight_stay_apart,
                what_is_renamed_goes_behind_what_another_node_has_in_memory,
                what_another_node_has_by_a_lease_is_not_moved_under_it,
                lanes_follow_their_credential, what_waits_can_be_retried, heartbeats_are_kept, a_check_leaves_nothing,
            }
            history {
                a_page_follows_its_cursor, a_search_reaches_back_by_rows, events_are_listed, messages_are_listed_by_a_range_of_ids, every_filter_narrows,
                a_delivery_is_shown_with_all_of_it, the_last_confirmed_message_of_a_lane_is_known_for_each_recipient, counts_are_right,
                the_last_confirmed_ones_are_known_by_channel,
                unknown_ids_are_not_found,
            }
            mutes {
                mutes_come_and_go,
                a_mute_that_changes_takes_along_what_it_deferred,
                a_mute_by_labels_takes_along_what_it_deferred_on_any_channel,
                what_an_interval_deferred_can_be_deferred_anew,
                what_a_mute_of_the_file_deferred_is_known_by_its_reason,
                what_mutes_hold_is_counted_by_severity,
                what_people_were_notified_of_mutes_is_remembered,
                an_incident_shows_its_mute_until_that_ends_in_whatever_way, one_press_mutes_several_incidents,
                mutes_that_end_together_are_seen,
            }
            audits {
                an_act_is_recorded_before_and_after_it_is_done, acts_are_listed_by_page_and_text, a_search_goes_no_further_back_than_asked, a_purge_leaves_the_newest_acts, refusals_push_no_act_out_of_the_audit, logins_end_by_time_and_by_hand,
            }
            silences {
                what_somebody_asks_for_is_due_at_once_and_taken_by_one, what_the_sender_listed_once_is_remembered, what_the_sender_said_is_shown_and_rings_when_it_ended,
                what_is_asked_for_meanwhile_counts_and_the_sender_is_asked_again, a_silence_leaves_with_its_incident,
                a_snooze_that_was_made_since_outlasts_the_silence,
            }
            oncall {
                overrides_are_numbered_and_end, overrides_at_once_have_numbers_of_their_own, what_is_known_of_rotas_is_replaced,
            }
            purging {
                only_events_past_retention_go, an_event_stays_while_one_delivery_must, a_message_goes_with_its_last_delivery,
                events_without_deliveries_go_too, messages_left_behind_go_too, a_step_is_small, a_repeat_is_known_as_long_as_its_event, lanes_are_never_reused,
            }
        );

        #[test]
        fn random_histories_match_the_model() {
            crate::store::contract::random::histories_match_the_model($open);
        }
    };
    (@modules $open:path; $($module:ident { $($test:ident,)+ })+) => {
        $(mod $module {
            $(
                #[tokio::test]
                async fn $test() {
                    let Some((store, _keep)) = $open().await else { return };
                    crate::store::contract::$module::$test(store.clone()).await;
                    store.close().await;
                }
            )+
        })+
    };
}

pub(crate) use store_contract;
