//! What the integration tests share.

pub mod app;
pub mod fakes;
