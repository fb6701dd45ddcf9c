//! Takes presses as the engine does, without an engine: for tests of what a driver hears of its platform.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use watchfire::channel::{Channel, ListenContext, ListenEnd, Listener, Press, PressAnswer, PressWay, Presses};

/// Takes presses, and answers each with what it is set to.
pub struct Taken {
    presses: Mutex<Vec<Press>>,
    answer: Mutex<PressAnswer>,
    /// A press is stored when it gets a permit; the test takes them away.
    pub store: Semaphore,
}

impl Taken {
    /// Answers "ok", done.
    pub fn new() -> Arc<Self> {
        let answer = PressAnswer { text: "Anna is on it".into(), done: true };
        Arc::new(Self { presses: Mutex::default(), answer: Mutex::new(answer), store: Semaphore::new(1000) })
    }

    /// Answers with this from now on.
    pub fn answer_with(&self, text: &str, done: bool) {
        *self.answer.lock().unwrap() = PressAnswer { text: text.into(), done };
    }

    /// What came so far.
    pub fn all(&self) -> Vec<Press> {
        self.presses.lock().unwrap().clone()
    }

    /// The first `n`, once they are there.
    pub async fn wait(&self, n: usize) -> Vec<Press> {
        until(|| self.all().len() >= n).await;
        self.all()
    }
}

#[async_trait]
impl Presses for Taken {
    async fn press(&self, press: Press) -> PressAnswer {
        self.store.acquire().await.unwrap().forget();
        self.presses.lock().unwrap().push(press);
        self.answer.lock().unwrap().clone()
    }
}

/// Waits for something that happens soon.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    tokio::time::timeout(Duration::from_secs(20), async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it happens soon");
}

/// The listener of a channel.
pub fn listener(driver: &Arc<dyn Channel>) -> Arc<dyn Listener> {
    match driver.press_way() {
        Some(PressWay::Listener(listener)) => listener,
        Some(PressWay::Callback | PressWay::Phone) => panic!("its presses come by callback"),
        None => panic!("it has no buttons"),
    }
}

/// One connection of a listener.
pub struct Listening {
    task: JoinHandle<ListenEnd>,
    connected: watch::Receiver<bool>,
}

impl Listening {
    /// Opens it.
    pub fn start(listener: Arc<dyn Listener>, presses: &Arc<Taken>) -> Self {
        let (sender, connected) = watch::channel(false);
        let cx = ListenContext { presses: presses.clone(), connected: sender };
        Self { task: tokio::spawn(async move { listener.listen(&cx).await }), connected }
    }

    /// Opens it, and waits until the platform has answered.
    pub async fn connected(listener: Arc<dyn Listener>, presses: &Arc<Taken>) -> Self {
        let mut listening = Self::start(listener, presses);
        let answered = tokio::time::timeout(Duration::from_secs(20), listening.connected.wait_for(|connected| *connected)).await;
        answered.expect("it connects soon").expect("it connects");
        listening
    }

    /// Whether it says that it is connected.
    pub fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// How it ends by itself.
    pub async fn end(self) -> ListenEnd {
        tokio::time::timeout(Duration::from_secs(200), self.task).await.expect("it ends").unwrap()
    }

    /// The server stops, or another takes over: nothing is said to the platform.
    pub async fn drop_it(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
