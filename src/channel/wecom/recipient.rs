//! What recipients are: members, departments, tags, or everybody. Pure. <https://developer.work.weixin.qq.com/document/path/90236>

use crate::model::Recipient;

/// Everybody who can see the application (same page).
pub(super) const EVERYBODY: &str = "@all";
/// The prefix that distinguishes a department's id from a user's among the recipients.
pub(super) const PARTY: &str = "party:";
/// The same for tags.
pub(super) const TAG: &str = "tag:";

/// Whether a recipient is one member, and not a group of them.
pub(super) fn is_member(recipient: &Recipient) -> bool {
    let name = recipient.expose();
    name != EVERYBODY && !name.starts_with(PARTY) && !name.starts_with(TAG)
}
