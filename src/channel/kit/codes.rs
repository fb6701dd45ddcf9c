//! Tables of platforms' error codes and words.

use super::{has_code, says};
use crate::model::{ErrorKind, Recipient, SendError};

/// A row of a platform's table: its codes, their class, and what to do.
pub type CodeRule = (&'static [&'static str], ErrorKind, &'static str);

/// The class of a code, and what to do; `None` for one that no row names.
pub fn classify(rows: &[CodeRule], code: &str) -> Option<(ErrorKind, &'static str)> {
    rows.iter().find(|(codes, ..)| codes.contains(&code)).map(|(_, kind, advice)| (*kind, *advice))
}

/// The first row one of whose words the platform says, for platforms that tell their errors apart in words only.
pub fn classify_words(rows: &[CodeRule], text: &str) -> Option<(ErrorKind, &'static str)> {
    rows.iter().find(|(words, ..)| says(text, words)).map(|(_, kind, advice)| (*kind, *advice))
}

/// The only receiver that a channel has; `None` where it has several.
pub fn only(receivers: &[Recipient]) -> Option<Recipient> {
    if let [one] = receivers { Some(one.clone()) } else { None }
}

/// What such codes say is of one receiver: a channel that has only that one does not work, others go on.
pub fn of_receiver(error: SendError, codes: &[&str], is_only: bool) -> SendError {
    if error.kind == ErrorKind::Misconfigured && !is_only && has_code(&error, codes) {
        return SendError { kind: ErrorKind::Rejected, ..error }.of_recipient();
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorKind::{Misconfigured, Rejected, Transient};

    #[test]
    fn a_receiver_is_the_channels_fault_only_where_it_has_no_other() {
        let [a, b] = ["a", "b"].map(Recipient::new);
        assert_eq!((only(std::slice::from_ref(&a)), only(&[a.clone(), b]), only(&[])), (Some(a), None, None));
        let evaluated = |kind, code: &str, is_only| {
            let error = of_receiver(SendError::new(kind, "no").code(code), &["86001"], is_only);
            (error.kind, error.recipient)
        };
        assert_eq!(evaluated(Misconfigured, "86001", true), (Misconfigured, false));
        assert_eq!(evaluated(Misconfigured, "86001", false), (Rejected, true));
        assert_eq!(evaluated(Misconfigured, "93004", false), (Misconfigured, false));
        assert_eq!(evaluated(Transient, "86001", false), (Transient, false));
    }
}
