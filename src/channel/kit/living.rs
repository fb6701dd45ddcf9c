//! What answers to edits and replies mean beyond those to new messages. Pure.

use crate::model::{ErrorKind, PlatformIds, Receipt, SendError};

/// The id of that name of a message that is to be edited or answered. Without it nobody finds the message again, so it is gone.
pub fn id<'a>(ids: &'a PlatformIds, name: &str) -> Result<&'a str, SendError> {
    let missing = || SendError::new(ErrorKind::Rejected, format!("the message was stored without its `{name}`, so it cannot be found again")).gone();
    ids.get(name).ok_or_else(missing)
}

/// The outcome of an edit of the message with these ids: it keeps them. Repeating an edit does no harm, so a lost or unclear answer is passing
/// trouble. A refusal for which `is_gone` holds says so.
pub fn edited(result: Result<Receipt, SendError>, ids: &PlatformIds, is_gone: impl Fn(&SendError) -> bool) -> Result<Receipt, SendError> {
    match gone_if(result, is_gone) {
        Ok(receipt) => Ok(Receipt { ids: ids.clone(), ..receipt }),
        Err(error) if error.kind == ErrorKind::Ambiguous => Err(SendError { kind: ErrorKind::Transient, ..error }),
        Err(error) => Err(error),
    }
}

/// A refusal for which `is_gone` holds says so; passing trouble and rate limits never do, whatever their code.
pub fn gone_if(result: Result<Receipt, SendError>, is_gone: impl Fn(&SendError) -> bool) -> Result<Receipt, SendError> {
    result.map_err(|error| match error.kind {
        ErrorKind::Rejected | ErrorKind::Misconfigured if is_gone(&error) => error.gone(),
        _ => error,
    })
}

/// Whether an error has one of these codes.
pub fn has_code(error: &SendError, codes: &[&str]) -> bool {
    error.code.as_deref().is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_is_gone_and_no_edit_leaves_a_doubt() {
        let ids = PlatformIds::one("ts", "1.1".to_owned());
        let outcome = |kind| edited(Err(SendError::new(kind, "x").code("message_not_found")), &ids, |error| has_code(error, &["message_not_found"]));
        let told = |kind| outcome(kind).map_err(|error| (error.kind, error.gone)).unwrap_err();
        assert_eq!(told(ErrorKind::Rejected), (ErrorKind::Rejected, true));
        assert_eq!(told(ErrorKind::Misconfigured), (ErrorKind::Rejected, true));
        assert_eq!(told(ErrorKind::Transient), (ErrorKind::Transient, false));
        assert_eq!(told(ErrorKind::Ambiguous), (ErrorKind::Transient, false));
        let limited = ErrorKind::RateLimited { retry_after: None };
        assert_eq!(told(limited), (limited, false));
        assert_eq!(edited(Ok(Receipt::default()), &ids, |_| true).unwrap().ids, ids);
        assert!(id(&ids, "channel").is_err_and(|error| error.gone) && id(&ids, "ts").is_ok_and(|ts| ts == "1.1"));
    }
}
