//! Fake platforms, written from the platforms' published documents and test vectors. They know nothing of
//! the product's drivers: a driver that passes here speaks the platform's language, not its own.
//!
//! Start one with `Fake::start(DingtalkRobot::default())`, point the driver at `fake.url()`, look at `fake.rec`,
//! script trouble with `fake.faults`, move time with `fake.clock`, and reach the platform's state with `fake.with`.

#![allow(dead_code, unused_imports, reason = "each test binary and the standalone server use a part of the fakes")]

pub mod aliyun;
pub mod call;
pub mod clock;
pub mod crypt;
pub mod dingtalk;
pub mod dingtalk_app;
pub mod dingtalk_card;
pub mod dingtalk_stream;
pub mod discord;
pub mod fault;
pub mod feishu;
pub mod feishu_socket;
pub mod fleet;
pub mod mattermost;
pub mod pagerduty;
pub mod people;
pub mod phone;
pub mod preset_posts;
pub mod preset_samples;
pub mod presets;
pub mod pushover;
pub mod rate;
pub mod recorder;
pub mod sample;
pub mod server;
pub mod slack;
pub mod slack_blocks;
pub mod slack_messages;
pub mod slack_socket;
pub mod smtp;
pub mod socket;
pub mod teams;
pub mod telegram;
pub mod telegram_updates;
pub mod tencent;
pub mod tls;
pub mod token;
pub mod transcript;
pub mod twilio;
pub mod twilio_answers;
pub mod twiml;
pub mod voice_reports;
pub mod webhook;
pub mod wecom;
pub mod wecom_agent;
pub mod wecom_bot;
pub mod wecom_cards;
pub mod wecom_robot;
pub mod zulip;

pub use aliyun::Aliyun;
pub use call::{Answer, Call, Verdict};
pub use clock::{Clock, Now};
pub use dingtalk::{DingtalkRobot, Robot};
pub use dingtalk_app::DingtalkApp;
pub use dingtalk_card::DingtalkCard;
pub use discord::Discord;
pub use fault::{Fault, Faults};
pub use feishu::{Feishu, Hook};
pub use fleet::Fleet;
pub use mattermost::Mattermost;
pub use pagerduty::PagerDuty;
pub use presets::Preset;
pub use rate::{Limiter, Pace};
pub use recorder::{Record, Recorder};
pub use sample::{Member, Sample, SampleChannel};
pub use server::{Fake, Platform};
pub use slack::{Room, Slack};
pub use smtp::{Act, Security, Smtp, SmtpOptions, Stage, mime::Mail};
pub use socket::{Heard, Line};
pub use teams::Teams;
pub use telegram::{Chat, Telegram};
pub use tencent::Tencent;
pub use tls::TestTls;
pub use token::{TokenState, Tokens};
pub use transcript::{Post, Transcript};
pub use twilio::Twilio;
pub use webhook::Webhook;
pub use wecom::Wecom;
pub use wecom_bot::WecomBot;
pub use wecom_robot::WecomRobot;
pub use zulip::Zulip;

/// Every fake with fixed credentials: the fleet and the battery walk them. A new fake is one line here.
pub fn samples() -> Vec<Sample> {
    let all = [
        aliyun::samples(),
        dingtalk::samples(),
        dingtalk_app::samples(),
        dingtalk_card::samples(),
        discord::samples(),
        feishu::samples(),
        mattermost::samples(),
        pagerduty::samples(),
        preset_samples::samples(),
        slack::samples(),
        teams::samples(),
        telegram::samples(),
        tencent::samples(),
        twilio::samples(),
        webhook::samples(),
        wecom::samples(),
        wecom_bot::samples(),
        wecom_robot::samples(),
        zulip::samples(),
    ];
    all.into_iter().flatten().collect()
}
