//! config

pub mod codes;
pub mod file;
mod nearest;
mod net;
pub mod password;
pub mod render;
mod report;
mod secrets;
mod shape;
mod source;
pub mod watch;
pub mod yaml;
