//! Why a file cannot be read, in words that follow its name.

use std::io::{Error, ErrorKind};

/// `does not exist`, `may not be read by this user`, `is a folder`; anything else in the system's words without its number.
pub fn unreadable(error: &Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "does not exist".into(),
        ErrorKind::PermissionDenied => "may not be read by this user".into(),
        ErrorKind::IsADirectory => "is a folder".into(),
        ErrorKind::NotADirectory => "is not a folder, or lies below a file".into(),
        ErrorKind::InvalidData => "is not UTF-8 text".into(),
        _ => {
            let text = error.to_string();
            format!("cannot be read: {}", text.split(" (os error").next().unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_the_system_is_shown() {
        assert_eq!(unreadable(&std::fs::read("/nowhere/at/all").unwrap_err()), "does not exist");
        assert_eq!(unreadable(&std::fs::read("/").unwrap_err()), "is a folder");
        assert_eq!(unreadable(&Error::from_raw_os_error(5)), "cannot be read: Input/output error");
    }
}
