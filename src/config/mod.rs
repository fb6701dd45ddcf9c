//! config

pub mod codes;
pub mod yaml;
