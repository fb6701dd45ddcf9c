//! `watchfire check --online`: whether the platforms accept the credentials. Sends nothing.

use std::pin::pin;

use futures_util::StreamExt;

use crate::config::codes;
use crate::delivery::Plan;
use crate::delivery::online::{Answer, Said, ask};
use crate::model::Finding;

/// Asks all platforms, then the Alertmanagers of `silence`, and reports each answer as it comes: a line, or what is wrong.
pub async fn probe(plan: &Plan, told: &mut dyn FnMut(Result<String, Box<Finding>>)) {
    let mut answers = pin!(ask(plan));
    while let Some(said) = answers.next().await {
        told(reported(said));
    }
}

fn reported(said: Said) -> Result<String, Box<Finding>> {
    let Said { name, platform, answer } = said;
    let is_channel = platform != "alertmanager";
    match answer {
        Answer::Accepted(None) => Ok(format!("{name:<20} {platform:<12} ok")),
        Answer::Accepted(Some(version)) => Ok(format!("{name:<20} {platform:<12} ok, version {version}")),
        Answer::Unasked => Ok(format!("{name:<20} {platform:<12} cannot be asked without sending; try `watchfire send`")),
        Answer::Refused(why) if is_channel => {
            let message = format!("channel `{name}` ({platform}) cannot deliver as it is configured");
            Err(Box::new(Finding::error(codes::REFUSED_CHANNEL, message).label(why)))
        }
        Answer::Refused(why) => Err(Box::new(Finding::error(codes::REFUSED_SILENCE, format!("the Alertmanager {name} cannot be asked")).label(why))),
    }
}
