//! The one connection of a robot: presses come over it, and what is sent leaves over it. Where none is kept, what is sent opens one for itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
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
use crate::channel::{ListenContext, ListenEnd, Listener, Press, PressAnswer, Presser};
use crate::model::{ErrorKind, SendError};

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

    /// Whether a connection is kept.
    pub fn is_open(&self) -> bool {
        self.orders().is_some()
    }

    /// Sends a message, and returns the server's answer. What was written and not answered is `Ambiguous`.
    pub async fn send(&self, robot: &Robot, body: Value, now: Timestamp, deadline: Instant) -> Result<Incoming, SendError> {
        self.remember(&body);
        if let Some(orders) = self.orders() {
            let (answered, answer) = oneshot::channel();
            let Ok(()) = orders.try_send(Order { body, answered }) else {
                return Err(SendError::new(ErrorKind::Transient, "the robot's connection is just lost, or busy").code("connection"));
            };
            return match timeout_at(deadline, answer).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) => Err(unanswered("the connection was lost before WeCom answered")),
                Err(_) => Err(unanswered("WeCom did not answer in time")),
            };
        }
        let (_alone, mut connection) = self.own(robot, Some(now), deadline).await?;
        let answer = connection.ask("aibot_send_msg", &body, deadline).await;
        if answer.is_ok() {
            connection.close().await;
        }
        answer
    }

    /// Asks whether the robot is accepted.
    pub async fn probe(&self, robot: &Robot, deadline: Instant) -> Result<(), SendError> {
        let (_alone, connection) = self.own(robot, None, deadline).await?;
        connection.close().await;
        Ok(())
    }

    /// A connection for one message.
    async fn own(
        &self,
        robot: &Robot,
        now: Option<Timestamp>,
        deadline: Instant,
    ) -> Result<(tokio::sync::MutexGuard<'_, ()>, Connection), SendError> {
        let busy = |_| SendError::new(ErrorKind::Transient, "another message of the robot takes all the time").code("connection");
        let alone = timeout_at(deadline, self.opening.lock()).await.map_err(busy)?;
        let connection = Connection::open(robot, now, deadline.min(kit::within(OPENED_WITHIN))).await?;
        Ok((alone, connection))
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
            Meaning::Press(card.task_id, Press { event_id: event.msgid, value: card.event_key, by })
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
        let opened = async {
            let _alone = self.opening.lock().await;
            Connection::open(&robot, None, kit::within(OPENED_WITHIN)).await
        };
        let mut connection = match opened.await {
            Ok(connection) => connection,
            Err(error) => return ListenEnd::Lost(error),
        };
        let (orders, mut incoming) = mpsc::channel(MAX_ORDERS);
        *self.orders.lock().unwrap_or_else(PoisonError::into_inner) = Some(orders);
        let _published = Published(self);
        cx.connected.send_replace(true);
        let mut taking: Taking<'_> = FuturesUnordered::new();
        let end = self.serve(&mut connection, &mut incoming, &mut taking, cx).await;
        cx.connected.send_replace(false);
        // What is being stored is stored; its card stays as it is.
        let _ = timeout(LAST_PRESS, async { while taking.next().await.is_some() {} }).await;
        end
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
                        "" => {
                            if let Some(answered) = waiting.remove(&frame.headers.req_id) {
                                let _ = answered.send(frame);
                            } else if frame.errcode != 0 {
                                tracing::warn!(code = frame.errcode, "the answer to a press of a WeCom button was not shown");
                            }
                        }
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
                Some(Order { body, answered }) = incoming.recv() => {
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
