//! config

pub mod codes;
mod nearest;
mod report;
mod shape;
mod source;
pub mod yaml;
