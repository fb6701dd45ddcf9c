//! The mapping for bodies of unknown senders.

use super::Judge;
use crate::config::codes;
use crate::config::source::Spot;
use crate::config::yaml::Path;

/// Judges `generic:`.
pub fn generic(judge: &mut Judge<'_, '_>) {
    let path = Path::of("generic");
    let Some(mapping) = judge.file.generic.as_ref().filter(|_| !judge.report.is_blamed_inside(&path)) else { return };
    for problem in mapping.check() {
        let at = path.dotted(&problem.path);
        judge.report.error(codes::BAD_MAPPING, &at, Spot::Value, format!("`{at}`: {}", problem.message), problem.help);
    }
}
