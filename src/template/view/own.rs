//! What a sender says in its own words, where they are the content.

use crate::model::SenderKind;

use super::{MessageKind, ViewInput};

/// Whether the sender's own title and message are the content (direct sends), not a rendering of the alerts.
pub fn has_own_text(input: &ViewInput<'_>) -> bool {
    matches!(input.event.kind, SenderKind::Direct | SenderKind::Generic | SenderKind::Watchfire)
}

/// The sender's own text where it is the content; empty for alerts.
pub fn own_message<'a>(input: &ViewInput<'a>) -> &'a str {
    if has_own_text(input) { input.event.message.trim() } else { "" }
}

/// Whether a text of the alert says again what the sender's own title or message has said already.
pub fn repeats(input: &ViewInput<'_>, text: &str) -> bool {
    let text = text.trim();
    has_own_text(input) && input.kind != MessageKind::Digest && (text == input.event.title.trim() || text == input.event.message.trim())
}

/// Whether it is somebody's own message: it has no status and no severity to speak of.
pub(super) fn is_direct(input: &ViewInput<'_>) -> bool {
    input.event.kind == SenderKind::Direct && input.kind != MessageKind::Digest
}
