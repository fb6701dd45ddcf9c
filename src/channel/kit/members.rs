//! The channels of one credential that share something, and come and go with reloads.

use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What each channel adds for as long as it is there.
pub struct Members<T>(Mutex<Vec<Weak<T>>>);

impl<T> Default for Members<T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T> Members<T> {
    /// One more, until it is dropped.
    pub fn add(&self, member: &Arc<T>) {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| member.strong_count() > 0);
        members.push(Arc::downgrade(member));
    }

    /// The one that was added last: its way to the platform is the one that is configured now.
    pub fn last(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().find_map(Weak::upgrade)
    }

    /// Whether one of them is so.
    pub fn any(&self, is_so: impl FnMut(Arc<T>) -> bool) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).any(is_so)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_counts_until_it_is_dropped() {
        let members = Members::default();
        assert!(members.last().is_none());
        let (one, two) = (Arc::new(1), Arc::new(2));
        members.add(&one);
        members.add(&two);
        assert_eq!(members.last().as_deref(), Some(&2));
        assert!(members.any(|member| *member == 1));
        drop(two);
        assert_eq!(members.last().as_deref(), Some(&1));
        assert!(!members.any(|member| *member == 2));
    }
}
