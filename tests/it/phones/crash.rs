//! The receipt of an SMS over SIGKILL, with the real program: what a vendor took and had not concluded yet is asked for by the next process.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use watchfire::api::{Deliveries, DeliveryResponse, Nodes};
use watchfire::store::{ReceiptState, State};

use crate::crash::{free_port, serve, up};
use crate::support::app::alert;
use crate::support::fakes::Twilio;
use crate::support::fakes::fault::Fault;
use crate::support::fakes::server::Fake;
use crate::support::postgres::Postgres;

const NUMBER: &str = "+8613800000001";
/// A vendor is asked 20 s after it took an SMS, and a node that takes over waits for the lease of the dead one.
const LONG: Duration = Duration::from_secs(90);
/// Longer than several rounds of questions.
const QUIET: Duration = Duration::from_secs(6);

/// A process: its folder, its port, and itself while it lives.
struct Process {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
    client: reqwest::Client,
}

impl Process {
    async fn start(store: &str, twilio: &str) -> Self {
        watchfire::channel::kit::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        let account = format!("account_sid: AC1, auth_token: twilio-token, from: \"+15005550006\", to: [\"{NUMBER}\"], api_base: \"{twilio}\"");
        let routes = format!(
            "server: {{ listen: \"127.0.0.1:0\" }}\nstore: \"{store}\"\nchannels:\n  sms: {{ fallback: [call], twilio_sms: {{ {account} }} }}\n  \
             call: {{ twilio_voice: {{ {account} }} }}\nroute: {{ to: [sms] }}\n"
        );
        std::fs::write(folder.path().join("routes.yaml"), routes).unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        let mut process = Self { folder, port: free_port(), child: None, client };
        process.again().await;
        process
    }

    async fn again(&mut self) {
        self.child = Some(serve(self.folder.path(), self.port));
        up(&self.client, self.port).await;
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    async fn fire(&self, group: &str) {
        let answer = self.client.post(format!("http://127.0.0.1:{}/webhook", self.port)).json(&alert(group, "HostDown", "firing")).send().await;
        assert_eq!(answer.unwrap().status(), 200);
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        self.client.get(format!("http://127.0.0.1:{}/api/v1/{path}", self.port)).send().await.unwrap().json().await.unwrap()
    }

    /// The state of every SMS and of its receipt.
    async fn receipts(&self) -> Vec<(State, Option<ReceiptState>)> {
        let mut found = Vec::new();
        for row in self.get::<Deliveries>("deliveries?channel=sms").await.deliveries {
            let delivery: DeliveryResponse = self.get(&format!("deliveries/{}", row.id)).await;
            found.push((row.state, delivery.message.and_then(|message| message.cells.into_iter().next()?.receipt).map(|receipt| receipt.state)));
        }
        found
    }

    /// Waits until every one of so many SMS has this receipt.
    async fn until(&self, count: usize, state: ReceiptState) {
        let end = Instant::now() + LONG;
        loop {
            let found = self.receipts().await;
            if found.len() == count && found.iter().all(|each| *each == (State::Sent, Some(state))) {
                return;
            }
            assert!(Instant::now() < end, "not all {state:?}: {found:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How many SMS and how many calls the vendor took.
fn taken(twilio: &Fake<Twilio>) -> (usize, usize) {
    let accepted = twilio.rec.accepted();
    let of = |what: &str| accepted.iter().filter(|record| record.call.path.ends_with(what)).count();
    (of("/Messages.json"), of("/Calls.json"))
}

/// How often the vendor was asked about each SMS.
fn questions(twilio: &Fake<Twilio>) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for record in twilio.rec.all().into_iter().filter(|record| record.call.path.contains("/Messages/")) {
        *asked.entry(record.call.path).or_default() += 1;
    }
    asked
}

async fn wait(twilio: &Fake<Twilio>, what: &str, until: impl Fn() -> bool) {
    assert!(twilio.rec.wait(LONG, |_| until()).await, "{what}: taken {:?}, asked {:?}", taken(twilio), questions(twilio));
}

/// When the process dies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Dies {
    /// After the vendor took it, before anybody asked.
    Unasked,
    /// While it waits for the answer to its question.
    Asking,
    /// The vendor has answered that nobody was reached; whether that was recorded, only the store knows.
    Answered,
}

async fn killed(dies: Dies) {
    let twilio = Fake::start(Twilio::new("AC1", "twilio-token", "+15005550006")).await;
    let mut process = Process::start("sqlite:watchfire.db", &twilio.url()).await;
    process.fire("db").await;
    process.until(1, ReceiptState::Awaited).await;
    assert_eq!(questions(&twilio), BTreeMap::new(), "{dies:?}: it is too early to ask");
    let undelivered = || twilio.with(|t| t.status.insert(NUMBER.into(), "undelivered".into()));
    match dies {
        Dies::Unasked => {}
        Dies::Asking => {
            twilio.faults.always_on("/Messages/", Fault::HangAfter);
            wait(&twilio, "nobody asks", || !questions(&twilio).is_empty()).await;
        }
        Dies::Answered => {
            undelivered();
            wait(&twilio, "nobody asks", || !questions(&twilio).is_empty()).await;
        }
    }
    process.kill();
    twilio.faults.clear();
    undelivered();
    process.again().await;
    process.until(1, ReceiptState::Undelivered).await;
    wait(&twilio, "nobody is called instead", || taken(&twilio).1 == 1).await;
    // The word is on disk, too: the next life asks nobody and calls nobody.
    process.kill();
    let asked = questions(&twilio);
    process.again().await;
    tokio::time::sleep(QUIET).await;
    process.until(1, ReceiptState::Undelivered).await;
    assert_eq!(taken(&twilio), (1, 1), "{dies:?}: one SMS and one call in its place");
    assert_eq!(questions(&twilio), asked, "{dies:?}: nobody asks about what was answered");
    let expected = match dies {
        Dies::Unasked => 1..=1,
        Dies::Asking => 2..=2,
        Dies::Answered => 1..=2,
    };
    assert!(asked.len() == 1 && asked.values().all(|times| expected.contains(times)), "{dies:?}: {asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes a minute: `.ci/long nights`"]
async fn a_receipt_survives_sigkill_and_its_fallback_is_made_once() {
    tokio::join!(killed(Dies::Unasked), killed(Dies::Asking), killed(Dies::Answered));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes a minute: `.ci/long nights`"]
async fn of_two_processes_one_asks_and_the_other_takes_over() {
    const SMS: usize = 4;
    let Some(database) = Postgres::start() else { return };
    let twilio = Fake::start(Twilio::new("AC1", "twilio-token", "+15005550006")).await;
    let mut processes = [Process::start(&database.url(), &twilio.url()).await, Process::start(&database.url(), &twilio.url()).await];
    let end = Instant::now() + LONG;
    while processes[0].get::<Nodes>("nodes").await.nodes.len() < 2 {
        assert!(Instant::now() < end, "the nodes do not see each other");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for n in 0..SMS {
        processes[n % 2].fire(&format!("db-{n}")).await;
    }
    processes[0].until(SMS, ReceiptState::Awaited).await;
    wait(&twilio, "nobody asks", || questions(&twilio).len() == SMS).await;
    // The vendor has no word yet, and is asked again 20 s later: until then another question would be the other process's.
    tokio::time::sleep(QUIET).await;
    let asked = questions(&twilio);
    assert!(asked.len() == SMS && asked.values().all(|times| *times == 1), "each is asked for by one process: {asked:?}");

    // The one that asks dies with its question in flight. Its name holds its process id.
    twilio.faults.always_on("/Messages/", Fault::HangAfter);
    wait(&twilio, "nobody asks again", || questions(&twilio).values().any(|times| *times == 2)).await;
    let asking = processes[0].get::<Nodes>("nodes").await.nodes.swap_remove(0).name;
    let dies = processes.iter().position(|process| asking.contains(&format!("-{}-", process.child.as_ref().unwrap().id()))).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(questions(&twilio).values().sum::<usize>(), SMS + 1, "the other one asks nothing: {:?}", questions(&twilio));
    processes[dies].kill();
    twilio.faults.clear();
    twilio.with(|t| t.status.insert(NUMBER.into(), "undelivered".into()));
    let other = &processes[1 - dies];
    other.until(SMS, ReceiptState::Undelivered).await;
    wait(&twilio, "nobody is called instead", || taken(&twilio).1 == SMS).await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(taken(&twilio), (SMS, SMS), "a call for each SMS, and none twice");
    let mut times: Vec<usize> = questions(&twilio).into_values().collect();
    times.sort_unstable();
    assert_eq!(times, [2, 2, 2, 3], "what the dead one had asked without an answer is asked once more");
}
