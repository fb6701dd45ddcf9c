//! A vendor's last word on what it took: carriers and phones answer long after the vendor has.

/// What became, in the end, of a message or call that its platform had taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Whether it reached the person: the SMS is on the phone, the call was answered.
    pub reached: bool,
    /// The vendor's own word or code for it: `delivered`, `busy`, `200003`.
    pub code: String,
    /// One line for people, safe to show: what happened.
    pub detail: String,
}

impl Word {
    /// It reached the person.
    pub fn delivered(code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reached: true, code: code.into(), detail: detail.into() }
    }

    /// It did not, and never will.
    pub fn undelivered(code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reached: false, code: code.into(), detail: detail.into() }
    }
}
