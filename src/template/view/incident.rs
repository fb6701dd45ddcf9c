//! The incident of a message, in the line that says what Watchfire adds.

use super::super::words;
use super::{AnswerView, Scene};

/// `#1842`; of a further message of the incident `#1842, first notified 03:12 UTC`; then who is on it. Empty without an incident.
pub fn incident_line(input: &Scene<'_>) -> String {
    let Some(incident) = input.incident else { return String::new() };
    let number = format!("#{}", incident.number);
    let line = match incident.first_notified {
        Some(at) => words::filled(input.language, "first_notified", &[("what", &number), ("at", &input.times().short(at))]),
        None => number,
    };
    match incident.answer.as_ref().map(|answer| answered(input, answer)) {
        Some(answer) => format!("{line} · {answer}"),
        None => line,
    }
}

/// Who is on it, or why nobody is any more.
fn answered(input: &Scene<'_>, answer: &AnswerView) -> String {
    let filled = |key, values: &[(&str, &str)]| words::filled(input.language, key, values);
    let short = |at| input.times().short(at);
    match answer {
        AnswerView::Acked { name, via, at, until, left } => {
            let told = match until {
                Some(until) => filled("snoozed_by", &[("who", name), ("via", via), ("until", &short(*until))]),
                None => filled("acked_by", &[("who", name), ("via", via), ("at", &short(*at))]),
            };
            if *left > 0 { format!("{told}{}", filled("not_acked", &[("n", &left.to_string())])) } else { told }
        }
        AnswerView::Worse { was } => filled("unacked_worse", &[("was", words::severity(input.language, *was))]),
        AnswerView::SnoozeEnded { name } => filled("snooze_ended", &[("who", name)]),
        AnswerView::Expired { name } => filled("ack_expired", &[("who", name)]),
        AnswerView::Unacked { name } => filled("unacked_by", &[("who", name)]),
        AnswerView::Closed => filled("closed_by_hand", &[]),
    }
}
