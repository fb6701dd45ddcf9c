//! The incident of a message, in the line that says what Watchfire adds.

use super::super::words;
use super::Scene;

/// `#1842`; of a further message of the incident `#1842, first notified 03:12 UTC`. Empty without an incident.
pub fn incident_line(input: &Scene<'_>) -> String {
    let Some(incident) = input.incident else { return String::new() };
    let number = format!("#{}", incident.number);
    match incident.first_notified {
        Some(at) => words::filled(input.language, "first_notified", &[("what", &number), ("at", &input.times().short(at))]),
        None => number,
    }
}
