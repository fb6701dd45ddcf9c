//! The one connection of a robot: presses come over it, and what is sent leaves over it. Where none is kept, what is sent opens one for itself.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::body;
use super::connection::{Connection, MISSED_PINGS, OPENED_WITHIN, next_ping};
use super::robot::{Incoming, Robot, request_id, unanswered};
use crate::channel::kit;
use crate::channel::{ListenContext, ListenEnd, Listener, Press, PressAnswer, Presser, Probe};
use crate::model::{ErrorKind, PlatformIds, SendError};

/// Messages that wait for the connection.
const MAX_ORDERS: usize = 64;
/// Cards that are remembered, so that a press changes their text only.
const MAX_CARDS: usize = 500;
/// How long a press may take to be stored once the connection is lost.
const LAST_PRESS: Duration = Duration::from_secs(3);

/// Something to be sent over the connection that is kept.
struct Order {
    body: Value,
    answered: oneshot::Sender<Incoming>,
    /// Who sets it first decides: it is written, or given up and never written.
    settled: Arc<AtomicBool>,
}

/// What the channels of a robot share.
#[derive(Default)]
pub(super) struct Hub {
    /// Those that listen.
    pub members: kit::Members<Robot>,
    /// The way to the connection that is kept, while there is one.
    orders: Mutex<Option<mpsc::Sender<Order>>>,
    /// One connection is opened at a time: another one ends it.
    opening: tokio::sync::Mutex<()>,
    /// The last cards that were sent, by their id, the oldest first.
    cards: Mutex<VecDeque<(String, Value)>>,
}

impl Hub {
    fn orders(&self) -> Option<mpsc::Sender<Order>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a message, and returns the server's answer. What was written and not answered is `Ambiguous`.
    pub async fn send(&self, robot: &Robot, body: Value, now: Timestamp, deadline: Instant) -> Result<Incoming, SendError> {
        self.remember(&body);
        if let Some(orders) = self.orders() {
            return order(&orders, body, deadline).await;
        }
        let alone = self.alone(deadline).await?;
        // Who opened one meanwhile may keep it: another one would end it.
        if let Some(orders) = self.orders() {
            drop(alone);
            return order(&orders, body, deadline).await;
        }
        let mut connection = Connection::open(robot, Some(now), deadline.min(kit::within(OPENED_WITHIN))).await?;
        let answer = connection.ask("aibot_send_msg", &body, deadline).await;
        if answer.is_ok() {
            connection.close().await;
        }
        answer
    }

    /// Asks whether the robot is accepted. Not where a channel listens: the connection may be kept by another process, and asking would end it.
    pub async fn probe(&self, robot: &Robot, deadline: Instant) -> Probe {
        if self.orders().is_some() {
            return Probe::Ok;
        }
        if self.members.last().is_some() {
            return Probe::Unsupported;
        }
        let asked = async {
            let _alone = self.alone(deadline).await?;
            Connection::open(robot, None, deadline.min(kit::within(OPENED_WITHIN))).await?.close().await;
            Ok(())
        };
        asked.await.map_or_else(Probe::Failed, |()| Probe::Ok)
    }

    /// The right to open a connection.
    async fn alone(&self, deadline: Instant) -> Result<tokio::sync::MutexGuard<'_, ()>, SendError> {
        let busy = |_| SendError::new(ErrorKind::Transient, "another message of the robot takes all the time").code("connection");
        timeout_at(deadline, self.opening.lock()).await.map_err(busy)
    }

    fn remember(&self, body: &Value) {
        let card = &body["template_card"];
        if let Some(id) = card["task_id"].as_str() {
            let mut cards = self.cards.lock().unwrap_or_else(PoisonError::into_inner);
            if cards.len() >= MAX_CARDS {
                cards.pop_front();
            }
            cards.push_back((id.to_owned(), card.clone()));
        }
    }

    fn card(&self, id: &str) -> Option<Value> {
        let cards = self.cards.lock().unwrap_or_else(PoisonError::into_inner);
        cards.iter().rev().find(|(known, _)| known == id).map(|(_, card)| card.clone())
    }
}

/// Sends over the connection that is kept. What was not written is `Transient`: it may be sent again at once.
async fn order(orders: &mpsc::Sender<Order>, body: Value, deadline: Instant) -> Result<Incoming, SendError> {
    let (answered, answer) = oneshot::channel();
    let settled = Arc::new(AtomicBool::new(false));
    let unwritten = |why: &str| SendError::new(ErrorKind::Transient, format!("the robot's connection {why}; nothing was written")).code("connection");
    let Ok(()) = orders.try_send(Order { body, answered, settled: settled.clone() }) else { return Err(unwritten("is just lost, or busy")) };
    let was_written = || settled.swap(true, Ordering::AcqRel);
    match timeout_at(deadline, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) if was_written() => Err(unanswered("the connection was lost before WeCom answered")),
        Ok(Err(_)) => Err(unwritten("was lost")),
        Err(_) if was_written() => Err(unanswered("WeCom did not answer in time")),
        Err(_) => Err(unwritten("was busy for too long")),
    }
}

/// The way to the connection, taken back when the connection ends.
struct Published<'a>(&'a Hub);

impl Drop for Published<'_> {
    fn drop(&mut self) {
        *self.0.orders.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What a press says (the vendor's SDK has the last two directly under `event`).
#[derive(Deserialize, Default)]
#[serde(default)]
struct Event {
    msgid: String,
    from: Who,
    event: What,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Who {
    userid: String,
    /// Of somebody in another organisation; those of the robot's own have none.
    corpid: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct What {
    eventtype: String,
    template_card_event: Option<Card>,
    #[serde(flatten)]
    card: Card,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default)]
struct Card {
    event_key: String,
    task_id: String,
}

/// What an event means.
enum Meaning {
    /// Another connection took this one's place.
    Replaced,
    /// A press, of the card with this id.
    Press(String, Press),
    Nothing,
}

fn meaning(body: Value) -> Meaning {
    let event: Event = serde_json::from_value(body).unwrap_or_default();
    match event.event.eventtype.as_str() {
        "disconnected_event" => Meaning::Replaced,
        "template_card_event" => {
            let card = event.event.template_card_event.unwrap_or(event.event.card);
            if event.msgid.is_empty() || event.from.userid.is_empty() || card.event_key.is_empty() {
                return Meaning::Nothing;
            }
            // Its name is in the company's directory only.
            let foreign = event.from.corpid.is_some_and(|id| !id.is_empty());
            let by = Presser { id: event.from.userid, name: String::new(), foreign };
            Meaning::Press(card.task_id, Press { event_id: event.msgid, value: card.event_key, message: PlatformIds::default(), by })
        }
        _ => Meaning::Nothing,
    }
}

/// A press that was taken: under which id it is answered, of which card, by whom, and what happened.
struct Taken {
    request: String,
    task_id: String,
    press: Press,
    answer: PressAnswer,
}

type Taking<'a> = FuturesUnordered<BoxFuture<'a, Taken>>;

#[async_trait]
impl Listener for Hub {
    fn exclusive(&self) -> bool {
        true
    }

    async fn listen(&self, cx: &ListenContext) -> ListenEnd {
        let Some(robot) = self.members.last() else {
            return ListenEnd::Lost(SendError::new(ErrorKind::Transient, "no channel listens any more"));
        };
        let alone = self.opening.lock().await;
        let mut connection = match Connection::open(&robot, None, kit::within(OPENED_WITHIN)).await {
            Ok(connection) => connection,
            Err(error) => return ListenEnd::Lost(error),
        };
        let (orders, mut incoming) = mpsc::channel(MAX_ORDERS);
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = Some(orders);
        let _published = Published(self);
        // What waited to open one finds it.
        drop(alone);
        cx.connected.send_replace(true);
        let mut taking: Taking<'_> = FuturesUnordered::new();
        let end = self.serve(&mut connection, &mut incoming, &mut taking, cx).await;
        cx.connected.send_replace(false);
        // What is being stored is stored; its card stays as it is.
        let _ = timeout(LAST_PRESS, async { while taking.next().await.is_some() {} }).await;
        end
    }
}

/// Hands an answer to the request that waits for it.
fn forward_answer(waiting: &mut HashMap<String, oneshot::Sender<Incoming>>, frame: Incoming) {
    if let Some(answered) = waiting.remove(&frame.headers.req_id) {
        let _ = answered.send(frame);
    } else if frame.errcode != 0 {
        tracing::warn!(code = frame.errcode, "the answer to a press of a WeCom button was not shown");
    }
}

impl Hub {
    async fn serve<'a>(
        &'a self,
        connection: &mut Connection,
        incoming: &mut mpsc::Receiver<Order>,
        taking: &mut Taking<'a>,
        cx: &'a ListenContext,
    ) -> ListenEnd {
        let mut waiting: HashMap<String, oneshot::Sender<Incoming>> = HashMap::new();
        let (mut ping_at, mut missed) = (next_ping(), 0);
        loop {
            let written = tokio::select! {
                frame = connection.next() => {
                    let frame = match frame {
                        Ok(Some(frame)) => frame,
                        Ok(None) => return ListenEnd::Closed,
                        Err(error) => return ListenEnd::Lost(error),
                    };
                    missed = 0;
                    match frame.cmd.as_str() {
                        "" => forward_answer(&mut waiting, frame),
                        "aibot_event_callback" => match meaning(frame.body) {
                            Meaning::Replaced => return ListenEnd::Replaced,
                            Meaning::Press(task_id, press) => taking.push(Box::pin(async move {
                                let answer = cx.presses.press(press.clone()).await;
                                Taken { request: frame.headers.req_id, task_id, press, answer }
                            })),
                            Meaning::Nothing => {}
                        },
                        _ => {}
                    }
                    Ok(())
                }
                Some(Order { body, answered, settled }) = incoming.recv() => {
                    if answered.is_closed() || settled.swap(true, Ordering::AcqRel) {
                        continue;
                    }
                    let id = request_id("aibot_send_msg");
                    waiting.retain(|_, answered| !answered.is_closed());
                    waiting.insert(id.clone(), answered);
                    connection.write("aibot_send_msg", &id, Some(&body)).await
                }
                Some(taken) = taking.next() => connection.write("aibot_respond_update_msg", &taken.request, Some(&self.change(&taken))).await,
                () = sleep_until(ping_at) => {
                    if missed >= MISSED_PINGS {
                        let why = format!("WeCom answered none of {missed} pings: the connection is dead");
                        return ListenEnd::Lost(SendError::new(ErrorKind::Transient, why).code("silent"));
                    }
                    (ping_at, missed) = (next_ping(), missed + 1);
                    connection.write("ping", &request_id("ping"), None).await
                }
            };
            if let Err(error) = written {
                return ListenEnd::Lost(error);
            }
        }
    }

    /// How a card changes with the answer to a press: for everybody, or, where nothing happened, for who pressed.
    fn change(&self, taken: &Taken) -> Value {
        let user = taken.press.by.id.as_str();
        let text = if taken.answer.done { format!("{user}: {}", taken.answer.text) } else { taken.answer.text.clone() };
        let card = body::answered(self.card(&taken.task_id).as_ref(), &taken.task_id, &taken.press.value, &text);
        let mut change = json!({ "response_type": "update_template_card", "template_card": card });
        if !taken.answer.done {
            change["userids"] = json!([user]);
        }
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::BuildContext;
    use crate::model::Secret;

    #[tokio::test(start_paused = true)]
    async fn what_was_not_written_is_no_unknown_outcome_and_is_never_written() {
        let (orders, mut incoming) = mpsc::channel(2);
        let send = |seconds| order(&orders, json!({}), kit::within(Duration::from_secs(seconds)));
        // Given up in the queue.
        let error = send(1).await.unwrap_err();
        let left = incoming.recv().await.unwrap();
        assert!(error.kind == ErrorKind::Transient && left.settled.swap(true, Ordering::AcqRel), "{error}");
        // Lost with the connection, before it was written and after.
        for (written, kind) in [(false, ErrorKind::Transient), (true, ErrorKind::Ambiguous)] {
            let lost = async {
                let order = incoming.recv().await.unwrap();
                order.settled.store(written, Ordering::Release);
            };
            let (sent, ()) = tokio::join!(send(9), lost);
            assert_eq!(sent.unwrap_err().kind, kind);
        }
        // Written, and not answered in time.
        let silent = async {
            let order = incoming.recv().await.unwrap();
            order.settled.store(true, Ordering::Release);
            tokio::time::sleep(Duration::from_secs(5)).await;
            drop(order);
        };
        let (sent, ()) = tokio::join!(send(1), silent);
        assert_eq!(sent.unwrap_err().kind, ErrorKind::Ambiguous);
    }

    #[tokio::test]
    async fn what_waits_to_open_a_connection_leaves_over_the_one_that_is_kept_by_then() {
        let clients = kit::HttpClients::default();
        let (secrets, timeout) = (&kit::test_server::Literals, Duration::from_secs(10));
        let cx = BuildContext { channel: "test", timeout, proxy: None, secrets, http: &clients, presets: &Default::default() };
        let http = kit::http(&cx, "wecom_bot", None).unwrap();
        // Nothing listens there: a connection of its own would fail.
        let robot = Robot { base: "http://127.0.0.1:9".into(), http, id: "aib1".into(), secret: Secret::new("s") };
        let (hub, (orders, mut incoming)) = (Hub::default(), mpsc::channel::<Order>(1));
        let alone = hub.opening.lock().await;
        let listens = async {
            *hub.orders.lock().unwrap() = Some(orders);
            drop(alone);
            let order = incoming.recv().await.unwrap();
            let _ = order.answered.send(serde_json::from_value(json!({ "errmsg": "ok" })).unwrap());
        };
        let (sent, ()) = tokio::join!(hub.send(&robot, json!({}), Timestamp::UNIX_EPOCH, kit::within(timeout)), listens);
        assert_eq!(sent.unwrap().errmsg, "ok");
    }
}
