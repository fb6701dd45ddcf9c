//! The text of a configuration file. Does blocking I/O.

use std::path::Path as FilePath;

use super::codes;
use crate::model::yaml::MAX_BYTES;
use crate::model::{Finding, unreadable};

/// The text of a configuration file; the finding says why there is none.
pub fn file_text(path: &FilePath) -> Result<String, Box<Finding>> {
    let named = path.display();
    let told = |label: String| Box::new(Finding::error(codes::UNREADABLE, format!("{named} cannot be read")).label(label));
    let denied = "this user may not read it; give the user that runs Watchfire the right to (`chmod`, `chown`), and to its folders";
    let refused = |error: std::io::Error| {
        told(match error.kind() {
            std::io::ErrorKind::NotFound => "it does not exist; `watchfire init` writes a first one, and `--config FILE` names another".into(),
            std::io::ErrorKind::PermissionDenied => denied.into(),
            _ => format!("it {}", unreadable(&error)),
        })
    };
    let meta = std::fs::metadata(path).map_err(refused)?;
    if meta.is_dir() {
        let inside = path.join("routes.yaml");
        let hint = if inside.is_file() { format!(": `--config {}`", inside.display()) } else { String::new() };
        return Err(told(format!("it is a folder; name a file{hint}")));
    }
    if meta.len() > MAX_BYTES as u64 {
        let label = format!("it has {} bytes; at most {MAX_BYTES} are read", meta.len());
        return Err(Box::new(Finding::error(codes::TOO_LARGE, format!("{named} is too large")).label(label)));
    }
    let bytes = std::fs::read(path).map_err(refused)?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        told(format!("line {line} is not UTF-8; save the file as UTF-8"))
    })
}
