//! The fakes are tested themselves: a request made by hand from published vectors passes, every kind of wrong
//! request gets the platform's own refusal. Nothing here uses the product.

mod aliyun;
mod chats;
mod core;
mod dingtalk;
mod dingtalk_app;
mod fleet;
mod living;
mod people;
mod presets;
mod raw;
mod slack;
mod smtp;
mod tencent;
mod twilio;
mod wecom;
mod zulip;
