//! The mapping for bodies of unknown senders.

use super::Validator;
use crate::config::codes;
use crate::config::source::Anchor;
use crate::model::yaml::Path;

/// Validates `generic:`.
pub fn generic(validator: &mut Validator<'_, '_>) {
    let path = Path::of("generic");
    let Some(mapping) = validator.file.generic.as_ref().filter(|_| !validator.report.is_blamed_inside(&path)) else { return };
    for problem in mapping.check() {
        let at = path.dotted(&problem.path);
        validator.report.error(codes::BAD_MAPPING, &at, Anchor::Value, format!("`{at}`: {}", problem.message), problem.help);
    }
}
