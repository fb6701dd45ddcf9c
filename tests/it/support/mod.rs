//! What the integration tests share.

pub mod app;
pub mod chromium;
pub mod every_platform;
pub mod fakes;
pub mod postgres;
pub mod presses;
pub mod serial;
pub mod skip;
pub mod wire;
