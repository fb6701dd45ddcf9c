//! A channel for every sample of the fakes, with its platform's answers.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use watchfire::channel::{OnAmbiguous, platform};

use super::fakes::fault::{Fault, Faults};
use super::fakes::recorder::Recorder;
use super::fakes::{SampleChannel, samples};

/// One of a platform's answers, and the class it must get: `ok`, or an error's kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformAnswer {
    pub status: u16,
    #[serde(default)]
    pub body: String,
    /// Seconds, as `Retry-After`.
    #[serde(default)]
    pub retry_after: Option<u64>,
    pub class: String,
}

impl PlatformAnswer {
    /// It as a fake answers with it.
    pub fn fault(&self) -> Fault {
        match self.retry_after {
            Some(seconds) => Fault::Headed(self.status, vec![("retry-after".to_owned(), seconds.to_string())], self.body.clone()),
            None => Fault::Reply(self.status, "application/json".into(), self.body.clone()),
        }
    }
}

/// The answers of every `src/channel/<platform>/refusals.yaml`, by channel.
pub fn platform_answers() -> BTreeMap<String, Vec<PlatformAnswer>> {
    let mut all = BTreeMap::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/channel");
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path().join("refusals.yaml");
        if let Ok(text) = std::fs::read_to_string(&file) {
            let answers: BTreeMap<String, Vec<PlatformAnswer>> =
                serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            all.extend(answers);
        }
    }
    all
}

/// A channel of one platform: how its fake is troubled, and the platform's own answers.
pub struct Member {
    pub channel: &'static str,
    /// The platform in the registry.
    pub platform: &'static str,
    pub faults: Faults,
    pub rec: Recorder,
    pub answers: Vec<PlatformAnswer>,
    /// The class of a failure of the server: what it may have done anyway must not be done twice by phone.
    pub broken: &'static str,
    /// The class of a lost answer to a message that was taken: `ok` where the platform can be asked for it.
    pub lost: &'static str,
    /// The path of the request that sends (tokens are asked for elsewhere).
    pub path: &'static str,
    pub secrets: &'static [&'static str],
    /// Its block in routes.yaml.
    pub yaml: String,
    /// The server, with what people see of its messages.
    pub fake: super::fakes::Member,
}

impl Member {
    /// The first answer of a class.
    pub fn answer(&self, class: &str) -> Fault {
        let found = self.answers.iter().find(|answer| answer.class == class);
        found.unwrap_or_else(|| panic!("no answer of {} is {class} in its refusals.yaml", self.channel)).fault()
    }

    /// How many requests came to the path that sends.
    pub fn sends(&self) -> usize {
        self.rec.all().iter().filter(|record| record.call.path.contains(self.path)).count()
    }
}

/// All of them, each with a fake of its own.
pub struct All {
    pub members: Vec<Member>,
}

impl All {
    pub async fn start() -> Self {
        let mut answers = platform_answers();
        let mut members = Vec::new();
        for sample in samples() {
            for channel in sample.channels.clone() {
                let fake = sample.start(0).await.expect("a free port on 127.0.0.1");
                fake.pace(None);
                let answers = answers.remove(channel.name).unwrap_or_default();
                members.push(member(channel, answers, fake));
            }
        }
        Self { members }
    }

    /// The channel of that name.
    pub fn member(&self, channel: &str) -> &Member {
        self.members.iter().find(|member| member.channel == channel).unwrap_or_else(|| panic!("no fake has a channel `{channel}`"))
    }

    /// A routes.yaml that sends everything to all of them, without a pace and impatiently.
    pub fn routes(&self) -> String {
        let channels: String = self.members.iter().map(|m| format!("  {}: {{ timeout: 2s, rate_limit: off, {} }}\n", m.channel, m.yaml)).collect();
        let names = self.members.iter().map(|m| m.channel).collect::<Vec<_>>().join(", ");
        format!("server: {{ listen: \"127.0.0.1:0\" }}\nstore: sqlite:watchfire.db\nchannels:\n{channels}route: {{ to: [{names}] }}\n")
    }
}

fn member(channel: SampleChannel, answers: Vec<PlatformAnswer>, fake: super::fakes::Member) -> Member {
    let name = channel.platform();
    let platform = platform(name).unwrap_or_else(|| panic!("`{name}` of the channel {} is no platform", channel.name));
    let at_most_once = platform.on_ambiguous == OnAmbiguous::Never;
    Member {
        channel: channel.name,
        platform: platform.name,
        faults: fake.faults.clone().expect("faults of an HTTP platform"),
        rec: fake.rec.clone(),
        answers,
        broken: if at_most_once { "ambiguous" } else { "transient" },
        lost: if channel.finds_lost { "ok" } else { "ambiguous" },
        path: channel.path,
        secrets: channel.secrets,
        yaml: channel.yaml.replace("BASE", &format!("http://{}", fake.addr)),
        fake,
    }
}
