//! What the integration tests share.

pub mod all;
pub mod answers;
pub mod app;
pub mod chinese_answers;
pub mod fakes;
pub mod phone_answers;
pub mod postgres;
pub mod turn;
